"""``lenet-export``: from ``model.safetensors`` to C."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shlex
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenet_export import bundled
from lenet_export.api import checked_scale, doubts_of, measured, write
from lenet_export.compiled import cpu_here
from lenet_export.cpus.registry import (
    ALIASES,
    AUTO,
    CPUS,
    OPTIMIZE,
    cpu_named,
    cpus_like,
    lay_out,
)
from lenet_export.errors import UserError
from lenet_export.images import read_images, read_writers
from lenet_export.outputs.blob import RELEASE_MAX
from lenet_export.outputs.c_names import check_prefix
from lenet_export.outputs.options import PARTS, TABLES, Options, parts_of
from lenet_export.outputs.registry import OUTPUTS, misplaced
from lenet_export.parser import Parser, share
from lenet_export.plan import Plan, make_plan
from lenet_export.program import exit_status

if TYPE_CHECKING:
    from lenet_export.checkpoint import Model
    from lenet_export.readers.registry import Network

#: Options that do not go with every target.
TARGETED = [
    *("verify", "images", "single_file", "tables", "parts", "harden"),
    *("cpu", "optimize", "evidence"),
]
#: What is done in place of an export, and the options that go with it.
INSTEAD = {
    "cmake_dir": (),
    "list_models": ("json",),
    "check_evidence": ("model", "json", "quiet"),
}
#: The files of CMake that the package brings.
CMAKE = Path(__file__).parent / "cmake"
#: A bundled model, as ``--list-models`` tells of it.
MODEL = (
    "{name:<13} {accuracy:.2%} of {test_images:,} test images, {constant_bytes:,} bytes\n"
    "              {about}"
)
CHIPS = textwrap.fill(", ".join(ALIASES), 94)
EPILOG = f"""\
examples:
  lenet-export --out digits                        the bundled model as C, compared with JAX
  lenet-export --model mnist-modern --cpu cortex-m4 --max-error 0.002
  lenet-export --model runs/digits/model.safetensors --images runs/digits
  lenet-export --network models.py:LeNet --model lenet.msgpack --images mnist
  lenet-export --check-evidence evidence           a folder of --evidence that somebody gave you

cores, chips and boards that --cpu takes:
{textwrap.indent(CHIPS, "  ")}

