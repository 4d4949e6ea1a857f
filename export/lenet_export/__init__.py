"""Quantizes a trained network and exports it as C that equals its JAX reference."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lenet_export.api import Exported, export
    from lenet_export.errors import UserError
    from lenet_export.gap_table import GapTable
    from lenet_export.ink import Ink
    from lenet_export.preparation import Prepared, prepare, prepare_scan

__all__ = [
    "Exported",
    "GapTable",
    "Ink",
    "Prepared",
    "UserError",
    "export",
    "prepare",
    "prepare_scan",
]


def __getattr__(name: str) -> Any:
    """What the package gives, imported when it is first asked for: not by the program's start."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    is_picture = name in ("Prepared", "prepare", "prepare_scan")
    module = import_module("lenet_export.preparation" if is_picture else "lenet_export.api")
    return getattr(module, name)


def __dir__() -> list[str]:
    """The names, those not yet imported too."""
    return sorted({*globals(), *__all__})
