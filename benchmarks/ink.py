"""Measures the limits of ink of models that were trained before there were any, and writes them.

    python benchmarks/ink.py                       the bundled models, on MNIST
    python benchmarks/ink.py --dataset D FILE ...  other models, on the data set of their training

Nothing else in a file changes. lenet-train measures the limits of what it trains itself.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from lenet_export import checkpoint
from lenet_export.ink import Ink
from lenet_train import data

BUNDLED = Path(__file__).parents[1] / "export/lenet_export/models"


def measured(path: Path, ink: Ink) -> checkpoint.Model:
    """The model in a file, with other limits of ink."""
    return dataclasses.replace(checkpoint.load(path), ink=ink)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="default: the bundled models")
    parser.add_argument("--dataset", default="mnist", help="as lenet-train takes it")
    options = parser.parse_args(arguments)
    images = data.load(options.dataset)
    ink = Ink.measure(images.training.images[..., None], images.validation.images[..., None])
    print(ink)
    for path in options.files or sorted(BUNDLED.glob("*.safetensors")):
        checkpoint.save(measured(path, ink), path)
        print(path)


if __name__ == "__main__":
    main()
