"""Convolutions as products of polynomials, where one instruction multiplies 32 bits and adds 64."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from lenet_export.cpus.kernel import (
    Kernel,
    PartialSum,
    Pragma,
    block,
    divisor,
    sums_without_bias,
    with_weights,
)
from lenet_export.plan import U32, Block, DType, Layer, Layout

PAIR_BITS = 21  # of a sum, and so from one code of a pair to the next
LIFT = 2 ** (PAIR_BITS - 1)  # what a sum begins with, so that it is never negative
POOL = 2  # rows and columns of a pool window: a step completes two columns
NUMBERS = 4  # of 64 bits, three sums each, that registers hold beside what is multiplied
UNROLL = 32  # turns of the inner loops that are written out, at most
USED = 0.6  # of what is multiplied, at least: SMLAD, with half the products, wastes less


@dataclass(frozen=True)
class Kronecker(Kernel):
    """Convolutions by Kronecker's substitution: a product of polynomials as one of numbers.

    Two columns of the input lie in a word, two of the kernel in another, the later one first, in
    base ``z = 2^21``: ``(x0 + x1 z)(w1 + w0 z) = x0 w1 + (x0 w0 + x1 w1) z + x1 w0 z^2``. So one
    multiplication adds four products to three sums, each of 21 bits of one number of 64: that of
    one output, and parts of those beside it. ``2^20`` is added to each, so that none is negative.
    """

    template: str = "kronecker"
    codes: DType = field(default=U32, kw_only=True)
    kinds: ClassVar[frozenset[str]] = frozenset({"conv"})
    pragma: ClassVar[Pragma | None] = Pragma(
        "The sums of a convolution take most registers: gcc moves them about less where it chooses "
        "registers for a function as a whole.",
        ("ira-region=one",),
    )

    def computes(self, layer: Layer) -> bool:
        """Whether no image's sum leaves its 21 bits, and the layer has pools of 2x2 and no norm.

        Nor may an input share a word with a border that is not 0.
        """
        if not super().computes(layer) or layer.integers is None or layer.norm:
            return False
        if layer.stage.pool_size != POOL or layer.stage.stride != 1:
            return False
        shares = layer.input_shape[1] % 2 and layer.padding[1][1]
        least, most = sums_without_bias(layer)
        fits = least.min() + LIFT >= 0 and most.max() + LIFT < 2**PAIR_BITS
        return bool(fits and not (shares and layer.pad_code))

    def pays(self, layer: Layer) -> bool:
        """Whether enough is used of the kernel's columns, and of the steps."""
        windows = layer.output_shape[1]
        used = layer.weight.shape[2] / (2 * _pairs(layer)) * windows / (windows + 1)
        return bool(used >= USED)

    def partial_sums(self, layer: Layer) -> list[PartialSum]:
        """The sums without the biases, as they lie in a number."""
        least, most = sums_without_bias(layer)
        about = f"acc - bias + 2^{PAIR_BITS - 1}"
        return [PartialSum(about, least + LIFT, most + LIFT, f"uint{PAIR_BITS}")]

    def layout(self, layer: Layer) -> Layout:
        """The weights that meet a word side by side."""
        outputs, front = divisor(layer.stage.features, NUMBERS // POOL), _front(layer)
        _, rows, columns, channels = layer.weight.shape
        behind = 2 * _pairs(layer) - front - columns
        weight = np.pad(layer.weight.astype(np.int32), [(0, 0), (0, 0), (front, behind), (0, 0)])
        words = weight[:, :, 1::2] + (weight[:, :, 0::2] << PAIR_BITS)
        # [channel / 2][channel % 2][row][pair, input channel] becomes what is walked in order.
        values = words.reshape(-1, outputs, rows, _pairs(layer) * channels).transpose(0, 3, 2, 1)
        about = (
            f"{layer.name}: w1 + 2^{PAIR_BITS} * w0 of two columns of the kernel "
            f"[channel / {outputs}][pair of columns, input channel, kernel row, "
            f"channel % {outputs}]"
        )
        return Layout(
            self,
            Block(outputs, POOL),
            with_weights(layer, values.reshape(len(values), -1), about),
            _pairs(layer) if channels == 1 else divisor(channels, max(1, UNROLL // rows)),
            reload=True,
            # The pairs of one channel are written out, and so read in the last step too.
            slack=_pairs(layer) - _last_pairs(layer) if channels == 1 else 0,
            pair_bits=PAIR_BITS,
            front=front,
        )

    def view(self, layer: Layer) -> dict[str, Any]:
        """What is computed at a time, and how many words of a row are read in a step."""
        return super().view(layer) | {
            "outputs": block(layer),
            "pairs": _pairs(layer),
            "words_read": _words_read(layer),
        }


def _front(layer: Layer) -> int:
    """Columns of zeros in front of a kernel, so that the border on the left is whole words."""
    return layer.padding[1][0] % 2


def _pairs(layer: Layer) -> int:
    """Pairs of columns of a kernel, those of zeros included."""
    return -(-(_front(layer) + int(layer.weight.shape[2])) // 2)


def _last_pairs(layer: Layer) -> int:
    """The pairs that the last step of a row needs, which completes one column only.

    A step for each pool window goes before it. Behind these pairs the padded row ends.
    """
    columns = _front(layer) + sum(layer.padding[1]) + layer.input_shape[1]
    return min(_pairs(layer), -(-columns // 2) - layer.output_shape[1])


def _words_read(layer: Layer) -> str:
    """How many words of a row are read in the step that completes window x, in C."""
    channels, last = layer.input_shape[2], _last_pairs(layer)
    every = _pairs(layer) * channels
    if last == _pairs(layer):
        return str(every)
    return f"(x < {layer.output_shape[1] - 1} ? {every} : {last * channels})"
