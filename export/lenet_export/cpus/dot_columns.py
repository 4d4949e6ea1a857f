"""Convolutions of grey images by SDOT: each lane is a column."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from lenet_export.activations import function_of
from lenet_export.c_text import plus
from lenet_export.cpus.kernel import (
    Kernel,
    Pragma,
    signed_codes_fit,
    with_gains_of_31_bits,
    with_signed_codes,
    with_weights,
)
from lenet_export.cpus.lanes import PAIRED_LOADS
from lenet_export.plan import S8, Array, Block, Constant, DType, Layer, Layout

LANES = 4
TAPS = 4  # values and weights that meet in a lane
VECTOR = LANES * TAPS  # bytes
ROWS = 2  # of a pool window
CHANNELS = 6  # whose sums, of both rows, are twelve vectors


@dataclass(frozen=True)
class DotColumns(Kernel):
    """An int8 convolution of an image of one channel, with a pool of 2x2: each lane is a column.

    Four values from each column on meet four weights, which an instruction takes from a lane of a
    vector. A fifth column of the kernel is taken from four rows at once. So of a kernel of 5x5
    each row is a group of four, and what is left is two groups: of 28 products 25 are used.
    """

    template: str = "dot_columns"
    codes: DType = field(default=S8, kw_only=True)
    kinds: ClassVar[frozenset[str]] = frozenset({"conv"})
    pools: ClassVar[frozenset[str] | None] = frozenset({"avg", "max"})
    in_vectors: ClassVar[bool] = True
    pragma: ClassVar[Pragma | None] = PAIRED_LOADS

    def computes(self, layer: Layer) -> bool:
        """Whether all channels' sums have registers, pools are 2x2, and rows are whole blocks."""
        if not super().computes(layer) or layer.integers is None or layer.norm:
            return False
        falls = layer.stage.pool == "max" and not function_of(layer.stage.activation).rises
        is_grey = layer.input_shape[-1] == layer.stage.stride == 1
        fits = layer.stage.features <= CHANNELS and layer.weight.shape[2] <= 2 * TAPS
        are_whole = layer.stage.pool_size == ROWS and layer.output_shape[1] % 2 == 0
        requantize = layer.integers.requantize
        narrows = requantize is not None and bool(requantize.gain.max() < 2**requantize.shift)
        return is_grey and fits and are_whole and narrows and not falls and signed_codes_fit(layer)

    def layout(self, layer: Layer) -> Layout:
        """Groups of four weights, four groups of each channel side by side."""
        groups = [_weights(layer, group) for group in _groups(layer)]
        stacked = np.stack(groups, axis=1)
        filled = np.pad(stacked, [(0, 0), (0, -len(groups) % LANES), (0, 0)])
        about = f"{layer.name}: weights [group / {LANES}][channel, group % {LANES}, value]"
        values = filled.reshape(len(filled), -1, VECTOR).transpose(1, 0, 2)
        last = ROWS * layer.output_shape[1] - LANES + TAPS * (layer.weight.shape[2] > TAPS + 1)
        return Layout(
            self,
            Block(layer.stage.features, ROWS, LANES),
            self._tables(layer, values.reshape(len(values), -1), about),
            whole=True,
            slack=max(0, last + VECTOR - layer.strip_values),
        )

    def _tables(self, layer: Layer, values: Array, about: str) -> tuple[Constant, ...]:
        """The weights; biases and gains in vectors of four channels."""
        tables = with_signed_codes(layer, with_weights(layer, values, about))

        def in_fours(values: Array) -> Array:
            return np.pad(values, (0, -len(values) % LANES)).reshape(-1, LANES)

        return with_gains_of_31_bits(layer, tables, in_fours, f"[channel / {LANES}][{LANES}]")

    def view(self, layer: Layer) -> dict[str, Any]:
        """What is loaded of the rows, which weights it meets, in this order, and what is pooled."""
        channels = range(layer.stage.features)
        fours = [channels[first : first + LANES] for first in channels[::LANES]]
        most = [_index(f"larger_lanes(acc{c}_0, acc{c}_1)", c) for c in channels]
        pairs = [most[first : first + 2] for first in channels[::2]]
        order = [2 * c + window for window in range(2) for c in channels]
        return super().view(layer) | {
            "channels": [
                {"acc": f"acc{c}", "bias": f"bias{c // LANES}, {c % LANES}"} for c in channels
            ],
            "tables": range(len(fours)),
            "rows": range(_rows(layer)),
            "steps": _steps(layer),
            "has_fifth": layer.weight.shape[2] == TAPS + 1,
            "sums": [_sum_of(four) for four in fours],
            "pairs": [", ".join([pair[0], pair[-1]]) for pair in pairs],
            "pooled": _four([f"pooled{n}" for n in range(len(pairs))]),
            "order": order + [0] * (VECTOR - len(order)),
            "kept": len(order),
        }


