"""A layer's weights and biases to integers whose sums are bounded over all inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export.activations import CODE_MAX, Activation
from lenet_export.errors import UserError
from lenet_export.layer_norm import GAIN_MAX, LayerNorm

WEIGHT_MAX = 127
COARSE_WEIGHT = 32  # a channel whose weights stay below this is coarse ...
COARSE_STEPS = 4  # ... and refused if one of its weights moves the index by more than this
COARSE_LOGIT = 2  # the same for the last layer, whose channels share one scale
COARSE_GAIN = 1 / 64  # a gain that is farther from the learned step than this is coarse
INT32_MAX = 2**31 - 1

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Requantize:
    """From accumulators to codes: ``index = acc * gain >> shift``, then the activation.

    Attributes:
        gain: uint16 ``(channels,)``.
        shift: 0 to 30.
        activation: what the index means.
        product_min: no input makes ``acc * gain`` less; of a norm, what it makes of them.
        product_max: likewise more.
    """

    gain: Array
    shift: int
    activation: Activation
    product_min: int
    product_max: int


@dataclass(frozen=True)
class Integers:
    """The integer side of a layer.

    Attributes:
        input_scale: what one input code more stands for.
        input_zero: the input code of value 0, which a border of zeros has.
        weight_scale: float64 ``(channels,)``, the value of weight 1.
        output_scale: what one output code more stands for, or logit 1.
        acc_min: int64 ``(channels,)``, what the accumulator cannot be below for any input.
        acc_max: likewise above. Every partial sum stays between the two as well.
        requantize: ``None`` for the last layer.
    """

    input_scale: float
    input_zero: int
    weight_scale: Floats
    output_scale: float
    acc_min: Array
    acc_max: Array
    requantize: Requantize | None

    def fits(self, bits: int) -> bool:
        """Whether no accumulator, nor a partial sum, ever needs more than ``bits`` bits."""
        limit = 2 ** (bits - 1)
        return bool(self.acc_min.min() >= -limit and self.acc_max.max() < limit)


@dataclass(frozen=True)
class _Rounded:
    """Integers, still as float64, with the bounds of their accumulators."""

    weight: Floats
    bias: Floats
    acc_min: Floats
    acc_max: Floats

    def magnitude(self) -> Floats:
        """The largest accumulator of each channel, of either sign."""
        return np.maximum(np.abs(self.acc_min), np.abs(self.acc_max))


def quantize(
    weight: Array,
    step: Floats | None,
    bias: npt.NDArray[np.float32],
    codes: tuple[float, int],
    activation: Activation | None,
    at: str,
) -> tuple[Array, Array, Integers]:
    """The integers of one layer; the channel is the first axis of ``weight``.

    Its weights are floats, or, with the ``step`` of each channel, integers already. Its input's
    ``codes`` have a scale and a zero point.
    """
    input_scale, input_zero = codes
    flat = weight.reshape(len(weight), -1).astype(np.float64)
    requantize: Requantize | None = None
    if activation is None:
        scale, rounded = _logits(flat, step, bias.astype(np.float64), codes, at)
        output_scale = float(scale[0] * input_scale)
    else:
        scale, gain, shift, rounded = _fixed_point(flat, step, bias, codes, activation, at)
        products = int((rounded.acc_min * gain).min()), int((rounded.acc_max * gain).max())
        requantize = Requantize(gain.astype(np.uint16), shift, activation, *products)
        output_scale = activation.scale
    integers = Integers(
        input_scale,
        input_zero,
        scale,
        output_scale,
        rounded.acc_min.astype(np.int64),
        rounded.acc_max.astype(np.int64),
        requantize,
    )
    rounded_weight = np.ascontiguousarray(rounded.weight.astype(np.int8).reshape(weight.shape))
    return rounded_weight, rounded.bias.astype(np.int32), integers


def quantize_normed(
    weight: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
    codes: tuple[float, int],
    activation: Activation,
    learned: LayerNorm,
    at: str,
) -> tuple[Array, Array, Integers, LayerNorm]:
    """The integers of a layer with LayerNorm: one weight scale in all, so that channels compare.

    Nothing changes when the same number is added to all accumulators: here so much that none is
    negative.
    """
    input_scale, input_zero = codes
    flat = weight.reshape(len(weight), -1).astype(np.float64)
    scales = np.full(len(flat), np.abs(flat).max() / WEIGHT_MAX)
    whole = np.rint(flat / scales[:, None])
    rounded = _bounded(whole, bias.astype(np.float64) / (scales * input_scale), input_zero)
    added = -rounded.acc_min.min()
    if max((rounded.acc_max + added).max(), np.abs(rounded.bias + added).max()) > INT32_MAX:
        raise _too_large(at, bias, flat, input_scale)
    acc_min, acc_max = ((v + added).astype(np.int64) for v in (rounded.acc_min, rounded.acc_max))
    unit = float(scales[0] * input_scale)
    try:
        norm, index_shift, _ = LayerNorm.of(
            int(acc_max.max()),
            unit,
            learned.gain * activation.steps,
            learned.bias * activation.steps + activation.offset,
        )
    except ValueError as error:
        remedy = "train it again; weight decay, or none, keeps its numbers ordinary"
        raise UserError(at, str(error), remedy) from None
    *_, (_, least, most, _) = norm.bounds(acc_min, acc_max)
    requantize = Requantize(np.ones(len(flat), np.uint16), index_shift, activation, least, most)
    integers = Integers(
        input_scale, input_zero, scales, activation.scale, acc_min, acc_max, requantize
    )
    rounded_weight = rounded.weight.astype(np.int8).reshape(weight.shape)
    return rounded_weight, (rounded.bias + added).astype(np.int32), integers, norm


def _bounded(weight: Floats, bias: Floats, zero_point: int) -> _Rounded:
    """Integer weights ``(channels, inputs)`` and rounded biases, with what their sums can be.

    The biases take what the weights make of the input codes' zero point.
    """
    bias = np.rint(bias) - zero_point * weight.sum(axis=1)
    return _Rounded(
        weight,
        bias,
        bias + CODE_MAX * np.minimum(weight, 0).sum(axis=1),
        bias + CODE_MAX * np.maximum(weight, 0).sum(axis=1),
    )


def _logits(
    flat: Floats, step: Floats | None, bias: Floats, codes: tuple[float, int], at: str
) -> tuple[Floats, _Rounded]:
    """The last layer: one scale in all, so that logits compare as integers."""
    input_scale, input_zero = codes
    scale = np.full(len(flat), np.abs(flat).max() / WEIGHT_MAX) if step is None else step
    weight = np.rint(flat / scale[:, None]) if step is None else flat
    rounded = _bounded(weight, bias / (scale * input_scale), input_zero)
    if step is None:
        _check_weights(rounded, _peak(rounded) < COARSE_LOGIT, flat, at)
    # The score gap is a difference of two logits, and must fit as well.
    gap = rounded.acc_max.max() - rounded.acc_min.min()
    if max(gap, rounded.magnitude().max()) > INT32_MAX:
        raise _too_large(at, bias, flat if step is None else flat * step[:, None], input_scale)
    return scale, rounded


def _fixed_point(
    flat: Floats,
    step: Floats | None,
    bias: Array,
    codes: tuple[float, int],
    activation: Activation,
    at: str,
) -> tuple[Floats, Floats, int, _Rounded]:
    """The finest weight scales whose gain and shift never overflow 32 bits.

    Args:
        flat: weights ``(channels, inputs)``.
        step: the value of weight 1 of each channel, where the weights are integers already.
        bias: of each channel.
        codes: the scale and the zero point of the input's.
        activation: whose index is to be reached.
        at: the layer, for messages.

    Returns:
        The channels' weight scales, their gains, the shift, and the rounded integers.

    A channel far smaller than the layer's largest gets a gain of few bits, and so coarser weights;
    its rounding errors are not above the largest channel's, in index steps. Where these errors
    would be large themselves, because one channel is out of all proportion, the layer is refused.
    A channel of zeros, as pruning leaves them, goes with any scale, and takes the largest.
    """
    input_scale, input_zero = codes
    # The index of each channel where all inputs are 0, and the weight that adds one for each code.
    origin = bias.astype(np.float64) * activation.steps + activation.offset
    index_scale = 1 / (activation.steps * input_scale)
    wanted = (np.abs(flat).max(axis=1) / WEIGHT_MAX if step is None else step) / index_scale
    wanted[wanted == 0] = wanted.max()
    for shift in range(30, -1, -1):
        exact = wanted * 2.0**shift
        gain = np.maximum(np.ceil(exact) if step is None else np.rint(exact), 1)
        if gain.max() > GAIN_MAX:
            continue
        scale = gain / 2.0**shift * index_scale
        weight = np.rint(flat / scale[:, None]) if step is None else flat
        rounded = _bounded(weight, origin / gain * 2.0**shift, input_zero)
        if (rounded.magnitude() * gain).max() <= INT32_MAX:
            if step is None:
                # A weight of 1 moves the index by so much at full input; beyond a few steps it
                # matters that few such weights are left.
                moved = CODE_MAX * gain / 2.0**shift
                is_coarse = (moved > COARSE_STEPS) & (_peak(rounded) < COARSE_WEIGHT)
                _check_weights(rounded, is_coarse, flat, at)
            else:
                _check_gain(rounded, gain, exact, shift, at)
            return scale, gain, shift, rounded
    raise _too_large(at, bias, flat if step is None else flat * step[:, None], input_scale)


def _too_large(at: str, bias: Array, weight: Array, input_scale: float) -> UserError:
    """The error of sums that need more than 32 bits, by what makes them large.

    Args:
        at: the layer, for messages.
        bias: float ``(channels,)``.
        weight: float ``(channels, inputs)``, in the same units for each input of 1.
        input_scale: what one input code more stands for.
    """
    biases, weights = np.abs(bias).max(), np.abs(weight)
    if biases < CODE_MAX * input_scale * weights.sum(axis=1).max():
        return UserError(
            at,
            f"its weights, up to {weights.max():.2g}, are too large for 32 bits",
            "train with weight decay: the layer is saturated for every input",
        )
    return UserError(
        at,
        f"its biases, up to {biases:.2g}, are too large for 32 bits beside its weights, up to "
        f"{weights.max():.2g}",
        "export with --dtype float32, or train again: the layer is the same for every image",
    )


def _peak(rounded: _Rounded) -> Floats:
    """The largest weight of each channel."""
    peak: Floats = np.abs(rounded.weight).max(axis=1)
    return peak


def _check_gain(rounded: _Rounded, gain: Floats, exact: Floats, shift: int, at: str) -> None:
    """Refuses channels that one far larger channel would leave far from their learned steps."""
    off = np.abs(gain - exact)
    most = rounded.magnitude() * off / 2.0**shift
    _refuse(
        (off > COARSE_GAIN * exact) & (most > COARSE_STEPS),
        at,
        lambda channel: (
            f"a gain of {int(gain[channel])} in place of {exact[channel]:.3g}: "
            "another output is too much larger"
        ),
    )


def _check_weights(rounded: _Rounded, is_coarse: Bools, flat: Floats, at: str) -> None:
    """Refuses channels that one far larger channel would leave with too few levels.

    A channel of zeros needs none.
    """
    _refuse(
        is_coarse & flat.any(axis=1),
        at,
        lambda channel: (
            f"integer weights of at most {int(_peak(rounded)[channel])}: "
            "a bias or another output is too much larger"
        ),
    )


def _refuse(too_coarse: Bools, at: str, what: Callable[[int], str]) -> None:
    """Refuses a layer with ``too_coarse`` channels; ``what`` tells what the first would have."""
    if too_coarse.any():
        channel = int(np.argmax(too_coarse))
        raise UserError(
            at,
            f"output {channel} would have {what(channel)}",
            "train with weight decay, or export with --dtype float32",
        )
