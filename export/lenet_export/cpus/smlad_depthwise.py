"""Depthwise convolutions by SMLAD: two columns of a channel in a word."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np

from lenet_export.c_text import plus, times
from lenet_export.cpus.kernel import Kernel, with_weights
from lenet_export.plan import U32, Block, DType, Layer, Layout

STEPS = 3  # at once, at most: six sums, and registers for the weights of a row
PAIR_BITS = 16  # from one code of a pair to the next


@dataclass(frozen=True)
class SmladDepthwise(Kernel):
    """Depthwise convolutions by SMLAD: two columns of a channel in a word, two of its kernel too.

    Two outputs beside each other read the same words: the left one begins with the lower half of
    the first, the right one with its upper half. A step is two such outputs.
    """

    template: str = "smlad_depthwise"
    codes: DType = field(default=U32, kw_only=True)
    kinds: ClassVar[frozenset[str]] = frozenset({"depthwise"})
    pools: ClassVar[frozenset[str] | None] = frozenset({"none"})
    strides_may_differ: ClassVar[bool] = True

    def computes(self, layer: Layer) -> bool:
        """Whether it moves on column by column, each channel has one output, and no norm follows.

        A kernel has 3, 5 or more columns, of odd number. No input may share a word with a border
        that is not 0.
        """
        if not super().computes(layer) or layer.integers is None or layer.norm:
            return False
        columns = layer.weight.shape[2]
        is_own = layer.stage.features == layer.input_shape[-1]
        shares = layer.input_shape[1] % 2 and layer.padding[1][1] and layer.pad_code
        return bool(
            is_own and layer.column_step == 1 and columns % 2 and columns > 1 and not shares
        )

    def layout(self, layer: Layer) -> Layout:
        """The weights of a row two by two, from the first column on and from the second."""
        channels, rows, columns, _ = layer.weight.shape
        weight = layer.weight.astype(np.int16).reshape(channels, rows, columns)
        left, right = (weight[:, :, n : columns - 1 + n].reshape(-1, 2) for n in (0, 1))
        values = np.stack([left, right], axis=1).reshape(channels, -1)
        about = (
            f"{layer.name}: weights [channel][kernel row, two columns, "
            "from the first or the second on, column]"
        )
        tables = with_weights(layer, values, about)
        front = layer.padding[1][0] % 2
        return Layout(self, Block(), tables, reload=True, pair_bits=PAIR_BITS, front=front)

    def view(self, layer: Layer) -> dict[str, Any]:
        """How many outputs are computed at once, and from which place on; where their input begins.

        Where the border's columns in front are odd, the first output is none.
        """
        view, front = super().view(layer), layer.layout.front
        steps = -(-(layer.output_shape[1] + front) // 2)
        each = -(-steps // -(-steps // STEPS))
        rest = steps % each
        middle = 2 * (steps - rest) - front
        spans = [(2 * each, -front, middle), (2 * rest, middle, 2 * steps - front)]
        start = times(f"({plus('x', front)}) / 2" if front else "x / 2", layer.stage.features)
        return view | {
            "spans": spans[: 1 + bool(rest)],
            "begins": f"ws->shared.rows.{layer.source}[{view['window_top']()}] + {start} + c",
            "words": lambda outputs: outputs // 2 + layer.weight.shape[2] // 2,
            "words_of_weights": layer.weight.shape[2] - 1,
            "products": partial(_products, layer.weight.shape[2] // 2),
        }


class Product(NamedTuple):
    """An instruction that adds to a sum, and its operands, as the C calls them."""

    acc: str
    by: str
    value: str
    weight: str


def _products(pairs: int, outputs: int) -> list[Product]:
    """What a row of ``2 * pairs + 1`` weights adds to the sums of so many outputs.

    The words of weights are by turns from the first column on and from the second: a left output
    takes the former and the last column of the last, a right one the first column and the latter.
    """
    found = []
    for place in range(0, outputs, 2):
        left, right, word = f"acc{place}", f"acc{place + 1}", place // 2
        found += [Product(left, "smlad", f"v{word + k}", f"w{2 * k}") for k in range(pairs)]
        found.append(Product(left, "smlabt", f"v{word + pairs}", f"w{2 * pairs - 1}"))
        found.append(Product(right, "smlatb", f"v{word}", "w0"))
        found += [
            Product(right, "smlad", f"v{word + k + 1}", f"w{2 * k + 1}") for k in range(pairs)
        ]
    return found
