"""What each part that came after the textbook's LeNet does, alone and all together.

    python benchmarks/family.py                 trains on MNIST, and writes docs/family.md
    python benchmarks/family.py --epochs 100    longer; a run that is there already is not repeated

Each network is trained by the recipe `best`, exported in int8 and run on an emulated Cortex-M4:
every logit must be that of the integer reference, and every image take the same number of
instructions.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import firmware
from lenet_export import checkpoint, idx, reference
from lenet_export.cpus.registry import lay_out
from lenet_export.plan import make_plan
from lenet_train import cli, run

FAMILY = firmware.ROOT / "docs/family.md"
CPU = "cortex-m4"
COUNTED = 8  # images on the emulated core
MODERN = "--activation relu --pool max --norm batch --init he"
#: What is exchanged: the line's name, and lenet-train's arguments.
NETWORKS = {
    "the textbook's: sigmoid, mean pools": "",
    "tanh": "--activation tanh",
    "ReLU": "--activation relu",
    "GELU": "--activation gelu",
    "maximum pools": "--pool max",
    "strides in the place of pools": "--pool stride",
    "batch normalization": "--norm batch",
    "layer normalization": "--norm layer",
    "He's start": "--init he",
    "each map's mean in the place of dense layers": "--head gap",
    "ReLU, maximum, batch normalization, He": MODERN,
    "the same, each map's mean, 16 and 32 channels": f"{MODERN} --head gap --channels 16,32",
    "LeNet-5 of 1998": "--arch lenet5-1998",
    "a dense network": "--arch mlp",
}
HEAD = """\
# The family

What each part that came after the textbook's LeNet does to it on {dataset}: alone, all together,
and beside LeNet-5 of 1998. Recipe `best`, {epochs} epochs, seed 0, {images:,} test images, one run
each: two accuracies differ for sure only where they are {error:.2f} points apart. Flash: constants
and code; RAM: the workspace; instructions: those of one image on an emulated Cortex-M4 with its own
kernels, gcc `-O3`; int8. Written by
`python benchmarks/family.py --dataset {dataset} --epochs {epochs}`.

| network | `lenet-train` | float | int8 | parameters | flash | RAM | instructions |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Line:
    """What was measured of one network.

    Attributes:
        name: of the line.
        arguments: of lenet-train.
        float_accuracy: of the test images.
        int8_accuracy: of the same.
        parameters: that it learns.
        flash: bytes of constants and code.
        ram: bytes of the workspace.
        instructions: for one image.
    """

    name: str
    arguments: str
    float_accuracy: float
    int8_accuracy: float
    parameters: int
    flash: int
    ram: int
    instructions: int

    def __str__(self) -> str:
        """As a line of the table."""
        arguments = f"`{self.arguments}`" if self.arguments else ""
        accuracies = (f"{100 * share:.2f} %" for share in (self.float_accuracy, self.int8_accuracy))
        sizes = (f"{size:,}" for size in (self.parameters, self.flash, self.ram))
        cells = [self.name, arguments, *accuracies, *sizes, f"{self.instructions / 1000:,.0f} k"]
        return f"| {' | '.join(cells)} |"


def measure(name: str, arguments: str, dataset: str, epochs: int, runs: Path) -> Line:
    """Trains one network, unless its run is there, and measures it.

    Raises:
        SystemExit: a logit is wrong, or images take unequal time.
    """
    folder = runs / "-".join([dataset, *arguments.replace("--", "").split(), str(epochs)])
    training = ["--dataset", dataset, "--epochs", str(epochs), "--out", str(folder)]
    if cli.main([*arguments.split(), *training]) != 0:
        sys.exit(f"{name}: was not trained")
    model = checkpoint.load(folder / run.MODEL)
    plan = lay_out(make_plan(model, "int8"), CPU, "speed")
    images = idx.read(folder / run.TEST_IMAGES, 3)[..., None]
    labels = idx.read(folder / run.TEST_LABELS, 1)
    logits = reference.run_integers(plan, images)[plan.layers[-1].name]
    with tempfile.TemporaryDirectory() as build:
        built = firmware.build(
            CPU, Path(build), model=folder / run.MODEL, CMAKE_C_FLAGS_RELEASE="-O3"
        )
        record = built.run(images[:COUNTED], plan.outputs)
        (compiled,) = Path(build).rglob("lenet.c.obj")
        size = subprocess.run(
            ["arm-none-eabi-size", compiled], capture_output=True, text=True, check=True
        )
    if record.self_test != 0 or (record.logits != logits[:COUNTED]).any():
        sys.exit(f"{name}: logits differ from the reference: the figures mean nothing")
    if record.counts.min() != record.counts.max():
        sys.exit(f"{name}: {record.counts.min()} to {record.counts.max()} an image: not constant")
    return Line(
        name,
        arguments,
        model.info["test_accuracy"],
        float((logits.argmax(1) == labels).mean()),
        model.info["parameters"],
        int(size.stdout.splitlines()[1].split()[0]),
        plan.workspace_bytes,
        int(record.counts[0]),
    )


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=20, help="of each network (default: 20)")
    parser.add_argument("--dataset", default="mnist", help="of lenet-train (default: mnist)")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/family"), help="where they are kept"
    )
    parser.add_argument("--out", type=Path, default=FAMILY, help="default: docs/family.md")
    options = parser.parse_args(arguments)
    lines = [
        measure(name, parts, options.dataset, options.epochs, options.runs)
        for name, parts in NETWORKS.items()
    ]
    images = len(idx.read(next(options.runs.rglob(run.TEST_LABELS)), 1))
    # Two standard errors of a difference, at the accuracy of the first.
    error = 200 * np.sqrt(2 * lines[0].float_accuracy * (1 - lines[0].float_accuracy) / images)
    head = HEAD.format(dataset=options.dataset, epochs=options.epochs, images=images, error=error)
    options.out.write_text(head + "".join(f"{line}\n" for line in lines))
    print(options.out.read_text())


if __name__ == "__main__":
    main()
