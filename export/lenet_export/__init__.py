"""Quantizes a trained network and exports it as C that equals its JAX reference."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lenet_export.api import Exported, export
    from lenet_export.errors import UserError

__all__ = ["Exported", "UserError", "export"]


def __getattr__(name: str) -> Any:
    """What the package gives, imported when it is first asked for: not by the program's start."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lenet_export import api

    return getattr(api, name)


def __dir__() -> list[str]:
    """The names, those not yet imported too."""
    return sorted({*globals(), *__all__})
