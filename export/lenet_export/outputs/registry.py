"""What an export can write: each output by its name for ``--target``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenet_export.outputs import c, npz
from lenet_export.outputs.options import Options
from lenet_export.plan import Array, Plan

if TYPE_CHECKING:
    from lenet_export.reference import Images
    from lenet_export.verify import Report

Files = dict[str, bytes]


@dataclass(frozen=True)
class Output:
    """What ``--target`` names.

    Attributes:
        help: what it writes, in a few words.
        files: the files by name, of a plan that is laid out for its CPU.
        options: those of the command line that go with it, beside those that go with all.
        verify: compares the files with JAX, given the plan, the files, the prefix, images and
            labels; ``None`` where nothing can be run.
        costs: lines of the summary: what it takes on the device.
    """

    help: str
    files: Callable[[Plan, Options], Files]
    options: frozenset[str] = frozenset()
    verify: Callable[[Plan, Files, str, Images | None, Array | None], Report] | None = None
    costs: Callable[[Plan], list[tuple[str, str]]] = lambda _: []


def _verify_c(
    plan: Plan, files: Files, prefix: str, images: Images | None, labels: Array | None
) -> Report:
    from lenet_export.verify import verify  # compilers and JAX, which take their time to import

    return verify(plan, files, prefix, images, labels)


OUTPUTS = {
    "c": Output(
        "lenet.c, lenet.h, lenet.json",
        c.render_c,
        frozenset({"cpu", "optimize", "single_file", "tables", "verify", "images"}),
        _verify_c,
        c.costs,
    ),
    "npz": Output(
        "every number, documented inside",
        lambda plan, options: {f"{options.prefix}.npz": npz.render_npz(plan)},
    ),
}


def misplaced(target: str, given: Iterable[str]) -> tuple[str, str] | None:
    """The first of the ``given`` options that does not go with ``target``, and what is wrong."""
    for option in given:
        takers = [name for name, output in OUTPUTS.items() if option in output.options]
        if target not in takers:
            return option, f"goes with --target {' or '.join(takers)} only"
    return None
