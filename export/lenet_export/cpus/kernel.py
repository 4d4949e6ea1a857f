"""What a kernel is: one way to compute a layer, and how that wants the layer's numbers to lie.

A kernel is a template of its name and a class. The class says which layers it can compute and which
it pays for, lays them out, and tells the template what to print. A kernel changes the order of
weights and loops and the width of a code in RAM, never a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np

from lenet_export.activations import word_of
from lenet_export.c_text import plus, times
from lenet_export.cpus import operands
from lenet_export.plan import U8, U16, U32, Array, Constant, DType, Layer, Layout, Packing
from lenet_export.pools import POOLS

GAIN_BITS = 31  # SQDMULH and VQDMULH are the upper half of twice a product
WINDOW_COLUMNS = 4  # of a pool window, at most, that are computed at once


class Pragma(NamedTuple):
    """Options of gcc's that a kernel is compiled with, warnings that are turned off, and why."""

    why: str
    options: tuple[str, ...]
    why_ignored: str = ""
    ignored: tuple[str, ...] = ()


class PartialSum(NamedTuple):
    """A sum that is not the accumulator yet: what it is, in the C's words, and what holds it.

    ``least`` and ``most`` are int64 ``(channels,)``: no input makes it less or more.
    """

    number: str
    least: Array
    most: Array
    c_type: str


@dataclass(frozen=True)
class Kernel:
    """One way to compute a layer: here, a convolution or dense layer in plain C99.

    Attributes:
        template: the name of its template.
        codes: the type in which it reads codes from a strip of rows.
        kinds: the kinds of layers that it can compute; what is not named, it refuses.
        pools: likewise, the pools; ``None``: every known one, for it prints the pool's own macros.
        functions: likewise, the activations of floats; those of integers are all one.
        strides_may_differ: whether it can move on by other columns than rows.
        in_vectors: whether its sums are vectors of the CPU's, which are activated as such.
        codes_in_lanes: whether codes of four such vectors lie side by side in lanes of 32 bits.
        adds_in_order: whether a product is added before what the next one needs is loaded.
        reads_any_byte: whether it reads words of a row from any byte on.
        sums_fields: whether it sums ``field * code`` where weights are packed.
        notes: of what a caller must know, for the header.
        pragma: how it must be compiled.
    """

    template: str = "generic"
    codes: DType = field(default=U8, kw_only=True)
    kinds: ClassVar[frozenset[str]] = frozenset({"conv", "dense"})
    pools: ClassVar[frozenset[str] | None] = None
    functions: ClassVar[frozenset[str] | None] = None
    strides_may_differ: ClassVar[bool] = False
    in_vectors: ClassVar[bool] = False
    codes_in_lanes: ClassVar[bool] = False
    adds_in_order: ClassVar[bool] = False
    reads_any_byte: ClassVar[bool] = False
    sums_fields: ClassVar[bool] = False
    notes: ClassVar[tuple[str, ...]] = ()
    pragma: ClassVar[Pragma | None] = None

    def suits(self, layer: Layer) -> bool:
        """Whether it can compute ``layer``, and does it well."""
        return self.computes(layer) and self.pays(layer)

    def computes(self, layer: Layer) -> bool:
        """Whether its numbers would be right: it is of a kind and pool that the kernel names."""
        stage = layer.stage
        pools = ("none", *POOLS) if self.pools is None else self.pools
        has_all = layer.integers is not None or self.functions is None
        known = has_all or word_of(stage.activation) in (self.functions or ())
        moves = self.strides_may_differ or not stage.column_stride
        return known and moves and stage.kind in self.kinds and stage.pool in pools

    def pays(self, layer: Layer) -> bool:  # noqa: ARG002 - most do
        """Whether it is worthwhile, for a layer that the kernel can compute."""
        return True

    def partial_sums(self, layer: Layer) -> list[PartialSum]:  # noqa: ARG002 - most have none
        """What it adds up of a layer of integers, beside the accumulators themselves."""
        return []

    def view(self, layer: Layer) -> dict[str, Any]:
        """What the templates are told of ``layer``, beside the layer itself."""
        window = self.window_places(layer)
        return {
            "template": self.template,
            "window": window,
            "half_window": window // 2,
            "divided": partial(_divided, window),
            "inputs_read": layer.inputs + layer.layout.slack,
            "acc_type": operands.acc_type(layer),
            "sum_type": operands.sum_type(layer),
            "counts_channels": bool(layer.layout.packing or layer.layout.in_program_memory),
            "value_type": operands.value_type(layer),
            "signed": partial(operands.signed, layer),
            "acc_of": partial(operands.acc_of, layer),
            "bias": partial(operands.bias, layer),
            "weights": partial(operands.weights, layer),
            "weight_at": partial(operands.weight_at, layer),
        } | (_windows(layer) if layer.reads_rows else {})

    def window_places(self, layer: Layer) -> int:
        """How many places a pool's window has."""
        return layer.stage.pool_size**2

    def layout(self, layer: Layer) -> Layout:
        """How ``layer`` lies in memory for it."""
        packing = packing_of(layer, outputs=1, most=U8)
        if packing is None:
            return Layout(self)
        weight = layer.plain_constants[0]
        values = packed(packing, weight.values[..., None])
        about = f"{weight.about}, {packing.about}"
        return Layout(self, tables=with_weights(layer, values, about), packing=packing)


