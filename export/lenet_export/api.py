"""From a network to files: what the command line does, and the same from Python."""

from __future__ import annotations

import operator
import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenet_export import bundled, files, packages
from lenet_export.activations import BOUNDS
from lenet_export.checkpoint import Model, check_class_names
from lenet_export.compiled import cpu_here
from lenet_export.cpus.registry import AUTO, OPTIMIZE, cpu_named, cpus_like, lay_out
from lenet_export.errors import UserError, in_python, python_words
from lenet_export.exported import Exported, as_they_are
from lenet_export.gap_table import GapTable
from lenet_export.images import Writers, check_count, check_images, check_labels, without_ones
from lenet_export.ink import Ink, check_ink
from lenet_export.input_scale import doubt
from lenet_export.outputs.blob import RELEASE_MAX
from lenet_export.outputs.c import with_record
from lenet_export.outputs.c_names import check_prefix
from lenet_export.outputs.options import NOT_ASKED, PARTS, TABLES, Options, parts_of
from lenet_export.outputs.registry import OUTPUTS, misplaced
from lenet_export.parser import as_share
from lenet_export.plan import SIZE_MAX, Plan, make_plan
from lenet_export.reference import Images
from lenet_export.report import Report
from lenet_export.trained import Trained

DTYPES = ("int8", "float32")

if TYPE_CHECKING:
    import numpy.typing as npt

    from lenet_export.readers.chain_builder import Line
    from lenet_export.readers.registry import Network


