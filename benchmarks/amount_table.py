"""Measures how sure a model's amounts must be, and writes the table into the model's file.

    python benchmarks/amount_table.py runs/field/model.safetensors

2,000 lines of `mix` (material/amounts.py) of the validation split are read by the exported C in
int8. `lenet-export --with amount --max-amount-error` chooses the threshold from the table.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np

import field
from lenet_export import checkpoint
from lenet_export.gap_table import GapTable
from material import amounts, digits

LINES = 2000
SEED = 1998


def measure(read_amount: field.ReadAmount, given: digits.Digits, count: int, seed: int) -> GapTable:
    """The table of ``count`` lines made of ``given``: what scores tell about wrong texts."""
    lines = amounts.lines(given, "mix", count, seed)
    texts, score = zip(*(read_amount(line.picture) for line in lines), strict=True)
    wrong = [text != line.text for text, line in zip(texts, lines, strict=True)]
    return GapTable.of(np.array(score, np.float32), np.array(wrong))


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path, help="a model.safetensors, which is written again")
    options = parser.parse_args(arguments)
    model = checkpoint.load(options.model)
    table = measure(field.amount_reader(options.model), digits.load("validation"), LINES, SEED)
    checkpoint.save(dataclasses.replace(model, amount_table=table), options.model)
    for max_error in (0.05, 0.02, 0.01, 0.005):
        row = table.row(max_error)
        print(f"{max_error:.1%}", *(table.describe(row) if row else ["cannot be reached"]))


if __name__ == "__main__":
    main()