@dataclass(frozen=True)
class Pooling(Kernel):
    """Pools of their own, in plain C99: a strip of rows to a row."""

    template: str = "pooling"
    kinds: ClassVar[frozenset[str]] = frozenset({"pool"})
    strides_may_differ: ClassVar[bool] = True

    def window_places(self, layer: Layer) -> int:
        """How many places a window has."""
        assert layer.stage.kernel is not None
        return math.prod(layer.stage.kernel)

    def view(self, layer: Layer) -> dict[str, Any]:
        """Where row ``i`` of a window is in the strip, too."""
        top = times("y", layer.row_step) if layer.strip_is_whole else ""
        return super().view(layer) | {"window_row": f"{top} + i" if top else "i"}

    def layout(self, layer: Layer) -> Layout:  # noqa: ARG002 - it has no tables
        """Nothing but who computes it."""
        return Layout(self)


@dataclass(frozen=True)
class Generic(Kernel):
    """Any layer that learns, in plain C99."""

    kinds: ClassVar[frozenset[str]] = frozenset({"conv", "depthwise", "dense"})
    strides_may_differ: ClassVar[bool] = True


GENERIC = Generic()
POOLING = Pooling()


def kernel_of(layer: Layer) -> Kernel:
    """The kernel that computes ``layer``: plain C where no layout names another."""
    kernel = layer.layout.kernel
    plain = GENERIC if layer.stage.learns else POOLING
    return kernel if isinstance(kernel, Kernel) else plain


