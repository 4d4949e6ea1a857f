"""Layers by MVE (Helium), the vectors of a Cortex-M55."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np

from lenet_export.activations import CODE_MAX
from lenet_export.c_text import plus, times
from lenet_export.checkpoint import Grid
from lenet_export.cpus import operands
from lenet_export.cpus.blocked import Blocked
from lenet_export.cpus.kernel import (
    PartialSum,
    Pragma,
    divisor,
    packed,
    place_step,
    signed_codes_fit,
    sums_of_signed,
    with_gains_of_31_bits,
    with_signed_codes,
    with_weights,
)
from lenet_export.plan import S8, U8, Array, Block, Constant, DType, Layer, Layout, Packing

VECTOR = 16  # bytes
GROUP = 8  # sums that become codes at once, in lanes of 16 bits
REACH = 128  # bytes from a pointer on that a load of a vector reaches
UNROLL = 8  # rows of a kernel that are written out, at most
NO_ADDRESSES = Pragma(
    "gcc would move pointers on within loads, and copy them first.",
    ("no-auto-inc-dec",),
)


@dataclass(frozen=True)
class Mve(Blocked):
    """Layers by Arm's MVE: 16 codes, less 128 each, and 16 weights of 8 bits at a time.

    The sums go to RAM, from where eight at a time become codes and are pooled.
    """

    template: str = "mve"
    codes: DType = field(default=S8, kw_only=True)
    adds_in_order: ClassVar[bool] = False
    in_vectors: ClassVar[bool] = True
    kinds: ClassVar[frozenset[str]] = frozenset({"conv", "dense"})
    pools: ClassVar[frozenset[str] | None] = frozenset({"none", "avg", "max"})
    pragma: ClassVar[Pragma | None] = NO_ADDRESSES
    packs: bool = field(default=False, kw_only=True)

    def computes(self, layer: Layer) -> bool:
        """Whether its codes come of vectors, and its bias still fits with the 128s in it."""
        if layer.integers is None or not super().computes(layer) or not signed_codes_fit(layer):
            return False
        return self._activates(layer)

    def _activates(self, layer: Layer) -> bool:
        """Whether there is no norm, indices are narrower than sums, and a pool's sums are short."""
        assert layer.integers
        requantize = layer.integers.requantize
        narrows = requantize is None or bool(requantize.gain.max() < 2**requantize.shift)
        return not layer.norm and narrows and _mean(layer) is not None

    def pays(self, layer: Layer) -> bool:
        """Whether a dense layer's weights have 8 bits; of few bits it keeps them so."""
        return layer.grid is None or layer.is_conv

    def partial_sums(self, layer: Layer) -> list[PartialSum]:
        """The sums of codes less 128, where vectors add the biases."""
        if not self._gives_codes(layer):
            return []
        least, most = sums_of_signed(layer)
        return [PartialSum("acc - bias", least, most, "int32_t")]

    def view(self, layer: Layer) -> dict[str, Any]:
        """How sums become codes, too."""
        features, block = layer.stage.features, layer.layout.block
        groups = -(-features // GROUP)
        has_blocks = block.outputs < min(features, GROUP)
        group = "group" if groups > 1 else "0"
        adds_biases = self._gives_codes(layer)
        given = super().view(layer)
        sums = [output.acc for output in given["outputs"]]
        return given | {
            "columns": [
                {"name": f"v{column}", "offset": column * place_step(layer)}
                for column in range(block.columns)
            ],
            "places": block.rows * block.columns,
            "is_whole": block.columns == layer.stage.pool_size == block.rows,
            "keeps_rows": block.rows > 1 and layer.stage.stride == 1,
            "row_unroll": min(UNROLL, layer.weight.shape[1]) if layer.is_conv else 1,
            "adds_biases": adds_biases,
            "eight_sums": [*sums, *"0" * (GROUP - len(sums))],
            "start": (lambda _: "0") if adds_biases else partial(operands.bias, layer),
            "sum_at": lambda place, output: place * (features if layer.norm else GROUP) + output,
            "groups": groups,
            "group": f"{group} / {GROUP}" if groups > 1 else group,
            "has_blocks": has_blocks,
            "first": "first" if has_blocks else group,
            "first_group": group,
            "last_of_group": _end(features),
            "count": f"{features} - group"
            if features > GROUP and features % GROUP
            else min(features, GROUP),
            "mean": _mean(layer),
        }

    def _gives_codes(self, layer: Layer) -> bool:
        """Whether vectors make codes of its sums, to which they add the biases."""
        return bool(self.in_vectors and layer.integers and layer.integers.requantize)

    def _outputs(self, layer: Layer, most: int) -> int:
        """How many outputs a block of at most ``most`` has: whole blocks in a group of channels."""
        features = layer.stage.features
        in_groups = layer.is_conv and features > GROUP
        return divisor(math.gcd(features, GROUP) if in_groups else features, most)

    def _layout(self, layer: Layer, at_once: Block) -> Layout:
        """16 weights of each channel or unit in turn, those beyond a row or the inputs 0."""
        features, rows = layer.stage.features, layer.weight.shape[1] if layer.is_conv else 1
        weight = _filled(layer.weight.reshape(features, rows, -1))
        values = weight.reshape(features // at_once.outputs, at_once.outputs, rows, -1, VECTOR)
        values = values.transpose(0, 3, 2, 1, 4)
        what = "channel" if layer.is_conv else "unit"
        each = "16 columns and inputs, kernel row" if layer.is_conv else "16 inputs"
        within = f"{what} % {at_once.outputs}, value"
        about = f"{layer.name}: weights [{what} / {at_once.outputs}][{each}, {within}]"
        tables = self._tables(layer, values.reshape(len(values), -1), about, at_once.outputs)
        slack = -(layer.kernel_values if layer.is_conv else layer.inputs) % VECTOR
        return Layout(self, at_once, tables, slack=slack)

    def _tables(self, layer: Layer, values: Array, about: str, units: int) -> tuple[Constant, ...]:
        """The weights; biases and gains as eight are loaded, in rows or from any unit on."""
        tables = with_signed_codes(layer, with_weights(layer, values, about))
        if not self._gives_codes(layer):
            return tables
        more = -layer.stage.features % GROUP if layer.is_conv else GROUP - units
        what = f"[channel / {GROUP}][{GROUP}]" if layer.is_conv else f"[unit], then {more} * 0"

        def loaded(values: Array) -> Array:
            filled = np.pad(values, (0, more))
            return filled.reshape(-1, GROUP) if layer.is_conv else filled

        return with_gains_of_31_bits(layer, tables, loaded, what)


@dataclass(frozen=True)
class MveNormed(Mve):
    """The same where a norm follows, in plain C, which takes all sums of a place at once."""

    in_vectors: ClassVar[bool] = False

    def _activates(self, layer: Layer) -> bool:
        """Whether there is a norm."""
        return bool(layer.norm)


@dataclass(frozen=True)
class MveTaps(Mve):
    """A convolution by MVE whose kernel's inputs are gathered once for all channels.

    It needs rows so short that offsets of a byte reach the whole kernel, and so small a kernel that
    its vectors stay in registers.
    """

    template: str = "mve_taps"
    kinds: ClassVar[frozenset[str]] = frozenset({"conv"})

    def computes(self, layer: Layer) -> bool:
        """Whether a byte reaches all that a kernel reads of the strip."""
        if not super().computes(layer):
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
        channels = self._outputs(layer, GROUP)
        weight = _filled(layer.weight.reshape(len(layer.weight), -1))
        about = f"{layer.name}: weights [channel][kernel row, column, input]"
        size = layer.stage.pool_size
        tables = self._tables(layer, weight, about, channels)
        return Layout(self, Block(channels, size, size), (*tables, _taps(layer)))

    def view(self, layer: Layer) -> dict[str, Any]:
        """The vectors of inputs that are gathered, too."""
        weights = layer.constants[0].values.shape[1]
        return super().view(layer) | {
            "gathers": _gathers(layer),
            "reach": max(1, REACH // weights),
        }


@dataclass(frozen=True)
class MveFields(Mve):
    """Dense layers of few bits by MVE: a byte has the fields of several units.

    Shifted and masked, 16 bytes are the fields of one unit for 16 values. They are summed as they
    are; by how much a field differs from its weight is the same for all units, which repay it.
    """

    template: str = "mve_fields"
    kinds: ClassVar[frozenset[str]] = frozenset({"dense"})

    def pays(self, layer: Layer) -> bool:
        """Whether weights have few bits."""
        return layer.grid is not None

    def partial_sums(self, layer: Layer) -> list[PartialSum]:
        """What it sums in place of weights, what it repays, and the sums less their biases."""
        grid, codes = _grid(layer), np.array([-128, 127])
        fields = ((layer.weight.astype(np.int64) + grid.peak) // grid.spacing).sum(axis=1)
        found = [("sum(field * (code - 128))", 1, fields)]
        if grid.spacing > 1:
            found.append((f"{grid.spacing} * sum", grid.spacing, fields))
        found.append((times("total", grid.peak), grid.peak, np.full_like(fields, layer.inputs)))
        sums = [(number, *(codes[:, None] * factor * of)) for number, factor, of in found]
        every = [*sums, ("acc - bias", *sums_of_signed(layer))]
        return [PartialSum(number, least, most, "int32_t") for number, least, most in every]

    def view(self, layer: Layer) -> dict[str, Any]:
        """How a unit's fields are read from a vector of bytes, too."""
        units, packing = layer.layout.block.outputs, layer.layout.packing
        assert packing
        bits, peak, spacing = packing.grid
        vectors = max(1, units * bits // 8)
        given = super().view(layer)

        def less_bias(acc: str) -> str:
            return f"{times(acc, spacing)} - repaid"

        return given | {
            "mask": 2**bits - 1,
            "vectors": vectors,
            "turn": packing.values * VECTOR,
            "products": [
                {
                    "acc": f"acc{unit}",
                    "codes": f"codes{value}",
                    "fields": _fields(bits, value * units + unit),
                }
                for value in range(packing.values)
                for unit in range(units)
            ],
            "values": [
                {"name": f"codes{value}", "offset": value * VECTOR}
                for value in range(packing.values)
            ],
            "peak": peak,
            "less_bias": less_bias,
            "eight_sums": [less_bias(output.acc) for output in given["outputs"]]
            + ["0"] * (GROUP - units),
        }

    def _outputs(self, layer: Layer, most: int) -> int:
        """How many units a block of at most ``most`` has: of whole bytes, or of a part of one."""
        in_byte = 8 // _grid(layer).bits
        return max(
            units
            for units in range(1, most + 1)
            if layer.outputs % units == 0 and 0 in (units % in_byte, in_byte % units)
        )

    def _layout(self, layer: Layer, at_once: Block) -> Layout:
        """The fields that meet 16 values side by side; those beyond the inputs are 0."""
        units, grid = at_once.outputs, _grid(layer)
        in_byte = min(units, 8 // grid.bits)
        packing = Packing(grid, U8, 8 // grid.bits // in_byte)
        slack = -layer.inputs % (VECTOR * packing.values)
        weight = layer.weight.reshape(layer.outputs, -1)
        weight = np.pad(weight, [(0, 0), (0, slack)], constant_values=-grid.peak)
        split = weight.reshape(
            layer.outputs // units, units // in_byte, in_byte, -1, packing.values, VECTOR
        )
        values = packed(packing, split.transpose(0, 3, 1, 5, 4, 2))
        inputs = VECTOR * packing.values
        within = f"unit / {in_byte}, input % 16" if in_byte < units else "input % 16"
        about = (
            f"{layer.name}: weights [unit / {units}][{inputs} inputs, {within}], {packing.about}"
        )
        tables = self._tables(layer, values.reshape(len(values), -1), about, units)
        return Layout(self, at_once, tables, slack=slack, packing=packing)


def _grid(layer: Layer) -> Grid:
    """The integers that the weights of few bits of a layer can be."""
    assert layer.grid
    return layer.grid


def _fields(bits: int, number: int) -> str:
    """The ``number``-th field of each byte of vectors that are called so, in C."""
    in_byte = 8 // bits
    vector, shift = f"fields{number // in_byte}", bits * (number % in_byte)
    if shift == 0:
        return f"vandq_u8({vector}, lowest)"
    shifted = f"vshrq_n_u8({vector}, {shift})"
    return shifted if shift == 8 - bits else f"vandq_u8({shifted}, lowest)"


def _filled(values: Array) -> Array:
    """``values`` with its last axis filled up to whole vectors by 0."""
    fill = [(0, 0)] * (values.ndim - 1) + [(0, -values.shape[-1] % VECTOR)]
    return np.pad(values, fill)


def _end(features: int) -> str:
    """Where the channels of a group end, in C."""
    if features <= GROUP:
        return str(features)
    return f"group + {GROUP}" + (f" && first < {features}" if features % GROUP else "")


def _mean(layer: Layer) -> str | None:
    """What makes of eight sums of a pool's codes their mean in C, rounded half up.

    That of a maximum, or of one code, is what it is. ``None``: 16 bits are too few for the sums.
    """
    window = layer.stage.pool_size**2
    if layer.stage.pool != "avg" or window == 1:
        return "pooled"
    if CODE_MAX * window + window // 2 >= 2**16:
        return None
    if window & (window - 1) == 0:
        return f"vrshrq_n_u16(pooled, {window.bit_length() - 1})"
    sums = np.arange(CODE_MAX * window + window // 2 + 1)
    for shift in range(16):
        factor = -(-(2 ** (16 + shift)) // window)
        if factor < 2**16 and (sums * factor >> 16 + shift == sums // window).all():
            upper = f"vmulhq_u16(vaddq_n_u16(pooled, {window // 2}), vdupq_n_u16({factor}))"
            return f"vshrq_n_u16({upper}, {shift})" if shift else upper
    return None


def _taps(layer: Layer) -> Constant:
    """Where a kernel's inputs lie in the strip, uint8 ``(taps,)``, from the first of them."""
    rows = np.arange(layer.weight.shape[1])[:, None] * layer.strip_values
    taps = _filled((rows + np.arange(layer.kernel_values)).ravel()).astype(np.uint8)
    about = f"{layer.name}: where a kernel's inputs lie in the strip"
    return Constant(f"{layer.name}_taps", taps, about)


def _gathers(layer: Layer) -> list[dict[str, Any]]:
    """The vectors of 16 inputs that a kernel with taps gathers: of each column of a pool window."""
    vectors = layer.constants[0].values.shape[-1] // VECTOR
    return [
        {
            "value": f"value{column}{n}",
            "column": column,
            "base": plus("in", column * place_step(layer)),
            "taps": plus(f"{layer.name}_taps", VECTOR * n),
            "weight": f"w{n}",
        }
        for column in range(layer.stage.pool_size)
        for n in range(vectors)
    ]
