"""Accuracy on MNIST against bytes of constants: trains small networks, and draws the curve.

    python benchmarks/sizes.py                      all networks, three seeds each: many hours
    python benchmarks/sizes.py --only tiny --seeds 1
    python benchmarks/sizes.py --measure            what is trained already

Runs are in runs/sizes, one folder for each network and seed: what is there is not trained again,
and what was interrupted goes on. Constants are all that a network has in flash beside code:
weights, packed, biases and gains, as LENET_CONSTANT_BYTES of `lenet-export --cpu generic` says.
Accuracy is that of the exported C on the 10,000 test images. Writes sizes.json and docs/sizes.png.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import lenet_train
from lenet_export import bundled, checkpoint
from lenet_export.checkpoint import Model
from lenet_export.compiled import CompiledNetwork
from lenet_export.cpus.registry import lay_out
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from lenet_train import data

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "sizes.json"
CHART = FOLDER.parent / "docs/sizes.png"
RUNS = Path("runs/sizes")

MODERN: dict[str, Any] = {
    "activation": "relu",
    "norm": "batch",
    "init": "he",
    "dense": (),
    "recipe": "modern",
}
#: Small networks hold fewer changes of an image.
LESS = {
    "augmentation.rotation": 6,
    "augmentation.scale": 0.06,
    "augmentation.shear": 0.06,
    "augmentation.shift": 1,
    "augmentation.elastic": 0.3,
    "weight_decay": 0.01,
    "distillation.temperature": 1.5,
    "distillation.copies": 4,
    "few_bits.epochs": 20,
}
#: What is trained, by name: arguments of ``lenet_train.train``.
NETWORKS: dict[str, dict[str, Any]] = {
    "tiny": {
        "arch": "tiny",
        "recipe": "modern",
        "epochs": 60,
        "bits": 4,
        "teacher": "mnist-modern",
        "set": LESS,
    },
    "small": {
        **MODERN,
        "pool": "max",
        "channels": (8, 16, 24),
        "kernels": (5, 3, 3),
        "epochs": 20,
        "bits": 4,
        "teacher": "mnist-modern",
        "set": LESS | {"distillation.copies": 2, "few_bits.epochs": 8},
    },
    "middle": {
        **MODERN,
        "pool": "max",
        "channels": (12, 32, 48),
        "kernels": (5, 3, 3),
        "epochs": 40,
        "bits": 4,
        "teacher": ("mnist", "mnist-modern", "mnist-uno"),
        "set": {"distillation.temperature": 1.5, "few_bits.epochs": 15},
    },
}
#: Bundled models, whose runs are their cards'.
BUNDLED = ("mnist-uno", "mnist-modern")


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", choices=NETWORKS, action="append", help="a network; repeatable")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="seeds 0 to N - 1")
    parser.add_argument("--runs", type=Path, default=RUNS, metavar="DIR", help="of what is trained")
    parser.add_argument("--measure", action="store_true", help="train nothing")
    options = parser.parse_args(arguments)
    for seed in range(0 if options.measure else options.seeds):
        for name in options.only or NETWORKS:
            out = options.runs / f"{name}-{seed}"
            lenet_train.train("mnist", **NETWORKS[name], seed=seed, out=out)
    images = data.load("mnist").test
    results = {name: measured([bundled.load(name)], images) for name in BUNDLED}
    for name in NETWORKS:
        files = sorted(options.runs.glob(f"{name}-*/model.safetensors"))
        if files:
            results[name] = measured([checkpoint.load(file) for file in files], images)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print("\n".join(rows(results)))
    draw(results)


def measured(models: list[Model], images: data.Examples) -> dict[str, Any]:
    """The constants of a network, and of each seed how many test images its C reads rightly."""
    right = []
    for model in models:
        plan = lay_out(make_plan(model, "int8"), "generic", "speed")
        files = render_c(plan, Options())
        read = CompiledNetwork(plan, files).logits(images.images[..., None]).argmax(axis=1)
        right.append(int(np.sum(read == images.labels)))
    weights = [c.values.nbytes for c in plan.constants if "_weight" in c.name]
    return {
        "constants": plan.constant_bytes,
        "weights": sum(weights),
        "workspace": plan.workspace_bytes,
        "images": len(images.labels),
        "right": right,
        "validation": [model.info["validation_accuracy"] for model in models],
    }


def rows(results: dict[str, Any]) -> list[str]:
    """The table of the documents: a line for each network, the smallest first."""
    lines = []
    for name, result in sorted(results.items(), key=lambda item: item[1]["constants"]):
        seeds = ", ".join(f"{100 * right / result['images']:.2f}" for right in result["right"])
        sizes = (f"{result[key]:,}" for key in ("weights", "constants", "workspace"))
        mean = f"{100 * accuracy(result):.2f} %"
        lines.append(f"| {' | '.join([f'`{name}`', *sizes, seeds, mean])} |")
    return lines


def accuracy(result: dict[str, Any]) -> float:
    """The mean of the seeds."""
    return float(np.mean(result["right"])) / int(result["images"])


def draw(results: dict[str, Any]) -> None:
    """Draws the curve."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.5, 4.5), layout="constrained")
    ordered = sorted(results.items(), key=lambda item: item[1]["constants"])
    sizes = [result["constants"] / 1000 for _, result in ordered]
    means = [100 * accuracy(result) for _, result in ordered]
    axes.plot(sizes, means, "o-", color="#1f6f5c")
    for (name, result), size, mean in zip(ordered, sizes, means, strict=True):
        seeds = [100 * right / result["images"] for right in result["right"]]
        axes.plot([size] * len(seeds), seeds, "_", color="#8fbfb0")
        label = f"{name}\n{size:.1f} kB, {mean:.2f} %"
        axes.annotate(label, (size, mean), (6, -26), textcoords="offset points", fontsize=9)
    axes.set(xscale="log", xlabel="kB of constants", ylabel="% of MNIST's test images")
    axes.set_xticks([2, 5, 10, 20, 50], ["2", "5", "10", "20", "50"])
    axes.minorticks_off()
    axes.margins(x=0.2, y=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(CHART, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
