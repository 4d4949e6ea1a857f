"""The command line: ``lenet-train``.

JAX, Flax and matplotlib are imported where they are needed, so that ``--help`` and a mistake in the
arguments answer at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lenet_export import __version__, checkpoint, files, idx
from lenet_export.errors import UserError, os_mistake
from lenet_train import data
from lenet_train.recipes import BEST, RECIPES, Recipe

if TYPE_CHECKING:
    from lenet_train.loop import Epoch, Params

# The names in model.ARCHITECTURES, whose import costs a second.
ARCHITECTURES = ("lenet", "mlp")

MODEL = "model.safetensors"
METRICS = "metrics.jsonl"
CURVES = "curves.png"
CONFUSION = "confusion.png"
FILTERS = "filters.png"
NETWORK = "network.png"
TEST_IMAGES = f"{data.IMAGES.format('t10k')}.gz"
TEST_LABELS = f"{data.LABELS.format('t10k')}.gz"
RUN_FILES = (MODEL, METRICS, CURVES, CONFUSION, FILTERS, TEST_IMAGES, TEST_LABELS)

# Enough for the 99.99th percentile of a layer's activations.
RANGE_IMAGES = 4000


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``lenet-train`` and returns the exit code: 0, 1 a user's mistake, 130 interrupted."""
    args = _parser().parse_args(argv)
    out = (
        args.out or Path("runs") / f"{Path(args.dataset).resolve().name}-{args.arch}-{args.recipe}"
    )
    try:
        if args.summary:
            _summarize(args.arch, out)
        else:
            recipe = RECIPES[args.recipe].with_epochs(args.epochs)
            _run(args.arch, recipe, args.seed, args.dataset, out)
    except UserError as error:
        print(f"lenet-train: error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"lenet-train: error: {os_mistake(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lenet-train: interrupted; no model was written", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lenet-train",
        description="Train LeNet in Flax and write model.safetensors for lenet-export.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "--dataset",
        default="digits",
        metavar="NAME",
        help=f"{', '.join(data.NAMES)}, or a folder with the four IDX files (default: %(default)s)",
    )
    parser.add_argument(
        "--arch",
        choices=ARCHITECTURES,
        default="lenet",
        help="network (default: %(default)s)",
    )
    parser.add_argument(
        "--recipe",
        choices=RECIPES,
        default=BEST.name,
        help="how to train (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs",
        type=_epochs,
        metavar="N",
        help="passes over the training images (default: the recipe's)",
    )
    parser.add_argument(
        "--seed",
        type=_seed,
        default=0,
        metavar="N",
        help="same seed, same machine: same file (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="run folder (default: runs/DATASET-ARCH-RECIPE)",
    )
    parser.add_argument(
        "--summary",
        action="store_true",
        help="show the layers, draw them to DIR/network.png, and stop",
    )
    return parser


def _epochs(text: str) -> int:
    return _number(text, 1, 100_000)


def _seed(text: str) -> int:
    return _number(text, 0, 2**32 - 1)


def _number(text: str, least: int, most: int) -> int:
    if text.isdecimal() and least <= int(text) <= most:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")


def _summarize(arch: str, out: Path) -> None:
    from rich.console import Console

    from lenet_train import figures, summary
    from lenet_train.model import ARCHITECTURES

    stages = ARCHITECTURES[arch][1]
    _make_folder(out, (NETWORK,))
    files.write({out / NETWORK: figures.network(arch, stages)})
    Console().print(summary.table(arch, stages))
    print(f"drawn: {out / NETWORK}")


def _run(arch: str, recipe: Recipe, seed: int, dataset: str, out: Path) -> None:
    began = time.perf_counter()
    images = data.load(dataset)
    _make_folder(out, RUN_FILES)

    from lenet_train import loop
    from lenet_train.model import ARCHITECTURES

    make, stages = ARCHITECTURES[arch]
    network = make()
    params, epochs = _train(arch, recipe, seed, images, out)
    test_logits = loop.logits(network, params, images.test.images)
    validation_logits = loop.logits(network, params, images.validation.images)
    right = test_logits.argmax(axis=1) == images.test.labels
    info = {
        "arch": arch,
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "dataset": images.name,
        "dataset_sha256": images.sha256,
        "images": data.CONVENTIONS.get(images.name, ""),
        "test_accuracy": float(right.mean()),
        "test_images": len(right),
        "validation_accuracy": epochs[-1].validation_accuracy,
        "validation_images": len(images.validation.labels),
        "parameters": sum(value.size for value in loop.flat(params).values()),
        "tool": f"lenet-train {__version__}",
    }
    model = checkpoint.Model(
        input_shape=(data.SIDE, data.SIDE, 1),
        stages=stages,
        params=loop.flat(params),
        activation_ranges=loop.activation_ranges(
            network, stages, params, images.training.images[:RANGE_IMAGES]
        ),
        gap_table=checkpoint.GapTable.measure(validation_logits, images.validation.labels),
        info=info,
    )
    title = f"{arch} on {images.name}, recipe {recipe.name}, seed {seed}"
    guesses = test_logits.argmax(axis=1)
    files.write(
        _figures(model, epochs, images.test.labels, guesses, title, out)
        | {
            out / TEST_IMAGES: _gzip(idx.pack(images.test.images)),
            out / TEST_LABELS: _gzip(idx.pack(images.test.labels)),
        }
    )
    # The model comes last: where it is, the run is whole.
    checkpoint.save(model, out / MODEL)
    print(f"{title}: {recipe.epochs} epochs, {time.perf_counter() - began:.0f} s")
    print(f"test accuracy: {right.mean():.2%} ({right.sum():,} of {len(right):,} images)")
    print(f"files: {out}/ {' '.join(RUN_FILES)}")
    print(f"next: lenet-export --target c --model {out / MODEL}")


def _train(
    arch: str, recipe: Recipe, seed: int, images: data.Dataset, out: Path
) -> tuple[Params, list[Epoch]]:
    """Trains with a progress bar and a line of ``metrics.jsonl`` an epoch."""
    from lenet_train.loop import train
    from lenet_train.model import ARCHITECTURES
    from lenet_train.progress import TrainingBar

    make, stages = ARCHITECTURES[arch]
    epochs: list[Epoch] = []
    with _metrics(out / METRICS) as metrics, TrainingBar(recipe.epochs) as bar:

        def report(epoch: Epoch) -> None:
            epochs.append(epoch)
            metrics.write(json.dumps(dataclasses.asdict(epoch)) + "\n")
            metrics.flush()
            bar.advance(epoch)

        params = train(make(), stages, recipe, seed, images.training, images.validation, report)
    return params, epochs


def _figures(
    model: checkpoint.Model, epochs: Sequence[Epoch], labels: Any, guesses: Any, title: str,
    out: Path,
) -> dict[Path, bytes]:  # fmt: skip
    from lenet_train import figures

    first = model.stages[0].name
    return {
        out / CURVES: figures.curves(epochs, title),
        out / CONFUSION: figures.confusion(labels, guesses, title),
        out / FILTERS: figures.filters(model.params[f"{first}/kernel"], f"{first} of {title}"),
    }


def _gzip(content: bytes) -> bytes:
    """Packs with no date inside, so that the same content gives the same bytes."""
    return gzip.compress(content, mtime=0)


def _metrics(path: Path) -> IO[str]:
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from None


def _make_folder(folder: Path, files: Sequence[str]) -> None:
    """Makes the run folder and checks, before any work, that the files can go into it.

    Raises:
        UserError: a file is in the folder's place or the reverse, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (FileExistsError, NotADirectoryError):
        raise UserError(
            folder, "is, or lies in, a file, expected a folder", "give another --out"
        ) from None
    except OSError as error:
        raise _unwritable(folder, error) from None
    for name in files:
        if (folder / name).is_dir():
            raise UserError(folder / name, "is a folder, expected a file", "move it away")


def _unwritable(path: Path, error: OSError) -> UserError:
    reason = (error.strerror or str(error)).lower()
    return UserError(path, f"cannot be written: {reason}", "give --out a folder you may write to")


if __name__ == "__main__":
    sys.exit(main())
