"""Convolutions without a pool by SMLAD: several channels at places beside each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from lenet_export.c_text import times
from lenet_export.cpus.kernel import PartialSum, divisor, with_weights
from lenet_export.cpus.smlad import SmladBytes
from lenet_export.plan import U16, Block, DType, Layer, Layout

CHANNELS = 4  # at once, at most: with two places eight sums, and registers for little else
PLACES = 2  # beside each other
TURNS = 16  # of the loop over a row that are written out: what caches of flash hold, about 1 KB


@dataclass(frozen=True)
class SmladPlaces(SmladBytes):
    """Convolutions without a pool by SMLAD: four channels at two places beside each other.

    Two codes of 16 bits meet two weights of each of two channels. A value that is loaded serves
    four channels, and a weight both places: six words are loaded for 32 products.
    """

    template: str = "smlad_places"
    codes: DType = field(default=U16, kw_only=True)
    kinds: ClassVar[frozenset[str]] = frozenset({"conv"})
    pools: ClassVar[frozenset[str] | None] = frozenset({"none"})
    strides_may_differ: ClassVar[bool] = True
    reads_any_byte: ClassVar[bool] = False

    def computes(self, layer: Layer) -> bool:
        """Whether channels come in pairs, no norm wants all at once, and sums fit 24 bits."""
        return super().computes(layer) and not layer.norm and layer.fits(24)

    def pays(self, layer: Layer) -> bool:
        """Whether there are two places beside each other."""
        return layer.output_shape[1] >= PLACES

    def partial_sums(self, layer: Layer) -> list[PartialSum]:
        """The accumulators that are the upper 24 bits of a word: of the first of two channels."""
        assert layer.integers
        sums = layer.integers.acc_min[::2], layer.integers.acc_max[::2]
        return [PartialSum("even_of(both, odd)", *sums, "int24")]

    def layout(self, layer: Layer) -> Layout:
        """Two channels in each halfword of weights, two values of a row in each word."""
        features, rows = layer.stage.features, layer.weight.shape[1]
        outputs = 2 * divisor(features // 2, CHANNELS // 2)
        slack = 2 * math.prod(_turns(layer)) - layer.kernel_values
        weight = layer.plain_constants[0].values.astype(np.int16)
        weight = np.pad(weight, [(0, 0), (0, 0), (0, slack)])
        both = 256 * weight[0::2] + weight[1::2]
        values = both.reshape(features // outputs, outputs // 2, rows, -1, 2)
        values = values.transpose(0, 2, 3, 1, 4).reshape(len(values), -1)
        about = (
            f"{layer.name}: 256 * (weight of channel a) + weight of b "
            f"[channel / {outputs}][kernel row, 2 values, 2 channels, value]"
        )
        tables = with_weights(layer, values, about)
        return Layout(self, Block(outputs, columns=PLACES), tables, reload=True, slack=slack)

    def view(self, layer: Layer) -> dict[str, Any]:
        """How many places are computed at once, and from which on; where their input begins."""
        view, columns = super().view(layer), layer.output_shape[1]
        even = columns - columns % PLACES
        parts, turns = _turns(layer)
        start = times("x", layer.column_step * layer.input_shape[2])
        return view | {
            "spans": [(PLACES, 0, even), (1, even, columns)][: 1 + columns % PLACES],
            "begins": f"ws->shared.rows.{layer.source}[{view['window_top']()}] + {start}",
            "parts": parts,
            "turns": turns,
            "is_written_out": parts == 1 and layer.weight.shape[1] * turns <= 2 * TURNS,
        }


def _turns(layer: Layer) -> tuple[int, int]:
    """In how many parts a row of the kernel is multiplied, and how many pairs each has.

    A short row is one part. Parts of a long one have about as many pairs as are written out, and
    such a number that the last part is filled up with few.
    """
    pairs = -(-layer.kernel_values // 2)
    if pairs <= TURNS:
        return 1, pairs
    turns = min(range(TURNS, TURNS // 2, -1), key=lambda turns: -pairs % turns)
    return -(-pairs // turns), turns
