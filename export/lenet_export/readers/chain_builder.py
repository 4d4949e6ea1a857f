"""A network, taken up layer by layer as a chain of stages: of no framework in particular.

A reader hands over what each layer learned, as arrays, and the functions between them. Several
layers are one stage: what learns, its norm, its activation, its pool.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from lenet_export.activations import ACTIVATIONS
from lenet_export.checkpoint import NORM_EPSILON, PADDINGS, POOL_MAX, Float32, Model, Stage
from lenet_export.errors import UserError
from lenet_export.fold import fold_batch_norm
from lenet_export.pools import POOLS
from lenet_export.readers.functions import FUNCTIONS, Probe


class ChainBuilder:
    """The stages read so far; the last of them may still get a norm, an activation and a pool.

    Every method takes ``at`` first, the layer's place and name for messages: ``layers_2, tanh``.

    Attributes:
        shape: what the layers so far give, and the next one reads.
        supported: what the reader knows, as the remedy where a layer is none of it.
    """

    def __init__(self, input_shape: tuple[int, int, int], layers: str) -> None:
        """Begins a chain that reads images of ``input_shape`` and may have ``layers``, in words."""
        self.shape: tuple[int, ...] = input_shape
        self.supported = f"supported: {layers}; {FUNCTIONS}"
        self._input_shape = input_shape
        self._stages: list[Stage] = []
        self._params: dict[str, Float32] = {}

    def refuse(self, at: str, what: str, remedy: str = "") -> NoReturn:
        """Raises the error of a layer that cannot be taken up."""
        raise UserError(at, what, remedy or self.supported)

    def conv(
        self,
        at: str,
        kernel: Any,
        bias: Any | None,
        strides: tuple[int, ...],
        padding: Any,
        name: str | None = None,
    ) -> None:
        """A convolution.

        Args:
            at: its place.
            kernel: ``(rows, columns, input channels, channels)``.
            bias: ``(channels,)``; ``None`` is 0.
            strides: down and across.
            padding: ``SAME``, ``VALID``, or zeros ``((above, below), (left, right))``, a number for
                any two that are equal.
            name: as the user called it; ``None`` names it by its number.

        Raises:
            UserError: it cannot be computed.
        """
        kernel = np.asarray(kernel)
        if len(self.shape) != 3 or kernel.ndim != 4:
            size = kernel.shape[:-2]
            self.refuse(at, f"has a kernel of {size} and reads {self.shape}; expected 2 dimensions")
        if strides[0] != strides[1]:
            self.refuse(at, f"has the strides {tuple(strides)}; expected the same twice")
        size = int(kernel.shape[0]), int(kernel.shape[1])
        for known in PADDINGS:
            features = int(kernel.shape[-1])
            stage = Stage("conv", "conv", features, "none", size, known, stride=int(strides[0]))
            if padding == known or _border(padding) == stage.pads(self.shape):
                break
        else:
            self.refuse(at, f"has the padding {padding!r}; supported: {', '.join(PADDINGS)}")
        self._learned(at, stage, kernel, bias, name)

    def dense(self, at: str, kernel: Any, bias: Any | None, name: str | None = None) -> None:
        """A dense layer: ``kernel`` is ``(inputs, units)``, else as :meth:`conv`."""
        if len(self.shape) != 1:
            self.refuse(at, "is behind a map", "flatten first: lambda x: x.reshape(len(x), -1)")
        kernel = np.asarray(kernel)
        self._learned(at, Stage("fc", "dense", int(kernel.shape[-1])), kernel, bias, name)

    def batch_norm(self, at: str, statistics: Mapping[str, Any], epsilon: float) -> None:
        """A batch normalization over the channels or units, of its running statistics.

        It is folded into the layer in front of it.

        Args:
            at: its place.
            statistics: ``mean`` and ``var``, and, if they are learned, ``scale`` and ``bias``.
            epsilon: what is added to the variance.
        """
        name = self._normed(at).name
        kernel, bias = f"{name}/kernel", f"{name}/bias"
        self._params[kernel], self._params[bias] = fold_batch_norm(
            self._params[kernel], self._params[bias], statistics, epsilon
        )

    def layer_norm(self, at: str, scale: Any | None, bias: Any | None, epsilon: float) -> None:
        """A LayerNorm over the channels of each place or the units; ``None`` is 1 and 0."""
        stage = self._normed(at)
        if epsilon != NORM_EPSILON:
            self.refuse(at, f"has the epsilon {epsilon}; expected {NORM_EPSILON}")
        ones, zeros = np.ones(stage.features), np.zeros(stage.features)
        learned = {
            "scale": ones if scale is None else scale,
            "bias": zeros if bias is None else bias,
        }
        for name, values in learned.items():
            self._params[f"{stage.norm_name}/{name}"] = np.asarray(values, np.float32)
        self._stages[-1] = replace(stage, norm="layer")

    def function(self, at: str, function: Callable[[Any], Any]) -> None:
        """A function without parameters, by what it does to a random input.

        Raises:
            UserError: it is none that is known, or does not go where it is; it fails or gives no
                array.
        """
        probe = Probe.of(at, function, self.shape)
        known = probe.known()
        match known.kind:
            case "identity":
                pass
            case "activation":
                self._activation(at, known.name)
            case "pool":
                self._pool(at, known.name, known.size)
            case "mean":
                self._mean(at)
            case _:
                self.refuse(at, *probe.told())
        self.shape = probe.outputs[0].shape[1:]

    def model(self) -> Model:
        """The chain with its parameters; nothing is measured yet.

        A convolution that gives a map of one place is linear in what it reads: as the last layer
        it is a dense one.

        Raises:
            UserError: it does not end in logits.
        """
        if not self._stages:
            raise UserError("the network", "has no layer that learns", self.supported)
        last = self._stages[-1]
        if _is_linear(last) and last.kind == "conv" and self._map()[:2] == (1, 1):
            self._make_dense((1, 1))
        self._check_end()
        return Model(self._input_shape, tuple(self._stages), self._params)

    def _learned(self, at: str, stage: Stage, kernel: Any, bias: Any, name: str | None) -> None:
        """A convolution or dense layer: called as the user did, or by kind and number."""
        before = self._stages[-1] if self._stages else None
        if before and before.activation == "none":
            self.refuse(
                at,
                f"is behind {before.name}, which has no activation",
                f"put one between them, or leave {before.name} out: two linear layers are as one",
            )
        number = 1 + sum(other.kind == stage.kind for other in self._stages)
        name = name or f"{stage.name}{number}"
        rename = "give it a name: nn.Conv(..., name=...)"
        if "/" in name:
            self.refuse(at, f"is called {name!r}, which has a /", rename)
        if any(name == other.name for other in self._stages):
            self.refuse(at, f"is called {name!r}, which another layer is, too", rename)
        bias = np.zeros(stage.features) if bias is None else np.asarray(bias)
        if np.iscomplexobj(kernel) or np.iscomplexobj(bias):
            self.refuse(at, "has complex parameters", "give it real ones: the C has float32")
        expected = stage.kernel_shape(self.shape)
        if kernel.shape != expected or bias.shape != (stage.features,):
            self.refuse(
                at,
                f"has a kernel of {kernel.shape} and a bias of {bias.shape}, expected {expected} "
                f"and {(stage.features,)} for an input of shape {self.shape}",
                "give the module's own parameters and the shape of its input",
            )
        self._params[f"{name}/kernel"] = np.asarray(kernel, np.float32)
        self._params[f"{name}/bias"] = np.asarray(bias, np.float32)
        self._stages.append(replace(stage, name=name))
        self.shape = stage.output_shape(self.shape)

    def _normed(self, at: str) -> Stage:
        """The stage whose channels or units a norm that stands here is for."""
        if not self._stages:
            self.refuse(at, "is in front of the first layer that learns", self.supported)
        stage = self._stages[-1]
        for found, what in [
            (stage.activation != "none", "the activation"),
            (stage.pool != "none", "the pool"),
            (stage.norm != "none", "the norm"),
        ]:
            if found:
                self.refuse(
                    at,
                    f"is behind {what} of {stage.name}",
                    f"put it between {stage.name} and its activation, and train again",
                )
        if self.shape[-1] != stage.features:
            self.refuse(
                at,
                f"reads {self.shape[-1]} values where {stage.name} has {stage.features} channels",
                "norm in front of what flattens, and train again",
            )
        return stage

    def _activation(self, at: str, name: str) -> None:
        """An activation; a maximum in front of it is the same as behind it, if it never falls."""
        stage = self._behind(at)
        first = f"put it in front of the pool of {stage.name}, and train again"
        if stage.activation != "none":
            self.refuse(at, f"is a second activation behind {stage.name}", "leave one of them out")
        if stage.pool != "none":
            pool = POOLS[stage.pool]
            if not pool.commutes:
                self.refuse(
                    at, f"is an activation behind the {pool.noun} pool of {stage.name}", first
                )
            if not ACTIVATIONS[name].rises:
                self.refuse(at, f"is behind the {pool.noun} pool of {stage.name}, and falls", first)
        self._stages[-1] = replace(stage, activation=name)

    def _pool(self, at: str, pool: str, size: int) -> None:
        """A pool; an average of a whole linear map is linear in what the convolution reads."""
        stage = self._behind(at)
        if stage.pool != "none":
            self.refuse(
                at,
                f"is a second pool behind {stage.name}",
                "take one larger pool, or strides in the convolution, and train again",
            )
        rows, columns, _ = self._map()
        if pool == "avg" and _is_linear(stage) and rows // size == columns // size == 1:
            self._make_dense((size, size))
        else:
            self._stages[-1] = replace(stage, pool=pool, pool_size=size)

    def _mean(self, at: str) -> None:
        """A mean over a map that is not square, or larger than a pool's window may be."""
        stage = self._behind(at)
        rows, columns, _ = self._map()
        if stage.pool != "none" or not _is_linear(stage):
            self.refuse(
                at,
                f"is a mean over a map of {rows}x{columns}",
                f"supported: square maps of up to {POOL_MAX}x{POOL_MAX}; of any size where nothing "
                "is between the convolution and the mean",
            )
        self._make_dense((rows, columns))

    def _behind(self, at: str) -> Stage:
        """The stage that a function which stands here goes with."""
        if not self._stages:
            self.refuse(at, "is in front of the first layer that learns")
        return self._stages[-1]

    def _map(self) -> tuple[int, ...]:
        """What the last stage gives."""
        return Model(self._input_shape, tuple(self._stages), {}).shapes[-1]

    def _make_dense(self, window: tuple[int, int]) -> None:
        """Makes the last convolution and the mean over ``window`` of its map one dense layer.

        A mean of sums is a sum. Where the kernel has one place, the mean is taken in front of it,
        over what the layer in front gives, if that may have a pool: then it has no more weights
        than the convolution.
        """
        stage = self._stages[-1]
        shape = Model(self._input_shape, tuple(self._stages), {}).shapes[-2]
        kernel = self._params[f"{stage.name}/kernel"]
        before = self._stages[-2] if len(self._stages) > 1 else None
        side = window[0]
        if (
            before
            and (stage.kernel, stage.stride, before.pool) == ((1, 1), 1, "none")
            and shape[:2] == window == (side, side)
            and 2 <= side <= POOL_MAX
        ):
            self._stages[-2] = replace(before, pool="avg", pool_size=side)
            dense = kernel[0, 0]
        else:
            dense = spread(kernel, stage, shape, window)
        self._params[f"{stage.name}/kernel"] = dense
        self._stages[-1] = Stage(stage.name, "dense", stage.features)

    def _check_end(self) -> None:
        """Checks that the last stage gives logits.

        Raises:
            UserError: it does not.
        """
        last, shape = self._stages[-1], self._map()
        at = f"the last layer, {last.name}"
        if last.activation != "none":
            rises = ACTIVATIONS[last.activation].rises
            self.refuse(
                at,
                f"has the activation {last.activation}, and the C gives logits",
                "leave the activation out: the largest logit stays the largest"
                if rises and last.pool != "avg"
                else "put an nn.Dense behind it, and train again",
            )
        if last.norm != "none":
            self.refuse(at, "has a norm", "put an activation and a dense layer behind it")
        if last.kind == "conv":
            what = f"gives a map of {shape[0]}x{shape[1]}"
            if last.pool != "none":
                what = f"ends in a {POOLS[last.pool].noun} over a map"
            self.refuse(
                at, what, "take a mean over the map, or an activation and a dense layer behind it"
            )


