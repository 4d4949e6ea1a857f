"""Layers by MVE (Helium), the vectors of a Cortex-M55."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from lenet_export.c_text import plus
from lenet_export.cpus.blocked import Blocked
from lenet_export.cpus.kernel import (
    divisor,
    place_step,
    signed_codes_fit,
    with_signed_codes,
    with_weights,
)
from lenet_export.plan import Array, Block, Constant, Layer, Layout

VECTOR = 16  # bytes


@dataclass(frozen=True)
class Mve(Blocked):
    """Layers by Arm's MVE: 16 codes, less 128 each, and 16 weights of 8 bits at a time."""

    template: str = "mve"
    adds_in_order: ClassVar[bool] = False
    kinds: ClassVar[frozenset[str]] = frozenset({"conv", "dense"})
    packs: bool = field(default=False, kw_only=True)

    def computes(self, layer: Layer) -> bool:
        """Whether it is a layer of integers, and its bias still fits with the 128s in it."""
        if layer.integers is None or not super().computes(layer):
            return False
        return signed_codes_fit(layer)

    def pays(self, layer: Layer) -> bool:
        """Whether a dense layer's weights have 8 bits.

        One of few bits would lose what they are for: it has most of the weights.
        """
        return layer.grid is None or layer.is_conv

    def _layout(self, layer: Layer, at_once: Block) -> Layout:
        """16 weights of each channel or unit in turn, those beyond a row or the inputs 0."""
        features, rows = layer.stage.features, layer.weight.shape[1] if layer.is_conv else 1
        weight = _filled(layer.weight.reshape(features, rows, -1))
        values = weight.reshape(features // at_once.outputs, at_once.outputs, rows, -1, VECTOR)
        values = values.transpose(0, 2, 3, 1, 4)
        what = "channel" if layer.is_conv else "unit"
        each = "kernel row, 16 columns and inputs" if layer.is_conv else "16 inputs"
        within = f"{what} % {at_once.outputs}, value"
        about = f"{layer.name}: weights [{what} / {at_once.outputs}][{each}, {within}]"
        tables = with_weights(layer, values.reshape(len(values), -1), about)
        slack = -(layer.kernel_values if layer.is_conv else layer.inputs) % VECTOR
        return Layout(self, at_once, with_signed_codes(layer, tables), slack=slack)


@dataclass(frozen=True)
class MveTaps(Mve):
    """A convolution by MVE whose kernel's inputs are gathered once for all channels.

    It needs rows so short that offsets of a byte reach the whole kernel, and so small a kernel that
    its vectors stay in registers.
    """

    template: str = "mve_taps"
    sums: int = 16
    kinds: ClassVar[frozenset[str]] = frozenset({"conv"})

    def computes(self, layer: Layer) -> bool:
        """Whether a byte reaches all that a kernel reads of the strip, and no norm follows."""
        if layer.norm or not super().computes(layer):
            return False
        last = (layer.weight.shape[1] - 1) * layer.strip_values + layer.kernel_values - 1
        return bool(last < 2**8)

    def pays(self, layer: Layer) -> bool:
        """Whether the kernel's inputs stay in registers, and gathering loads fewer vectors."""
        vectors = -(-layer.weight[0].size // VECTOR)
        rows = layer.weight.shape[1] * -(-layer.kernel_values // VECTOR)
        return bool(vectors * layer.stage.pool_size <= 4 and vectors < rows)

    def layout(self, layer: Layer) -> Layout:
        """All weights of a channel in a row, and the places of its inputs in the strip."""
        channels = divisor(layer.stage.features, self.sums // layer.stage.pool_size)
        weight = _filled(layer.weight.reshape(len(layer.weight), -1))
        about = f"{layer.name}: weights [channel][kernel row, column, input]"
        tables = with_weights(layer, weight, about)
        block = Block(channels, columns=layer.stage.pool_size)
        return Layout(self, block, (*with_signed_codes(layer, tables), _taps(layer)))

    def view(self, layer: Layer) -> dict[str, Any]:
        """The vectors of inputs that are gathered, too."""
        return super().view(layer) | {"gathers": _gathers(layer)}


def _filled(values: Array) -> Array:
    """``values`` with its last axis filled up to whole vectors by 0."""
    fill = [(0, 0)] * (values.ndim - 1) + [(0, -values.shape[-1] % VECTOR)]
    return np.pad(values, fill)


def _taps(layer: Layer) -> Constant:
    """Where a kernel's inputs lie in the strip, uint8 ``(taps,)``, from the first of them."""
    rows = np.arange(layer.weight.shape[1])[:, None] * layer.strip_values
    taps = _filled((rows + np.arange(layer.kernel_values)).ravel()).astype(np.uint8)
    about = f"{layer.name}: where a kernel's inputs lie in the strip"
    return Constant(f"{layer.name}_taps", taps, about)


def _gathers(layer: Layer) -> list[dict[str, Any]]:
    """The vectors of 16 inputs that a kernel with taps gathers: of each column of a pool window."""
    vectors = layer.constants[0].values.shape[-1] // 16
    return [
        {
            "value": f"value{column}{n}",
            "column": column,
            "base": plus("in", column * place_step(layer)),
            "taps": plus(f"{layer.name}_taps", 16 * n),
            "weight": plus("weight", 16 * n),
        }
        for column in range(layer.stage.pool_size)
        for n in range(vectors)
    ]
