"""Layers by SMLAD of Arm's DSP extension."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lenet_export.cpus.blocked import Blocked
from lenet_export.cpus.kernel import Kernel, block, divisor, with_weights
from lenet_export.plan import U16, Block, DType, Layer, Layout


@dataclass(frozen=True)
class Smlad(Blocked):
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
class SmladBytes(Kernel):
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


def unit_pairs(layer: Layer) -> list[dict[str, str]]:
    """The units of a block two by two: what the C calls them and their sums."""
    outputs = block(layer)
    return [
        {"both": f"both{n}", "weight": f"w{n}", "even": even.acc, "odd": odd.acc}
        | {"even_number": even.number, "odd_number": odd.number}
        | {"at02": str(even.index), "at13": str(odd.index)}
        for n, (even, odd) in enumerate(zip(outputs[0::2], outputs[1::2], strict=True))
    ]
