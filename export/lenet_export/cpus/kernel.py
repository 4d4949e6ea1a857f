"""What a kernel is: one way to compute a layer, and how that wants the layer's numbers to lie.

A kernel is a template of its name and a class, which says which layers it computes and lays them
out. It changes the order of weights and loops and the width of a code in RAM, never a number.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from lenet_export.c_text import plus
from lenet_export.plan import U8, U16, U32, Array, Constant, DType, Layer, Layout, Packing

WINDOW_COLUMNS = 4  # of a pool window, at most, that are computed at once


@dataclass(frozen=True)
class Kernel:
    """One way to compute a layer: here, any layer in plain C99.

    Attributes:
        template: the name of its template.
        codes: the type in which it reads codes from a strip of rows.
    """

    template: str = "generic"
    codes: DType = field(default=U8, kw_only=True)

    def suits(self, layer: Layer) -> bool:  # noqa: ARG002 - this one suits any
        """Whether it can compute ``layer``."""
        return True

    def layout(self, layer: Layer) -> Layout:
        """How ``layer`` lies in memory for it."""
        packing = packing_of(layer, outputs=1, most=U8)
        if packing is None:
            return Layout(self.template)
        weight = layer.plain_constants[0]
        values = packed(packing, weight.values[..., None])
        about = f"{weight.about}, {packing.about}"
        return Layout(self.template, tables=with_weights(layer, values, about), packing=packing)


GENERIC = Kernel()


def with_weights(layer: Layer, values: Array, about: str) -> tuple[Constant, ...]:
    """The tables of ``layer`` with other weights in front."""
    weight, *others = layer.plain_constants
    return replace(weight, values=np.ascontiguousarray(values), about=about), *others


def packing_of(layer: Layer, outputs: int, most: DType) -> Packing | None:
    """How weights that meet the same value lie in words.

    Args:
        layer: of any number of bits; ``None`` for 8 and for floats.
        outputs: how many weights meet a value; a power of two.
        most: the widest word that the CPU reads well.

    The word is the widest that a row of weights fills exactly; if there is none, the narrowest.
    """
    grid = layer.grid
    if grid is None:
        return None
    row = layer.kernel_values if layer.is_conv else layer.inputs
    each = outputs * grid.bits
    words = [w for w in (U32, U16, U8) if each <= 8 * w.itemsize <= 8 * most.itemsize]
    full = [w for w in words if row * each % (8 * w.itemsize) == 0] or words[-1:]
    return Packing(grid, full[0], 8 * full[0].itemsize // each)


def packed(packing: Packing, weight: Array) -> Array:
    """Weights ``(..., values, outputs)`` in words ``(..., words)``; the last is filled up by 0."""
    fields = (weight.astype(np.int64) + packing.grid.peak) // packing.grid.spacing
    fill = [(0, 0)] * (fields.ndim - 2) + [(0, -fields.shape[-2] % packing.values), (0, 0)]
    filled = np.pad(fields, fill)
    shape = *filled.shape[:-2], -1, packing.values * filled.shape[-1]
    words = filled.reshape(shape) << packing.grid.bits * np.arange(shape[-1])
    values: Array = words.sum(axis=-1).astype(packing.word)
    return values


def axes(what: str, outputs: int, each: str) -> str:
    """The axes of a table in which the weights of several outputs lie side by side."""
    if outputs == 1:
        return f"[{what}][{each}]"
    return f"[{what} / {outputs}][{each}, {what} % {outputs}]"


def divisor(number: int, most: int) -> int:
    """The largest divisor of ``number`` that is at most ``most``."""
    return max(size for size in range(1, max(1, most) + 1) if number % size == 0)


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


def column_step(layer: Layer) -> int:
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
                Place(f"{p}{q}", p, q, q * column_step(layer), f"acc{index}_{p}{q}")
                for p in range(rows)
                for q in range(columns)
            ],
        )
        for index in range(outputs)
    ]