def spread(
    kernel: Float32, stage: Stage, shape: tuple[int, ...], window: tuple[int, int]
) -> Float32:
    """The kernel ``(inputs, features)`` of a convolution's mean over ``window`` of its map.

    Each weight of the convolution is added at each place of the input that it meets. The result is
    of ``shape`` times ``features`` values, whatever the size of the kernel.

    Args:
        kernel: float32 ``(rows, columns, input channels, features)``.
        stage: the convolution.
        shape: of its input.
        window: rows and columns of its map, from the top left, that the mean is over.
    """
    (above, below), (left, right) = stage.pads(shape)
    rows, columns, channels = shape
    padded = np.zeros((above + rows + below, left + columns + right, channels, stage.features))
    step, share = stage.stride, 1 / math.prod(window)
    for i, row in enumerate(kernel):
        for j, taps in enumerate(row):
            down = slice(i, i + step * (window[0] - 1) + 1, step)
            across = slice(j, j + step * (window[1] - 1) + 1, step)
            padded[down, across] += share * taps.astype(np.float64)
    inside = padded[above : above + rows, left : left + columns]
    return inside.reshape(-1, stage.features).astype(np.float32)


def _is_linear(stage: Stage) -> bool:
    """Whether nothing but products and sums are made of what the stage reads."""
    return (stage.activation, stage.norm, stage.pool) == ("none", "none", "none")


def _border(padding: Any) -> Any:
    """A padding in numbers as ``((above, below), (left, right))``; of a name, the name."""
    if isinstance(padding, str):
        return padding
    sides = (padding, padding) if isinstance(padding, int) else padding
    return tuple((side, side) if isinstance(side, int) else tuple(side) for side in sides)
