"""What an output is, and what a user may choose of the files that it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenet_export.plan import Array, Plan

if TYPE_CHECKING:
    from lenet_export.reference import Images
    from lenet_export.verify import Report

Files = dict[str, bytes]

TABLES = ("inside", "apart")
PARTS = ("picture", "amount")


def parts_of(given: Iterable[str]) -> tuple[str, ...]:
    """Those of ``PARTS`` that are given, and what they need, in their order."""
    wanted = set(given)
    return tuple(part for part in PARTS if part in wanted or "amount" in wanted)


@dataclass(frozen=True)
class Options:
    """What a user may choose of the files.

    Attributes:
        prefix: what the names of the files and of all public names begin with.
        single_file: one header with the implementation in it, in place of two files.
        model: the bundled model that the plan is of; ``None`` for the default one, or a user's own.
        tables: ``inside`` the C file, or ``apart``: what training decides in a file of its own.
        parts: what the C has beside the network, of ``PARTS``, in their order.
        max_amount_error: the largest share of wrong amounts among the accepted ones; ``None``
            accepts all.
        target: the output, a name in :data:`lenet_export.outputs.registry.OUTPUTS`.
    """

    prefix: str = "lenet"
    single_file: bool = False
    model: str | None = None
    target: str = "c"
    tables: str = "inside"
    parts: tuple[str, ...] = ()
    max_amount_error: float | None = None


def command(plan: Plan, options: Options) -> str:
    """The command line that writes the same files, less its paths."""
    return " ".join(
        [f"lenet-export --target {options.target}"]
        + ([f"--model {options.model}"] if options.model else [])
        + (["--dtype float32"] if plan.dtype == "float32" else [])
        + ([f"--cpu {plan.cpu}"] if plan.cpu != "generic" else [])
        + ([f"--optimize {plan.optimize}"] if plan.optimize != "speed" else [])
        + ([f"--prefix {options.prefix}"] if options.prefix != "lenet" else [])
        + ([f"--max-error {plan.max_error!r}"] if plan.max_error is not None else [])
        + (["--single-file"] if options.single_file else [])
        + (["--tables apart"] if options.tables != "inside" else [])
        + [f"--with {part}" for part in options.parts]
        + (
            [f"--max-amount-error {options.max_amount_error!r}"]
            if options.max_amount_error is not None
            else []
        )
    )


@dataclass(frozen=True)
class Output:
    """What ``--target`` names; each module of an output has one, called ``OUTPUT``.

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