def reciprocal(window: int) -> tuple[int, int]:
    """Factor and shift that divide the sum of a window's codes, rounded, as ``/`` does."""
    sums = np.arange(255 * window + window // 2 + 1)
    for shift in range(31):
        factor = -(-(2**shift) // window)
        if sums[-1] * factor < 2**32 and (sums * factor >> shift == sums // window).all():
            return factor, shift
    raise AssertionError(f"no reciprocal of {window}")


def _divided(window: int, total: str, times: Callable[[str, str], str]) -> str:
    """What a sum of codes is divided by ``window``, in C; ``times`` prints a product.

    A division by what is no power of 2 may call a function whose time depends on the sum.
    """
    factor, shift = reciprocal(window)
    if factor == 1:
        return f"{total} / {window}u"
    return f"{times(total, f'(uint32_t){factor}')} >> {shift}"


def _windows(layer: Layer) -> dict[str, Any]:
    """Where the input of a convolution's pool window begins, and of its row ``i``, column ``j``."""
    columns, channels = layer.output_shape[1:]
    left = f"{times('x', layer.column_step)} + {times('j', layer.stage.strides[1])}"
    return {
        "row_outputs": columns * channels,
        "window_left": times(left, layer.input_shape[2]),
        "window_start": times("x", layer.column_step * layer.input_shape[2]),
        "tap": f"left + {_tap(layer)}",
        "window_top": partial(_window_top, layer),
    }


def _tap(layer: Layer) -> str:
    """Where value ``j`` of a kernel's row is that channel ``c`` sees, in C."""
    if not layer.is_depthwise:
        return "j"
    inputs = layer.input_shape[2]
    each = layer.stage.features // inputs
    channel = "c" if each == 1 else f"c / {each}"
    return f"{times('j', inputs)} + {channel}" if inputs > 1 else "j"


def _window_top(layer: Layer, row: str = "") -> str:
    """The row of the strip, in C, that row ``row`` of the pool window of output ``y`` begins at."""
    top = times("y", layer.row_step) if layer.strip_is_whole else ""
    down = times(row, layer.stage.stride) if row else ""
    return " + ".join(part for part in (top, down) if part) or "0"


def with_weights(layer: Layer, values: Array, about: str) -> tuple[Constant, ...]:
    """The tables of ``layer`` with other weights in front."""
    weight, *others = layer.plain_constants
    return replace(weight, values=np.ascontiguousarray(values), about=about), *others


def with_signed_codes(layer: Layer, tables: tuple[Constant, ...]) -> tuple[Constant, ...]:
    """``tables`` with the biases of codes that are less 128, as signed bytes hold them."""
    weight, bias, *others = tables
    about = f"{bias.about}, plus 128 * sum(weight)"
    values = _bias_of_signed(layer).astype(np.int32)
    return weight, replace(bias, values=values, about=about), *others


def with_gains_of_31_bits(
    layer: Layer, tables: tuple[Constant, ...], laid_out: Callable[[Array], Array], what: str
) -> tuple[Constant, ...]:
    """Weights, biases and gains for an instruction that gives the upper half of twice a product.

    Args:
        layer: of integers, with an activation.
        tables: the plain ones.
        laid_out: puts biases or gains, int64 ``(outputs,)``, as they are loaded.
        what: its axes, in words.
    """
    weight, bias, gain = tables
    assert layer.integers and layer.integers.requantize
    places = GAIN_BITS - layer.integers.requantize.shift
    about = f"{layer.name}: gain * 2^{places}: index = acc * gain >> {GAIN_BITS} {what}"
    biases = laid_out(bias.values.astype(np.int64)).astype(np.int32)
    gains = laid_out(gain.values.astype(np.int64) << places).astype(np.int32)
    return (
        weight,
        replace(bias, values=biases, about=f"{bias.about} {what}"),
        replace(gain, values=gains, about=about),
    )


def sums_without_bias(layer: Layer) -> tuple[Array, Array]:
    """What the sum of each channel or unit is at least and at most, less its bias."""
    assert layer.integers
    return layer.integers.acc_min - layer.bias, layer.integers.acc_max - layer.bias


def sums_of_signed(layer: Layer) -> tuple[Array, Array]:
    """What the sum of weights times codes less 128 is at least and at most, int64."""
    weight = layer.weight.reshape(len(layer.weight), -1).astype(np.int64)
    products = -128 * weight, 127 * weight
    return np.minimum(*products).sum(1), np.maximum(*products).sum(1)


def signed_codes_fit(layer: Layer) -> bool:
    """Whether biases with 128 times the weights in them fit 32 bits."""
    return bool(np.abs(_bias_of_signed(layer)).max() < 2**31)


def _bias_of_signed(layer: Layer) -> Array:
    """The biases where each code is less 128, int64."""
    bias: Array = layer.bias + 128 * layer.weight.reshape(len(layer.weight), -1).sum(1, np.int64)
    return bias


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
class WindowPlace:
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
class BlockOutput:
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
    places: list[WindowPlace]


def place_step(layer: Layer) -> int:
    """Values of the input from one place of a pool window to the next in its row."""
    return layer.stage.strides[1] * layer.input_shape[-1]


def block(layer: Layer) -> list[BlockOutput]:
    """The outputs that a kernel with blocks computes at once."""
    outputs, rows, columns = layer.layout.block
    return [
        BlockOutput(
            index,
            f"acc{index}",
            f"w{index}",
            plus("first", index),
            [
                WindowPlace(f"{p}{q}", p, q, q * place_step(layer), f"acc{index}_{p}{q}")
                for p in range(rows)
                for q in range(columns)
            ],
        )
        for index in range(outputs)
    ]