@in_python
def export(
    module: Any,
    params: Any = None,
    input_shape: tuple[int, ...] | None = None,
    out: Path | str = ".",
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
    class_names: Iterable[str] = (),
    cpu: str = "generic",
    optimize: str = "speed",
    prefix: str = "lenet",
    single_file: bool = False,
    tables: str = "inside",
    release: int = 0,
    harden: bool = False,
    with_: Iterable[str] = (),
    verify: bool | None = True,
    report: Path | str | None = None,
    evidence: Path | str | None = None,
) -> Exported:
    """Exports a network, as C compared with JAX before it is written.

    Args:
        module: what :func:`lenet_export.load` gives; or a network of your own: a module of
            ``flax.linen`` of any form, one of ``flax.nnx``, or a function of images; see
            :data:`lenet_export.readers.registry.READERS`. It reads float32 ``(images,
            *input_shape)`` and gives one logit for each class, or one for two classes. What a
            chain cannot have is refused with its place and what is supported there.
        params: its variables as trained: of linen ``params``, and ``batch_stats`` if it has some;
            of nnx ``None``, or an ``nnx.State``; of a function ``None``, or its first argument. Or
            where they are: the path of a folder of Orbax, a .msgpack or a .safetensors; or as the
            bytes of ``flax.serialization``, a ``TrainState``, or by paths (``conv1/kernel``).
        input_shape: what a network of your own reads, without the axis of images: ``(28, 28, 1)``,
            ``(28, 28)``, ``(784,)``.
        out: the folder to write to.
        input_mean: what a network of your own reads is ``(bytes / 255 - input_mean) / input_std``:
            a number, or one for each channel. Without both it is bytes / 255; or bytes from 0 to
            255, where the network divides them itself. For one that reads bytes as they are, 0 and
            1 / 255.
        input_std: see ``input_mean``.
        target: what to write: a name in :data:`lenet_export.outputs.registry.OUTPUTS`.
        images: uint8 ``(images, *input_shape)``, some hundreds that are like those to come. The C
            is compared on them, too; and of a network of your own the ranges of functions without
            a bound (ReLU, GELU) are measured on them, for int8.
        labels: their classes ``(images,)``. With them the accuracy is told, and of a network of
            your own the score gap is measured for ``max_error``; then the images should be none
            that it was trained on.
        dtype: ``int8`` or ``float32``.
        max_error: the largest share of wrong readings among the accepted ones; of a network of
            your own it needs ``labels``.
        max_amount_error: with ``amount``, the largest share of wrong amounts among the accepted
            ones; needs ``amount_table``.
        amount_table: what the scores of amounts tell of a validation split's lines, as an earlier
            export reads them: ``GapTable.of(scores, is_wrong)``.
        none_output: whether the last output stands for "none of these", so that the classes are
            those in front of it.
        ink: the limits of an image's ink: ``Ink.measure(training images)``; ``None``: no limits,
            or those that a loaded model has.
        class_names: what each class is called, in the order of the outputs: the header's
            ``LENET_CLASS_NAMES``; none: their numbers, or the names that a loaded model has.
        cpu: a name in :data:`lenet_export.cpus.registry.CPUS` or ``ALIASES`` there, or ``auto``:
            the CPU of this machine.
        optimize: ``speed``, ``ram`` or ``flash``.
        prefix: of the files and of all public names in them.
        single_file: one header, with the implementation in it.
        tables: ``inside`` the C file; ``apart``: what training decides in a file of C of its own;
            ``blob``: in bytes that the C is bound to when it runs, so that a device gets others
            without other code.
        release: of a blob, its number, larger with each update, which the C refuses otherwise.
        harden: whether biases and gains stand twice, and are compared in each image, so that a bit
            of them that flips is told at once; for int8.
        with_: what the C has beside the network: ``picture``, functions that read a digit in a grey
            picture of any size; ``amount``, these and one that reads a line of digits.
        verify: whether the C is compiled and every logit compared with JAX; other targets have
            nothing to run. ``None``: where the packages for it are installed; else the report and
            the manifest say that it is not verified.
        report: a folder for ``index.html``, a page that tells what the export costs, what was
            compared, and what it reads in ``images``; and ``report.json``, the page's numbers.
        evidence: in place of ``report`` a folder for the same page with the checks that can be run
            here, of which some take a minute, their logs, a copy of the C, and ``evidence.json``.

    Returns:
        What was written, and its network: ``print`` shows the screen of the command line,
        ``predict`` and ``logits`` compute what the C computes.

    Raises:
        UserError: a layer, an argument or the folder cannot be used; or the C differs from JAX.

    Warns:
        UserWarning: the C is what was planned, but reads many images otherwise than the network, or
            worse; or the network itself reads them no better than chance.

    Example:
        >>> import jax
        >>> import numpy as np
        >>> from flax import linen as nn
        >>> import lenet_export
        >>> module = nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(10)])
        >>> images = np.random.default_rng(0).integers(0, 256, (9, 28, 28)).astype(np.uint8)
        >>> variables = module.init(jax.random.key(0), images)  # here you would train it
        >>> exported = lenet_export.export(module, variables, (28, 28), "own", images=images)
        >>> exported.report.verified.largest_difference
        0.0
        >>> exported.logits(images).shape
        (9, 10)
    """
    options = Options(
        prefix,
        single_file,
        target=target,
        tables=tables,
        release=_checked_release(release, tables),
        parts=_checked_parts(with_),
        max_amount_error=_checked_share("max_amount_error", max_amount_error),
    )
    cpu = _checked_cpu(cpu)
    _check_options(options, cpu, optimize, dtype, harden, evidence)
    if not isinstance(out, str | os.PathLike):
        raise UserError("out", f"is {out!r}", "give a folder's path")
    for option, folder in (("report", report), ("evidence", evidence)):
        if not isinstance(folder, str | os.PathLike | None):
            raise UserError(option, f"is {folder!r}", "give a folder's path, or leave it out")
    if report is not None and evidence is not None:
        raise UserError("report", "is a part of evidence", "leave one of them out")
    max_error = _checked_share("max_error", max_error)
    if not isinstance(amount_table, GapTable | None):
        raise UserError("amount_table", f"is {amount_table!r}", "give a GapTable, or leave it out")
    scale = checked_scale(input_mean, input_std)
    model: Model = module
    laid_out: Callable[[Images], Images] = as_they_are
    if isinstance(module, str | os.PathLike):
        remedy = f"lenet_export.load({os.fspath(module)!r}) gives one"
        raise UserError("module", f"is {module!r}, and no network", remedy)
    if is_own := not isinstance(module, Model):
        shape = _checked_shape(input_shape)
    else:
        shape = _shape_of(module, params, input_shape, scale)
    if images is not None:
        images = check_images(without_ones(images, shape), shape)
    if labels is not None:
        check_count(images, labels)
    said: dict[str, Any] = {"none_output": none_output, "ink": ink}
    names = _checked_names(class_names)
    said |= {"amount_table": amount_table, "class_names": names or None}
    if is_own:
        from lenet_export.readers.registry import read  # takes JAX, which is slow to import

        network = read(module, params, shape, images, scale)
        model, laid_out = network.model, network.images
        said |= {"input_mean": input_mean, "input_std": input_std}
        said |= {"images": images, "labels": labels}
        call = [_identifier(module), *(["params"] if params is not None else []), repr(shape)]
        options = replace(options, notes=network.notes, call=_call(call, said))
    elif isinstance(module, Trained) and all(value in (None, False) for value in said.values()):
        options = replace(options, model=bundled.told(module.name))
    else:
        options = replace(options, call=_call([_loading(module)], said))
    model = replace(
        model,
        none_output=none_output or model.none_output,
        ink=model.ink if ink is None else ink,
        amount_table=model.amount_table if amount_table is None else amount_table,
        class_names=names or model.class_names,
    )
    if names:
        _check_names(names, model.classes)
    if ink is not None:
        check_ink(ink, model.input_shape)
    if images is not None:
        images = laid_out(images)
    if labels is not None:
        labels = check_labels(labels, model.classes)
    if is_own:
        model = measured(model, dtype, images, labels, max_error)
        doubts = doubts_of(network, model, input_mean, input_std, images, labels)
        options = replace(options, doubts=tuple(map(python_words, doubts)))
    name = _name_of(module)
    plan = lay_out(make_plan(model, dtype, max_error, name, harden), cpu, optimize)
    page, checked = (None if folder is None else Path(folder) for folder in (report, evidence))
    exported = write(name, plan, Path(out), options, verify, images, labels, page, checked)
    for text in exported.report.warnings:
        warnings.warn(text, stacklevel=3)
    return replace(exported, input_shape=shape, _laid_out=laid_out)


