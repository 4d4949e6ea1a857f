"""The command line: ``lenet-train``.

JAX, Flax and matplotlib are imported where they are needed, so that ``--help`` and a mistake in the
arguments answer at once.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lenet_export import files
from lenet_export.parser import Parser
from lenet_export.program import exit_status
from lenet_train import architectures, data
from lenet_train.architectures import Architecture
from lenet_train.datasets.registry import ABOUT
from lenet_train.interrupt import Interrupted
from lenet_train.recipes import BEST, RECIPES, Recipe

if TYPE_CHECKING:
    from lenet_train.run import Result

ARCHITECTURES = tuple(architectures.NAMED)
#: What can be swapped in LeNet.
PARTS = {
    "activation": (architectures.ACTIVATIONS, "of the hidden layers (default: sigmoid)"),
    "pool": (architectures.POOLS, "stride: convolutions that move on by 2 (default: avg)"),
    "norm": (architectures.NORMS, "in front of each activation (default: none)"),
    "init": (architectures.INITS, "what the weights start at (default: xavier)"),
    "head": (
        architectures.HEADS,
        "gap: global average pooling and one dense layer (default: dense)",
    ),
}
SIZES = {
    "channels": "of each convolution (default: 6,16)",
    "kernels": "sides of their kernels (default: 5,5)",
    "dense": "units of the hidden dense layers, or none (default: 120,84)",
}

NO_UNITS = "none"
NETWORK = "network.png"
EPILOG = """\
examples:
  lenet-train                                    the small digits in the package, in a minute
  lenet-train --dataset mnist --split groups     MNIST; validation by writers that do not train
  lenet-train --dataset letters/ --invert        letters/A/*.png, letters/B/*.png, ... of dark ink
  lenet-train --dataset emnist/ --transpose      a folder of EMNIST's four IDX files
  lenet-train --dataset signs.npz --epochs 30    arrays x_train, y_train, x_test, y_test
  lenet-train --dataset mnist_train.csv          a label and its pixels in each line
  lenet-train --dataset mnist --activation relu --pool max --norm batch --recipe modern
  lenet-train --dataset mnist --bits fc1=2,4 --set lr=0.002

data sets of your own:
  images of 12x12 to 64x64 pixels, grey or in colours, which become grey, of 2 to 100 classes. Where
  there are none to test, a part is held out. DIR then holds those that were tested on: the C is
  measured on them by lenet-export --images DIR.

exit status:
  0  the model is written
  1  a mistake, which is told with its remedy
  2  wrong usage
  130  Ctrl-C (128 + the number of a signal): the same command goes on
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs ``lenet-train`` and returns the exit status: 0, 1 a mistake, 128 + a signal."""
    try:
        return exit_status(
            "lenet-train", lambda: run_of(_parse(arguments)), "no model is half written"
        )
    except Interrupted as interrupted:
        print(f"lenet-train: interrupted {interrupted}", file=sys.stderr)
        return 128 + interrupted.signal


def command_line(kind: type[Parser] = Parser) -> Parser:
    """What reads the command line; ``kind`` says what is done with a mistake in it."""
    parser = kind(
        "lenet-train", "Train LeNet in Flax and write model.safetensors for lenet-export.", EPILOG
    )
    for add in (_add_images, _add_network, _add_training, _add_run):
        add(parser)
    return parser


def _add_images(parser: Parser) -> None:
    group = parser.add_argument_group("the images")
    group.add_argument(
        "--dataset",
        default="digits",
        metavar="NAME",
        help=f"{', '.join(data.NAMES)}, or a path to your own: {ABOUT} (default: %(default)s)",
    )
    group.add_argument(
        "--invert",
        action="store_true",
        help="take 255 minus each pixel: your images are dark ink on bright paper",
    )
    group.add_argument(
        "--transpose",
        action="store_true",
        help="take columns for rows: EMNIST's files hold its images so",
    )
    group.add_argument(
        "--split",
        choices=data.SPLITS,
        help="hold validation images out at random, or whole groups: MNIST's writers, or what an "
        ".npz has as groups (default: groups where your own data set has them, else random)",
    )


def _add_network(parser: Parser) -> None:
    group = parser.add_argument_group("the network")
    group.add_argument(
        "--arch",
        choices=ARCHITECTURES,
        default="lenet",
        help="network (default: %(default)s)",
    )
    for part, (choices, text) in PARTS.items():
        group.add_argument(f"--{part}", choices=choices, help=text)
    for part, text in SIZES.items():
        read = _units if part == "dense" else _sizes
        group.add_argument(f"--{part}", type=read, metavar="N,N", help=text)
    group.add_argument(
        "--bits",
        default="8",
        metavar="B",
        help="bits of a weight: 8, rounded when exported (default), or trained for 4, 2, 1 or "
        "ternary; or by layer, fc1=2,conv=4",
    )


def _add_training(parser: Parser) -> None:
    group = parser.add_argument_group("how it is trained")
    group.add_argument(
        "--recipe",
        choices=RECIPES,
        default=BEST.name,
        help="how to train (default: %(default)s)",
    )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change a field of the recipe, e.g. lr=0.002 or augmentation.rotation=15; may be "
        "repeated; an unknown FIELD lists them all",
    )
    group.add_argument(
        "--epochs",
        dest="set",
        action="append",
        type="epochs={}".format,
        metavar="N",
        help="passes over the training images: short for --set epochs=N",
    )
    group.add_argument(
        "--teacher",
        nargs="+",
        default=[],
        metavar="MODEL",
        help="networks to learn from, beside the labels: model.safetensors or names of bundled "
        "models",
    )
    group.add_argument(
        "--from",
        dest="start",
        metavar="MODEL",
        help="begin with the weights of this network, of the same layers: a model.safetensors or "
        "the name of a bundled model",
    )
    group.add_argument(
        "--seed",
        type=_seed,
        default=0,
        metavar="N",
        help="same seed, same machine: same file (default: %(default)s)",
    )


def _add_run(parser: Parser) -> None:
    group = parser.add_argument_group("the run")
    group.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="run folder (default: runs/DATASET-ARCH-RECIPE, with what --set and --seed change). "
        "The same command goes on with a run that was interrupted there",
    )
    group.add_argument(
        "--anew",
        action="store_true",
        help="remove the run in DIR, finished or not, and begin at the beginning",
    )
    group.add_argument(
        "--tensorboard",
        action="store_true",
        help="write a log for TensorBoard to DIR/tensorboard, too",
    )
    group.add_argument(
        "--distributed",
        action="store_true",
        help="share each batch with the other processes that a cluster started (Slurm, Open MPI, "
        "Kubernetes, ...); without it, with the devices of this machine",
    )
    group.add_argument(
        "--summary",
        action="store_true",
        help="show the layers, draw them to DIR/network.png, and stop",
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    return parsed(command_line(), arguments)


def parsed(reads: Parser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options that the arguments are, checked as far as they can be without any work."""
    options = reads.parse_args(arguments)
    parts = {part: getattr(options, part) for part in (*PARTS, *SIZES)}
    options.swapped = {part: choice for part, choice in parts.items() if choice is not None}
    if options.swapped and options.arch != "lenet":
        reads.error(f"--{next(iter(options.swapped))} goes with --arch lenet only")
    if options.dense is not None and options.head == "gap":
        reads.error("--dense goes with --head dense only")
    return options


def _seed(text: str) -> int:
    if text.isdecimal() and int(text) < 2**32:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {2**32 - 1}")


def _units(text: str) -> tuple[int, ...]:
    return () if text in (NO_UNITS, "") else _sizes(text)  # "" is Python's ()


def _sizes(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if all(part.isdecimal() and 1 <= int(part) <= 1024 for part in parts):
        return tuple(map(int, parts))
    raise argparse.ArgumentTypeError(f"{text!r} are not numbers from 1 to 1024, as in 6,16")


def _folder(options: argparse.Namespace, architecture: Architecture, recipe: Recipe) -> Path:
    """The run folder of these settings, so that other settings get another one."""
    names = architecture.title.split(), recipe.title.split()
    parts = [data.called(options.dataset), *names[0], *names[1]]
    parts += [word for word in ("invert", "transpose") if getattr(options, word)]
    parts += [f"split={options.split}"] if options.split else []
    parts += [] if options.bits == "8" else [f"bits={options.bits}"]
    parts += [f"from={Path(options.start).stem}"] if options.start else []
    parts += ["taught"] if options.teacher else []
    parts += [f"seed{options.seed}"] if options.seed else []
    return Path("runs") / "-".join(parts)


def _summarize(architecture: Architecture, out: Path) -> None:
    from rich.console import Console

    from lenet_train import figures, summary
    from lenet_train.run import make_folder

    make_folder(out, (NETWORK,))
    files.write({out / NETWORK: figures.network(architecture)})
    Console().print(summary.table(architecture))
    print(f"drawn: {out / NETWORK}")


def run_of(options: argparse.Namespace) -> Result | None:
    """Trains as the options say; what came of it, or ``None`` where nothing was trained."""
    recipe = RECIPES[options.recipe].changed(options.set)
    load = functools.partial(
        data.load, options.dataset, split=options.split, invert=options.invert,
        transpose=options.transpose,
    )  # fmt: skip
    network = functools.partial(architectures.NAMED[options.arch], **options.swapped)
    images = None
    if options.dataset in data.NAMES:  # whose sizes are known, so that mistakes are told at once
        data.check_beside(recipe, options.dataset)
        architecture = network()
    else:
        images = load()
        architecture = network(input_shape=images.input_shape, classes=images.classes)
    if recipe.strangers:
        architecture = architecture.with_none_output()
    out = options.out or _folder(options, architecture, recipe)
    if options.summary:
        _summarize(architecture, out)
        return None
    from lenet_train import devices, run

    if options.distributed:
        devices.join_cluster()
    return run.run(
        architecture, recipe, options.seed, images or load(), out, bits=options.bits,
        teachers=options.teacher, start=options.start, anew=options.anew,
        tensorboard=options.tensorboard,
    )  # fmt: skip