def _index(acc: str, channel: int) -> str:
    """The indices of a channel's sums, in C."""
    return f"index_by_lane({acc}, gain{channel // LANES}, {channel % LANES})"


def _four(indices: list[str]) -> list[str]:
    """Four vectors of indices, of which the last are fillers."""
    return [*indices, *["broadcast(0)"] * (LANES - len(indices))]


def _sum_of(channels: range) -> dict[str, Any]:
    """What adds up the codes of pool windows of up to four channels, and the indices of these."""
    upper, lower = ([_index(f"acc{c}_{p}", c) for c in channels] for p in range(ROWS))
    if len(channels) > 2:
        return {"by": "sum_of_rows", "fours": [_four(upper), _four(lower)]}
    return {"by": "sum_of_halves", "fours": [_four(_four(upper)[:2] + lower)]}


def _steps(layer: Layer) -> list[dict[str, Any]]:
    """The vectors of values in turn: the weights that are loaded for each, and its products."""
    channels = range(layer.stage.features)
    groups, loaded = _groups(layer), set[int]()
    steps = []
    for values in _values(layer):
        meets = [(p, *divmod(groups.index(group), LANES)) for p, group in values.meets]
        vectors = sorted({vector for _, vector, _ in meets} - loaded)
        loaded.update(vectors)
        steps.append(
            {
                "name": values.name,
                "made": values.made,
                "loads": [
                    {"name": f"w{c}_{vector}", "offset": (vector * len(channels) + c) * VECTOR}
                    for vector in vectors
                    for c in channels
                ],
                "products": [
                    {"acc": f"acc{c}_{p}", "weights": f"w{c}_{vector}", "lane": lane}
                    for p, vector, lane in meets
                    for c in channels
                ],
            }
        )
    return steps


class Group(NamedTuple):
    """Four weights of each channel, some of which may be beyond the kernel.

    Attributes:
        row: of the kernel, of the first.
        column: likewise.
        is_below: whether the others are below it, and not to the right.
    """

    row: int
    column: int
    is_below: bool = False


class Values(NamedTuple):
    """A vector of four values for each column.

    Attributes:
        name: what the C calls it.
        made: of what, in C.
        meets: for rows of the pool window, the weights that these values meet.
    """

    name: str
    made: str
    meets: list[tuple[int, Group]]


def _rows(layer: Layer) -> int:
    """How many rows the places of a pool window see."""
    return int(layer.weight.shape[1]) + ROWS - 1


def _values(layer: Layer) -> list[Values]:
    """All vectors of values, in the order in which they are met."""
    rows, columns = layer.weight.shape[1:3]
    has_fifth = columns == TAPS + 1
    found = []
    for row in range(_rows(layer)):
        for start in range(0, columns - has_fifth, TAPS):
            further = plus("in", row * layer.strip_values + start)
            made = f"neighbours({f'load_inputs({further})' if start else f'row{row}'})"
            meets = [(p, Group(row - p, start)) for p in range(ROWS) if row - p in range(rows)]
            found.append(Values(f"values{row}_{start}", made, meets))
    for first in range(0, _rows(layer) if has_fifth else 0, TAPS):
        seen = [f"row{row}" for row in range(first, min(first + TAPS, _rows(layer)))]
        meets = [
            (p, Group(first - p, TAPS, is_below=True)) for p in range(ROWS) if first - p < rows
        ]
        found.append(Values(f"fifth{first}", _below(seen), meets))
    return found


def _below(rows: list[str]) -> str:
    """The fifth values of up to four rows, in C; what is more meets weights of 0."""
    four = [rows[place % len(rows)] for place in range(TAPS)]
    return f"below({', '.join(four)})" if len(rows) > 2 else f"below_two({four[0]}, {four[1]})"


def _groups(layer: Layer) -> list[Group]:
    """All groups of weights, in the order in which they are met."""
    return list(dict.fromkeys(group for values in _values(layer) for _, group in values.meets))


def _weights(layer: Layer, group: Group) -> Array:
    """The weights of a group, int8 ``(channels, 4)``; those beyond the kernel are 0."""
    kernel = np.pad(layer.weight[..., 0], [(0, 0), (TAPS, TAPS), (0, TAPS)])
    row, column = group.row + TAPS, group.column
    if group.is_below:
        return kernel[:, row : row + TAPS, column]
    return kernel[:, row, column : column + TAPS]
