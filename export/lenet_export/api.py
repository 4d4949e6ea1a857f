"""From a network to files: what the command line does, and the same from Python."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenet_export import files
from lenet_export.activations import BOUNDS
from lenet_export.checkpoint import Model
from lenet_export.cpus.registry import OPTIMIZE, cpu_named, cpus_like, lay_out
from lenet_export.errors import UserError
from lenet_export.gap_table import GapTable
from lenet_export.images import check_count, check_images, check_labels
from lenet_export.ink import Ink, check_ink
from lenet_export.outputs.c_names import check_prefix
from lenet_export.outputs.options import PARTS, TABLES, Options, parts_of
from lenet_export.outputs.registry import OUTPUTS, misplaced
from lenet_export.parser import as_share
from lenet_export.plan import SIZE_MAX, Plan, make_plan
from lenet_export.reference import Images

if TYPE_CHECKING:
    import numpy.typing as npt

    from lenet_export.verify import Report


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes:
        plan: the network as the C computes it; ``plan.model`` is the float one.
        files: their paths.
        report: what the comparison with JAX found; ``None`` where none was asked for.
    """

    plan: Plan
    files: tuple[Path, ...]
    report: Report | None


def export(
    module: Any,
    params: Any,
    input_shape: tuple[int, int, int],
    out: Path | str,
    *,
    target: str = "c",
    images: Images | None = None,
    labels: npt.NDArray[Any] | None = None,
    dtype: str = "int8",
    max_error: float | None = None,
    max_amount_error: float | None = None,
    amount_table: GapTable | None = None,
    none_output: bool = False,
    ink: Ink | None = None,
    cpu: str = "generic",
    optimize: str = "speed",
    prefix: str = "lenet",
    single_file: bool = False,
    tables: str = "inside",
    with_: Iterable[str] = (),
    verify: bool = True,
) -> Exported:
    """Exports a network, as C compared with JAX before it is written.

    Args:
        module: the network, e.g. an ``nn.Sequential``: what a reader in
            :data:`lenet_export.readers.registry.READERS` knows. It reads float32 ``(images, rows,
            columns, channels)`` from 0 to 1, the image's bytes divided by 255, and gives one logit
            for each class. An unknown layer is refused with its place and what is supported.
        params: its variables as trained: of Flax ``params``, and ``batch_stats`` if it has some.
        input_shape: rows, columns and channels of an image.
        out: the folder to write to.
        target: what to write: a name in :data:`lenet_export.outputs.registry.OUTPUTS`.
        images: uint8 ``(images, *input_shape)``, some hundreds that are like those to come: the
            ranges of functions without a bound (ReLU, GELU) are measured on them, for int8.
        labels: their classes ``(images,)``. With them the score gap is measured for ``max_error``;
            then the images should be none that the network was trained on.
        dtype: ``int8`` or ``float32``.
        max_error: the largest share of wrong readings among the accepted ones; needs ``labels``.
        max_amount_error: with ``amount``, the largest share of wrong amounts among the accepted
            ones; needs ``amount_table``.
        amount_table: what the scores of amounts tell of a validation split's lines, as an earlier
            export reads them: ``GapTable.of(scores, is_wrong)``.
        none_output: whether the last output stands for "none of these", so that the classes are
            those in front of it.
        ink: the limits of an image's ink: ``Ink.measure(training images)``; ``None``: no limits.
        cpu: a name in :data:`lenet_export.cpus.registry.CPUS` or ``ALIASES`` there.
        optimize: ``speed``, ``ram`` or ``flash``.
        prefix: of the files and of all public names in them.
        single_file: one header, with the implementation in it.
        tables: ``inside`` the C file, or ``apart``: what training decides in a file of its own.
        with_: what the C has beside the network: ``picture``, functions that read a digit in a grey
            picture of any size; ``amount``, these and one that reads a line of digits.
        verify: whether the C is compiled and every logit compared with JAX; other targets have
            nothing to run.

    Raises:
        UserError: a layer, an argument or the folder cannot be used; or the C differs from JAX.

    Warns:
        UserWarning: the C is what was planned, but reads many images otherwise than the network; or
            the network itself reads them no better than chance.
    """
    from lenet_export import flax_network  # takes JAX, which is slow to import
    from lenet_export.readers.registry import read

    for name, value, known in [
        ("target", target, tuple(OUTPUTS)),
        ("tables", tables, TABLES),
        ("dtype", dtype, ("int8", "float32")),
        ("optimize", optimize, OPTIMIZE),
    ]:
        if value not in known:
            raise UserError(name, f"is {value!r}", f"give one of {', '.join(known)}")
    cpu = _checked_cpu(cpu)
    beside = {"cpu": cpu != "generic", "optimize": optimize != "speed", "single_file": single_file}
    beside["tables"] = tables != "inside"
    parts = _checked_parts(with_)
    beside["parts"] = bool(parts)
    wrong = misplaced(target, [name for name, given in beside.items() if given])
    if wrong:
        raise UserError("with_" if wrong[0] == "parts" else wrong[0], wrong[1], "leave it out")
    if not isinstance(out, str | os.PathLike):
        raise UserError("out", f"is {out!r}", "give a folder's path")
    max_error = _checked_share("max_error", max_error)
    max_amount_error = _checked_share("max_amount_error", max_amount_error)
    if max_amount_error is not None and "amount" not in parts:
        raise UserError("max_amount_error", "goes with amounts only", 'give with_=["amount"]')
    if not isinstance(amount_table, GapTable | None):
        raise UserError("amount_table", f"is {amount_table!r}", "give a GapTable, or leave it out")
    check_prefix(prefix)
    input_shape = _checked_shape(input_shape)
    if ink is not None:
        check_ink(ink, input_shape)
    if images is not None:
        images = check_images(images, input_shape)
    if labels is not None:
        check_count(images, labels)
    model = read(module, params, input_shape, images)
    model = replace(model, none_output=bool(none_output), ink=ink, amount_table=amount_table)
    if labels is not None:
        labels = check_labels(labels, model.classes)
    if dtype == "int8":
        model = replace(model, activation_ranges=_ranges(model, images))
    if images is not None and labels is not None:
        logits = flax_network.run_logits(model, images)
        model = replace(
            model, gap_table=GapTable.measure(logits, labels, none_output=model.none_output)
        )
    plan = lay_out(make_plan(model, dtype, max_error), cpu, optimize)
    options = Options(
        *(prefix, bool(single_file)),
        target=target,
        tables=tables,
        parts=parts,
        max_amount_error=max_amount_error,
    )
    exported = write(plan, Path(out), options, verify, images, labels)
    for text in exported.report.warnings if exported.report else ():
        warnings.warn(text, stacklevel=2)
    return exported


