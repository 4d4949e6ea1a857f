"""Layers by vectors of 32-bit lanes, as AVX2, AVX-512 and AArch64 have them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import groupby
from typing import Any, ClassVar, NamedTuple

import numpy as np

from lenet_export.activations import function_of
from lenet_export.c_text import plus, times
from lenet_export.cpus.kernel import (
    Kernel,
    Pragma,
    divisor,
    place_step,
    reciprocal,
    signed_codes_fit,
    with_signed_codes,
    with_weights,
)
from lenet_export.plan import (
    F32,
    S8,
    S32,
    Array,
    Block,
    Constant,
    DType,
    Layer,
    Layout,
    VectorBlock,
)

#: The pools, and the activations of floats, of which the templates have a form in vectors.
POOLS_IN_VECTORS = frozenset({"none", "avg", "max"})
FUNCTIONS_IN_VECTORS = frozenset(
    {"none", "sigmoid", "tanh", "scaled_tanh", "relu", "gelu"}
    | {"relu6", "leaky_relu", "hard_sigmoid", "hard_swish", "silu", "elu"}
)

#: Rows of a kernel that are written out, at most, where values are loaded in groups: what one place
#: of a pool window has loaded, the next one takes from a register. So are so many turns of a row.
UNROLL = 8
TURNS = 2

FEW_REGISTERS = Pragma(
    "gcc would keep values of a row for later turns of a loop, and run out of registers.",
    ("no-predictive-commoning",),
    "gcc 12 takes vectors for uninitialized that are not, in its own immintrin.h too.",
    ("-Wuninitialized", "-Wmaybe-uninitialized"),
)

PAIRED_LOADS = Pragma(
    "gcc would move a load to its product, where two side by side are one instruction, and keep "
    "what it can work out again.",
    ("no-tree-ter", "no-gcse"),
)


@dataclass(frozen=True)
class Lanes(Kernel):
    """Vectors of 32-bit sums: each lane is a channel or unit.

    It speaks the words of an instruction set's vocabulary, ``templates/c/simd/``.

    Attributes:
        lanes: of a vector.
        taps: how many values and weights of one lane an instruction multiplies.
        sums: how many vectors of sums a convolution computes at once, at most: gcc 12 keeps two
            copies of one that VPDPBUSD adds to, so that there half the registers must do.
        window: how many of them a pool window may have; a larger window is taken part by part.
        vectors: how many vectors of channels share a value that is loaded, at most.
        units: how many vectors of sums a dense layer computes at once, at most: enough to hide an
            instruction's latency.
        groups: how many groups of ``taps`` values are loaded at once, of which an instruction names
            one; 1: it takes them from memory.
        beside: how many pool windows beside each other are computed as one of so many times the
            channels, at most, where these fill the lanes of their vectors better.
        weights: the type of a weight in flash.
        codes: those that it reads; where it multiplies signed bytes, codes are stored less 128, and
            the biases hold 128 times the weights.
    """

    template: str = "lanes"
    lanes: int = 16
    taps: int = 4
    sums: int = 14
    window: int = 14
    vectors: int = 1
    units: int = 8
    groups: int = 1
    pragma: Pragma | None = FEW_REGISTERS  # type: ignore[misc]
    beside: int = 1
    weights: DType = field(default=S8, kw_only=True)
    pools: ClassVar[frozenset[str] | None] = POOLS_IN_VECTORS
    functions: ClassVar[frozenset[str] | None] = FUNCTIONS_IN_VECTORS
    in_vectors: ClassVar[bool] = True
    codes_in_lanes: ClassVar[bool] = True

    def computes(self, layer: Layer) -> bool:
        """Whether it multiplies its kind of weight, has no norm, and its maximum may come first.

        A maximum of sums is activated once: that is so where the activation never falls.
        """
        if not super().computes(layer):
            return False
        falls = layer.stage.pool == "max" and not function_of(layer.stage.activation).rises
        is_float = layer.integers is None
        fits = is_float or self.codes != S8 or signed_codes_fit(layer)
        return is_float == (self.weights == F32) and not layer.norm and not falls and fits

    def layout(self, layer: Layer) -> Layout:
        """The weights that meet one group of values side by side, lane by lane.

        If all columns of a pool window fit a vector, lane ``q * channels + c`` is channel c of
        column q: its kernel lies q strides further to the right. So it is with pool windows beside
        each other, whose kernels lie the strides of a window apart. As many pool windows beside
        each other as there are registers for share a vector of weights.
        """
        weight = layer.weight.reshape(*layer.weight.shape[:2], -1)
        weight = weight if layer.is_conv else layer.weight[:, None]
        size, step = layer.stage.pool_size, layer.stage.stride * layer.input_shape[-1]
        fold = size if size * layer.stage.features <= self.lanes else 1
        beside = 1 if fold > 1 else self._beside(layer, size * step)
        copies, apart = (fold, step) if fold > 1 else (beside, size * step)
        vectors, places = self._at_once(
            layer, -(-copies * len(weight) // self.lanes), 1 if fold > 1 else size
        )
        windows = 1
        if layer.is_conv and places.is_whole:
            sums = places.rows * places.columns * vectors
            windows = divisor(layer.output_shape[1] // beside, self.sums // sums)
        values = self._in_lanes(weight, copies, apart, vectors)
        block = VectorBlock(
            self.lanes, self.taps, vectors, fold, beside, windows, places.rows, places.columns
        )
        taps = weight.shape[-1] + (copies - 1) * apart
        return Layout(
            self,
            tables=self._tables(layer, values if layer.is_conv else values[:, 0], block),
            whole=True,
            slack=-taps % (self.groups * self.taps),
            vector_block=block,
        )

    def _in_lanes(self, weight: Array, copies: int, apart: int, vectors: int) -> Array:
        """The weights as vectors are loaded, a lane for each channel or unit of each copy.

        Args:
            weight: ``(channels, kernel rows, values of a row)``.
            copies: of the channels, each with its kernel further right.
            apart: by so many values.
            vectors: that are computed at once.

        Returns:
            ``(blocks of vectors, kernel rows, weights)`` in order of group of values, vector, lane
            and value; what is left over of a block, and of a group, is 0.
        """
        features, rows, kernel = weight.shape
        groups = -(-(kernel + (copies - 1) * apart) // self.taps)
        blocks = -(-copies * features // (vectors * self.lanes))
        full = np.zeros((blocks * vectors * self.lanes, rows, groups * self.taps), self.weights)
        for copy in range(copies):
            lane, column = copy * features, copy * apart
            full[lane : lane + features, :, column : column + kernel] = weight
        split = full.reshape(blocks, vectors, self.lanes, rows, groups, self.taps)
        return split.transpose(0, 3, 4, 1, 2, 5).reshape(blocks, rows, -1)

    def _beside(self, layer: Layer, apart: int) -> int:
        """How many pool windows beside each other are computed as one of more channels.

        As many as need the fewest products of vectors; ``apart`` values lie between two of them.
        """
        if not layer.is_conv:
            return 1

        def products(windows: int) -> Fraction:
            vectors = -(-windows * layer.stage.features // self.lanes)
            taps = layer.kernel_values + (windows - 1) * apart
            return Fraction(vectors * -(-taps // self.taps), windows)

        vectors = min(self.vectors, self.window // layer.stage.pool_size**2)
        possible = [
            windows
            for windows in range(1, self.beside + 1)
            if layer.output_shape[1] % windows == 0
            and windows * layer.stage.features <= vectors * self.lanes
        ]
        return min(possible or [1], key=products)

    def _at_once(self, layer: Layer, total: int, columns: int) -> tuple[int, Places]:
        """How many vectors of channels or units are computed at once, and at which places.

        Args:
            layer: any.
            total: the vectors that its channels or units are.
            columns: the vectors that a row of its pool window is.
        """
        if not layer.is_conv:
            return -(-total // -(-total // self.units)), Places(1, 1, is_whole=True)
        rows = layer.stage.pool_size
        vectors = -(-total // -(-total // self.vectors))
        if rows * columns * vectors <= self.window:
            return vectors, Places(rows, columns, is_whole=True)
        if rows * columns <= self.window:
            return 1, Places(rows, columns, is_whole=True)
        return 1, _part(rows, columns, self.window)

    def view(self, layer: Layer) -> dict[str, Any]:
        """The vectors of outputs that are computed at once, and what they are made of."""
        block = _vector_block(layer)
        outputs = _vectors(layer)
        is_mean = layer.stage.pool == "avg"
        divides = is_mean and layer.integers is not None
        has_parts = layer.is_conv and not _is_whole(layer)
        pooled = Vector(
            "pooled", [Sum("pooled", 0, _after(_counter(layer), 0))], *_stored(layer, 0, "x")
        )
        return super().view(layer) | {
            "lanes": self.lanes,
            "windows": block.beside * block.windows,
            "outputs": outputs,
            "quads": _quads(layer, outputs),
            "pooled": [pooled],
            "part_quads": _quads(layer, [replace(pooled, sums=outputs[0].sums)]) if is_mean else [],
            "pooled_quads": [] if is_mean else _quads(layer, [pooled]),
            "has_parts": has_parts,
            "is_mean": is_mean,
            "counter": _counter(layer),
            "blocks": layer.constants[1].values.shape[0],
            "reciprocal": "{}, {}".format(*reciprocal(layer.stage.pool_size**2)) if divides else "",
            "stretches": _stretches(layer, self.groups),
            "fours": _fours(outputs),
            "pooled_fours": _fours([pooled]),
            "values": _values(outputs) if self.groups > 1 else [],
            "unroll": min(UNROLL, layer.weight.shape[1]) if self.groups > 1 else 1,
            "weight": lambda group, number: f"w{group * block.vectors + number}",
            "vector_at": partial(_vector_at, layer),
            "fold_lanes": [q * layer.stage.features for q in range(1, block.fold)],
        }

    def _tables(self, layer: Layer, values: Array, block: VectorBlock) -> tuple[Constant, ...]:
        """The weights, and biases and gains of whole vectors; lanes that are left over have 0."""
        what = "channel" if layer.is_conv else "unit"
        lane = what
        if block.fold > 1:
            lane = f"column of the pool window, {what}"
        elif block.beside > 1:
            lane = f"pool window, {what}"
        where = "[vector][kernel row][group of values" if layer.is_conv else "[vectors][input group"
        about = f"{layer.name}: weights {where}, lane, value]; a lane is a {lane}"
        tables = with_weights(layer, values, about)
        weight, *others = with_signed_codes(layer, tables) if self.codes == S8 else tables
        padded = [weight]
        for table in others:
            full = np.zeros(
                len(values) * block.vectors * self.lanes, F32 if table.values.dtype == F32 else S32
            )
            copies = block.fold * block.beside
            full[: copies * len(table.values)] = np.tile(table.values, copies)
            padded.append(replace(table, values=full.reshape(-1, self.lanes)))
        return tuple(padded)


@dataclass(frozen=True)
class Columns(Kernel):
    """A float32 convolution of an image of one channel: each lane is a column.

    Attributes:
        lanes: of a vector.
        channels: how many are computed at once, at most, each in two vectors.
    """

    template: str = "columns"
    lanes: int = 16
    channels: int = 6
    codes: DType = field(default=F32, kw_only=True)
    kinds: ClassVar[frozenset[str]] = frozenset({"conv"})
    pools: ClassVar[frozenset[str] | None] = POOLS_IN_VECTORS
    functions: ClassVar[frozenset[str] | None] = FUNCTIONS_IN_VECTORS
    in_vectors: ClassVar[bool] = True
    pragma: ClassVar[Pragma | None] = FEW_REGISTERS

    def computes(self, layer: Layer) -> bool:
        """Whether the columns lie side by side, whole pool windows in two vectors, without norm."""
        if not super().computes(layer) or layer.integers is not None or layer.norm:
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
        return Layout(self, block, tables, whole=True, slack=slack)

    def view(self, layer: Layer) -> dict[str, Any]:
        """How many outputs of a row the columns are that are computed at once."""
        channels, _, columns = layer.layout.block
        return super().view(layer) | {
            "lanes": self.lanes,
            "columns_step": columns // layer.row_step,
            "first": "first" if channels < layer.stage.features else "",
        }


class Places(NamedTuple):
    """The places of a pool window that are computed at once.

    Attributes:
        rows: of them.
        columns: of them; where the columns share a vector, 1.
        is_whole: whether they are the whole window.
    """

    rows: int
    columns: int
    is_whole: bool = False


def _part(rows: int, columns: int, most: int) -> Places:
    """The largest part of at most ``most`` places that a pool window divides into, the widest."""
    parts = [
        Places(r, c)
        for r in range(1, rows + 1)
        for c in range(1, columns + 1)
        if rows % r == 0 and columns % c == 0 and r * c <= most
    ]
    return max(parts, key=lambda part: (part.rows * part.columns, part.columns))


@dataclass(frozen=True)
class Sum:
    """A vector of sums, at one place of the input.

    Attributes:
        name: what the C calls it.
        number: of its vector of weights, in a block.
        vector: the same in the whole layer, in C.
        source: the pointer to its input, in C.
        offset: values of the input from the block's first to this place's first.
        value: what the C calls the values there, where they are loaded in groups.
    """

    name: str
    number: int
    vector: str
    source: str = "in"
    offset: int = 0
    value: str = "values"


@dataclass(frozen=True)
class Vector:
    """A vector of outputs that a block of lanes makes.

    Attributes:
        name: what the C calls it.
        sums: those of its pool window; all have the same vector of weights.
        to: where it is stored, in C.
        count: how many outputs there are from its first lane on, in C.
        window: the number of its pool window in the block.
    """

    name: str
    sums: list[Sum]
    to: str
    count: str
    window: int = 0


def _vector_block(layer: Layer) -> VectorBlock:
    """What a kernel whose lanes are channels or units computes at once."""
    assert layer.layout.vector_block
    return layer.layout.vector_block


def _is_whole(layer: Layer) -> bool:
    """Whether all places of a pool window are computed at once."""
    block, size = _vector_block(layer), layer.stage.pool_size
    return (block.rows, block.columns) == (size, size if block.fold == 1 else 1)


def _counter(layer: Layer) -> str:
    """The variable that counts vectors of weights, in C; empty where all are computed at once."""
    return "" if len(layer.constants[0].values) == 1 else "block"


def _after(name: str, number: int) -> str:
    """``name + number`` in C, where ``name`` may be empty."""
    return plus(name, number) if name else str(number)


def _stored(layer: Layer, number: int, x: str = "", window: int = 0) -> tuple[str, str]:
    """Where the outputs of a block's ``number``-th vector go, and how many they are, in C.

    Args:
        layer: any.
        number: of the vector.
        x: the place in a row of outputs, in C; empty: ``out`` is there already.
        window: how many pool windows further it is.
    """
    block = _vector_block(layer)
    lanes, features = block.lanes, block.beside * layer.stage.features
    to = plus("out", window * features + lanes * number)
    left = str(features - lanes * number)
    to += f" + {times(x, features)}" if x else ""
    if _counter(layer):
        to += f" + {lanes} * block" if x or not layer.is_conv else ""
        left += f" - {lanes} * block"
    return to, left


def _vectors(layer: Layer) -> list[Vector]:
    """The vectors of outputs that a block of lanes makes: all vectors of each pool window."""
    block = _vector_block(layer)
    step = place_step(layer)
    found = []
    for window in range(block.windows):
        for number in range(block.vectors):
            several = layer.is_conv and block.vectors > 1
            mark = f"{window}_{number}" if several else f"{window + number}"
            sums = [
                Sum(
                    f"acc{mark}_{p}_{q}" if layer.is_conv else f"acc{mark}",
                    number,
                    _after(_counter(layer), number),
                    f"in{p}" if layer.is_conv else "in",
                    (window * block.beside * layer.stage.pool_size + q) * step,
                    f"values{window}_{p}_{q}" if layer.is_conv else "values",
                )
                for p in range(block.rows)
                for q in range(block.columns)
            ]
            to, count = _stored(layer, number, window=window)
            found.append(Vector(f"out{mark}", sums, to, count, window))
    return found


def _fours(outputs: list[Vector]) -> list[dict[str, Any]]:
    """Up to four vectors of outputs of one pool window at a time, which are stored together."""
    found = []
    for _, of_window in groupby(outputs, lambda output: output.window):
        vectors = list(of_window)
        for start in range(0, len(vectors), 4):
            four = vectors[start : start + 4]
            fillers = ["broadcast(0)"] * (4 - len(four))
            found.append({"outputs": four, "fillers": fillers})
    return found


def _quads(layer: Layer, outputs: list[Vector]) -> list[dict[str, Any]]:
    """The vectors of four codes in each lane: of which sums, and which outputs take which codes.

    The last is filled up.
    """
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
        found.append(
            {
                "name": f"codes{start // 4}",
                "sums": [acc for acc, _ in four],
                "fillers": ["broadcast(0)"] * (4 - len(four)),
                "parts": [
                    {"output": name, "weights": f"0x{weight:08X}"}
                    for name, weight in weights.items()
                ],
            }
        )
    return found


@dataclass(frozen=True)
class Stretch:
    """Values of a row that are multiplied alike, in turns.

    Attributes:
        start: the first value.
        end: behind the last.
        step: values of a turn.
        groups: the numbers of a turn's groups.
        unroll: how many turns are written out.
    """

    start: int
    end: int
    step: int
    groups: range
    unroll: int = 1


def _stretches(layer: Layer, at_once: int) -> list[Stretch]:
    """The values of one row that vectors read for one place: whole turns, and what is left over.

    Args:
        layer: any.
        at_once: groups of values of a turn.
    """
    block = _vector_block(layer)
    read = int(layer.constants[0].values.shape[-1]) // (block.lanes * block.vectors)
    step = at_once * block.taps
    whole = read // step * step
    left = range((read - whole) // block.taps)
    turns = whole // step if at_once > 1 and whole <= TURNS * step else 1
    found = [Stretch(0, whole, step, range(at_once), turns)] if whole else []
    return [*found, Stretch(whole, read, step, left)] if left else found


def _values(outputs: list[Vector]) -> list[Sum]:
    """A sum for each place of the input whose values are loaded."""
    return list({acc.value: acc for output in outputs for acc in output.sums}.values())


def _vector_at(layer: Layer, name: str, vector: int, group: int = 0) -> str:
    """Where the weights of the ``group``-th group of inputs behind ``name`` begin, in C.

    Those of the ``vector``-th vector of a block.
    """
    block = _vector_block(layer)
    each = block.lanes * block.vectors
    more = block.taps * (block.lanes * vector + group * each)
    return plus(times(name, each), more)
