"""What the numbers of an integer network are at least and at most, whatever the image."""

from __future__ import annotations

from dataclasses import dataclass

from lenet_export.cpus import operands
from lenet_export.cpus.kernel import kernel_of
from lenet_export.plan import Array, Layer, Plan


@dataclass(frozen=True)
class Bound:
    """What a number of the C is at least and at most, over all inputs of its layer.

    Attributes:
        layer: the layer's name.
        number: what it is, in the C's own words.
        least: no input makes it less.
        most: no input makes it more.
        c_type: what holds it: a type of C, with its bits at the end of its name.
    """

    layer: str
    number: str
    least: int
    most: int
    c_type: str

    @property
    def is_signed(self) -> bool:
        """Whether its type has a sign."""
        return not self.c_type.startswith("u")

    @property
    def bits(self) -> int:
        """How many bits it needs, with the sign of its type."""
        return max(self.most, -1 - self.least).bit_length() + self.is_signed

    @property
    def fits(self) -> bool:
        """Whether its type holds it."""
        bits = int(self.c_type.removesuffix("_t").lstrip("uint"))
        return self.least <= self.most and self.bits <= bits and (self.is_signed or self.least >= 0)


def bounds_of(plan: Plan) -> list[Bound]:
    """The bounds of an integer plan that is laid out, layer by layer; none of float32.

    Raises:
        AssertionError: a number would not fit: the plan is wrong.
    """
    found = [bound for layer in plan.layers if layer.integers for bound in _bounds(layer)]
    for bound in found:
        assert bound.fits, bound
    return found


def _bounds(layer: Layer) -> list[Bound]:
    """The bounds of one integer layer, in the order in which it computes."""
    integers = layer.integers
    assert integers
    acc = integers.acc_min, integers.acc_max
    if not layer.stage.learns:
        return [_bound(layer, "sum" if layer.stage.pool == "avg" else "most", *acc, "uint16_t")]
    parts = kernel_of(layer).partial_sums(layer)
    found = [_bound(layer, *part) for part in parts]
    found += [_bound(layer, "acc", *acc, operands.acc_type(layer))]
    if layer.norm:
        found += [Bound(layer.name, *bound) for bound in layer.norm.bounds(*acc)]
    elif integers.requantize:
        product = integers.requantize.product_min, integers.requantize.product_max
        found.append(Bound(layer.name, "acc * gain", *product, "int32_t"))
    else:
        gap = int(integers.acc_max.max() - integers.acc_min.min())
        found.append(Bound(layer.name, "gap", 0, gap, "int32_t"))
    return found


def _bound(layer: Layer, number: str, least: Array, most: Array, c_type: str) -> Bound:
    """The bound of all channels, of those of each."""
    return Bound(layer.name, number, int(least.min()), int(most.max()), c_type)
