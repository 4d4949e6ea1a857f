"""Several sums at a time in plain C99."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from lenet_export.activations import CODE_MAX
from lenet_export.c_text import plus, times
from lenet_export.cpus import operands
from lenet_export.cpus.kernel import (
    GENERIC,
    WINDOW_COLUMNS,
    BlockOutput,
    Kernel,
    PartialSum,
    Pragma,
    WindowPlace,
    axes,
    block,
    divisor,
    packed,
    packing_of,
    with_weights,
)
from lenet_export.plan import U32, Block, Constant, DType, Layer, Layout

NARROW = 4  # sums, for CPUs with few registers: clang is not to make more pointers of one
COPY_MAX = 512  # bytes of weights that are copied to the stack


@dataclass(frozen=True)
class Blocked(Kernel):
    """Several sums at a time, in plain C99: a value or weight that is loaded serves all of them.

    Attributes:
        sums: how many sums the CPU has registers for.
        dense_sums: the same in dense layers, whose weights need more registers; 0: as many.
        short_sums: likewise, where sums fit 16 bits; 0: as many.
        rows: how many rows of a pool window at most are computed at once.
        unroll: how many turns of a convolution's inner loop are written out at most; of a dense
            layer's, which gains less by it, a quarter of them. 0: as the compiler likes.
        table_max: bytes that a table of weights may have; 0: any number.
        reload: whether a convolution loads values again rather than keeps them in registers.
        word: the widest word of packed weights that the CPU reads well.
        packs: whether it reads weights of few bits from words of several.
    """

    template: str = "blocked"
    sums: int = 8
    dense_sums: int = 0
    short_sums: int = 0
    rows: int = 2
    unroll: int = 32
    table_max: int = 0
    reload: bool = False
    word: DType = field(default=U32, kw_only=True)
    packs: bool = field(default=True, kw_only=True)
    adds_in_order: ClassVar[bool] = True
    sums_fields: ClassVar[bool] = True
    strides_may_differ: ClassVar[bool] = True
    kinds: ClassVar[frozenset[str]] = frozenset({"conv", "depthwise", "dense"})

    def computes(self, layer: Layer) -> bool:
        """Whether there is room for a copy of a channel's weights, where they are packed.

        The channels of a depthwise convolution must be those of its input.
        """
        has_room = not self._is_copied(layer) or layer.weight[0].size <= COPY_MAX
        is_own = not layer.is_depthwise or layer.stage.features == layer.input_shape[-1]
        return has_room and is_own and super().computes(layer)

    def _is_copied(self, layer: Layer) -> bool:
        """Whether a channel's weights are unpacked to the stack."""
        return layer.is_conv and self.packs and layer.grid is not None

    def layout(self, layer: Layer) -> Layout:
        """The block, and the weights that meet one value side by side."""
        if not layer.is_conv:
            is_short = self.short_sums and layer.packed_fits(16)
            units = self._outputs(
                layer, self.short_sums if is_short else self.dense_sums or self.sums
            )
            return self._layout(layer, Block(units))
        size = layer.stage.pool_size
        columns = divisor(size, min(WINDOW_COLUMNS, self.sums))
        rows = divisor(size, min(self.rows, self.sums // columns))
        most = self.sums // (rows * columns)
        if self._is_copied(layer):
            most = min(most, COPY_MAX // layer.weight[0].size)
        channels = self._outputs(layer, most)
        return self._layout(layer, Block(channels, rows, columns))

    def partial_sums(self, layer: Layer) -> list[PartialSum]:
        """Of a dense layer of few bits: what it sums in place of weights, and what it repays."""
        packing = layer.layout.packing
        if layer.is_conv or packing is None:
            return []
        peak, spacing, acc = packing.grid.peak, packing.grid.spacing, operands.acc_type(layer)
        sums = CODE_MAX * ((layer.weight.astype(np.int64) + peak) // spacing).sum(axis=1)
        total = np.array(CODE_MAX * layer.inputs * peak)
        none = np.zeros_like(sums)
        found = [PartialSum("sum(field * code)", none, sums, operands.sum_type(layer))]
        if spacing > 1:
            found.append(PartialSum(f"{spacing} * sum", none, spacing * sums, acc))
        return [*found, PartialSum(times("total", peak), none, total, acc)]

    def view(self, layer: Layer) -> dict[str, Any]:
        """The outputs that are computed at once, and how their weights are read."""
        outputs = layer.layout.block.outputs
        packing = layer.layout.packing
        return super().view(layer) | {
            "outputs": block(layer),
            "field_bits": packing and packing.grid.bits * outputs,
            "kernel_size": outputs * layer.weight[0].size,
            "factor": partial(operands.factor, layer),
            "is_narrow": math.prod(layer.layout.block) <= NARROW,
            "first_of": partial(operands.first_of, layer),
            "selects": operands.selects(layer),
            "selected": lambda output: f"word & {1 << output}",
            "weight": partial(operands.weight, layer),
            "own_value": partial(_own_value, layer),
        }

    def _outputs(self, layer: Layer, most: int) -> int:
        """How many outputs a block of at most ``most`` has: blocks share them evenly.

        Where weights are packed it is a power of two, as their bits are, so that a word holds all
        that meet a value.
        """
        grid = layer.grid
        if grid is None or not self.packs:
            return divisor(layer.stage.features, most)
        power_of_two = layer.stage.features & -layer.stage.features
        return divisor(power_of_two, min(most, 8 * self.word.itemsize // grid.bits))

    def _layout(self, layer: Layer, at_once: Block) -> Layout:
        """The weights that meet one value side by side."""
        features = layer.stage.features
        shape = layer.plain_constants[0].values.shape[1:]
        blocks = layer.weight.reshape(features // at_once.outputs, at_once.outputs, *shape)
        values = np.moveaxis(blocks, 1, -1)
        what = "channel" if layer.is_conv else "unit"
        each = "kernel row][kernel column, input channel" if layer.is_conv else "input"
        if layer.is_depthwise:
            each = "kernel row][kernel column"
        about = f"{layer.name}: weights {axes(what, at_once.outputs, each)}"
        packing = packing_of(layer, at_once.outputs, self.word)
        turn = packing.values if packing and not layer.is_conv else 1
        if packing:
            values, about = packed(packing, values), f"{about}, {packing.about}"
        else:
            values = values.reshape(len(blocks), *shape[:-1], -1)
        tables = with_weights(layer, values, about)
        if self.table_max:
            tables = *_parts(tables[0], self.table_max), *tables[1:]
        if layer.is_conv:
            unroll = min(layer.kernel_values, self.unroll)
        else:
            unroll = self.unroll and divisor(-(-layer.inputs // turn), self.unroll // 4 // turn)
        return Layout(self, at_once, tables, unroll, self.reload, packing=packing)


def _own_value(layer: Layer, column: str, place: WindowPlace, output: BlockOutput) -> str:
    """Where the value of a depthwise channel lies at a place, at a column of the kernel, in C."""
    return plus(times(column, layer.input_shape[-1]), place.offset + output.index)


def _parts(table: Constant, most: int) -> list[Constant]:
    """``table`` in parts of at most ``most`` bytes each, along its first axis."""
    values = table.values
    blocks = most // values[0].nbytes
    if values.nbytes <= most or not blocks:
        return [table]
    return [
        replace(
            table,
            name=f"{table.name}_{place}",
            values=values[start : start + blocks],
            about=f"{table.about}, from block {start} on",
        )
        for place, start in enumerate(range(0, len(values), blocks))
    ]


@dataclass(frozen=True)
class Copied(Blocked):
    """Convolutions of few bits, for CPUs that walk pointers better than they index them.

    A channel's weights are unpacked to RAM once for each row of outputs.
    """

    template: str = "copied"
    sums: int = 1
    rows: int = 1
    kinds: ClassVar[frozenset[str]] = frozenset({"conv"})
    pragma: ClassVar[Pragma | None] = Pragma(
        "The kernels walk two pointers. gcc would keep what it could work out again, and spill "
        "sums.",
        ("no-gcse", "no-tree-pre"),
    )

    def computes(self, layer: Layer) -> bool:
        """Whether it is a convolution whose weights are packed, with a small pool window."""
        is_small = layer.stage.pool_size <= WINDOW_COLUMNS
        return is_small and self._is_copied(layer) and super().computes(layer)

    def layout(self, layer: Layer) -> Layout:
        """A channel's weights in a row, at the places of one row of a pool window."""
        columns = Block(columns=layer.stage.pool_size)
        return replace(GENERIC.layout(layer), kernel=self, block=columns, unroll=0)

    def partial_sums(self, layer: Layer) -> list[PartialSum]:
        """The sums over one row of the kernel, where they have a type of their own."""
        row_type = operands.row_type(layer)
        if row_type == operands.acc_type(layer):
            return []
        rows = layer.weight.reshape(*layer.weight.shape[:2], -1).astype(np.int64)
        least, most = (CODE_MAX * part(rows, 0).sum(axis=-1) for part in (np.minimum, np.maximum))
        return [PartialSum("sum of a kernel row", least, most, row_type)]

    def view(self, layer: Layer) -> dict[str, Any]:
        """The type of a sum over one row of the kernel, too."""
        return super().view(layer) | {"row_type": operands.row_type(layer)}
