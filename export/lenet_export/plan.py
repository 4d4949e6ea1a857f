"""From a float network to the numbers that C computes with: integers, bounds, memory.  No I/O.

The numerics are specified in DESIGN.md, "Numerics". In short, for a hidden layer::

    acc   = bias + sum(weight * input code)              s32
    index = clamp(floor(acc * gain / 2^shift), 0, top)   s32, the product too
    code  = table[index], or index itself                u8

and for the last layer the logits are its accumulators. Neither ``acc`` nor ``acc * gain`` overflows
for any input: both are bounded here over all of them.

``gain`` and ``shift`` are chosen first, and each channel's weight scale is then *defined* as the
one that they stand for. So requantization has no scale error at all: its only rounding is the
floor, and half a step for it is in the bias.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export.checkpoint import Model, Stage
from lenet_export.errors import UserError

TOOL_VERSION = "0.1.0"
POOLS = ("none", "avg", "max")
CODE_MAX = 255  # of an image's bytes and of every activation
WEIGHT_MAX = 127
GAIN_MAX = 2**15 - 1  # a halfword of flash, of either sign
INT32_MAX = 2**31 - 1

Ints = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Activation:
    """How an activation function becomes integers.

    Attributes:
        steps: index steps for each unit of the function's argument.
        offset: the index, a real number, of argument 0. Half a step for rounding is in it.
        top: the largest index; the smallest is 0.
        table: uint8 ``(top + 1,)``, the code at each index; ``None``: the index is the code.
        scale: the value of code 1.
    """

    steps: float
    offset: float
    top: int
    table: Ints | None
    scale: float


@functools.cache
def _sigmoid_table() -> Ints:
    """255 * sigmoid in the middle of each of 512 steps of 1/40, rounded.

    Beyond the ends, at |z| >= 6.4, the rounded sigmoid is 0 or 255, so that clamping the index
    is exact.
    """
    z = [(i + 0.5 - 256) / 40 for i in range(512)]
    return np.array([round(CODE_MAX / (1 + math.exp(-v))) for v in z], np.uint8)


def _sigmoid(_largest: float) -> Activation:
    return Activation(40.0, 256.0, 511, _sigmoid_table(), 1 / CODE_MAX)


def _relu(largest: float) -> Activation:
    return Activation(CODE_MAX / largest, 0.5, CODE_MAX, None, largest / CODE_MAX)


#: The activations of hidden layers, by name; each is given the layer's calibrated range.
ACTIVATIONS: dict[str, Callable[[float], Activation]] = {"sigmoid": _sigmoid, "relu": _relu}


@dataclass(frozen=True)
class Layer:
    """One stage of the chain with its numbers and its place in memory.

    Attributes:
        stage: what the layer is.
        input_shape: in front of it; ``(rows, columns, channels)`` or ``(units,)``.
        output_shape: behind its pool.
        source: the name of the buffer that it reads, e.g. ``image``.
        output: the name of the buffer that it writes, e.g. ``pool1``; ``logits`` for the last.
        weight: int8 or float32, ``(channels, rows, columns, input channels)`` of a convolution,
            ``(units, inputs)`` of a dense layer.
        bias: int32 or float32 ``(channels,)``.
        numbers: what else an integer layer has; ``None`` for float32.
    """

    stage: Stage
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    source: str
    output: str
    weight: Ints
    bias: Ints
    numbers: Integers | None

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.stage.name

    @property
    def is_conv(self) -> bool:
        """Whether it is a convolution; otherwise it is dense."""
        return self.stage.kind == "conv"

    @property
    def inputs(self) -> int:
        """How many values it reads in all."""
        return math.prod(self.input_shape)

    @property
    def outputs(self) -> int:
        """How many values it writes in all."""
        return math.prod(self.output_shape)

    @property
    def padding(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Zeros ``((above, below), (left, right))`` of the input, as XLA's SAME and VALID say."""
        if self.stage.kernel is None or self.stage.padding == "VALID":
            return (0, 0), (0, 0)
        rows, columns = ((size - 1) // 2 for size in self.stage.kernel)
        return (rows, self.stage.kernel[0] - 1 - rows), (
            columns,
            self.stage.kernel[1] - 1 - columns,
        )

    @property
    def ring_rows(self) -> int:
        """Rows of padded input that one row of output needs: what a ring buffer must hold."""
        assert self.stage.kernel is not None
        return self.stage.pool_size + self.stage.kernel[0] - 1

    @property
    def row_values(self) -> int:
        """Values in one padded row of the input of a convolution."""
        return (sum(self.padding[1]) + self.input_shape[1]) * self.input_shape[2]

    @property
    def multiply_adds(self) -> int:
        """Multiplications for one image; conv outputs that no pool window covers are not made."""
        windows = self.stage.pool_size**2 if self.is_conv else 1
        return self.outputs * windows * int(self.weight[0].size)

    def constants(self) -> dict[str, Ints]:
        """Its tables in flash, by the suffix of their C name, in the order of the file."""
        tables = {"weight": self.weight, "bias": self.bias}
        if self.numbers is not None and self.numbers.gain is not None:
            tables["gain"] = self.numbers.gain
        return tables


@dataclass(frozen=True)
class Integers:
    """The integer side of a layer.

    Attributes:
        input_scale: the value of input code 1.
        weight_scale: float64 ``(channels,)``, the value of weight 1.
        output_scale: the value of output code 1, or of logit 1.
        gain: uint16 ``(channels,)``; ``None`` for the last layer.
        shift: index = acc * gain >> shift.
        activation: ``None`` for the last layer.
        acc_min: int64 ``(channels,)``, what the accumulator cannot be below for any input.
        acc_max: likewise above. Every partial sum stays between the two as well.
    """

    input_scale: float
    weight_scale: Floats
    output_scale: float
    gain: Ints | None
    shift: int
    activation: Activation | None
    acc_min: Ints
    acc_max: Ints


@dataclass(frozen=True)
class Plan:
    """A network ready to be printed or run: :class:`Layer` after layer.

    Attributes:
        dtype: ``int8`` or ``float32``.
        layers: the chain.
        threshold_row: the row of the gap table that the reject threshold is chosen from;
            ``None`` accepts every image.
        model: what it was made from.
    """

    dtype: str
    layers: tuple[Layer, ...]
    threshold_row: tuple[float, int, int] | None
    model: Model

    @property
    def convs(self) -> list[Layer]:
        """The convolutions: the layers that read a ring of rows."""
        return [layer for layer in self.layers if layer.is_conv]

    @property
    def denses(self) -> list[Layer]:
        """The dense layers."""
        return [layer for layer in self.layers if not layer.is_conv]

    @property
    def tables(self) -> dict[str, Ints]:
        """The tables of the activations, by activation, each once."""
        used = {}
        for layer in self.layers:
            activation = layer.numbers and layer.numbers.activation
            if activation and activation.table is not None:
                used[layer.stage.activation] = activation.table
        return used

    @property
    def constants(self) -> dict[str, Ints]:
        """Every table of the generated C by its name, in the order of the file."""
        named = {f"{name}_table": table for name, table in self.tables.items()}
        for layer in self.layers:
            for suffix, table in layer.constants().items():
                named[f"{layer.name}_{suffix}"] = table
        return named

    @property
    def logit_scale(self) -> float:
        """The value of logit 1 in units of the float logits."""
        numbers = self.layers[-1].numbers
        return numbers.output_scale if numbers else 1.0

    @property
    def threshold(self) -> float:
        """The smallest score gap that is accepted, in units of the plan's logits."""
        return self.to_threshold(self.threshold_row[0]) if self.threshold_row else 0.0

    def to_threshold(self, gap: float) -> float:
        """A gap of float logits in units of the plan's: for int8 rounded up to an integer."""
        return gap if self.dtype == "float32" else float(math.ceil(gap / self.logit_scale))

    @property
    def constant_bytes(self) -> int:
        """Bytes of flash that the tables take."""
        return sum(table.nbytes for table in self.constants.values())

    @property
    def model_id(self) -> str:
        """SHA-256 (hex) over all that determines the outputs: chain, shapes, printed numbers."""
        digest = hashlib.sha256()
        for layer in self.layers:
            shift = layer.numbers.shift if layer.numbers else 0
            digest.update(repr((layer.stage, layer.input_shape, shift)).encode())
        for name, table in self.constants.items():
            digest.update(f"{name}{table.dtype.str}{table.shape}".encode())
            digest.update(np.ascontiguousarray(table, table.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()


def make_plan(model: Model, dtype: str, max_error: float | None = None, where: str = "") -> Plan:
    """Plans the export of ``model``.

    Args:
        model: the trained network.
        dtype: ``int8`` or ``float32``.
        max_error: the largest share of wrong images among the accepted ones, 0 to 1; ``None``
            accepts every image.
        where: the model's file, for messages.

    Raises:
        UserError: a layer is unknown or cannot be represented, or ``max_error`` cannot be reached.
    """
    where = where or "model"
    _check(model, where)
    layers: list[Layer] = []
    source, scale = "image", 1 / CODE_MAX
    for place, (stage, shape) in enumerate(zip(model.stages, model.shapes, strict=False), 1):
        at = f"{where}: layer {place} of {len(model.stages)}, {stage.name}"
        last = place == len(model.stages)
        kernel = model.params[f"{stage.name}/kernel"]
        # (..., inputs, outputs) -> (outputs, ..., inputs): C walks each output's weights in order.
        weight = np.ascontiguousarray(np.moveaxis(kernel, -1, 0))
        bias = model.params[f"{stage.name}/bias"]
        numbers: Integers | None = None
        if dtype == "int8":
            largest = model.activation_ranges.get(stage.name)
            activation = None if last else _activation(stage, largest, at)
            weight, bias, numbers = _quantize(weight, bias, scale, activation, at)
            scale = numbers.output_scale
        elif place == 1:
            weight = weight * np.float32(1 / CODE_MAX)  # so that it reads bytes
        output = "logits" if last else _buffer_name(stage)
        layers.append(
            Layer(stage, shape, stage.output_shape(shape), source, output, weight, bias, numbers)
        )
        source = output
    row = None if max_error is None else _threshold_row(model, max_error, where)
    return Plan(dtype, tuple(layers), row, model)


def _buffer_name(stage: Stage) -> str:
    """``conv1`` pooled is ``pool1``; another name gets ``_pool``; unpooled it is the layer's."""
    if stage.pool == "none":
        return stage.name
    if stage.name.startswith("conv"):
        return "pool" + stage.name.removeprefix("conv")
    return f"{stage.name}_pool"


_WORDS = """
    alignas alignof and asm auto bool break case catch char class compl concept const constexpr
    continue decltype default delete do double else enum explicit export extern false float for
    friend goto if inline int int8_t int16_t int32_t int64_t long mutable namespace new noexcept not
    nullptr operator or private protected public register restrict return short signed sizeof static
    struct switch template this throw true try typedef typeid typename uint8_t uint16_t uint32_t
    uint64_t union unsigned using virtual void volatile wchar_t while xor
    linux main unix

    acc answers_are_right bit bits byte bytes c clear code column count crc crc_bits crc_float
    crc_int8_t crc_int32_t crc_uint8_t crc_uint16_t e except gain i image in index j k known_answers
    known_logits largest left limited logits memory most n number o out place put_row reading relu
    requantize right row rows share shift sigmoid square sum t table tables_crc to top units value
    values ws x y z
"""

#: Words that a layer's name would collide with: those of C and C++, and those of the templates.
RESERVED = frozenset(_WORDS.split())


def _check(model: Model, where: str) -> None:
    """Checks what every dtype needs of the chain."""
    count = len(model.stages)
    names: list[str] = []
    for place, stage in enumerate(model.stages, 1):
        at = f"{where}: layer {place} of {count}, {stage.name}"
        allowed = ["none"] if place == count else sorted(ACTIVATIONS)
        if stage.activation not in allowed:
            raise UserError(
                at,
                f'activation "{stage.activation}" is not supported'
                + (" in the last layer" if place == count else " in a hidden layer"),
                f"supported there: {', '.join(allowed)}",
            )
        if stage.pool not in POOLS or not 1 <= stage.pool_size <= 16:
            raise UserError(
                at,
                f'pool "{stage.pool}" of size {stage.pool_size} is not supported',
                f"supported: {', '.join(POOLS)}, of sizes 1 to 16",
            )
        if (stage.pool == "none") != (stage.pool_size == 1):
            raise UserError(
                at,
                f'pool "{stage.pool}" does not go with size {stage.pool_size}',
                'a pool has a size of 2 or more, "none" has size 1',
            )
        names += {stage.name, _buffer_name(stage), f"{_buffer_name(stage)}_row"}
        names += [f"{stage.name}_{suffix}" for suffix in ("weight", "bias", "gain", "table")]
        if not stage.name.isascii() or not stage.name.isidentifier() or stage.name in RESERVED:
            raise UserError(
                at, "the name cannot be used in C", "rename the layer: letters, digits and _"
            )
    if len(set(names)) != len(names):
        raise UserError(
            where, "two layers or their pools would have the same name in C", "rename one"
        )
    last = model.stages[-1]
    if last.kind != "dense" or last.features < 2:
        raise UserError(
            where,
            f"its last layer, {last.name}, is {last.kind} with {last.features} outputs",
            "the last layer must be dense with one output for each of 2 or more classes",
        )


def _activation(stage: Stage, largest: float | None, at: str) -> Activation:
    if largest is None or not (math.isfinite(largest) and largest > 0):
        raise UserError(
            at,
            f"its activation range is {largest}, expected a positive number",
            "train again: lenet-train measures the ranges on training images",
        )
    return ACTIVATIONS[stage.activation](largest)


def _quantize(
    weight: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
    input_scale: float,
    activation: Activation | None,
    at: str,
) -> tuple[Ints, Ints, Integers]:
    """The integers of one layer; the channel is the first axis of ``weight``."""
    flat = weight.reshape(len(weight), -1).astype(np.float64)
    largest = np.abs(flat).max(axis=1)
    if not largest.all():
        raise UserError(
            at,
            f"output {int(np.argmin(largest))} has only zero weights: it is the same for every "
            "input and has no scale",
            "train again, or remove this output and its weights in the next layer",
        )
    if activation is None:
        scale = np.full(len(flat), largest.max() / WEIGHT_MAX)
        rounded = _round(flat, scale, bias / (scale * input_scale))
        gain, shift, output_scale = None, 0, float(scale[0] * input_scale)
        # The score gap is a difference of two accumulators, and must fit as well.
        if rounded.acc_max.max() - rounded.acc_min.min() > INT32_MAX:
            raise UserError(
                at,
                "a score gap could exceed 32 bits",
                "train with weight decay: its biases are far larger than its weights",
            )
    else:
        index_scale = 1 / (activation.steps * input_scale)
        scale, gain, shift, rounded = _fixed_point(
            flat, bias.astype(np.float64) * activation.steps + activation.offset, index_scale, at
        )
        output_scale = activation.scale
    numbers = Integers(
        input_scale=input_scale,
        weight_scale=scale,
        output_scale=output_scale,
        gain=gain,
        shift=shift,
        activation=activation,
        acc_min=rounded.acc_min.astype(np.int64),
        acc_max=rounded.acc_max.astype(np.int64),
    )
    integers = rounded.weight.astype(np.int8).reshape(weight.shape)
    return integers, rounded.bias.astype(np.int32), numbers


@dataclass(frozen=True)
class _Rounded:
    """Integers, still as float64, with the bounds of their accumulators."""

    weight: Floats
    bias: Floats
    acc_min: Floats
    acc_max: Floats


def _round(flat: Floats, scale: Floats, bias: Floats) -> _Rounded:
    """Rounds the weights ``(channels, inputs)`` by their channel's scale, and the biases."""
    weight, bias = np.rint(flat / scale[:, None]), np.rint(bias)
    return _Rounded(
        weight,
        bias,
        bias + CODE_MAX * np.minimum(weight, 0).sum(axis=1),
        bias + CODE_MAX * np.maximum(weight, 0).sum(axis=1),
    )


def _fixed_point(
    flat: Floats, origin: Floats, index_scale: float, at: str
) -> tuple[Floats, Ints, int, _Rounded]:
    """The finest weight scales whose gain and shift never overflow 32 bits.

    Args:
        flat: weights ``(channels, inputs)``.
        origin: the index of each channel where all inputs are 0.
        index_scale: the weight that adds one index step for each input code.
        at: the layer, for messages.

    Returns:
        The channels' weight scales, their gains, the shift, and the rounded integers.

    A channel far smaller than the layer's largest gets a gain of few bits, and so coarser weights.
    That loses nothing: its rounding errors stay as small as the largest channel's, in index steps.
    """
    wanted = np.abs(flat).max(axis=1) / WEIGHT_MAX / index_scale
    for shift in range(30, -1, -1):
        gain = np.maximum(np.ceil(wanted * 2.0**shift), 1)
        if gain.max() > GAIN_MAX:
            continue
        scale = gain / 2.0**shift * index_scale
        rounded = _round(flat, scale, origin / gain * 2.0**shift)
        product = np.maximum(np.abs(rounded.acc_min), np.abs(rounded.acc_max)) * gain
        if product.max() <= INT32_MAX:
            return scale, gain.astype(np.uint16), shift, rounded
    raise UserError(
        at,
        "its weights or biases are too large for 32 bits",
        "train with weight decay: the layer is saturated for every input",
    )


def _threshold_row(model: Model, max_error: float, where: str) -> tuple[float, int, int]:
    option = f"--max-error {max_error:g}"
    if model.gap_table is None:
        raise UserError(
            option, f"{where} has no score-gap table to choose from", "train with lenet-train"
        )
    row = model.gap_table.row(max_error)
    if row is None:
        images = model.gap_table.images
        raise UserError(
            option,
            f"cannot be reached: the table was measured on {images} images, and no threshold "
            "shows so small an error on them",
            f"ask for at least {1 / images:.2g}, or train with more validation images",
        )
    return row
