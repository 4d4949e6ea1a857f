"""What tuned kernels compute at once, as their templates call it: outputs, places, vectors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lenet_export.c_text import plus, times
from lenet_export.plan import Layer, VectorBlock


@dataclass(frozen=True)
class Place:
    """A place of a pool window, in a block.

    Attributes:
        name: its row and column, e.g. ``01``.
        row: of the window.
        column: of the window.
        offset: values of the input from the window's first to this place's first.
        sum: the name of the sum of an output at this place.
    """

    name: str
    row: int
    column: int
    offset: int
    sum: str


@dataclass(frozen=True)
class Output:
    """A channel or unit of a block, as the C calls it.

    Attributes:
        index: its place in the block.
        acc: the name of its sum, where the block has one place.
        weight: the name of a weight of it.
        number: its number in the layer, counted from the block's ``first``, in C.
        places: those of a pool window that the block covers; one for a dense layer.
    """

    index: int
    acc: str
    weight: str
    number: str
    places: list[Place]


def _column(layer: Layer) -> int:
    """Values of the input from one place of a pool window to the next in its row."""
    return layer.stage.stride * layer.input_shape[-1]


def block(layer: Layer) -> list[Output]:
    """The outputs that a kernel with blocks computes at once."""
    outputs, rows, columns = layer.layout.block
    return [
        Output(
            index,
            f"acc{index}",
            f"w{index}",
            plus("first", index),
            [
                Place(f"{p}{q}", p, q, q * _column(layer), f"acc{index}_{p}{q}")
                for p in range(rows)
                for q in range(columns)
            ],
        )
        for index in range(outputs)
    ]


def gathers(layer: Layer) -> list[dict[str, Any]]:
    """The vectors of 16 inputs that a kernel with taps gathers: of each column of a pool window."""
    vectors = layer.constants[0].values.shape[-1] // 16
    return [
        {
            "value": f"value{column}{n}",
            "column": column,
            "base": plus("in", column * _column(layer)),
            "taps": plus(f"{layer.name}_taps", 16 * n),
            "weight": plus("weight", 16 * n),
        }
        for column in range(layer.stage.pool_size)
        for n in range(vectors)
    ]


def unit_pairs(layer: Layer) -> list[dict[str, str]]:
    """The units of a block two by two: what the C calls them and their sums."""
    outputs = block(layer)
    return [
        {"both": f"both{n}", "weight": f"w{n}", "even": even.acc, "odd": odd.acc}
        | {"even_number": even.number, "odd_number": odd.number}
        | {"at02": str(even.index), "at13": str(odd.index)}
        for n, (even, odd) in enumerate(zip(outputs[0::2], outputs[1::2], strict=True))
    ]


@dataclass(frozen=True)
class Sum:
    """A vector of sums, at one place of the input.

    Attributes:
        name: what the C calls it.
        number: of its vector of weights, in a block.
        vector: the same in the whole layer, in C.
        row: of a pool window.
        offset: values of the input from the block's first to this place's first.
    """

    name: str
    number: int
    vector: str
    row: int = 0
    offset: int = 0


@dataclass(frozen=True)
class Vector:
    """A vector of outputs that a block of lanes makes.

    Attributes:
        name: what the C calls it.
        sums: those of its pool window; all have the same vector of weights.
        to: where it is stored, in C.
        count: how many of its lanes are outputs, in C.
    """

    name: str
    sums: list[Sum]
    to: str
    count: str


def _vector_block(layer: Layer) -> VectorBlock:
    """What a kernel whose lanes are channels or units computes at once."""
    assert layer.layout.vector_block
    return layer.layout.vector_block


def vectors(layer: Layer) -> list[Vector]:
    """The vectors of outputs that a block of lanes makes: all vectors of each pool window."""
    lanes, _, blocks, fold, windows = _vector_block(layer)
    features, size, step = layer.stage.features, layer.stage.pool_size, _column(layer)
    columns = size if fold == 1 else 1
    found = []
    for window in range(windows):
        for number in range(blocks):
            mark = f"{window}_{number}" if layer.is_conv and blocks > 1 else f"{window + number}"
            vector = plus("block", number)
            sums = [
                Sum(
                    f"acc{mark}_{p}_{q}" if layer.is_conv else f"acc{mark}",
                    number,
                    vector,
                    p,
                    (window * size + q) * step,
                )
                for p in range(size)
                for q in range(columns)
            ]
            to = plus("out", window * features + lanes * number)
            found.append(
                Vector(
                    f"out{mark}",
                    sums,
                    to if layer.is_conv else f"{to} + {lanes} * block",
                    f"{features - lanes * number} - {lanes} * block",
                )
            )
    return found


def quads(layer: Layer, outputs: list[Vector]) -> list[dict[str, Any]]:
    """The vectors of four codes in each lane: of which sums, and which outputs take which codes."""
    if layer.stage.pool == "avg":
        parts = [(acc, output) for output in outputs for acc in output.sums]
    else:
        parts = [(replace(output.sums[0], name=output.name), output) for output in outputs]
    found = []
    for start in range(0, len(parts), 4):
        four = parts[start : start + 4]
        weights: dict[str, int] = {}
        for byte, (_, output) in enumerate(four):
            weights[output.name] = weights.get(output.name, 0) | 1 << 8 * byte
        sums = [acc for acc, _ in four]
        found.append(
            {
                "name": f"codes{start // 4}",
                "sums": sums + sums[-1:] * (4 - len(sums)),
                "parts": [
                    {"output": name, "weights": f"0x{weight:08X}"}
                    for name, weight in weights.items()
                ],
            }
        )
    return found


def taps_read(layer: Layer) -> int:
    """Values of one row that vectors read for one place: whole groups."""
    block = _vector_block(layer)
    return int(layer.constants[0].values.shape[-1]) // (block.lanes * block.vectors)


def vector_at(layer: Layer, name: str, vector: int) -> str:
    """Where the weights of input ``name`` for the ``vector``-th vector of a block begin, in C."""
    block = _vector_block(layer)
    return plus(times(name, block.lanes * block.vectors), block.lanes * block.taps * vector)


def reciprocal(layer: Layer) -> str:
    """Factor and shift, for C, that divide the sum of a pool window's codes as `/` does."""
    window = layer.stage.pool_size**2
    most = 255 * window + window // 2
    sums = np.arange(most + 1)
    for shift in range(31):
        factor = -(-(2**shift) // window)
        if most * factor < 2**32 and (sums * factor >> shift == sums // window).all():
            return f"{factor}, {shift}"
    raise AssertionError(f"no reciprocal of {window}")
