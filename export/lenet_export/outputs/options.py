"""What a user may choose of the files that an export writes, beside what is in the plan."""

from __future__ import annotations

from dataclasses import dataclass

from lenet_export.plan import Plan

TABLES = ("inside", "apart")


@dataclass(frozen=True)
class Options:
    """What a user may choose of the files.

    Attributes:
        prefix: what the names of the files and of all public names begin with.
        single_file: one header with the implementation in it, in place of two files.
        model: the bundled model that the plan is of; ``None`` for the default one, or a user's own.
        tables: ``inside`` the C file, or ``apart``: what training decides in a file of its own.
        target: the output, a name in :data:`lenet_export.outputs.registry.OUTPUTS`.
    """

    prefix: str = "lenet"
    single_file: bool = False
    model: str | None = None
    target: str = "c"
    tables: str = "inside"


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
    )