def write(
    plan: Plan,
    out: Path,
    options: Options,
    verify: bool,
    images: Images | None = None,
    labels: npt.NDArray[Any] | None = None,
) -> Exported:
    """Renders ``plan``, compares it with JAX if asked to, and writes the files to ``out``.

    Args:
        plan: laid out for its CPU.
        out: the folder.
        options: of the files.
        verify: whether to compare, where the output can be run.
        images: to compare on, beside those that are made for it.
        labels: their classes.

    Raises:
        UserError: a name cannot be used, the C differs from JAX, or ``out`` cannot be written.
    """
    output = OUTPUTS[options.target]
    rendered = output.files(plan, options)
    report = None
    if verify and output.verify:
        report = output.verify(plan, rendered, options.prefix, images, labels)
    paths = {out / name: data for name, data in rendered.items()}
    files.write(paths)
    return Exported(plan, tuple(paths), report)


def _ranges(model: Model, images: Images | None) -> dict[str, float]:
    """The largest activation of each hidden layer, measured where its function has no bound.

    Raises:
        UserError: there are no images to measure it on, or a layer is dead.
    """
    from lenet_export import flax_network

    open_ended = {stage.activation for stage in model.stages[:-1]} - set(BOUNDS)
    if images is None and open_ended:
        raise UserError(
            "images",
            f"are needed for the range of {' and '.join(sorted(open_ended))} in int8",
            f"give some hundred images, uint8 (images, {', '.join(map(str, model.input_shape))})",
        )
    given = np.zeros((1, *model.input_shape), np.uint8) if images is None else images
    return flax_network.activation_ranges(model, given)


def _checked_parts(with_: Any) -> tuple[str, ...]:
    """The parts that ``with_`` names, in their order.

    Raises:
        UserError: it names none that is known.
    """
    given = list(with_) if isinstance(with_, Iterable) and not isinstance(with_, str) else [with_]
    if any(part not in PARTS for part in given):
        raise UserError("with_", f"is {with_!r}", f"give a list of {', '.join(PARTS)}")
    return parts_of(given)


def _checked_cpu(cpu: Any) -> str:
    """The name in the registry of what ``cpu`` names.

    Raises:
        UserError: it is not known.
    """
    name = cpu_named(str(cpu))
    if name is None:
        raise UserError("cpu", f"is {cpu!r}", f"give {cpus_like(str(cpu))}")
    return name


def _checked_share(name: str, given: Any) -> float | None:
    """A share in Python's numbers, if it is given.

    Raises:
        UserError: it is no share.
    """
    share = as_share(given)
    if share is None and given is not None:
        raise UserError(name, f"is {given!r}", "give a share between 0 and 1, e.g. 0.005")
    return share


def _checked_shape(shape: Any) -> tuple[int, int, int]:
    """The shape of an image in Python's numbers.

    Raises:
        UserError: it is none.
    """
    try:
        sizes = np.asarray(shape)
    except ValueError:  # of several lengths
        sizes = np.zeros(0)
    if sizes.shape != (3,) or sizes.dtype.kind not in "iu" or not (sizes > 0).all():
        raise UserError("input_shape", f"is {shape!r}", "give rows, columns, channels")
    if sizes.max() > SIZE_MAX:
        raise UserError("input_shape", f"is {shape!r}", f"give sizes of {SIZE_MAX:,} at most")
    rows, columns, channels = (int(size) for size in sizes)
    return rows, columns, channels
