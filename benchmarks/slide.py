"""Amounts read by a network that is slid along the line, beside the lattice of --with amount.

    python benchmarks/slide.py                      the bundled models
    python benchmarks/slide.py runs/m.safetensors   another model
    python benchmarks/slide.py --update             also writes benchmarks/slide.json

A space displacement network (LeCun, Bottou, Bengio and Haffner 1998, section VII) needs no cuts:
the line is brought to the height of MNIST's digits, the network reads the 28 columns about each
column, and the cheapest way through its outputs is the text. It has learnt what the network of the
lattice has: digits alone and what is none, no digits with others beside them. Lines are field.py's.
"""

from __future__ import annotations

import argparse
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import field
from lenet_export import amount, checkpoint
from lenet_export.compiled import CompiledNetwork
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from material import amounts, digits
from material.filters import UInt8, resize

FIGURES = Path(__file__).with_name("slide.json")
SIDE, HEIGHT = 28, 20  # of an image, and of a digit in it
NONE = 10
UNKNOWN = 8  # 16ths of a nat, what none costs where the network has no output for it
CHANGES = 32, 64, 96, 128, 192  # what it costs to go on to another class, of which one is chosen
CHOSEN = 100  # by so many lines of each kind


def windows(line: UInt8) -> UInt8:
    """The images about each column of a line, uint8 ``(columns, 28, 28)``; none if it has no ink.

    Ink is found and sheared as for the lattice; its blocks become 20 rows high, and its centre of
    mass is the image's middle row.
    """
    cells = amount.cells_of(line)
    if cells is None:
        return np.zeros((0, SIDE, SIDE), np.uint8)
    scale = HEIGHT / (amount.blocks(cells).height or cells.rows)
    upright = [np.roll(*row) for row in zip(cells.ink, cells.shift, strict=True)]
    rows, columns = (max(1, round(size * scale)) for size in cells.ink.shape)
    ink = resize(np.array(upright, np.uint8), rows, columns)
    mass = ink.sum(1, dtype=int)
    middle = round(float((mass * np.arange(rows)).sum() / max(mass.sum(), 1)))
    around = np.pad(ink, [(SIDE // 2, SIDE // 2)] * 2)
    strips = np.lib.stride_tricks.sliding_window_view(around[middle : middle + SIDE], SIDE, 1)
    return np.ascontiguousarray(strips.swapaxes(0, 1)[:columns])


def costs(read: field.Read, unit: int, line: UInt8) -> npt.NDArray[Any]:
    """What each class costs at each column, 16ths of a nat, ``(columns, 11)``; the last is none."""
    found = [amount.costs_of(logits, unit) for logits in read(windows(line))]
    return np.array([(*own, UNKNOWN)[: NONE + 1] for own in found], int).reshape(-1, NONE + 1)


def text_of(costs: npt.NDArray[Any], change: int) -> str:
    """The cheapest text: each column is of a class, and ``change`` is what another one costs."""
    start = np.where(np.arange(NONE + 1) == NONE, 0, change)
    best, before = start, []
    for column in costs:
        cheapest = int(best.argmin())
        is_other = best > best[cheapest] + change
        before.append(np.where(is_other, cheapest, np.arange(NONE + 1)))
        best = np.where(is_other, best[cheapest] + change, best) + column
    own, path = int((best + start).argmin()), []
    for step in before[::-1]:
        path.append(own)
        own = int(step[own])
    return "".join(str(own) for own, _ in groupby(path[::-1]) if own != NONE)


def right(texts: list[str], made: list[amounts.Line]) -> float:
    """The share of lines whose text is theirs."""
    return float(np.mean([text == one.text for text, one in zip(texts, made, strict=True)]))


def measure(
    path: Path, given: digits.Digits, others: digits.Digits, count: int, seed: int
) -> dict[str, Any]:
    """Of both ways to read: the lines read right of each kind, and the network's readings a digit.

    Args:
        path: of the model.
        given: what the lines are made of.
        others: what the lines are made of that choose what a change costs.
        count: how many lines of each kind.
        seed: of the lines.
    """
    plan = make_plan(checkpoint.load(path), "int8")
    network = CompiledNetwork(plan, render_c(plan, Options(parts=("picture", "amount"))))
    unit = amount.unit_of(plan.logit_scale)

    def read(made: list[amounts.Line]) -> list[npt.NDArray[Any]]:
        return [
            costs(lambda images: network.logits(images[..., None]), unit, one.picture)
            for one in made
        ]

    chosen = [
        one for kind in amounts.SPACINGS for one in amounts.lines(others, kind, CHOSEN, seed + 1)
    ]
    seen = read(chosen)
    change = max(CHANGES, key=lambda cost: right([text_of(own, cost) for own in seen], chosen))
    found: dict[str, Any] = {"change": change}
    for kind in amounts.SPACINGS:
        made = amounts.lines(given, kind, count, seed)
        many = sum(len(one.text) for one in made)
        slid, cut = read(made), [network.read_amount(one.picture) for one in made]
        found[kind] = {
            "slid": right([text_of(own, change) for own in slid], made),
            "slid, readings": sum(map(len, slid)) / many,
            "lattice": right([network.text(one.text) for one in cut], made),
            "lattice, readings": sum(one.readings for one in cut) / many,
        }
    return found


def rows(models: dict[str, dict[str, Any]]) -> list[str]:
    """A table in Markdown: percent right and, in brackets, readings a digit."""
    head = " | ".join(amounts.SPACINGS)
    table = [
        f"| right, % (readings a digit) | {head} |",
        "|---" * (len(amounts.SPACINGS) + 1) + "|",
    ]
    for name, found in models.items():
        for way in ("slid", "lattice"):
            cells = [
                f"{100 * found[kind][way]:.1f} ({found[kind][f'{way}, readings']:.1f})"
                for kind in amounts.SPACINGS
            ]
            table.append(f"| `{name}`, {way} | {' | '.join(cells)} |")
    return table


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", help="names of bundled models, or files")
    parser.add_argument("--count", type=int, default=300, help="lines of each kind (default: 300)")
    parser.add_argument("--seed", type=int, default=field.SEED)
    parser.add_argument("--split", choices=["test", "validation"], default="test")
    parser.add_argument("--update", action="store_true", help=f"write {FIGURES.name}")
    options = parser.parse_args(arguments)
    given, others = digits.load(options.split), digits.load("validation")
    found = {}
    for name in options.models or sorted(
        path.stem for path in field.BUNDLED.glob("mnist*.safetensors")
    ):
        path = field.path_of(name)
        found[path.stem] = measure(path, given, others, options.count, options.seed)
    print("\n".join(rows(found)))
    if options.update:
        made = {"split": options.split, "seed": options.seed, "count": options.count}
        field.keep(FIGURES, made, found)


if __name__ == "__main__":
    main()
