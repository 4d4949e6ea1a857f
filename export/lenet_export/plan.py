"""From a float network to what C computes with: integers, bounds, memory.  No I/O.

The numerics are specified in docs/numerics.md. In short, for a hidden layer::

    acc   = bias + sum(weight * input code)              s32
    index = clamp(floor(acc * gain / 2^shift), 0, top)   s32, the product too
    code  = table[index], or index itself                u8

A code stands for ``(code - zero point) * scale``; the zero point is 0 unless the activation can be
negative. What a layer's input codes stand for beyond their number is in its bias.

and for the last layer the logits are its accumulators. Neither ``acc`` nor ``acc * gain`` overflows
for any input: both are bounded here over all of them.

``gain`` and ``shift`` are chosen first, and each channel's weight scale is then *defined* as the
one that they stand for. So requantization has no scale error at all: its only rounding is the
floor, and half a step for it is in the bias. Weights of fewer than 8 bits were trained with their
scale, which gain and shift then come as near as 32 bits allow.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from lenet_export.activations import ACTIVATIONS, CODE_MAX, Activation, function_of, is_known
from lenet_export.checkpoint import (
    FLOAT_MAX,
    Grid,
    Model,
    Pads,
    Stage,
    check_chain,
    grid_weights,
    label,
)
from lenet_export.errors import UserError
from lenet_export.gap_table import GapRow
from lenet_export.ink import Ink
from lenet_export.layer_norm import LayerNorm
from lenet_export.pools import POOLS
from lenet_export.quantize import INT32_MAX, Integers, quantize, quantize_normed

SIZE_MAX = 2**15 - 1  # of a row, and of the number of rows: an int has 16 bits on small CPUs

Array = npt.NDArray[Any]
DType = np.dtype[Any]

FLOAT_MIN = float(np.finfo(np.float32).tiny)
FLOAT_FAR = 3.4e38  # no activation is farther from 0

U8, U16, U32 = np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.uint32)
S8, S16 = np.dtype(np.int8), np.dtype(np.int16)
S32, F32 = np.dtype(np.int32), np.dtype(np.float32)


@dataclass(frozen=True)
class Constant:
    """A table in flash: its name in C, its numbers, and what they are."""

    name: str
    values: Array
    about: str

    @property
    def is_weights(self) -> bool:
        """Whether it has weights of a layer, all or some of them."""
        return re.search(r"_weight(_\d+)?$", self.name) is not None


@dataclass(frozen=True)
class Packing:
    """How weights of few bits lie in flash, several in a word, the first in its lowest bits.

    A field is ``(weight + grid.peak) / grid.spacing``: not negative, so that a mask reads it.

    Attributes:
        grid: the integers that a weight can be.
        word: the type of a word.
        values: how many values of the input, one after the other, a word has all weights for.
    """

    grid: Grid
    word: DType
    values: int

    @property
    def about(self) -> str:
        """What a word holds, in a few words."""
        fields = 8 * self.word.itemsize // self.grid.bits
        spacing = f" / {self.grid.spacing}" if self.grid.spacing > 1 else ""
        return f"{fields} in a word, lowest bits first: (weight + {self.grid.peak}){spacing}"


class Block(NamedTuple):
    """What a kernel computes at once.

    Attributes:
        outputs: channels or units.
        rows: of a pool window.
        columns: of a pool window; where columns of the map are computed at once, of that.
    """

    outputs: int = 1
    rows: int = 1
    columns: int = 1


class VectorBlock(NamedTuple):
    """What a kernel computes at once whose lanes are channels or units.

    Attributes:
        lanes: of a vector.
        taps: values that an instruction multiplies in each lane.
        vectors: of channels or units.
        fold: columns of a pool window that share a vector.
        beside: pool windows beside each other whose channels share vectors, as if of one window.
        windows: pool windows, or groups of such, that share a vector of weights.
        rows: of the places of a pool window.
        columns: likewise; where the columns share a vector, 1.
    """

    lanes: int
    taps: int
    vectors: int
    fold: int
    beside: int
    windows: int
    rows: int
    columns: int


class Kernel(Protocol):
    """What computes a layer, as far as a plan knows it: ``cpus/kernel.py`` has the whole of it."""

    @property
    def template(self) -> str:
        """The name of its template."""


@dataclass(frozen=True)
class Layout:
    """How a kernel wants a layer in memory: all that a plan knows of a CPU.

    Attributes:
        kernel: what computes the layer; ``None``: the generic kernel.
        block: what the kernel computes at once.
        tables: the tables in flash in place of the plain ones; empty: the plain ones.
        unroll: how many turns of its inner loop the kernel writes out at most, or 0.
        reload: whether values are loaded again rather than kept, where registers are few.
        whole: whether all rows of the input are kept, so that none has to move.
        slack: values that the kernel may read beyond a row of its input (of a dense layer: beyond
            the input), and meets with weights of 0 or puts into lanes that are not used.
        packing: of the weights; ``None`` where each has a number of its own.
        vector_block: what it computes at once instead, where lanes are channels or units.
        in_program_memory: whether the tables lie in a memory of their own, as on an AVR.
        pair_bits: how many bits above the code of an even column that of the next lies, where words
            of its input's strip hold two; 0: each code has a place of its own.
        front: columns that the border has more in front, so that the input's first one is even.
        is_hardened: whether the tables but the weights stand twice, and are read as they are in
            flash: a compiler knows their numbers, and would put some into the code.
    """

    kernel: Kernel | None = None
    block: Block = field(default=Block())
    tables: tuple[Constant, ...] = ()
    unroll: int = 1
    reload: bool = False
    whole: bool = False
    slack: int = 0
    packing: Packing | None = None
    vector_block: VectorBlock | None = None
    in_program_memory: bool = False
    pair_bits: int = 0
    front: int = 0
    is_hardened: bool = False


@dataclass(frozen=True)
class Layer:
    """One stage of the chain with its numbers and its geometry.

    Attributes:
        stage: what the layer is.
        input_shape: in front of it; ``(rows, columns, channels)`` or ``(units,)``.
        source: the name of the buffer that it reads, e.g. ``image``.
        source_dtype: of that buffer's values.
        output: the name of the buffer that it writes, e.g. ``pool1``; ``logits`` for the last.
        output_dtype: of that buffer's values.
        output_pair_bits: of its words, what ``Layout.pair_bits`` is of the input's.
        weight: int8 or float32, ``(channels, rows, columns, input channels)`` of a convolution
            (depthwise: 1 input channel),
            ``(units, inputs)`` of a dense layer.
        bias: int32 or float32 ``(channels,)``; its type is the accumulator's.
        integers: what else an integer layer has; ``None`` for float32.
        layout: how it lies in memory, which changes no number.
        norm: the numbers of its norm, if it has one.
        pad_code: what stands in the border of its input: the code of 0, or what no pool takes.
    """

    stage: Stage
    input_shape: tuple[int, ...]
    source: str
    source_dtype: DType
    output: str
    output_dtype: DType
    weight: Array
    bias: Array
    integers: Integers | None
    layout: Layout = Layout()
    norm: LayerNorm | None = None
    pad_code: int | float = 0
    output_pair_bits: int = 0

    def __repr__(self) -> str:
        """One line, e.g. ``Layer(fc1: (5, 5, 16) -> (120,))``."""
        return f"Layer({self.name}: {self.input_shape} -> {self.output_shape})"

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.stage.name

    @property
    def grid(self) -> Grid | None:
        """What its weights can be, where they are integers of few bits."""
        return self.stage.grid if self.integers else None

    @property
    def is_conv(self) -> bool:
        """Whether it is a convolution, depthwise or not; otherwise it is dense, or a pool."""
        return self.stage.kind in ("conv", "depthwise")

    @property
    def is_depthwise(self) -> bool:
        """Whether each of its channels sees one channel of the input alone."""
        return self.stage.kind == "depthwise"

    @property
    def reads_rows(self) -> bool:
        """Whether it reads a strip of rows: a convolution, or a pool of its own."""
        return self.stage.kind != "dense"

    @functools.cached_property
    def output_shape(self) -> tuple[int, ...]:
        """Behind its pool."""
        return self.stage.output_shape(self.input_shape)

    @property
    def inputs(self) -> int:
        """How many values it reads in all."""
        return math.prod(self.input_shape)

    @property
    def outputs(self) -> int:
        """How many values it writes in all."""
        return math.prod(self.output_shape)

    @functools.cached_property
    def padding(self) -> Pads:
        """Zeros ``((above, below), (left, right))`` of the input."""
        return self.stage.pads(self.input_shape)

    @property
    def is_padded(self) -> bool:
        """Whether its input has a border of zeros."""
        return any(map(any, self.padding))

    @property
    def row_step(self) -> int:
        """Rows of input that one row of output moves on."""
        return self.stage.strides[0] * self.stage.pool_size

    @property
    def column_step(self) -> int:
        """Columns of input that one column of output moves on."""
        return self.stage.strides[1] * self.stage.pool_size

    @property
    def rows_read(self) -> int:
        """Rows of padded input that one row of output needs."""
        assert self.stage.kernel is not None
        return self.stage.kernel[0] + self.stage.stride * (self.stage.pool_size - 1)

    @property
    def strip_rows(self) -> int:
        """Rows of padded input that the strip holds: those that are read at once, or all."""
        return self.rows_padded if self.layout.whole else min(self.rows_read, self.rows_padded)

    @property
    def strip_is_whole(self) -> bool:
        """Whether the strip holds all rows, so that it never moves on."""
        return self.strip_rows == self.rows_padded

    @property
    def rows_moved(self) -> int:
        """Rows that stay, and so move up, when a full strip moves on by ``row_step``."""
        return 0 if self.strip_is_whole else self.strip_rows - self.row_step

    @property
    def strip_values(self) -> int:
        """Values in one padded row of the input of a convolution, slack included."""
        columns = self.layout.front + sum(self.padding[1]) + self.input_shape[1]
        return self._side_by_side(columns) * self.input_shape[2] + self.layout.slack

    def _side_by_side(self, columns: int) -> int:
        """How many values ``columns`` of one channel are in a strip."""
        return -(-columns // 2) if self.layout.pair_bits else columns

    @property
    def above(self) -> int:
        """Rows of zeros above its input."""
        return self.padding[0][0]

    @property
    def left(self) -> int:
        """Values of zero left of each row of its input."""
        columns = self.layout.front + self.padding[1][0]
        return self._side_by_side(columns) * self.input_shape[-1]

    @property
    def rows_given(self) -> int:
        """Rows of its input, with those above: where the border below begins."""
        return self.above + self.input_shape[0]

    @property
    def rows_padded(self) -> int:
        """Rows of its input, with the border."""
        return sum(self.padding[0]) + self.input_shape[0]

    def rows_made(self, rows: int) -> int:
        """Rows of output after so many of its input; the last of these comes with the border."""
        here = self.above + rows if rows < self.input_shape[0] else self.rows_padded
        return max(0, (here - self.rows_read) // self.row_step + 1)

    @property
    def kernel_values(self) -> int:
        """Weights in one row of a convolution's kernel: its columns and input channels."""
        assert self.stage.kernel is not None
        return self.stage.kernel[1] * (1 if self.is_depthwise else self.input_shape[2])

    def row_fits(self, bits: int) -> bool:
        """Whether no sum over one row of a convolution's kernel ever needs more than ``bits``."""
        rows = self.weight.reshape(*self.weight.shape[:2], -1).astype(np.int64)
        most = CODE_MAX * np.abs(rows).sum(axis=-1).max()
        return self.integers is not None and bool(most < 2 ** (bits - 1))

    def fits(self, bits: int) -> bool:
        """Whether neither an accumulator nor a sum over packed weights ever needs more bits."""
        summed = 0 if self.is_conv else _largest_packed(self.stage, self.inputs)
        return self.integers is not None and self.integers.fits(bits) and summed < 2 ** (bits - 1)

    def packed_fits(self, bits: int) -> bool:
        """Whether no sum of codes times packed weights ever needs more than ``bits``, unsigned."""
        grid = self.grid
        if grid is None:
            return False
        fields = (self.weight.astype(np.int64) + grid.peak) // grid.spacing
        return bool(CODE_MAX * fields.reshape(len(fields), -1).sum(axis=1).max() < 2**bits)

    @property
    def multiply_adds(self) -> int:
        """Multiplications for one image; conv outputs that no pool window covers are not made."""
        each = int(self.weight[0].size) if self.stage.learns else 0
        return self.outputs * self.stage.pool_size**2 * each

    @property
    def constants(self) -> list[Constant]:
        """Its tables in flash, in the order of the file; ``weight`` stays what they stand for."""
        return list(self.layout.tables) or self.plain_constants

    @property
    def plain_constants(self) -> list[Constant]:
        """Its tables as they are where no kernel wants them otherwise."""
        name, integers = self.name, self.integers
        if not self.stage.learns:
            return []
        if self.is_conv:
            # Columns and input channels are one axis in C: they lie side by side in a row.
            weight = self.weight.reshape(*self.weight.shape[:2], -1)
            channels = self.weight.shape[3]
            inner = "column" if channels == 1 else f"column, {channels} input channels"
            about = f"{name}: weights [channel][kernel row][kernel {inner}]"
        else:
            weight, about = self.weight, f"{name}: weights [unit][input]"
        found = [Constant(f"{name}_weight", weight, about)]
        requantize = integers.requantize if integers else None
        if self.norm:
            return [
                *found,
                Constant(f"{name}_bias", self.bias, f"{name}: bias"),
                Constant(f"{name}_norm_gain", self.norm.gain, f"{name}: gain of the norm"),
                Constant(
                    f"{name}_norm_bias",
                    self.norm.bias,
                    f"{name}: bias of the norm"
                    + (", with the offset of the index in it" if requantize else ""),
                ),
            ]
        about = f"{name}: bias" + (", with the offset of the index in it" if requantize else "")
        found.append(Constant(f"{name}_bias", self.bias, about))
        if requantize:
            about = f"{name}: index = acc * gain >> {requantize.shift}"
            found.append(Constant(f"{name}_gain", requantize.gain, about))
        return found


