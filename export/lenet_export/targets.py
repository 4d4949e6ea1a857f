"""The CPUs that the C can be printed for: the kernels of each, and how its numbers lie in memory.

All kernels answer to the same plan and the same reference. A kernel changes the order of weights
and loops and the width of a code in RAM, never a number. Each is a template of its name; its class
here says which layers it suits, and lays them out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lenet_export.activations import ACTIVATIONS
from lenet_export.errors import UserError
from lenet_export.plan import (
    F32,
    S32,
    U8,
    U16,
    U32,
    Array,
    Block,
    Constant,
    DType,
    Layer,
    Layout,
    Packing,
    Plan,
    VectorBlock,
)

S8, S16 = np.dtype(np.int8), np.dtype(np.int16)
COLUMNS = 4  # of a pool window, at most, that are computed at once
COPY_MAX = 512  # bytes of weights that are copied to the stack
MOST_VECTORS = 8  # of sums in a dense layer's loop: enough to hide an instruction's latency


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


def _axes(what: str, outputs: int, each: str) -> str:
    """The axes of a table in which the weights of several outputs lie side by side."""
    if outputs == 1:
        return f"[{what}][{each}]"
    return f"[{what} / {outputs}][{each}, {what} % {outputs}]"


def divisor(number: int, most: int) -> int:
    """The largest divisor of ``number`` that is at most ``most``."""
    return max(size for size in range(1, max(1, most) + 1) if number % size == 0)


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

    def suits(self, layer: Layer) -> bool:
        """Whether there is room for a copy of a channel's weights, where they are packed."""
        return not self._is_copied(layer) or layer.weight[0].size <= COPY_MAX

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
        columns = divisor(size, min(COLUMNS, self.sums))
        rows = divisor(size, min(self.rows, self.sums // columns))
        most = self.sums // (rows * columns)
        if self._is_copied(layer):
            most = min(most, COPY_MAX // layer.weight[0].size)
        channels = self._outputs(layer, most)
        return self._layout(layer, Block(channels, rows, columns))

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

    def _layout(self, layer: Layer, block: Block) -> Layout:
        """The weights that meet one value side by side."""
        features = layer.stage.features
        shape = layer.plain_constants[0].values.shape[1:]
        blocks = layer.weight.reshape(features // block.outputs, block.outputs, *shape)
        values = np.moveaxis(blocks, 1, -1)
        what = "channel" if layer.is_conv else "unit"
        each = "kernel row][kernel column, input channel" if layer.is_conv else "input"
        about = f"{layer.name}: weights {_axes(what, block.outputs, each)}"
        packing = packing_of(layer, block.outputs, self.word)
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
        return Layout(self.template, block, tables, unroll, self.reload, packing=packing)


@dataclass(frozen=True)
class Copied(Blocked):
    """Convolutions of few bits, for CPUs that walk pointers better than they index them.

    A channel's weights are unpacked to RAM once for each row of outputs.
    """

    template: str = "copied"
    sums: int = 1
    rows: int = 1

    def suits(self, layer: Layer) -> bool:
        """Whether it is a convolution whose weights are packed, with a small pool window."""
        is_small = layer.stage.pool_size <= COLUMNS
        return is_small and self._is_copied(layer) and super().suits(layer)

    def layout(self, layer: Layer) -> Layout:
        """A channel's weights in a row, at the places of one row of a pool window."""
        block = Block(columns=layer.stage.pool_size)
        return replace(GENERIC.layout(layer), kernel=self.template, block=block, unroll=0)


@dataclass(frozen=True)
class Pairs(Blocked):
    """Convolutions by Arm's SMLAD: two codes and two weights of 16 bits at a time."""

    template: str = "smlad"
    codes: DType = field(default=U16, kw_only=True)
    packs: bool = field(default=False, kw_only=True)

    def suits(self, layer: Layer) -> bool:
        """Whether it is a convolution of integers."""
        return layer.is_conv and layer.integers is not None

    def _layout(self, layer: Layer, block: Block) -> Layout:
        """The channels' pairs side by side; an odd row's last pair has a weight of 0."""
        channels, (features, rows, kernel) = block.outputs, layer.plain_constants[0].values.shape
        pairs = -(-kernel // 2)
        weight = np.zeros((features, rows, 2 * pairs), np.int16)
        weight[..., :kernel] = layer.weight.reshape(features, rows, -1)
        values = weight.reshape(-1, channels, rows, pairs, 2).transpose(0, 2, 3, 1, 4)
        about = (
            f"{layer.name}: weights [channel / {channels}][kernel row]"
            f"[pair of values, channel % {channels}, place in the pair]"
        )
        tables = with_weights(layer, values.reshape(len(values), rows, -1), about)
        unroll = min(pairs, self.unroll // 2)
        return Layout(self.template, block, tables, unroll, slack=2 * pairs - kernel)


@dataclass(frozen=True)
class Quads(Kernel):
    """Layers by SMLAD on bytes: four codes at a time, two outputs in each halfword of weights.

    Attributes:
        units: how many units of a dense layer are computed at once; an even number.
    """

    template: str = "smlad_bytes"
    units: int = 8

    def suits(self, layer: Layer) -> bool:
        """Whether its outputs come in pairs, and their sums without bias fit 24 bits."""
        if layer.integers is None or layer.stage.features % 2 or layer.stage.pool_size > 2:
            return False
        if layer.grid:
            return False  # bytes would be what few bits are to save
        if layer.is_conv and 2 * (-layer.kernel_values % 4) > layer.kernel_values:
            return False  # more than a third of what it multiplies would be filled up
        sums = layer.integers.acc_min - layer.bias, layer.integers.acc_max - layer.bias
        return bool(sums[0].min() >= -(2**23) and sums[1].max() < 2**23)

    def layout(self, layer: Layer) -> Layout:
        """The block, and two outputs in each halfword of weights."""
        features, what = layer.stage.features, "channel" if layer.is_conv else "unit"
        outputs = 2 if layer.is_conv else 2 * divisor(features // 2, self.units // 2)
        weight = layer.plain_constants[0].values.astype(np.int16)
        weight = np.pad(weight, [(0, 0)] * (weight.ndim - 1) + [(0, -weight.shape[-1] % 4)])
        both = (256 * weight[0::2] + weight[1::2]).reshape(
            features // outputs, outputs // 2, -1, 2, 2
        )
        # Values 0 and 2 of four meet one word, values 1 and 3 the next.
        values = both.transpose(0, 2, 1, 4, 3).reshape(len(both), -1)
        about = (
            f"{layer.name}: 256 * (weight of {what} a) + weight of b "
            f"[{what} / {outputs}][4 values, 2 {what}s, values 0 2 1 3]"
        )
        block = Block(outputs, columns=layer.stage.pool_size)
        slack = -(layer.kernel_values if layer.is_conv else layer.inputs) % 4
        tables = with_weights(layer, values, about)
        return Layout(self.template, block, tables, slack=slack)


@dataclass(frozen=True)
class Vectors(Blocked):
    """Layers by Arm's MVE: 16 codes, less 128 each, and 16 weights of 8 bits at a time."""

    template: str = "mve"
    packs: bool = field(default=False, kw_only=True)

    def suits(self, layer: Layer) -> bool:
        """Whether it is a layer of integers, and its bias still fits with the 128s in it.

        A dense layer of few bits would lose what they are for: it has most of the weights.
        """
        is_packed = layer.grid is not None and not layer.is_conv
        if layer.integers is None or is_packed:
            return False
        return bool(np.abs(_bias_of_shifted(layer)).max() < 2**31)

    def _layout(self, layer: Layer, block: Block) -> Layout:
        """16 weights of each channel or unit in turn, those beyond a row or the inputs 0."""
        features, rows = layer.stage.features, layer.weight.shape[1] if layer.is_conv else 1
        weight = _filled(layer.weight.reshape(features, rows, -1))
        values = weight.reshape(features // block.outputs, block.outputs, rows, -1, VECTOR)
        values = values.transpose(0, 2, 3, 1, 4)
        what = "channel" if layer.is_conv else "unit"
        each = "kernel row, 16 columns and inputs" if layer.is_conv else "16 inputs"
        within = f"{what} % {block.outputs}, value"
        about = f"{layer.name}: weights [{what} / {block.outputs}][{each}, {within}]"
        tables = with_weights(layer, values.reshape(len(values), -1), about)
        slack = -(layer.kernel_values if layer.is_conv else layer.inputs) % VECTOR
        return Layout(self.template, block, _shifted(layer, tables), slack=slack)


@dataclass(frozen=True)
class Taps(Vectors):
    """A convolution by MVE whose kernel's inputs are gathered once for all channels.

    It needs rows so short that offsets of a byte reach the whole kernel, and so small a kernel that
    its vectors stay in registers.
    """

    template: str = "mve_taps"
    sums: int = 16

    def suits(self, layer: Layer) -> bool:
        """Whether rows and kernel are small, gathering loads fewer vectors, and no norm follows."""
        if not layer.is_conv or layer.norm or not super().suits(layer):
            return False
        last = (layer.weight.shape[1] - 1) * layer.strip_values + layer.kernel_values - 1
        vectors = -(-layer.weight[0].size // VECTOR)
        rows = layer.weight.shape[1] * -(-layer.kernel_values // VECTOR)
        return bool(last < 2**8 and vectors * layer.stage.pool_size <= 4 and vectors < rows)

    def layout(self, layer: Layer) -> Layout:
        """All weights of a channel in a row, and the places of its inputs in the strip."""
        channels = divisor(layer.stage.features, self.sums // layer.stage.pool_size)
        weight = _filled(layer.weight.reshape(len(layer.weight), -1))
        about = f"{layer.name}: weights [channel][kernel row, column, input]"
        tables = with_weights(layer, weight, about)
        block = Block(channels, columns=layer.stage.pool_size)
        return Layout(self.template, block, (*_shifted(layer, tables), _taps(layer)))


def _filled(values: Array) -> Array:
    """``values`` with its last axis filled up to whole vectors by 0."""
    fill = [(0, 0)] * (values.ndim - 1) + [(0, -values.shape[-1] % VECTOR)]
    return np.pad(values, fill)


def _shifted(layer: Layer, tables: tuple[Constant, ...]) -> tuple[Constant, ...]:
    """``tables`` with the biases of codes that are less 128."""
    weight, bias, *others = tables
    about = f"{bias.about}; 128 * the sum of the weights is in it"
    values = _bias_of_shifted(layer).astype(np.int32)
    return weight, replace(bias, values=values, about=about), *others


def _taps(layer: Layer) -> Constant:
    """Where a kernel's inputs lie in the strip, uint8 ``(taps,)``, from the first of them."""
    rows = np.arange(layer.weight.shape[1])[:, None] * layer.strip_values
    taps = _filled((rows + np.arange(layer.kernel_values)).ravel()).astype(np.uint8)
    about = f"{layer.name}: where a kernel's inputs lie in the strip"
    return Constant(f"{layer.name}_taps", taps, about)


def _bias_of_shifted(layer: Layer) -> Array:
    """The biases where each code is less 128, int64."""
    bias: Array = layer.bias + 128 * layer.weight.reshape(len(layer.weight), -1).sum(1, np.int64)
    return bias


@dataclass(frozen=True)
class Lanes(Kernel):
    """Vectors of 32-bit sums by x86's intrinsics: each lane is a channel or unit.

    Attributes:
        lanes: of a vector.
        taps: how many values and weights of one lane an instruction multiplies.
        sums: how many vectors of sums a convolution computes at once, at most: gcc 12 keeps two
            copies of one that VPDPBUSD adds to, so that there half the registers must do.
        vectors: how many vectors of channels share a value that is loaded, at most.
        weights: the type of a weight in flash.
    """

    template: str = "lanes"
    lanes: int = 16
    taps: int = 4
    sums: int = 14
    vectors: int = 1
    weights: DType = field(default=S8, kw_only=True)

    def suits(self, layer: Layer) -> bool:
        """Whether it multiplies its kind of weight, has no norm, and its maximum may come first.

        A maximum of sums is activated once: that is so where the activation never falls.
        """
        function = ACTIVATIONS.get(layer.stage.activation)  # the last layer has none
        falls = layer.stage.pool == "max" and function is not None and not function.rises
        is_float = layer.integers is None
        return is_float == (self.weights == F32) and not layer.norm and not falls

    def layout(self, layer: Layer) -> Layout:
        """The weights that meet one group of values side by side, lane by lane.

        If all columns of a pool window fit a vector, lane ``q * channels + c`` is channel c of
        column q: its kernel lies q strides further to the right. As many pool windows beside each
        other as there are registers for share a vector of weights.
        """
        weight = layer.weight.reshape(*layer.weight.shape[:2], -1)
        weight = weight if layer.is_conv else layer.weight[:, None]
        size, step = layer.stage.pool_size, layer.stage.stride * layer.input_shape[-1]
        fold = size if size * layer.stage.features <= self.lanes else 1
        features, rows, kernel = weight.shape
        taps = kernel + (fold - 1) * step
        groups = -(-taps // self.taps)
        blocks = -(-fold * features // self.lanes)
        passes = -(-blocks // (self.vectors if layer.is_conv else MOST_VECTORS))
        vectors = -(-blocks // passes)
        blocks = passes * vectors
        windows = 1
        if layer.is_conv:
            places = size * (1 if fold > 1 else size)
            windows = divisor(layer.output_shape[1], self.sums // (places * vectors))
        full = np.zeros((blocks * self.lanes, rows, groups * self.taps), self.weights)
        for q in range(fold):
            lane, column = q * features, q * step
            full[lane : lane + features, :, column : column + kernel] = weight
        split = full.reshape(passes, vectors, self.lanes, rows, groups, self.taps)
        values = split.transpose(0, 3, 4, 1, 2, 5).reshape(passes, rows, -1)
        if not layer.is_conv:
            values = values[:, 0]
        tables = self._tables(layer, values, blocks, fold)
        return Layout(
            self.template,
            tables=tables,
            whole=True,
            slack=groups * self.taps - taps,
            vector_block=VectorBlock(self.lanes, self.taps, vectors, fold, windows),
        )

    def _tables(self, layer: Layer, values: Array, blocks: int, fold: int) -> tuple[Constant, ...]:
        """The weights, and biases and gains of whole vectors; lanes that are left over have 0."""
        what = "channel" if layer.is_conv else "unit"
        lane = f"column of the pool window, {what}" if fold > 1 else what
        where = "[vector][kernel row][group of values" if layer.is_conv else "[vectors][input group"
        about = f"{layer.name}: weights {where}, lane, value]; a lane is a {lane}"
        weight, *others = with_weights(layer, values, about)
        tables = [weight]
        for table in others:
            full = np.zeros(blocks * self.lanes, F32 if table.values.dtype == F32 else S32)
            full[: fold * len(table.values)] = np.tile(table.values, fold)
            tables.append(replace(table, values=full.reshape(blocks, self.lanes)))
        return tuple(tables)


@dataclass(frozen=True)
class Columns(Kernel):
    """A float32 convolution by x86's intrinsics: each lane is a column.

    Attributes:
        lanes: of a vector.
        channels: how many are computed at once, at most, each in two vectors.
    """

    template: str = "columns"
    lanes: int = 16
    channels: int = 6
    codes: DType = field(default=F32, kw_only=True)

    def suits(self, layer: Layer) -> bool:
        """Whether the columns lie side by side, whole pool windows in two vectors, without norm."""
        if not layer.is_conv or layer.integers is not None or layer.norm:
            return False
        if layer.input_shape[-1] != 1 or layer.stage.stride != 1:
            return False
        return 2 * self.lanes % layer.row_step == 0

    def layout(self, layer: Layer) -> Layout:
        """The weights that meet one value side by side; rows up to whole pairs of vectors."""
        channels = divisor(layer.stage.features, self.channels)
        kernel = layer.weight.shape[1:3]
        values = layer.weight.reshape(-1, channels, *kernel).transpose(0, 2, 3, 1)
        about = (
            f"{layer.name}: weights [channel / {channels}][kernel row]"
            f"[kernel column, channel % {channels}]"
        )
        tables = with_weights(layer, values.reshape(len(values), kernel[0], -1), about)
        columns = 2 * self.lanes
        read = -(-layer.output_shape[1] * layer.row_step // columns) * columns + kernel[1] - 1
        slack = max(0, read - layer.strip_values)
        block = Block(channels, columns=columns)
        return Layout(self.template, block, tables, whole=True, slack=slack)


@dataclass(frozen=True)
class Target:
    """A CPU.

    Attributes:
        kernels: for ``speed``, ``ram`` and ``flash``: a layer gets the first that suits it, or the
            generic one.
        headers: the headers of its compiler's intrinsics; where another machine verifies the C, it
            takes those in ``imitated/``.
        in_order: whether gcc is told to keep the order of loads until it has chosen registers.
        program_memory: the bytes of tables for which there is room in a memory of their own, which
            ``avr/pgmspace.h`` reads; 0: there is no such memory.
        ram: the bytes that the workspace may have; 0: any number.
        saturates: whether there is ``__usat`` of ``arm_acle.h``, which clamps in one instruction.
        flags: what its compiler must be told.
        moves_vectors: whether it has MVE, by which rows are moved.
        lanes: 32-bit numbers in a vector; 0: it has none.
        requires: the macros by which its compiler says that it was told.
        features: what a machine that verifies must have, as ``__builtin_cpu_supports`` names it.
    """

    kernels: dict[str, tuple[Kernel, ...]]
    headers: tuple[str, ...] = ()
    in_order: bool = False
    program_memory: int = 0
    ram: int = 0
    saturates: bool = False
    flags: tuple[str, ...] = ()
    moves_vectors: bool = False
    lanes: int = 0
    requires: tuple[str, ...] = ()
    features: tuple[str, ...] = ()

    @property
    def vector_bits(self) -> int:
        """Of a vector: x86's names of types and intrinsics have it."""
        return 32 * self.lanes

    @property
    def vector_bytes(self) -> int:
        """Of a vector."""
        return 4 * self.lanes


VECTOR = 16  # bytes
TABLE_MAX = 2**15 - 1  # bytes of an object that avr-gcc takes
OPTIMIZE = ("speed", "ram", "flash")
GENERIC = Kernel()
ARM: Any = {"headers": ("arm_acle.h",), "saturates": True, "in_order": True}
AVR: Any = {
    "kernels": dict.fromkeys(
        OPTIMIZE,
        (
            Copied(),
            Blocked(sums=4, short_sums=8, rows=1, unroll=0, table_max=TABLE_MAX, word=U8),
        ),
    ),
    "headers": ("avr/pgmspace.h",),
}


def _choices(
    small: Blocked, *fast: Kernel, flash: tuple[Kernel, ...] = ()
) -> dict[str, tuple[Kernel, ...]]:
    """The kernels for each choice; a layer that no fast one suits gets the small one.

    That needs the least RAM; with fewer sums and its loops hardly unrolled also the least flash.
    """
    smallest = replace(small, sums=min(small.sums, 4), unroll=min(small.unroll, 5))
    return {"speed": (*fast, small), "ram": (small,), "flash": (*flash, smallest)}


#: By name of the CPU. A Cortex-M7 or M33 runs the code for the M4, a Cortex-M0+ that for the M0.
#: LPM reads the lower 64 KB of an AVR, of which vectors and trampolines take a little; an Arduino
#: Uno has 32 KB for tables and code, and 2 KB of RAM for workspace and stack.
TARGETS = {
    "generic": Target(dict.fromkeys(OPTIMIZE, ())),
    "cortex-m0": Target(_choices(Blocked(sums=4, reload=True)), in_order=True),
    "cortex-m3": Target(_choices(Blocked(reload=True)), **ARM),
    "cortex-m4": Target(
        _choices(Blocked(reload=True), Pairs(), Quads(), flash=(Quads(units=2),)), **ARM
    ),
    "cortex-m55": Target(
        _choices(Blocked(reload=True), Taps(), Vectors(dense_sums=6)),
        headers=("arm_acle.h", "arm_mve.h"),
        moves_vectors=True,
        saturates=True,
        in_order=True,
    ),
    "avr": Target(program_memory=2**16 - 512, **AVR),
    "atmega328p": Target(program_memory=2**15 - 2**12, ram=2**11 - 2**8, **AVR),
    "x86-64-v3": Target(
        dict.fromkeys(
            OPTIMIZE,
            (
                Lanes(lanes=8, sums=8, vectors=2, taps=2, weights=S16, codes=U16),
                Columns(lanes=8),
                Lanes(lanes=8, sums=12, vectors=2, taps=1, weights=F32, codes=F32),
            ),
        ),
        headers=("immintrin.h",),
        flags=("-march=x86-64-v3",),
        lanes=8,
        requires=("__AVX2__", "__FMA__"),
        features=("avx2", "bmi2", "fma"),
    ),
    "x86-64-v4": Target(
        dict.fromkeys(
            OPTIMIZE, (Lanes(), Columns(), Lanes(sums=24, taps=1, weights=F32, codes=F32))
        ),
        headers=("immintrin.h",),
        flags=("-march=x86-64-v4", "-mavx512vnni", "-mavx512vbmi"),
        lanes=16,
        requires=("__AVX512F__", "__AVX512VNNI__", "__AVX512VBMI__"),
        features=(
            "avx512f",
            "avx512bw",
            "avx512cd",
            "avx512dq",
            "avx512vl",
            "avx512vnni",
            "avx512vbmi",
        ),
    ),
    "riscv32": Target(_choices(Blocked(sums=16, dense_sums=8, reload=True)), in_order=True),
}


def choices(cpu: str) -> list[str]:
    """What ``--optimize`` may be for ``cpu``, less those that print the same kernels as another."""
    kernels = TARGETS[cpu].kernels
    return [
        optimize
        for place, optimize in enumerate(OPTIMIZE)
        if kernels[optimize] not in [kernels[other] for other in OPTIMIZE[:place]]
    ]


def lay_out(plan: Plan, cpu: str, optimize: str) -> Plan:
    """``plan`` with the layouts of a CPU's kernels.

    Args:
        plan: as made, with the generic layout.
        cpu: a name in :data:`TARGETS`.
        optimize: ``speed``, ``ram`` or ``flash``.

    Raises:
        UserError: the CPU has no such choice, or cannot hold the tables.
    """
    if optimize != "speed" and len(choices(cpu)) == 1:
        several = [name for name in TARGETS if len(choices(name)) > 1]
        raise UserError(
            f"--optimize {optimize}",
            f"--cpu {cpu} has one form only",
            f"leave it out, or take a --cpu of {', '.join(several)}",
        )
    of_cpu = TARGETS[cpu].kernels[optimize]
    # What plain C does beside vectors reads the same codes as they do.
    vectors = F32 if plan.dtype == "float32" else of_cpu[0].codes if of_cpu else U8
    codes = vectors if TARGETS[cpu].lanes else U8
    kernels = *of_cpu, replace(GENERIC, codes=codes)
    chosen = [next(kernel for kernel in kernels if kernel.suits(layer)) for layer in plan.layers]
    far = bool(TARGETS[cpu].program_memory)
    layouts = [
        replace(kernel.layout(layer), in_program_memory=far)
        for kernel, layer in zip(chosen, plan.layers, strict=True)
    ]
    layers = [
        replace(
            layer,
            layout=layout,
            source_dtype=_codes(kernel, layer.source_dtype),
            output_dtype=_codes(following, layer.output_dtype),
        )
        for kernel, following, layout, layer in zip(
            chosen, [*chosen[1:], GENERIC], layouts, plan.layers, strict=True
        )
    ]
    laid_out = replace(plan, layers=tuple(layers), cpu=cpu, optimize=optimize)
    if TARGETS[cpu].program_memory:
        _check_program_memory(laid_out)
    return laid_out


def _check_program_memory(plan: Plan) -> None:
    """Checks that an AVR can hold and read the tables of ``plan``, and hold its workspace.

    Raises:
        UserError: a table is too large for avr-gcc, or all are for the program memory in reach, or
            the workspace is for the RAM.
    """
    remedy = (
        "train with fewer bits (lenet-train --bits) or a smaller network, or take another --cpu"
    )
    target = TARGETS[plan.cpu]
    for constant in plan.constants:
        if constant.values.nbytes > TABLE_MAX:
            what = f"has {constant.values.nbytes:,} bytes; avr-gcc takes {TABLE_MAX:,} at most"
            raise UserError(f"table {constant.name}", what, remedy)
    for what, size, room in (
        ("constants have", plan.constant_bytes, target.program_memory),
        ("workspace has", plan.workspace_bytes, target.ram or plan.workspace_bytes),
    ):
        if size > room:
            raise UserError(
                f"--cpu {plan.cpu}",
                f"the {what} {size:,} bytes; there is room for {room:,}",
                remedy,
            )


def _codes(reader: Kernel, dtype: DType) -> DType:
    """The type of values that ``reader`` reads; floats and logits stay what they are."""
    return reader.codes if dtype == U8 else dtype
