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

    from lenet_export.readers.chain_builder import Line
    from lenet_export.verify import Report


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes:
        plan: the network as the C computes it; ``plan.model`` is the float one.
        files: their paths.
        report: what the comparison with JAX found; ``None`` where none was asked for.
        notes: what a user should know of how the network was read, in sentences.
    """

    plan: Plan
    files: tuple[Path, ...]
    report: Report | None
    notes: tuple[str, ...] = ()


def export(
    module: Any,
    params: Any,
    input_shape: tuple[int, ...],
    out: Path | str,
    *,
    input_mean: Any = None,
    input_std: Any = None,
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
        module: the network: a module of ``flax.linen`` of any form, one of ``flax.nnx``, or a
            function of images; see :data:`lenet_export.readers.registry.READERS`. It reads float32
            ``(images, *input_shape)`` and gives one logit for each class, or one for two classes.
            What a chain cannot have is refused with its place and what is supported there.
        params: its variables as trained: of linen ``params``, and ``batch_stats`` if it has some;
            of nnx ``None``, or an ``nnx.State``; of a function ``None``, or its first argument. Or
            where they are: the path of a folder of Orbax, a .msgpack or a .safetensors; or as the
            bytes of ``flax.serialization``, a ``TrainState``, or by paths (``conv1/kernel``).
        input_shape: what the network reads, without the axis of images: ``(28, 28, 1)``, ``(28,
            28)``, ``(784,)``.
        out: the folder to write to.
        input_mean: what the network reads is ``(bytes / 255 - input_mean) / input_std``: a number,
            or one for each channel. Without both it is bytes / 255; or bytes from 0 to 255, where
            the network divides them itself. For one that reads bytes as they are, 0 and 1 / 255.
        input_std: see ``input_mean``.
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
    from lenet_export.readers.registry import read  # takes JAX, which is slow to import

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
    scale = checked_scale(input_mean, input_std)
    if images is not None:
        images = check_images(_without_ones(images, input_shape), input_shape)
    if labels is not None:
        check_count(images, labels)
    network = read(module, params, input_shape, images, scale)
    model = replace(
        network.model, none_output=bool(none_output), ink=ink, amount_table=amount_table
    )
    if ink is not None:
        check_ink(ink, model.input_shape)
    if images is not None:
        images = network.images(images)
    if labels is not None:
        labels = check_labels(labels, model.classes)
    model = measured(model, dtype, images, labels)
    plan = lay_out(make_plan(model, dtype, max_error), cpu, optimize)
    options = Options(
        *(prefix, bool(single_file)),
        target=target,
        tables=tables,
        parts=parts,
        max_amount_error=max_amount_error,
    )
    exported = write(plan, Path(out), options, verify, images, labels)
    exported = replace(exported, notes=network.notes)
    for text in exported.report.warnings if exported.report else ():
        warnings.warn(text, stacklevel=2)
    return exported


def measured(
    model: Model, dtype: str, images: Images | None, labels: npt.NDArray[Any] | None
) -> Model:
    """The model with what is measured on images: ranges for int8, and with labels the score gap.

    Raises:
        UserError: there are no images to measure ranges on, or a layer is dead.
    """
    from lenet_export import float_network

    if dtype == "int8":
        model = replace(model, activation_ranges=_ranges(model, images))
    if images is None or labels is None:
        return model
    logits = float_network.run_logits(model, images)
    gaps = GapTable.measure(logits, labels, none_output=model.none_output)
    return replace(model, gap_table=gaps)


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
    from lenet_export import float_network

    open_ended = {stage.activation for stage in model.stages[:-1]} - set(BOUNDS)
    if images is None and open_ended:
        raise UserError(
            "images",
            f"are needed for the range of {' and '.join(sorted(open_ended))} in int8",
            f"give some hundred images, uint8 (images, {', '.join(map(str, model.input_shape))})",
        )
    given = np.zeros((1, *model.input_shape), np.uint8) if images is None else images
    return float_network.activation_ranges(model, given)


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


def _checked_shape(shape: Any) -> tuple[int, ...]:
    """The shape of what a network reads in Python's numbers, without an axis of one image.

    Raises:
        UserError: it is none.
    """
    try:
        sizes = np.asarray(shape)
    except ValueError:  # of several lengths
        sizes = np.zeros(0)
    if sizes.ndim != 1 or sizes.dtype.kind not in "iu" or not (sizes > 0).all():
        raise UserError("input_shape", f"is {shape!r}", "give rows, columns, channels")
    if sizes.size and sizes.max() > SIZE_MAX:
        raise UserError("input_shape", f"is {shape!r}", f"give sizes of {SIZE_MAX:,} at most")
    if len(sizes) == 4 and sizes[0] == 1:
        sizes = sizes[1:]
    if not 1 <= len(sizes) <= 3:
        remedy = "give rows, columns, channels, or what the network reads in their place"
        raise UserError("input_shape", f"is {shape!r}", remedy)
    return tuple(int(size) for size in sizes)


def _without_ones(images: Any, shape: tuple[int, ...]) -> Any:
    """The images in ``shape``, if they differ from it by axes of one alone."""
    found = getattr(images, "shape", (0,))
    same = [size for size in found[1:] if size != 1] == [size for size in shape if size != 1]
    return images.reshape(len(images), *shape) if same else images


def checked_scale(mean: Any, std: Any) -> Line | None:
    """What the network reads of an image's bytes / 255, if the user says it.

    Raises:
        UserError: they are no numbers, or would make all images the same.
    """
    from lenet_export.readers.chain_builder import Line

    if mean is None and std is None:
        return None
    numbers = []
    for name, value, default in (("input_mean", mean, 0.0), ("input_std", std, 1.0)):
        try:
            number = np.asarray(default if value is None else value, np.float64)
        except (TypeError, ValueError):
            number = np.full(1, np.nan)
        if (
            number.ndim > 1
            or not np.isfinite(number).all()
            or (name == "input_std" and not number.all())
        ):
            remedy = "give a number, or one for each channel, of bytes / 255"
            raise UserError(name, f"is {value!r}", remedy)
        numbers.append(number)
    try:
        return Line.of(1 / numbers[1], -numbers[0] / numbers[1])
    except ValueError:
        what = f"are of {numbers[0].size} and {numbers[1].size} channels"
        raise UserError("input_mean and input_std", what, "give as many of each") from None
