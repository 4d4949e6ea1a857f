"""Layer normalization in integers of 32 bits, without a division or a branch.

The accumulators of one place, ``acc``, have one scale, and a common number in their biases that
keeps them from 0 up. With Python's ``//`` and ``>>``, which round down::

    u       = acc >> drop
    near    = sum(u) * factor >> mean_shift                      sum(u) / channels, or a little less
    mean    = near + ((sum(u) - near * channels) * factor + half >> mean_shift)        now rounded
    d       = u - mean
    squares = sum(d * d) + least                                 least: the variance's epsilon
    places, root:  squares * 4^places is 2^30 to 2^32;  root = 2^15 / sqrt(that / 2^30)
    share   = (d * root + 2^(31 - places)) >> (16 - places)      2^14 * d / sqrt(squares) + 2^15
    acc     = bias + gain * share                                index = acc >> shift

``gain`` and ``bias`` hold the learned ones, the steps of the index, and the square root of the
number of channels. Source: Ba, Kiros, Hinton, "Layer Normalization", 2016; ``nn.LayerNorm``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export.checkpoint import NORM_EPSILON

Array = npt.NDArray[Any]

SHARE_ONE = 2**14
SHARE_ZERO = 2**15
#: A share is one of SHARE_ZERO - SHARE_ONE to SHARE_ZERO + SHARE_ONE, or a little beyond.
SHARE_MAX = 3 * 2**14 + 2**6
SHARE_MIN = 2**14 - 2**6
ROOT_ONE = 2**15  # no root is larger
#: The start of Newton's iteration for 1 / sqrt(x): within 9 % for x from 1 to 4. Two steps of it
#: bring that to 0.03 %.
START, SLOPE, STEPS = 35000, 5000, 2
LARGEST_DIFFERENCE = 2**15
LEAST_MAX = 2**30  # of what epsilon adds to a sum of squares
GAIN_MAX = 2**15 - 1  # a halfword of flash, of either sign


@dataclass(frozen=True)
class LayerNorm:
    """The numbers of a layer's norm; those with a default are of an integer layer alone.

    Attributes:
        gain: int16 or float32 ``(channels,)``.
        bias: int32 or float32 ``(channels,)``.
        drop: low bits of the accumulators that are dropped.
        factor: with ``mean_shift``: 1 / channels, rounded down.
        mean_shift: see there.
        least: added to the sum of squares.
    """

    gain: Array
    bias: Array
    drop: int = 0
    factor: int = 0
    mean_shift: int = 0
    least: int = 0

    @property
    def half(self) -> int:
        """What rounds the mean."""
        return 1 << self.mean_shift >> 1

    @classmethod
    def of(cls, largest: int, unit: float, gain: Array, bias: Array) -> tuple[LayerNorm, int, int]:
        """The norm in integers, the shift of the index, and the largest of what is shifted.

        Args:
            largest: accumulator, of any channel and input; the smallest is not below 0.
            unit: what accumulator 1 stands for.
            gain: float ``(channels,)``: index steps for each standard deviation.
            bias: float ``(channels,)``: the index at the mean.

        Raises:
            ValueError: the gain or the bias is too large for 32 bits, or no number.
        """
        channels, drop = len(gain), 0
        while drop < 31 and (
            largest >> drop >= LARGEST_DIFFERENCE
            or _squares(channels, largest >> drop) >= 2**31
            or channels * NORM_EPSILON / (unit * 2**drop) ** 2 >= LEAST_MAX
        ):
            drop += 1
        top = largest >> drop
        mean_shift = 30 - top.bit_length()
        factor = 2**mean_shift // channels
        # Beyond the largest one every sum is 0 behind 31 bits dropped, and the mean all there is.
        least = max(1, round(min(LEAST_MAX, channels * NORM_EPSILON / (unit * 2**drop) ** 2)))
        for shift in range(30, -1, -1):
            gains = np.rint(gain.astype(np.float64) * channels**0.5 * 2.0**shift / SHARE_ONE)
            biases = np.rint(bias.astype(np.float64) * 2.0**shift) - gains * SHARE_ZERO
            bound = (np.abs(biases) + np.abs(gains) * SHARE_MAX).max()
            if np.abs(gains).max() <= GAIN_MAX and bound < 2**31:
                break
        else:
            raise ValueError("the scale or the bias of its norm is too large")
        norm = cls(gains.astype(np.int16), biases.astype(np.int32), drop, factor, mean_shift, least)
        return norm, shift, int(bound)

    def bounds(self, acc_min: Array, acc_max: Array) -> list[tuple[str, int, int, str]]:
        """What its numbers are at least and at most, and their types, by their names in the C.

        Args:
            acc_min: int64 ``(channels,)``, what the accumulators cannot be below; not below 0.
            acc_max: likewise above.
        """
        least, most = acc_min >> self.drop, acc_max >> self.drop
        top, channels = int(most.max()), len(self.gain)
        gain, bias = self.gain.astype(np.int64), self.bias.astype(np.int64)
        ends = bias + gain * SHARE_MIN, bias + gain * SHARE_MAX
        squares = self.least + _squares(channels, top)
        total = int(most.sum())
        # The first mean is below the true one by less than 1, and by what the factor lacks.
        rest = channels + (total * (channels - 1) >> self.mean_shift)
        return [
            ("sum", int(least.sum()), total, "int32_t"),
            ("sum * factor", int(least.sum()) * self.factor, total * self.factor, "int32_t"),
            ("rest * factor + half", self.half, rest * self.factor + self.half, "int32_t"),
            ("squares", self.least, squares, "uint32_t"),
            ("difference * root", -top * ROOT_ONE, top * ROOT_ONE, "int32_t"),
            ("acc behind the norm", int(np.min(ends)), int(np.max(ends)), "int32_t"),
        ]

    def apply(self, acc: Any, xp: Any) -> Any:
        """Accumulators int32 ``(..., channels)`` to those that give the index; see the head."""
        u = acc >> self.drop
        total = u.sum(-1, keepdims=True, dtype=xp.int32)
        near = total * self.factor >> self.mean_shift
        rest = total - near * acc.shape[-1]
        mean = near + (rest * self.factor + self.half >> self.mean_shift)
        d = u - mean
        x = (d * d).sum(-1, keepdims=True, dtype=xp.int32).astype(xp.uint32) + self.least
        places = xp.zeros_like(x)
        for _ in range(15):
            is_small = (x < 2**30).astype(xp.uint32)
            x, places = x << (2 * is_small), places + is_small
        root = self._root((x >> 16).astype(xp.uint32))
        product = (d * root.astype(xp.int32)).astype(xp.uint32)
        share = (product + (SHARE_ZERO << (16 - places))) >> (16 - places)
        gain, bias = (xp.asarray(v.astype(np.int32)) for v in (self.gain, self.bias))
        return bias + gain * share.astype(xp.int32)

    def _root(self, x: Any) -> Any:
        """2^15 / sqrt(x / 2^14) for uint32 x from 2^14 to 2^16."""
        root = START - (x * SLOPE >> 14)
        for _ in range(STEPS):
            root = root * (3 * ROOT_ONE - (x * (root * root >> 15) >> 14)) >> 16
        return root


def _squares(channels: int, top: int) -> int:
    """No sum of squares of differences from the mean of numbers from 0 to ``top`` exceeds this.

    Around the mean itself that is ``channels * top^2 / 4``; rounding the mean moves it by less than
    2 in each channel.
    """
    return channels * (top**2 // 4 + 4)
