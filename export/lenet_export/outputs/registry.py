"""What an export can write: each output by its name for ``--target``, which is its module's too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module

from lenet_export.outputs import ecosystems
from lenet_export.outputs.options import Output

NAMES = (
    "c",
    "npz",
    "web",
)

OUTPUTS: dict[str, Output] = {
    name: import_module(f"lenet_export.outputs.{name}").OUTPUT for name in NAMES
} | ecosystems.OUTPUTS


def misplaced(target: str, given: Iterable[str]) -> tuple[str, str] | None:
    """The first of the ``given`` options that does not go with ``target``, and what is wrong."""
    for option in given:
        takers = [name for name, output in OUTPUTS.items() if option in output.options]
        if target not in takers:
            return option, f"goes with --target {one_of(takers)} only"
    return None


def one_of(names: Sequence[str]) -> str:
    """Names as a sentence has them: ``c, arduino or cmake``."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
