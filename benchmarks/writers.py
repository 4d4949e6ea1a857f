"""What it changes that validation images have writers who train: accuracy, and thresholds.

    python benchmarks/writers.py                        the bundled models
    python benchmarks/writers.py runs/a/model.safetensors ...   others of MNIST, beside them

A table of thresholds is measured on validation images. By the random split each of their writers
has trained; no writer of the test images has. So what a threshold of the table does to test images
is told beside what it promises, and both by who wrote: employees, or students. Writes writers.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export import bundled
from lenet_export.checkpoint import Model
from lenet_export.float_network import run_logits
from lenet_export.gap_table import classes_of, score_gaps
from material import digits

MAX_ERRORS = (0.01, 0.005, 0.002, 0.001)
RESULTS = Path(__file__).with_suffix(".json")


class Readings:
    """What a model reads in digits: ``gap`` and ``wrong`` of each, and whether a student wrote."""

    def __init__(self, model: Model, given: digits.Digits) -> None:
        """Reads all of them, in floats."""
        logits = run_logits(model, given.images[..., None])
        self.gap = score_gaps(logits, model.none_output)
        self.wrong = classes_of(logits, model.none_output) != given.labels
        self.is_student = given.series == digits.STUDENTS

    def wrong_by(self) -> dict[str, float]:
        """The share that is read wrongly: of all, of employees, of students."""
        return {
            "all": float(self.wrong.mean()),
            "employees": float(self.wrong[~self.is_student].mean()),
            "students": float(self.wrong[self.is_student].mean()),
        }

    def beyond(self, gap: float) -> dict[str, float]:
        """Where this is the least gap: the share that is rejected, and of the rest the wrong."""
        kept: npt.NDArray[np.bool_] = self.gap >= np.float32(gap)
        return {"rejected": float(1 - kept.mean()), "wrong": float(self.wrong[kept].mean())}


def measure(model: Model) -> dict[str, Any]:
    """What a model of MNIST reads of writers that it may know, and of those that it cannot."""
    table = model.gap_table
    assert table
    split = model.info.get("split", "random")
    test = Readings(model, digits.load("test"))
    found: dict[str, Any] = {"split": split, "validation_images": table.images}
    found["wrong"] = {"test": test.wrong_by()}
    found["wrong"]["validation"] = {"all": table.rows[0].errors / table.images}
    if split == "random":
        found["wrong"]["validation"] = Readings(model, digits.load("validation")).wrong_by()
    found["thresholds"] = {}
    for max_error in MAX_ERRORS:
        row = table.row(max_error)
        if row:
            promised = {
                "rejected": 1 - row.accepted / table.images,
                "wrong": row.errors / row.accepted,
            }
            found["thresholds"][f"{max_error:g}"] = {
                "validation": promised,
                "test": test.beyond(row.gap),
            }
    return found


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", help="files, beside the bundled models")
    options = parser.parse_args(arguments)
    results = {}
    for name in (*bundled.names(), *options.models):
        called = name if name in bundled.names() else Path(name).parent.name
        results[called] = measure(bundled.load(name))
        print(called, json.dumps(results[called], indent=2))
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
