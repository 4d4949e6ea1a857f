"""Quantizes a trained network and exports it as C that equals its JAX reference."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lenet_export.api import export
    from lenet_export.errors import UserError
    from lenet_export.exported import Exported
    from lenet_export.gap_table import GapTable
    from lenet_export.ink import Ink
    from lenet_export.preparation import Prepared, prepare, prepare_scan
    from lenet_export.report import Report
    from lenet_export.trained import Trained, load

#: What the package gives, and the module that has it.
_GIVEN = {
    "Exported": "exported",
    "GapTable": "gap_table",
    "Ink": "ink",
    "Prepared": "preparation",
    "Report": "report",
    "Trained": "trained",
    "UserError": "errors",
    "export": "api",
    "load": "trained",
    "prepare": "preparation",
    "prepare_scan": "preparation",
}

__all__ = [
    "Exported",
    "GapTable",
    "Ink",
    "Prepared",
    "Report",
    "Trained",
    "UserError",
    "export",
    "load",
    "prepare",
    "prepare_scan",
]


def __getattr__(name: str) -> Any:
    """What the package gives, imported when it is first asked for: not by the program's start."""
    if name not in _GIVEN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"lenet_export.{_GIVEN[name]}"), name)


def __dir__() -> list[str]:
    """The names, those not yet imported too."""
    return sorted({*globals(), *__all__})