@dataclass(frozen=True)
class Buffer:
    """A member of the workspace.

    Attributes:
        name: in C.
        dtype: of its values.
        shape: ``(rows, values in a row)`` of a strip, ``(values,)`` of another.
        about: what it holds, in one line; may be empty.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    about: str = ""

    @property
    def nbytes(self) -> int:
        """Its size."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Plan:
    """A network ready to be printed or run: :class:`Layer` after layer.

    Attributes:
        dtype: ``int8`` or ``float32``.
        layers: the chain.
        max_error: the largest share of wrong readings among the accepted ones that was asked for,
            or ``None``: every reading is accepted.
        gap_row: the row of the gap table that reaches it, or ``None``.
        model: what it was made from.
        cpu: the name of the layers' layout.
        optimize: what that layout puts first: ``speed``, ``ram`` or ``flash``.
        is_bound: whether the tables are given to the C when it runs, so that they may change.
    """

    dtype: str
    layers: tuple[Layer, ...]
    max_error: float | None
    gap_row: GapRow | None
    model: Model
    cpu: str = "generic"
    optimize: str = "speed"
    is_bound: bool = False

    def __repr__(self) -> str:
        """One line, e.g. ``Plan(int8 for generic, speed: Model(...))``."""
        return f"Plan({self.dtype} for {self.cpu}, {self.optimize}: {self.model!r})"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels of the image."""
        return self.model.input_shape

    @property
    def outputs(self) -> int:
        """How many logits there are."""
        return self.layers[-1].outputs

    @property
    def none_output(self) -> bool:
        """Whether the last logit stands for "none of these"."""
        return self.model.none_output

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return self.model.classes

    @property
    def logit_dtype(self) -> DType:
        """The type of a logit."""
        return self.layers[-1].output_dtype

    @property
    def row_layers(self) -> list[Layer]:
        """The layers that read a strip of rows: convolutions, and pools of their own."""
        return [layer for layer in self.layers if layer.reads_rows]

    @property
    def dense_layers(self) -> list[Layer]:
        """The dense layers."""
        return [layer for layer in self.layers if not layer.reads_rows]

    @property
    def activations(self) -> list[Activation]:
        """The activations of an integer plan, each once."""
        return activations_of(self.layers)

    @property
    def constants(self) -> list[Constant]:
        """Every table in flash, in the order of the file."""
        return self.own_constants + [copy for _, copy in self.doubled]

    @property
    def own_constants(self) -> list[Constant]:
        """Those that layers read."""
        return self._tables + [constant for layer in self.layers for constant in layer.constants]

    @property
    def is_hardened(self) -> bool:
        """Whether the layers' tables but their weights stand twice, and are compared."""
        return self.layers[0].layout.is_hardened

    @property
    def doubled(self) -> list[tuple[Constant, Constant]]:
        """The tables that stand twice, those of layers but weights, and their copies.

        A copy has each bit inverted: neither a linker that merges equal tables nor flash that is
        erased makes one of the other. Biases and gains are few bytes, but their bits are those that
        weigh: one is in all that a channel says. An activation's table is larger, and weighs less.
        """
        if not self.is_hardened:
            return []
        return [
            (of, Constant(f"{of.name}_inverted", ~of.values, f"{of.name}, each bit inverted"))
            for layer in self.layers
            for of in layer.constants
            if not of.is_weights
        ]

    @property
    def _tables(self) -> list[Constant]:
        """The activations' tables."""
        return [
            Constant(f"{activation.name}_table", activation.table, activation.about)
            for activation in self.activations
            if activation.table is not None
        ]

    @property
    def constant_bytes(self) -> int:
        """Bytes of flash that the tables take."""
        return sum(constant.values.nbytes for constant in self.constants)

    @property
    def strips(self) -> list[Buffer]:
        """The last rows of the input of each convolution, while rows come in."""
        return [
            Buffer(
                layer.source,
                layer.source_dtype,
                (layer.strip_rows, layer.strip_values),
                f"{_kept(layer)}: {layer.input_shape[1]} "
                + (
                    f"pixels of {layer.input_shape[2]} channels"
                    if layer.input_shape[2] > 1
                    else "values"
                )
                + (", zeros around" if layer.is_padded else "")
                + (", two columns in a word" if layer.layout.pair_bits else "")
                + (", less 128 each" if layer.source_dtype == S8 else ""),
            )
            for layer in self.row_layers
        ]

    @property
    def kept(self) -> Buffer:
        """The input of the first dense layer, which is kept whole."""
        first = self.dense_layers[0]
        about = "whole: [row][column][channel]" if len(first.input_shape) == 3 else ""
        return _input_of(first, about)

    @property
    def units(self) -> list[Buffer]:
        """The outputs of the hidden dense layers, in the place of the strips."""
        return [_input_of(layer) for layer in self.dense_layers[1:]]

    @property
    def counters(self) -> tuple[Buffer, ...]:
        """The next row, and how many are to come: no fault of one bit ends like a whole image.

        Where tables are bound, also those that the image is read by: their CRC.
        """
        tables = Buffer("tables", U32, (), "by which it is read")
        counters = (
            Buffer("row", U16, (), "image rows so far"),
            Buffer("left", U16, (), "rows to come"),
        )
        return (*counters, tables) if self.is_bound else counters

    @property
    def ink_counters(self) -> tuple[Buffer, ...]:
        """What is counted of the ink while rows come in; nothing where there are no limits."""
        if self.ink is None:
            return ()
        inside = Buffer("inside", U32, (), "and of those that are not in the border")
        dark = Buffer("dark", U16, (), "bit 8: a pixel was dark enough")
        border = (inside,) if self.ink.border else ()
        return Buffer("ink", U32, (), "the sum of all pixels so far"), *border, dark

    @property
    def ink(self) -> Ink | None:
        """The limits of an image's ink, if they were measured."""
        return self.model.ink

    @property
    def workspace_bytes(self) -> int:
        """Size of the workspace, where types have their natural alignment."""
        return self._workspace[0]

    @property
    def dense_inputs_begin_words(self) -> bool:
        """Whether the input of each dense layer lies where words of 32 bits do."""
        size, alignment = _size(self.kept)[0], self._shared[1]
        begins = [-(-size // alignment) * alignment]  # of the shared part
        begins += itertools.accumulate(_size(unit)[0] for unit in self.units)
        word = U32.itemsize
        return self._workspace[1] >= word and all(begin % word == 0 for begin in begins)

    def begins_words(self, layer: Layer) -> bool:
        """Whether each place of a convolution's input, in each row, begins where a word does."""
        sizes = [_size(strip) for strip in self.strips]
        before = sizes[: self.row_layers.index(layer)]
        size, word = layer.source_dtype.itemsize, U32.itemsize
        begins = _end([_size(self.kept)], self._shared[1]) + _end(before, size)
        step = layer.column_step * layer.input_shape[2] * size
        places = begins, layer.strip_values * size, step, self._workspace[1]
        return all(place % word == 0 for place in places)

    @property
    def _workspace(self) -> tuple[int, int]:
        """Its size and alignment, in bytes."""
        counters = map(_size, self.counters + self.ink_counters)
        return _struct([_size(self.kept), self._shared, *counters])

    @property
    def _shared(self) -> tuple[int, int]:
        """Those of the part that strips and units share."""
        strips, units = (_struct([_size(b) for b in part]) for part in (self.strips, self.units))
        return _struct([(max(strips[0], units[0]), max(strips[1], units[1]))])

    @property
    def multiply_adds(self) -> int:
        """Multiplications for one image."""
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def multiply_adds_of_rows(self) -> list[int]:
        """Multiplications that each row of an image makes, the last one's with the border below."""
        rows = list(range(self.input_shape[0] + 1))  # of a layer, after so many of the image
        done = [0 for _ in rows]
        for layer in self.row_layers:
            rows = [layer.rows_made(count) for count in rows]
            each = layer.multiply_adds // layer.output_shape[0]
            done = [sum_ + each * count for sum_, count in zip(done, rows, strict=True)]
        return [after - before for before, after in itertools.pairwise(done)]

    @property
    def logit_scale(self) -> float:
        """The value of logit 1 in units of the float logits."""
        integers = self.layers[-1].integers
        return integers.output_scale if integers else 1.0

    @property
    def largest_gap(self) -> float:
        """No score gap of any image exceeds this."""
        integers = self.layers[-1].integers
        if integers is None:
            return FLOAT_MAX
        return float(integers.acc_max.max() - integers.acc_min.min())

    @property
    def threshold(self) -> int | float:
        """The smallest score gap that is accepted, in units of the plan's logits; 0 accepts all."""
        return self.to_threshold(self.gap_row.gap if self.gap_row else 0.0)

    def to_threshold(self, gap: float) -> int | float:
        """A gap of float logits in units of the plan's: for int8 rounded up to an integer."""
        return gap if self.dtype == "float32" else math.ceil(gap / self.logit_scale)

    @property
    def model_id(self) -> str:
        """SHA-256 (hex) over all that determines the outputs: chain, shapes, numbers.

        It is the same for every layout, as the outputs are.
        """
        digest = hashlib.sha256(b"none_output" if self.none_output else b"")
        if self.model.input_zero:
            digest.update(f"input_zero {self.model.input_zero}".encode())
        for layer in self.layers:
            requantize = layer.integers and layer.integers.requantize
            shift = requantize.shift if requantize else 0
            digest.update(repr((layer.stage, layer.input_shape, shift)).encode())
        plain = [constant for layer in self.layers for constant in layer.plain_constants]
        for constant in self._tables + plain:
            values = constant.values
            digest.update(f"{constant.name} {values.dtype.name} {values.shape}".encode())
            digest.update(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()


def activations_of(layers: Iterable[Layer]) -> list[Activation]:
    """The activations of integer layers, each once."""
    found = {}
    for layer in layers:
        if layer.integers and layer.integers.requantize:
            activation = layer.integers.requantize.activation
            found[activation.name] = activation
    return list(found.values())


def _kept(conv: Layer) -> str:
    return "all rows" if conv.strip_is_whole else f"the last {conv.strip_rows} rows"


def _input_of(dense: Layer, about: str = "") -> Buffer:
    """The buffer that a dense layer reads."""
    return Buffer(dense.source, dense.source_dtype, (dense.inputs + dense.layout.slack,), about)


def _size(buffer: Buffer) -> tuple[int, int]:
    """Size and alignment, in bytes."""
    return buffer.nbytes, buffer.dtype.itemsize


def _struct(members: list[tuple[int, int]]) -> tuple[int, int]:
    """Size and alignment of a C struct of members of such sizes and alignments, in bytes."""
    widest = max((alignment for _, alignment in members), default=1)
    return _end(members, widest), widest


def _end(members: list[tuple[int, int]], following: int) -> int:
    """Where what has the alignment ``following`` begins behind such members, in bytes."""
    end = 0
    for size, alignment in [*members, (0, following)]:
        end = -(-end // alignment) * alignment + size
    return end


def make_plan(
    model: Model,
    dtype: str,
    max_error: float | None = None,
    where: str = "model",
    is_hardened: bool = False,
) -> Plan:
    """Plans the export of ``model``.

    Args:
        model: the trained network.
        dtype: ``int8`` or ``float32``.
        max_error: the largest share of wrong readings among the accepted ones, between 0 and 1;
            ``None`` accepts every reading.
        where: the model's file, for messages.
        is_hardened: whether the layers' tables but their weights stand twice.

    Raises:
        UserError: a layer is unknown or cannot be represented, ``max_error`` cannot be reached, or
            floats are to be hardened.
    """
    if is_hardened and dtype == "float32":
        raise UserError(
            "--harden",
            "would tell hardly anything in float32: readings change by weights' exponents there",
            "take --dtype int8, or leave it out",
        )
    check_chain(where, model.input_shape, model.stages)
    _check_ends(model, where)
    layers: list[Layer] = []
    for place in range(len(model.stages)):
        at = label(where, model.stages, place)
        layers.append(_planned(model, dtype, layers, at))
        _check_rows(layers[-1], at)
    row = None if max_error is None else _gap_row(model, max_error, where)
    layout = Layout(is_hardened=is_hardened)
    plan = Plan(dtype, tuple(replace(of, layout=layout) for of in layers), max_error, row, model)
    _check_logits(plan, where)
    return plan


class _Numbers(NamedTuple):
    """What a layer computes with: see :class:`Layer`."""

    weight: Array
    bias: Array
    integers: Integers | None
    norm: LayerNorm | None


def _planned(model: Model, dtype: str, before: list[Layer], at: str) -> Layer:
    """The layer that follows those ``before`` it; ``at`` tells its place in messages."""
    place = len(before)
    stage, last = model.stages[place], place == len(model.stages) - 1
    source, source_dtype = (
        ("image", U8) if not before else (before[-1].output, before[-1].output_dtype)
    )
    if not stage.learns:
        numbers = _pooled(stage, before[-1])
    else:
        numbers = _integers(model, before, at) if dtype == "int8" else _floats(model, place)
    return Layer(
        stage,
        model.shapes[place],
        source,
        source_dtype,
        "logits" if last else buffer_name(stage),
        numbers.bias.dtype if last or dtype == "float32" else U8,
        numbers.weight,
        numbers.bias,
        numbers.integers,
        norm=numbers.norm,
        pad_code=_pad_code(model, place, numbers.integers),
    )


def _pooled(stage: Stage, before: Layer) -> _Numbers:
    """What a pool of its own has in place of numbers: the codes of the layer in front of it."""
    nothing = before.weight[:0], before.bias[:0]
    if before.integers is None:
        return _Numbers(*nothing, None, None)
    assert stage.kernel is not None
    most = CODE_MAX * (math.prod(stage.kernel) if stage.pool == "avg" else 1)
    scale, zero = codes_of(before)
    sums = np.zeros(stage.features, np.int64)
    ones = np.ones(stage.features)
    integers = Integers(scale, zero, ones, scale, sums, sums + most, None)
    return _Numbers(*nothing, integers, None)


def _pad_code(model: Model, place: int, integers: Integers | None) -> int | float:
    """The code of 0 in what the stage at ``place`` reads; of a pool, that of its border."""
    if place == 0:
        return model.input_zero
    stage = model.stages[place]
    border = 0.0 if stage.learns else POOLS[stage.pool].border
    if border and integers:
        return 0 if border < 0 else CODE_MAX
    if border:
        return math.copysign(FLOAT_FAR, border)
    return integers.input_zero if integers else 0


def _learned(model: Model, stage: Stage) -> _Numbers:
    """What a stage learned, as it is, its kernel with the outputs first.

    C walks each output's weights in order: (..., inputs, outputs) becomes (outputs, ..., inputs).
    """
    kernel: Array = model.params[f"{stage.name}/kernel"]
    norm = None
    if stage.norm == "layer":
        scale, bias = (model.params[f"{stage.norm_name}/{name}"] for name in ("scale", "bias"))
        norm = LayerNorm(scale, bias)
    weight = np.ascontiguousarray(np.moveaxis(kernel, -1, 0))
    return _Numbers(weight, model.params[f"{stage.name}/bias"], None, norm)


def _floats(model: Model, place: int) -> _Numbers:
    """The numbers of a float32 layer; the first one reads bytes."""
    numbers = _learned(model, model.stages[place])
    if place:
        return numbers
    weight, bias = numbers.weight * np.float32(1 / CODE_MAX), numbers.bias
    if model.input_zero:
        sums = weight.reshape(len(weight), -1).sum(axis=1, dtype=np.float64)
        bias = (bias - model.input_zero * sums).astype(np.float32)
    return numbers._replace(weight=weight, bias=bias)


def _integers(model: Model, before: list[Layer], at: str) -> _Numbers:
    """The numbers of the int8 layer that follows those ``before`` it."""
    place = len(before)
    stage = model.stages[place]
    weight, bias, _, norm = _learned(model, stage)
    if not weight.any():
        raise UserError(
            at,
            "has only zero weights: it is the same for every image and has no scale",
            "train again",
        )
    is_last = place == len(model.stages) - 1
    activation = None if is_last else _activation(stage, model, at)
    codes = codes_of(before[-1]) if before else (1 / CODE_MAX, model.input_zero)
    if norm and activation:
        return _Numbers(*quantize_normed(weight, bias, codes, activation, norm, at))
    step = None
    if stage.grid:
        weight, step = _few_bits(model, stage, at)
    return _Numbers(*quantize(weight, step, bias, codes, activation, at), norm)


def codes_of(layer: Layer) -> tuple[float, int]:
    """The scale and the zero point of the codes, or of the logits, that an integer layer gives."""
    assert layer.integers is not None
    if layer.integers.requantize is None:  # logits, or a pool's codes, which are those it reads
        zero = 0 if layer.stage.learns else layer.integers.input_zero
        return layer.integers.output_scale, zero
    return layer.integers.output_scale, layer.integers.requantize.activation.zero_point


def _few_bits(model: Model, stage: Stage, at: str) -> tuple[Array, npt.NDArray[np.float64]]:
    """The integer weights of a stage of few bits, and the step of each channel."""
    weight = np.moveaxis(grid_weights(at, model, stage), -1, 0)
    if _largest_packed(stage, weight[0].size) > INT32_MAX:
        raise UserError(
            at,
            f"with {weight[0].size:,} inputs and bits {stage.bits} a sum could exceed 32 bits",
            "train a smaller layer, or one with bits 8",
        )
    return weight, model.params[f"{stage.name}/step"].astype(np.float64)


def _check_rows(layer: Layer, at: str) -> None:
    """Checks that a small CPU's int counts the rows of a convolution's input, and their values."""
    if layer.reads_rows and max(layer.rows_padded, layer.strip_values) > SIZE_MAX:
        raise UserError(
            at,
            f"its input has {layer.rows_padded} rows of {layer.strip_values} values, "
            "border included",
            f"supported: up to {SIZE_MAX} rows of {SIZE_MAX} values",
        )


def _check_logits(plan: Plan, where: str) -> None:
    """Checks that the logits are ordinary numbers, and a score gap can reach the threshold."""
    if not FLOAT_MIN < plan.logit_scale < FLOAT_MAX:
        raise UserError(
            where,
            f"its logits are extreme: 1 would stand for {plan.logit_scale:g}",
            "train again: the weights of its last layer are almost 0"
            if plan.logit_scale < 1
            else "train again with weight decay, and measure the activation ranges on images",
        )
    if plan.threshold > plan.largest_gap:
        raise UserError(
            f"--max-error {plan.max_error}",
            f"needs a score gap of {plan.threshold:g}, but none exceeds {plan.largest_gap:g}",
            f"the score-gap table of {where} is of other weights: train again",
        )


def check_plan(plan: Plan) -> None:
    """Checks that a plan is whole: that each layer reads what the one in front of it writes.

    It is no mistake of a user's if one does not, but of a kernel's layout; better told here than by
    C that computes something else.

    Raises:
        ValueError: one does not, or its numbers are not of its shape.
    """
    shape: tuple[int, ...] = plan.input_shape
    buffer = ("image", plan.layers[0].source_dtype)
    for layer in plan.layers:
        if (layer.source, layer.source_dtype) != buffer or layer.input_shape != shape:
            found = f"{layer.source} {layer.source_dtype} {layer.input_shape}"
            raise ValueError(f"{layer.name} reads {found}, not {buffer[0]} {buffer[1]} {shape}")
        kernel = layer.stage.kernel_shape(layer.input_shape)
        has_own = (
            layer.weight.shape == (kernel[-1], *kernel[:-1]) and layer.bias.shape == kernel[-1:]
        )
        if layer.stage.learns and not has_own:
            raise ValueError(f"{layer.name} has weights of {layer.weight.shape} for {kernel}")
        if any(not constant.values.size for constant in layer.constants):
            raise ValueError(f"{layer.name} has an empty table")
        buffer, shape = (layer.output, layer.output_dtype), layer.output_shape
    if buffer != ("logits", plan.layers[-1].bias.dtype):
        raise ValueError(f"the last layer writes {buffer[0]} {buffer[1]}, not logits")


def _largest_packed(stage: Stage, inputs: int) -> int:
    """No sum over packed weights exceeds this: of code * field * spacing, or of code * peak."""
    return CODE_MAX * inputs * 2 * stage.grid.peak if stage.grid else 0


def buffer_name(stage: Stage) -> str:
    """``conv1`` pooled is ``pool1``; another name gets ``_pool``; unpooled it is the layer's."""
    if stage.pool == "none" or not stage.learns:
        return stage.name
    if stage.name.startswith("conv"):
        return "pool" + stage.name.removeprefix("conv")
    return f"{stage.name}_pool"


def _check_ends(model: Model, where: str) -> None:
    """Checks the activations, and that the last layer gives logits."""
    for place, stage in enumerate(model.stages):
        if not stage.learns:
            continue
        last = place == len(model.stages) - 1
        allowed = ["none"] if last else [*sorted(ACTIVATIONS), "leaky_relu(SLOPE)"]
        if stage.activation != "none" if last else not is_known(stage.activation):
            raise UserError(
                label(where, model.stages, place),
                f'activation "{stage.activation}" is not supported in '
                + ("the last layer" if last else "a hidden layer"),
                f"supported there: {', '.join(allowed)}",
            )
    if model.stages[-1].norm != "none":
        raise UserError(
            label(where, model.stages, len(model.stages) - 1),
            f'norm "{model.stages[-1].norm}" is not supported in the last layer',
            "supported there: none",
        )
    if model.stages[-1].kind != "dense" or model.classes < 2:
        raise UserError(
            label(where, model.stages, len(model.stages) - 1),
            f"is {model.stages[-1].kind} with {model.stages[-1].features} outputs"
            + (', the last for "none of these"' if model.none_output else ""),
            "the last layer must be dense with one output for each of 2 or more classes",
        )


def _activation(stage: Stage, model: Model, at: str) -> Activation:
    largest = model.activation_ranges.get(stage.name)
    if largest is None or not 0 < largest <= FLOAT_MAX:
        raise UserError(
            at,
            f"its activation range is {largest}, expected a positive number",
            "train again: lenet-train measures the ranges on training images",
        )
    return function_of(stage.activation).codes(largest, stage.name)


def _gap_row(model: Model, max_error: float, where: str) -> GapRow:
    option = f"--max-error {max_error:g}"
    table = model.gap_table
    if table is None or not table.images:
        raise UserError(
            option, f"{where} has no score-gap table to choose from", "train with lenet-train"
        )
    row = table.row(max_error)
    if row is None:
        smallest = table.smallest_error()
        least = math.ceil(1e4 * smallest) / 1e4
        least += 1e-4 * (least < smallest)  # 1e4 times it was rounded down
        raise UserError(
            option,
            f"cannot be reached: the table was measured on {table.images:,} images, and no "
            "threshold shows so small an error on them",
            f"ask for at least {least:g}, or train with more validation images",
        )
    return row