def measured(
    model: Model,
    dtype: str,
    images: Images | None,
    labels: npt.NDArray[Any] | None,
    max_error: float | None,
) -> Model:
    """The model with what is measured on images: ranges for int8, and with labels the score gap.

    Raises:
        UserError: there are no images to measure ranges on, no labels for ``max_error``, or a layer
            is dead.
    """
    if max_error is not None and labels is None:
        raise UserError(
            f"--max-error {max_error:g}",
            "is chosen by images with labels, and there are none",
            "give them, some thousands that the network was not trained on",
        )
    from lenet_export import float_network

    if dtype == "int8":
        model = replace(model, activation_ranges=_ranges(model, images))
    if images is None or labels is None:
        return model
    logits = float_network.run_logits(model, images)
    gaps = GapTable.measure(logits, labels, none_output=model.none_output)
    return replace(model, gap_table=gaps)


def doubts_of(
    network: Network,
    model: Model,
    input_mean: Any,
    input_std: Any,
    images: Images | None,
    labels: npt.NDArray[Any] | None,
) -> tuple[str, ...]:
    """What makes a network of the user's doubtful as it was read, in sentences.

    Args:
        network: as it was read.
        model: what was measured of it.
        input_mean: of the scale that the user says; see :func:`export`.
        input_std: likewise.
        images: laid out as the model reads them.
        labels: their classes.
    """
    if images is None or labels is None:
        return ()
    mean, std = (0.0 if input_mean is None else input_mean), input_std
    if std is None:
        std = 1 / 255 if network.reads_bytes else 1.0
    return doubt(model, mean, std, images, labels)


