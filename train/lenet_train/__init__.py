"""Trains LeNet in Flax and writes ``model.safetensors``."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lenet_train.api import train
    from lenet_train.interrupt import Interrupted
    from lenet_train.run import Result

#: What the package gives, and the module that has it.
_GIVEN = {"Interrupted": "interrupt", "Result": "run", "train": "api"}

__all__ = ["Interrupted", "Result", "train"]


def __getattr__(name: str) -> Any:
    """What the package gives, imported when it is first asked for: not by the program's start."""
    if name not in _GIVEN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"lenet_train.{_GIVEN[name]}"), name)


def __dir__() -> list[str]:
    """The names, those not yet imported too."""
    return sorted({*globals(), *__all__})
