"""Layers by SMLAD of Arm's DSP extension."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from lenet_export.cpus.blocked import Blocked
from lenet_export.cpus.kernel import (
    Kernel,
    PartialSum,
    block,
    divisor,
    sums_without_bias,
    with_weights,
)
from lenet_export.plan import U16, Block, DType, Layer, Layout

UNALIGNED = (
    "Words are read at any address: UNALIGN_TRP in the core's CCR must be 0, as it is after reset.",
)


@dataclass(frozen=True)
class Smlad(Blocked):
    """Convolutions by Arm's SMLAD: two codes and two weights of 16 bits at a time."""

    template: str = "smlad"
    codes: DType = field(default=U16, kw_only=True)
    packs: bool = field(default=False, kw_only=True)
    kinds: ClassVar[frozenset[str]] = frozenset({"conv"})
    adds_in_order: ClassVar[bool] = False
    reads_any_byte: ClassVar[bool] = True
    notes: ClassVar[tuple[str, ...]] = UNALIGNED

    def computes(self, layer: Layer) -> bool:
        """Whether it is a convolution of integers."""
        return layer.integers is not None and super().computes(layer)

    def _layout(self, layer: Layer, at_once: Block) -> Layout:
        """The channels' pairs side by side; an odd row's last pair has a weight of 0."""
        channels, (features, rows, kernel) = at_once.outputs, layer.plain_constants[0].values.shape
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
        return Layout(self, at_once, tables, unroll, reload=True, slack=2 * pairs - kernel)


@dataclass(frozen=True)
class SmladBytes(Kernel):
    """Layers by SMLAD on bytes: four codes at a time, two outputs in each halfword of weights.

    Attributes:
        units: how many units of a dense layer are computed at once; an even number.
    """

    template: str = "smlad_bytes"
    units: int = 8
    reads_any_byte: ClassVar[bool] = True
    notes: ClassVar[tuple[str, ...]] = UNALIGNED

    def computes(self, layer: Layer) -> bool:
        """Whether its outputs come in pairs, and their sums without bias fit 24 bits."""
        if not super().computes(layer) or layer.integers is None:
            return False
        if layer.stage.features % 2 or layer.stage.pool_size > 2:
            return False
        least, most = sums_without_bias(layer)
        return bool(least.min() >= -(2**23) and most.max() < 2**23)

    def pays(self, layer: Layer) -> bool:
        """Whether weights have 8 bits, and at most a third of what it multiplies is filled up.

        Weights of few bits would be bytes here.
        """
        filled = -layer.kernel_values % 4 if layer.is_conv else 0
        return layer.grid is None and (not filled or 2 * filled <= layer.kernel_values)

    def partial_sums(self, layer: Layer) -> list[PartialSum]:
        """The sums without the biases: they are the upper 24 bits of a word."""
        return [PartialSum("acc - bias", *sums_without_bias(layer), "int24")]

    def view(self, layer: Layer) -> dict[str, Any]:
        """The outputs that are computed at once, two by two as well."""
        return super().view(layer) | {"outputs": block(layer), "pairs": pairs_of(layer)}

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
        at_once = Block(outputs, columns=layer.stage.pool_size)
        slack = -(layer.kernel_values if layer.is_conv else layer.inputs) % 4
        tables = with_weights(layer, values, about)
        return Layout(self, at_once, tables, slack=slack)


def pairs_of(layer: Layer) -> list[dict[str, str]]:
    """The units of a block two by two: what the C calls them and their sums."""
    outputs = block(layer)
    return [
        {"both": f"both_{even.index}{odd.index}", "odd": f"odd_{odd.index}"}
        | {"weight": f"w_{even.index}{odd.index}"}
        | {"even_acc": even.acc, "odd_acc": odd.acc}
        | {"even_number": even.number, "odd_number": odd.number}
        | {"at02": str(even.index), "at13": str(odd.index)}
        for even, odd in zip(outputs[0::2], outputs[1::2], strict=True)
    ]
