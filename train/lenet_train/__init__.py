"""Trains LeNet in Flax and writes ``model.safetensors``."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lenet_train.api import train

__all__ = ["train"]


def __getattr__(name: str) -> Any:
    """What the package gives, imported when it is first asked for: not by the program's start."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lenet_train import api

    return getattr(api, name)


def __dir__() -> list[str]:
    """The names, those not yet imported too."""
    return sorted({*globals(), *__all__})