exit status:
  0  the files are written (and equal JAX, if they were compared; --verify makes sure of that)
  1  a mistake, which is told with its remedy; nothing is written, but for the page of --evidence
     where a check failed
  2  wrong usage
  130  Ctrl-C; nothing is written
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 0, 1 for a mistake, 2 for wrong usage."""
    return exit_status("lenet-export", lambda: _run(_parse(arguments)), "no file is half written")


def _cpu(name: str) -> str:
    """The CPU of ``--cpu``, for argparse."""
    cpu = cpu_named(name)
    if cpu is None:
        raise argparse.ArgumentTypeError(f"invalid choice: {name!r} (choose {cpus_like(name)})")
    return cpu


def command_line() -> Parser:
    """What reads the command line."""
    parser = Parser(
        "lenet-export",
        "Export a trained network as one dependency-free C file that equals JAX.",
        EPILOG,
    )
    for add in (_add_network, _add_c, _add_acceptance, _add_checks, _add_screen):
        add(parser)
    return parser


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command_line()
    options = parser.parse_args(arguments)
    _check_instead(parser, options)
    options.tables = "blob" if options.data_file else options.tables
    given = [name for name in TARGETED if getattr(options, name)]
    wrong = misplaced(options.target, given)
    if wrong:
        parser.error(f"{_named(wrong[0])} {wrong[1]}")
    if options.release is not None and options.tables != "blob":
        parser.error("--release goes with --tables blob only")
    if options.max_amount_error is not None and "amount" not in (options.parts or ()):
        parser.error("--max-amount-error goes with --with amount only")
    if options.images and options.verify is False and not options.network:
        parser.error("--images goes with --verify only")
    for name in ("input_shape", "input_mean", "input_std"):
        if getattr(options, name) is not None and not options.network:
            parser.error(f"{_named(name)} goes with --network only")
    options.cpu = cpu_here() if options.cpu == AUTO else options.cpu or "generic"
    options.optimize = options.optimize or "speed"
    options.tables = options.tables or "inside"
    options.parts = parts_of(options.parts or ())
    return options


def _check_instead(parser: Parser, options: argparse.Namespace) -> None:
    """Refuses an option without an effect, where something is done in place of an export."""
    given = [name for name, value in vars(options).items() if value != parser.get_default(name)]
    for instead, beside in INSTEAD.items():
        for name in given:
            if instead in given and name not in (instead, *beside):
                parser.error(f"{_named(name)} has no effect beside {_named(instead)}: leave it out")


def _named(name: str) -> str:
    """The option that sets ``name``, as it is written."""
    return f"--{'with' if name == 'parts' else name.replace('_', '-')}"


def _add_network(parser: Parser) -> None:
    group = parser.add_argument_group("the network")
    group.add_argument(
        "--model",
        default=bundled.DEFAULT,
        metavar="FILE",
        help="a model.safetensors of lenet-train, or a bundled model by its name: "
        f"{', '.join(bundled.names())} (default: %(default)s)",
    )
    group.add_argument(
        "--network",
        metavar="FILE.py:NAME",
        help="a network of your own: a module of flax.linen or flax.nnx, its class, or a function "
        "of parameters and images; --model is then what it learned, by the module's names: a "
        "folder of Orbax, a .msgpack or a .safetensors (none for a network that holds it)",
    )
    group.add_argument(
        "--input-shape",
        type=_sizes,
        metavar="ROWSxCOLUMNSxCHANNELS",
        help="what the --network reads (default: 28x28x1)",
    )
    for name, help_ in (
        ("mean", "what the --network reads is (bytes / 255 - MEAN) / STD (default: bytes / 255)"),
        (
            "std",
            "see --input-mean; for a network that reads bytes as they are, 0.00392156862745098",
        ),
    ):
        group.add_argument(f"--input-{name}", type=float, metavar=name.upper(), help=help_)


def _add_c(parser: Parser) -> None:
    group = parser.add_argument_group("what is written")
    group.add_argument(
        "--target",
        choices=list(OUTPUTS),
        default="c",
        help="; ".join(f"{name}: {output.help}" for name, output in OUTPUTS.items())
        + " (default: %(default)s)",
    )
    group.add_argument(
        "--dtype",
        choices=["int8", "float32"],
        default="int8",
        help="what the C computes in (default: int8)",
    )
    group.add_argument(
        "--cpu",
        type=_cpu,
        metavar=f"{{{','.join(CPUS)}}}",
        help="the CPU whose kernels the C is printed with, or a core, chip or board that has it or "
        "is like it, as cortex-m7 or uno, or auto, that of this machine (default: generic, plain "
        "C99 to read); all give the same logits",
    )
    group.add_argument(
        "--optimize",
        choices=OPTIMIZE,
        help="what the kernels of a --cpu put first (default: speed)",
    )
    group.add_argument(
        "--out",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="the folder to write to (default: the current one)",
    )
    group.add_argument(
        "--prefix",
        type=_prefix,
        default="lenet",
        help="what the names of the files and all public names begin with (default: lenet)",
    )
    group.add_argument(
        "--single-file",
        action="store_true",
        help="one header, with the implementation under #ifdef LENET_IMPLEMENTATION",
    )
    tables = group.add_mutually_exclusive_group()
    tables.add_argument(
        "--tables",
        choices=TABLES,
        help="apart: all that training decides in a file of its own, lenet_tables.h, so that a "
        "network trained again changes that file alone; blob: in lenet_tables.bin, bytes that "
        "lenet_bind takes when the C runs, so that a device gets them without other code "
        "(default: inside)",
    )
    tables.add_argument("--data-file", action="store_true", help="the same as --tables blob")
    group.add_argument(
        "--release",
        type=_release,
        metavar="N",
        help="of --tables blob: its number, larger with each update, which lenet_bind refuses "
        "otherwise (default: 0)",
    )
    group.add_argument(
        "--harden",
        action="store_true",
        help="keep biases and gains twice, and compare them in each image: a flipped bit of these "
        "is told at once, as LENET_DAMAGED, and not by the next self-test only; for int8",
    )
    group.add_argument(
        "--with",
        action="append",
        choices=PARTS,
        dest="parts",
        help="picture: functions too that read one digit in a grey picture of any size, dark or "
        "light, at any place; amount: these, and one that reads a line of 1 to 12 digits, touching "
        "ones too (default: the network alone)",
    )


def _add_acceptance(parser: Parser) -> None:
    group = parser.add_argument_group("which readings are accepted")
    group.add_argument(
        "--max-error",
        type=share,
        metavar="E",
        help="let lenet_read reject unsure readings, so that of the accepted validation images at "
        "most this share is wrong, e.g. 0.002 (default: none is unsure)",
    )
    group.add_argument(
        "--max-amount-error",
        type=share,
        metavar="SHARE",
        help="of --with amount: the largest share of wrong amounts among the accepted ones; what "
        "is less sure is rejected (default: none is unsure)",
    )


def _add_checks(parser: Parser) -> None:
    group = parser.add_argument_group("how it is checked")
    group.add_argument(
        "--verify",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="compile the C and compare it with JAX before anything is written (default for c: if "
        "the packages for it are installed)",
    )
    group.add_argument(
        "--images",
        type=Path,
        metavar="PATH",
        help="verify on these test images too, and measure on them the ranges of a --network's "
        "ReLU: an IDX file, or a folder like MNIST's",
    )
    pages = group.add_mutually_exclusive_group()
    pages.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="write a page too, DIR/index.html: memory by table, bounds, integers beside floats, "
        "and what the C reads in the --images; and its numbers as report.json",
    )
    pages.add_argument(
        "--evidence",
        type=Path,
        metavar="DIR",
        help="such a page with what checks of the C find, in a few minutes: gcc and clang at "
        "each level, all accumulators, bounds, damaged tables, branches, stack, analyzers; those "
        "whose tools are missing are told as not run; their logs, and a copy of the export",
    )
    pages.add_argument(
        "--check-evidence",
        type=Path,
        metavar="DIR",
        help="write nothing, but check that all in DIR is as --evidence wrote it, and that what "
        "follows from the model does: its C, bounds, and sizes. Of a model that is not in the "
        "package, --model gives the file",
    )


def _add_screen(parser: Parser) -> None:
    group = parser.add_argument_group("what is printed")
    said = group.add_mutually_exclusive_group()
    said.add_argument(
        "--json", action="store_true", help="print what the screen says as a JSON object"
    )
    said.add_argument("--quiet", action="store_true", help="print warnings and mistakes alone")
    group.add_argument(
        "--list-models", action="store_true", help="print the bundled models, and exit"
    )
    group.add_argument(
        "--cmake-dir",
        action="store_true",
        help="print where CMake finds lenet_add_model(), for -Dlenet_export_DIR=, and exit",
    )


def _sizes(text: str) -> tuple[int, ...]:
    """The shape of ``--input-shape``, for argparse."""
    sizes = text.lower().replace(",", "x").split("x")
    if not all(size.isdecimal() and int(size) for size in sizes):
        raise argparse.ArgumentTypeError(f"invalid shape: {text!r} (give e.g. 28x28x1)")
    return tuple(map(int, sizes))


def _release(text: str) -> int:
    """The number of ``--release``, for argparse."""
    if not (text.isdecimal() and int(text) <= RELEASE_MAX):
        raise argparse.ArgumentTypeError(f"invalid number: {text!r} (give 0 to {RELEASE_MAX})")
    return int(text)


def _prefix(text: str) -> str:
    try:
        check_prefix(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error.what}; {error.remedy}") from None
    return text


def _run(options: argparse.Namespace) -> None:
    if options.cmake_dir:
        print(CMAKE)
    elif options.list_models:
        models = [_told_of(name) for name in bundled.names()]
        lines = "\n".join(MODEL.format(**model) for model in models)
        print(json.dumps(models, indent=2) if options.json else lines)
    elif options.check_evidence:
        _check_evidence(options)
    else:
        _export(options)


def _told_of(name: str) -> dict[str, Any]:
    """What ``--list-models`` tells of a bundled model."""
    model = bundled.load(name)
    plan = lay_out(make_plan(model, "int8"), "generic", "speed")
    return {
        "name": name,
        "about": bundled.about(name),
        "accuracy": model.info["test_accuracy"],
        "test_images": model.info["test_images"],
        "input_shape": model.input_shape,
        "classes": model.classes,
        "none_output": model.none_output,
        "constant_bytes": plan.constant_bytes,
        "is_default": name == bundled.DEFAULT,
    }


def _export(options: argparse.Namespace) -> None:
    for option in ("out", "report", "evidence"):
        folder: Path | None = getattr(options, option)
        if folder and folder.exists() and not folder.is_dir():
            raise UserError(f"--{option} {folder}", "is a file, not a folder", "give a folder")
    name = options.model
    network = None
    if options.network:
        network = _own_network(options)
        model, name = network.model, options.network
    else:
        model = bundled.load(name)
        name = bundled.title(name)
    images, labels, writers = None, None, None
    if options.images:
        images, labels = read_images(options.images, model.input_shape, model.classes)
        writers = read_writers(options.images, labels)
    doubts: tuple[str, ...] = ()
    if network:
        model = measured(model, options.dtype, images, labels, options.max_error)
        scale = options.input_mean, options.input_std
        doubts = doubts_of(network, model, *scale, images, labels)
    plan = _laid_out(options, model, name)
    notes = network.notes if network else ()
    chosen = _chosen(options, notes, _told(options) if network else (), doubts)
    exported = write(
        *(name, plan, options.out, chosen, options.verify, images, labels),
        *(options.report, options.evidence, writers),
    )
    if options.json:
        print(json.dumps(exported.report.as_json(), indent=2))
    elif not options.quiet:
        print(exported)
    for text in exported.report.warnings:
        print(f"lenet-export: warning: {text}", file=sys.stderr)


def _laid_out(options: argparse.Namespace, model: Model, name: str) -> Plan:
    """The plan of a model, laid out for its CPU."""
    plan = make_plan(model, options.dtype, options.max_error, name, options.harden)
    return lay_out(plan, options.cpu, options.optimize)


def _chosen(
    options: argparse.Namespace,
    notes: tuple[str, ...] = (),
    network: tuple[tuple[str, Any], ...] = (),
    doubts: tuple[str, ...] = (),
) -> Options:
    """What is chosen of the files."""
    named = None if options.network else bundled.told(options.model)
    return Options(
        *(options.prefix, options.single_file, named, options.target, options.tables),
        *(options.parts, options.max_amount_error, notes, network, doubts),
        release=options.release or 0,
    )


def _check_evidence(options: argparse.Namespace) -> None:
    """Checks a folder of evidence again, and tells what was found."""
    from lenet_export.evidence import again  # takes its time to import

    folder = options.check_evidence
    found = again.check_again(folder, lambda words: _planned(words, options.model))
    checks = ", ".join(f"{count} {status}" for status, count in found.statuses.items())
    if options.json:
        print(json.dumps(found._asdict(), indent=2))
    if found.differences:
        many = len(found.differences)
        told = "\n".join(f"  {folder / name}: {what}" for name, what in found.differences)
        raise UserError(
            folder,
            f"is not as it was written: {many} difference{'s' * (many > 1)}\n{told}",
            "get the folder again from who made it, or make the evidence again, in a new folder",
        )
    if not options.json and not options.quiet:
        why = found.not_printed
        printed = f"not printed again: {why}" if why else "printed again: the same bytes and bounds"
        print(f"evidence  {found.files} files, as they were written, and their page")
        print(f"C         {printed}")
        print(f"checks    {checks}, when it was written; --evidence runs them again")


def _planned(command: str, model: str) -> tuple[Plan, Options]:
    """What a command of an evidence plans; nothing that it names is run, or read but the model.

    Args:
        command: the command line.
        model: that is given for it; the default one where none is.
    """
    from lenet_export.evidence.again import NotPrintedError

    try:
        program, *words = shlex.split(command)
        if program != "lenet-export":
            raise ValueError("a call of Python")
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            options = _parse(words)
    except (ValueError, SystemExit):
        raise NotPrintedError("it was exported from Python") from None
    if options.network:
        raise NotPrintedError("the network is a program of its own")
    given = model != bundled.DEFAULT
    if not given and options.model not in bundled.names():
        raise NotPrintedError(f"give {options.model} by --model")
    read = model if given else options.model
    return _laid_out(options, bundled.load(read), read), _chosen(options)


def _told(options: argparse.Namespace) -> tuple[tuple[str, Any], ...]:
    """What the command line is told of a network of the user's, less its paths."""
    file, _, name = options.network.rpartition(":")
    told = {
        "network": f"{Path(file).name}:{name}",
        "model": bundled.told(options.model),
        "input_shape": options.input_shape and "x".join(map(str, options.input_shape)),
        "input_mean": options.input_mean,
        "input_std": options.input_std,
        "images": options.images and options.images.resolve().name,
    }
    return tuple((name, value) for name, value in told.items() if value is not None)


def _own_network(options: argparse.Namespace) -> Network:
    """The network of ``--network`` with the parameters of ``--model``."""
    from lenet_export.readers.registry import read  # takes JAX, which is slow to import
    from lenet_export.readers.source import network_in

    scale = checked_scale(options.input_mean, options.input_std)
    shape = options.input_shape or (28, 28, 1)
    params = None if options.model == bundled.DEFAULT else Path(options.model)
    module = network_in(options.network, params is not None)
    try:
        return read(module, params, shape, None, scale)
    except UserError as error:
        where = {
            "params": f"--model {options.model}",
            "input_mean and input_std": "--input-mean and --input-std",
        }.get(error.where, error.where)
        raise UserError(where, error.what, error.remedy) from None
