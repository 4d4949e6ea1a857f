"""What a constant of the lattice does: lines of validation digits, read with one or more changed.

    python benchmarks/lattice.py mnist-field WIDTH_OF_CUT=10 PART=40,68 NONE_FAR=120,NONE_PART=4

Names are those of lenet_export/amount.py, the reference, which reads with the network of the
model's C. For each setting a row: of each kind of lines the texts read right; what is correct,
wrong and rejected, with the threshold that leaves 1 % errors on the other half of the writers; and
readings a digit. Another model may want other constants: ask again.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import field
from lenet_export import amount, checkpoint
from lenet_export.errors import UserError
from lenet_export.plan import make_plan
from material import amounts, digits
from material.filters import UInt8

SEED = 15
HOW = "give NAME=NUMBER, or NUMBER,NUMBER, as lenet_export/amount.py has them"


def parsed(setting: str) -> dict[str, Any]:
    """``A=1,B=2,3`` as values by name: numbers, and pairs of them.

    Raises:
        UserError: the lattice has no such constant, or another count of numbers.
    """
    found: dict[str, Any] = {}
    for name, numbers in re.findall(r"(\w+)=([\d,]+?)(?:,(?=[A-Z])|$)", setting):
        values = tuple(map(int, numbers.split(",")))
        value = values if len(values) > 1 else values[0]
        known = getattr(amount, name, None)
        if type(known) is not type(value) or np.shape(known) != np.shape(value):
            raise UserError(setting, f"the lattice has no such {name}", HOW)
        found[name] = value
    if not found:
        raise UserError(setting, "names no constant", HOW)
    return found


@contextmanager
def changed(constants: dict[str, Any]) -> Iterator[None]:
    """The lattice with other constants."""
    before = {name: getattr(amount, name) for name in constants}
    for name, value in constants.items():
        setattr(amount, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(amount, name, value)


def judged(made: list[amounts.Line], read: amount.Read, unit: int) -> list[float]:
    """Of lines: the shares right, correct, wrong, rejected, and readings a digit."""
    found = [amount.read_amount(one.picture, read, unit) for one in made]
    is_right = np.array([a.text == one.text for a, one in zip(found, made, strict=True)])
    score = np.array([float(one.score) for one in found])
    half = np.array([one.writer % 2 for one in made])
    least = np.zeros(len(made))
    for own in (0, 1):
        others = half != own
        least[half == own] = field.least_score(
            is_right[others], score[others], field.ERROR_OF_LINES
        )
    taken = score >= least
    readings = sum(one.readings for one in found) / sum(len(one.text) for one in made)
    shares = is_right, is_right & taken, ~is_right & taken, ~taken
    return [*(float(share.mean()) for share in shares), readings]


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="name of a bundled model, or a file")
    parser.add_argument("settings", nargs="*", help="NAME=NUMBER, several with commas")
    parser.add_argument("--count", type=int, default=400, help="lines of each kind (default: 400)")
    options = parser.parse_intermixed_args(arguments)
    path = field.path_of(options.model)
    unit = amount.unit_of(make_plan(checkpoint.load(path), "int8").logit_scale)
    by_c = field.reader(path)
    known: dict[bytes, Any] = {}

    def read(images: UInt8) -> Any:
        key = images.tobytes()
        if key not in known:
            known[key] = by_c(images)
        return known[key]

    given = digits.load("validation")
    made = {kind: amounts.lines(given, kind, options.count, SEED) for kind in amounts.SPACINGS}
    print("right; correct / error / reject; readings a digit:", ", ".join(made))
    for setting in ["", *options.settings]:
        with changed(parsed(setting) if setting else {}):
            for lines in made.values():
                *shares, readings = judged(lines, read, unit)
                row = "{:5.1f}; {:4.1f} / {:3.1f} / {:4.1f};".format(*(100 * s for s in shares))
                print(f"{row} {readings:.2f}", end="   ", flush=True)
        print(setting or "as they are")


if __name__ == "__main__":
    main()
