"""What an output is, and what a user may choose of the files that it writes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenet_export.plan import Array, Plan

if TYPE_CHECKING:
    from lenet_export.reference import Images
    from lenet_export.verify import Comparison

Files = dict[str, bytes]

#: Why C was not compared with JAX, where nobody asked for it.
NOT_ASKED = "not asked for"
TABLES = ("inside", "apart", "blob")
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
        tables: ``inside`` the C file; ``apart``: what training decides in a file of C of its own;
            ``blob``: in bytes that the C is bound to when it runs.
        release: of a blob; the larger, the newer.
        parts: what the C has beside the network, of ``PARTS``, in their order.
        max_amount_error: the largest share of wrong amounts among the accepted ones; ``None``
            accepts all.
        target: the output, a name in :data:`lenet_export.outputs.registry.OUTPUTS`.
        notes: what a user should know of how the network was read, in sentences.
        network: of a network of the user's, what the command line is told of it: option and value.
        doubts: what makes the network doubtful as it was read, in sentences.
        not_verified: why the C was not compared with JAX: ``NOT_ASKED``, or what was missing and
            the remedy; empty where it was compared.
        call: of one that was given from Python, the first arguments of ``lenet_export.export``.
    """

    prefix: str = "lenet"
    single_file: bool = False
    model: str | None = None
    target: str = "c"
    tables: str = "inside"
    parts: tuple[str, ...] = ()
    max_amount_error: float | None = None
    notes: tuple[str, ...] = ()
    network: tuple[tuple[str, Any], ...] = ()
    doubts: tuple[str, ...] = ()
    not_verified: str = ""
    call: str = ""
    release: int = 0


def command(plan: Plan, options: Options) -> str:
    """The command line that writes the same files, less its paths; or such a call of Python."""
    chosen = _chosen(plan, options)
    if options.call:
        named = [f"{name}={_literal(value)}" for name, value in chosen if value != "c"]
        return f"lenet_export.export({', '.join([options.call, *named])})"
    words = ["lenet-export"]
    for name, value in chosen:
        option = f"--{name.rstrip('_').replace('_', '-')}"
        for one in value if isinstance(value, list) else [value]:
            words += [option] if one is True else [option, shlex.quote(str(one))]
    return " ".join(words)


def _literal(value: Any) -> str:
    """A value as a program of Python has it: text in double quotes."""
    return repr(value) if isinstance(value, bool | float) else json.dumps(value)


def _chosen(plan: Plan, options: Options) -> list[tuple[str, Any]]:
    """What is not as it is by default, by the names of ``lenet_export.export``."""
    chosen: dict[str, Any] = {
        **dict(options.network),
        "model": dict(options.network).get("model", options.model),
        "dtype": plan.dtype if plan.dtype != "int8" else None,
        "cpu": plan.cpu if plan.cpu != "generic" else None,
        "optimize": plan.optimize if plan.optimize != "speed" else None,
        "prefix": options.prefix if options.prefix != "lenet" else None,
        "max_error": plan.max_error,
        "single_file": options.single_file or None,
        "tables": options.tables if options.tables != "inside" else None,
        "release": options.release or None,
        "harden": plan.is_hardened or None,
        "with_": list(options.parts) or None,
        "max_amount_error": options.max_amount_error,
    }
    given = [(name, value) for name, value in chosen.items() if value is not None]
    return [("target", options.target), *given]


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
        packed: the files by paths below the folder that is written to, given the plan, the options
            and what ``files`` gave; by default they are those.
    """

    help: str
    files: Callable[[Plan, Options], Files]
    options: frozenset[str] = frozenset()
    verify: Callable[[Plan, Files, str, Images | None, Array | None], Comparison] | None = None
    costs: Callable[[Plan], list[tuple[str, str]]] = lambda _: []
    packed: Callable[[Plan, Options, Files], Files] = lambda _plan, _options, files: files
