"""One loop for the sums of all layers, where flash is dearer than time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from lenet_export.cpus import operands
from lenet_export.cpus.kernel import GENERIC, Kernel
from lenet_export.plan import Layer, Layout


@dataclass(frozen=True)
class Dot(Kernel):
    """Layers of integers in plain C99, whose sums are dot products by one function for all.

    Weights of each number of bits have a function of their own.
    """

    template: str = "dot"
    strides_may_differ: ClassVar[bool] = True

    def computes(self, layer: Layer) -> bool:
        """Whether it sums integers: a norm's sums and floats have other types."""
        return layer.integers is not None and not layer.norm and super().computes(layer)

    def layout(self, layer: Layer) -> Layout:
        """As plain C has it: each output's weights in a row of their own."""
        return replace(GENERIC.layout(layer), kernel=self)

    def view(self, layer: Layer) -> dict[str, Any]:
        """The function that adds up a row of weights, and how many are in one."""
        packing = layer.layout.packing
        return super().view(layer) | {
            "dot": f"dot_{layer.stage.bits}",
            "word": "uint8_t" if packing else "int8_t",
            "per_word": packing.values if packing else 1,
            "bits": packing.grid.bits if packing else 8,
            "count": layer.kernel_values if layer.is_conv else layer.inputs,
            "unpacked": operands.unpacked(layer, "word"),
        }