def write(
    name: str,
    plan: Plan,
    out: Path,
    options: Options,
    verify: bool | None,
    images: Images | None = None,
    labels: npt.NDArray[Any] | None = None,
    report: Path | None = None,
    evidence: Path | None = None,
    writers: Writers | None = None,
) -> Exported:
    """Renders ``plan``, compares it with JAX if asked to, and writes the files to ``out``.

    Args:
        name: of the network, for the screen.
        plan: laid out for its CPU.
        out: the folder.
        options: of the files.
        verify: whether to compare, where the output can be run; ``None``: and where the packages
            for it are installed.
        images: to compare on, beside those that are made for it.
        labels: their classes.
        report: a folder for a page that tells all of it, and its numbers; ``None``: none.
        evidence: one for such a page with what checks found, in place of ``report``.
        writers: who wrote each image, for the page; ``None``: that is not known.

    Raises:
        UserError: a name cannot be used, the C differs from JAX, or a folder cannot be written.
    """
    output = OUTPUTS[options.target]
    plan = replace(plan, is_bound=options.tables == "blob")
    if plan.is_bound and evidence:
        raise UserError(
            "--evidence",
            "is of C that has its tables: its checks read and write them in lenet.c",
            "give --tables inside for it, which computes the same, or leave --evidence out",
        )
    compare = None if verify is False else output.verify
    if output.verify and not compare:
        options = replace(options, not_verified=NOT_ASKED)
    if compare:
        try:
            packages.require("verify", "--verify")
        except UserError as error:
            if verify:
                raise
            compare = None
            options = replace(options, not_verified=f"{error.what}; {error.remedy}")
    rendered = output.files(plan, options)
    found = compare(plan, rendered, options.prefix, images, labels) if compare else None
    if found:
        rendered = with_record(rendered, options.prefix, found.record(plan.dtype))
    packed = output.packed(plan, options, rendered)
    written = {out / file: data for file, data in packed.items()}
    folder = evidence or report
    beside: tuple[Path, ...] = ()
    if folder:
        from lenet_export.evidence import run  # takes its time to import

        beside = run.page_paths(folder, written, with_checks=evidence is not None)
    told = Report.of(name, plan, output, found, options, (*written, *beside))
    exported = Exported(plan, told, plan.input_shape, rendered, options.prefix)
    if folder:
        run.write_page(
            folder, exported, rendered, options, images, labels, evidence is not None, writers
        )
    files.write(written)
    return exported


def _ranges(model: Model, images: Images | None) -> dict[str, float]:
    """The largest activation of each hidden layer, measured where its function has no bound.

    Raises:
        UserError: there are no images to measure it on, or a layer is dead.
    """
    from lenet_export import float_network

    activations = {stage.activation for stage in model.stages[:-1] if stage.learns}
    open_ended = activations - set(BOUNDS)
    if images is None and open_ended:
        shape = ", ".join(map(str, model.input_shape))
        raise UserError(
            "--images",
            f"are needed for the range of {' and '.join(sorted(open_ended))} in int8",
            f"give some hundred like those to come, bytes of ({shape}); or --dtype float32",
        )
    given = np.zeros((1, *model.input_shape), np.uint8) if images is None else images
    return float_network.activation_ranges(model, given)


def _checked_names(class_names: Any) -> tuple[Any, ...]:
    """The names of classes, as many as they are.

    Raises:
        UserError: they are none.
    """
    if not isinstance(class_names, Iterable):
        remedy = "give a text for each class, in the order of the outputs"
        raise UserError("class_names", f"is {class_names!r}", remedy)
    return tuple(class_names)


def _name_of(module: Any) -> str:
    """What a network is called on the screen."""
    if isinstance(module, Trained):
        return bundled.title(module.name)
    return "a model" if isinstance(module, Model) else _identifier(module)


def _identifier(module: Any) -> str:
    """What a network may be called in a program."""
    name = str(getattr(module, "__name__", type(module).__name__))
    return name if name.isidentifier() else "network"


def _loading(module: Model) -> str:
    """How a model is loaded, less its path."""
    if not isinstance(module, Trained):
        return "model"
    return f"lenet_export.load({bundled.told(module.name) or bundled.DEFAULT!r})"


def _call(given: list[str], said: dict[str, Any]) -> str:
    """The first arguments of a call of :func:`export`: numbers as they are, arrays by a name."""
    words = list(given)
    for name, value in said.items():
        if value is True or name.startswith("input_"):
            words += [f"{name}={np.asarray(value).tolist()!r}"] if value is not None else []
        elif value is not None and value is not False:
            words.append(f"{name}={name}")
    return ", ".join(words)


def _check_names(names: tuple[str, ...], classes: int) -> None:
    """Checks that each class has a name.

    Raises:
        UserError: it has not.
    """
    try:
        check_class_names(names, classes)
    except ValueError as error:
        remedy = f"give {classes} different texts, in the order of the outputs"
        raise UserError("class_names", str(error), remedy) from None


def _shape_of(
    model: Model, params: Any, input_shape: Any, scale: Line | None
) -> tuple[int, int, int]:
    """What a model that was loaded reads; it holds all that a network of the user's is given.

    Raises:
        UserError: it is given all the same.
    """
    for name, given in (("params", params), ("input_mean and input_std", scale)):
        if given is not None:
            raise UserError(name, "are given with a model that holds its own", "leave them out")
    if input_shape is not None:
        own = [size for size in model.input_shape if size != 1]
        if [size for size in _checked_shape(input_shape) if size != 1] != own:
            what = f"is {input_shape!r}, and the model reads {model.input_shape}"
            raise UserError("input_shape", what, "leave it out")
    return model.input_shape


def _check_options(
    options: Options, cpu: str, optimize: str, dtype: str, harden: bool, evidence: object
) -> None:
    """Checks what is chosen of the files.

    Raises:
        UserError: it is not known, or does not go together.
    """
    for name, value, known in [
        ("target", options.target, tuple(OUTPUTS)),
        ("tables", options.tables, TABLES),
        ("dtype", dtype, DTYPES),
        ("optimize", optimize, OPTIMIZE),
    ]:
        if value not in known:
            raise UserError(name, f"is {value!r}", f"give one of {', '.join(known)}")
    beside = {
        "cpu": cpu != "generic",
        "optimize": optimize != "speed",
        "single_file": options.single_file,
        "tables": options.tables != "inside",
        "parts": bool(options.parts),
        "harden": harden,
        "evidence": evidence is not None,
    }
    wrong = misplaced(options.target, [name for name, given in beside.items() if given])
    if wrong:
        raise UserError("with_" if wrong[0] == "parts" else wrong[0], wrong[1], "leave it out")
    if options.max_amount_error is not None and "amount" not in options.parts:
        raise UserError("max_amount_error", "goes with amounts only", 'give with_=["amount"]')
    check_prefix(options.prefix)


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
        UserError: it is not known, or ``auto`` finds no compiler for this machine to ask.
    """
    name = cpu_named(str(cpu))
    if name is None:
        raise UserError("cpu", f"is {cpu!r}", f"give {cpus_like(str(cpu))}")
    return cpu_here() if name == AUTO else name


def _checked_share(name: str, given: Any) -> float | None:
    """A share in Python's numbers, if it is given.

    Raises:
        UserError: it is no share.
    """
    share = as_share(given)
    if share is None and given is not None:
        raise UserError(name, f"is {given!r}", "give a share between 0 and 1, e.g. 0.005")
    return share


def _checked_release(release: Any, tables: Any) -> int:
    """The number of a blob in Python's numbers.

    Raises:
        UserError: it is none of 32 bits, or there is no blob.
    """
    try:
        number = operator.index(release)
    except TypeError:
        number = -1
    if not 0 <= number <= RELEASE_MAX:
        raise UserError("release", f"is {release!r}", f"give an integer from 0 to {RELEASE_MAX:,}")
    if number and tables != "blob":
        raise UserError("release", "goes with a blob only", 'give tables="blob"')
    return number


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
        remedy = "give what the network reads: rows, columns, channels, as in (28, 28, 1)"
        raise UserError("input_shape", f"is {shape!r}", remedy)
    if sizes.size and sizes.max() > SIZE_MAX:
        raise UserError("input_shape", f"is {shape!r}", f"give sizes of {SIZE_MAX:,} at most")
    if len(sizes) == 4 and sizes[0] == 1:
        sizes = sizes[1:]
    if not 1 <= len(sizes) <= 3:
        remedy = "give rows, columns, channels, or what the network reads in their place"
        raise UserError("input_shape", f"is {shape!r}", remedy)
    return tuple(int(size) for size in sizes)


def checked_scale(mean: Any, std: Any) -> Line | None:
    """What the network reads of an image's bytes / 255, if the user says it.

    Raises:
        UserError: they are no numbers, or would make all images the same.
    """
    from lenet_export.readers.chain_builder import Line

    if mean is None and std is None:
        return None
    numbers = []
    for name, value, default in (("--input-mean", mean, 0.0), ("--input-std", std, 1.0)):
        try:
            number = np.asarray(default if value is None else value, np.float64)
        except (TypeError, ValueError):
            number = np.full(1, np.nan)
        if (
            number.ndim > 1
            or not np.isfinite(number).all()
            or (name == "--input-std" and not number.all())
        ):
            remedy = "give a number, or one for each channel, of bytes / 255"
            raise UserError(name, f"is {value!r}", remedy)
        numbers.append(number)
    try:
        return Line.of(1 / numbers[1], -numbers[0] / numbers[1])
    except ValueError:
        what = f"are of {numbers[0].size} and {numbers[1].size} channels"
        raise UserError("--input-mean and --input-std", what, "give as many of each") from None
