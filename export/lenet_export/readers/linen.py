"""A user's own ``nn.Sequential`` of Flax, read as a chain of stages.

Layers that learn are known by their class. Functions between them (``nn.relu``, a ``partial`` of
``nn.max_pool``, a lambda that flattens) are known by what they do to a random input, however they
are written.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from lenet_export import flax_network
from lenet_export.activations import ACTIVATIONS
from lenet_export.checkpoint import (
    NORM_EPSILON,
    PADDINGS,
    POOL_MAX,
    Float32,
    Model,
    Stage,
    check_chain,
)
from lenet_export.errors import UserError
from lenet_export.fold import fold_batch_norm
from lenet_export.pools import POOLS
from lenet_export.reference import Images

SUPPORTED = (
    "supported: nn.Conv, nn.Dense, nn.BatchNorm or nn.LayerNorm behind one of them, nn.Dropout; "
    f"functions that are {', '.join(sorted(set(flax_network.ACTIVATIONS) - {'none'}))}, an average "
    f"or maximum pool of side and stride 2 to {POOL_MAX}, a mean over the map, or that flatten"
)
TOLERANCE = 1e-4
#: Of a random input, by which functions are known: a bound may lie far out.
SCALES = (1.0, 1e3, 1e6)
CHECKED = 100  # of the user's images

Variables = Mapping[str, Any]


@dataclass(frozen=True)
class _Layer:
    """A layer of the module with what it learned.

    Attributes:
        path: its place, as Flax names its parameters: ``layers_0``.
        layer: a Flax module or a function.
        params: what it learned, by Flax's names.
        statistics: its running statistics.
    """

    path: str
    layer: Any
    params: dict[str, Any]
    statistics: dict[str, Any]

    def __str__(self) -> str:
        function = getattr(self.layer, "func", self.layer)
        name = getattr(function, "__name__", type(self.layer).__name__)
        return f"{self.path}, {name}"

    def refuse(self, what: str, remedy: str = SUPPORTED) -> NoReturn:
        """Raises the error that tells the layer's place, ``what``, and a remedy."""
        raise UserError(self, what, remedy)

    def run(self, x: jax.Array) -> jax.Array:
        """What it makes of ``x`` when it is not trained; refused if that is no array."""
        try:
            y = self._apply(x)
        except Exception as error:
            self.refuse(
                f"fails on an input of shape {x.shape[1:]}: {error}",
                "give the module's own parameters and the shape of its input",
            )
        if not isinstance(y, jax.Array | np.ndarray) or y.ndim == 0:
            self.refuse(f"gives {type(y).__name__}, expected an array")
        return jnp.asarray(y)

    def _apply(self, x: jax.Array) -> Any:
        if isinstance(self.layer, nn.Dropout):
            return x
        if not isinstance(self.layer, nn.Module):
            return self.layer(x)
        layer = self.layer.clone(parent=None, name=None)
        if isinstance(layer, nn.BatchNorm):
            layer = layer.clone(use_running_average=True)
        return layer.apply({"params": self.params, "batch_stats": self.statistics}, x)


def read_sequential(
    module: nn.Sequential,
    variables: Variables,
    input_shape: tuple[int, int, int],
    given: Images | None = None,
) -> Model:
    """The chain that ``module`` is, with its parameters; nothing is measured yet.

    Batch normalization is folded into the layer in front of it.

    Args:
        module: of known layers, which reads float32 ``(images, rows, columns, channels)``, image
            bytes divided by 255, and gives logits.
        variables: of ``module.init`` or as trained: ``params``, and ``batch_stats`` if it has some;
            or the parameters alone.
        input_shape: rows, columns, channels.
        given: uint8 ``(images, *input_shape)``, on which the chain must be the module, too.

    Raises:
        UserError: a layer is unknown, with its place and what is supported; or it has none of the
            parameters that it should have.
    """
    if not isinstance(module, nn.Sequential):
        raise UserError(type(module).__name__, "is not an nn.Sequential", "give an nn.Sequential")
    if not isinstance(variables, Mapping):
        raise UserError("params", f"are {variables!r:.60}", "give the variables of module.init")
    variables = nn.meta.unbox(flax.core.unfreeze(dict(variables)))
    variables = jax.device_get(variables if "params" in variables else {"params": variables})
    for kind, of_layers in variables.items():
        if not isinstance(of_layers, Mapping):
            raise UserError("params", f"have {of_layers!r:.60} as {kind}", "give those of Flax")
    images = np.random.default_rng(0).integers(0, 256, (4, *input_shape)).astype(np.uint8)
    if given is not None:
        images = np.concatenate([images, given[:CHECKED]])
    x = jnp.asarray(images, jnp.float32) / 255
    chain = _Chain()
    for layer in _layers(module, variables.get("params", {}), variables.get("batch_stats", {})):
        y = layer.run(x)
        chain.add(layer, x.shape[1:])
        if not jnp.isfinite(y).all():
            layer.refuse("gives values that are not finite", "its training diverged: train again")
        x = y
    model = Model(input_shape, tuple(chain.stages), chain.params)
    check_chain("nn.Sequential", input_shape, model.stages)
    ours = flax_network.run_logits(model, images)
    near = TOLERANCE * max(1, np.abs(x).max())
    if np.shape(ours) != x.shape or not np.abs(ours - x).max() <= near:  # nan is not near
        raise UserError(
            "nn.Sequential",
            "is not the network that was read from it",
            "this is a bug of lenet-export: please report it with the module",
        )
    return model


def _layers(module: nn.Sequential, params: Any, statistics: Any, above: str = "") -> Iterator[Any]:
    """The layers one by one, those of a Sequential in it too."""
    for place, layer in enumerate(module.layers):
        key = f"layers_{place}"
        inner = params.get(key, {}), statistics.get(key, {})
        if isinstance(layer, nn.Sequential):
            yield from _layers(layer, *inner, f"{above}{key}/")
        else:
            yield _Layer(f"{above}{key}", layer, *inner)


class _Chain:
    """The stages read so far; the last of them may still get a norm, an activation and a pool."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self.params: dict[str, Float32] = {}

    def add(self, layer: _Layer, shape: tuple[int, ...]) -> None:
        """Takes up ``layer``, which reads ``shape``."""
        dtype = isinstance(layer.layer, nn.Module) and getattr(layer.layer, "dtype", None)
        if dtype and dtype != jnp.float32:
            layer.refuse(
                f"computes in {jnp.dtype(dtype)}",
                "give it dtype=None: the C is compared with float32",
            )
        match layer.layer:
            case nn.Dropout():
                pass
            case nn.Conv():
                self._learned(layer, _conv(layer, shape))
            case nn.Dense() if len(shape) == 1:
                self._learned(layer, Stage("fc", "dense", layer.layer.features))
            case nn.Dense():
                layer.refuse("is behind a map", "flatten first: lambda x: x.reshape(len(x), -1)")
            case nn.BatchNorm():
                self._batch_norm(layer, shape)
            case nn.LayerNorm():
                self._layer_norm(layer, shape)
            case nn.Module():
                layer.refuse("is not supported")
            case _:
                self._function(layer, shape)

    def _learned(self, layer: _Layer, stage: Stage) -> None:
        """A convolution or dense layer: called as the user did, or by kind and number."""
        number = 1 + sum(other.kind == stage.kind for other in self.stages)
        name = layer.layer.name or f"{stage.name}{number}"
        rename = "give it a name: nn.Conv(..., name=...)"
        if "/" in name:
            layer.refuse(f"is called {name!r}, which has a /", rename)
        if any(name == other.name for other in self.stages):
            layer.refuse(f"is called {name!r}, which another layer is, too", rename)
        if any(np.iscomplexobj(value) for value in layer.params.values()):
            layer.refuse("has complex parameters", "give it real ones: the C has float32")
        kernel = np.asarray(layer.params["kernel"], np.float32)
        bias = layer.params.get("bias", np.zeros(stage.features))
        self.params |= {f"{name}/kernel": kernel, f"{name}/bias": np.asarray(bias, np.float32)}
        self.stages.append(replace(stage, name=name))

    def _last(self, layer: _Layer, bare: bool) -> Stage:
        """The stage that ``layer`` goes with; it must have no activation and pool if ``bare``."""
        if not self.stages or (bare and _is_done(self.stages[-1])):
            layer.refuse("is not behind an nn.Conv or nn.Dense")
        return self.stages[-1]

    def _normed(self, layer: _Layer, shape: tuple[int, ...]) -> Stage:
        """The stage whose channels or units a norm that reads ``shape`` is for."""
        stage = self._last(layer, bare=True)
        if shape[-1] != stage.features:
            layer.refuse(
                f"reads {shape[-1]} values where {stage.name} has {stage.features} channels",
                "norm in front of what flattens, and train again",
            )
        return stage

    def _batch_norm(self, layer: _Layer, shape: tuple[int, ...]) -> None:
        name, norm = self._normed(layer, shape).name, layer.layer
        if norm.axis not in (-1, (-1,)):
            layer.refuse(f"has the axis {norm.axis}, expected -1, the channels")
        kernel, bias = f"{name}/kernel", f"{name}/bias"
        self.params[kernel], self.params[bias] = fold_batch_norm(
            self.params[kernel],
            self.params[bias],
            layer.params | layer.statistics,
            norm.epsilon,
        )

    def _layer_norm(self, layer: _Layer, shape: tuple[int, ...]) -> None:
        stage, norm = self._normed(layer, shape), layer.layer
        axes = norm.reduction_axes, norm.feature_axes
        if norm.epsilon != NORM_EPSILON or axes not in [(-1, -1), ((-1,), (-1,))]:
            layer.refuse(
                f"has the epsilon {norm.epsilon} and the axes {axes[0]}, {axes[1]}; "
                f"expected {NORM_EPSILON} and -1, the channels"
            )
        for name, start in (("scale", np.ones), ("bias", np.zeros)):
            values = layer.params.get(name, start(stage.features))
            self.params[f"{stage.norm_name}/{name}"] = np.asarray(values, np.float32)
        self.stages[-1] = replace(stage, norm="layer")

    def _function(self, layer: _Layer, shape: tuple[int, ...]) -> None:
        """A function without parameters, by what it does to a random input."""
        x = jax.random.normal(jax.random.key(0), (3, *shape)) * 3
        outputs = [layer.run(scale * x) / scale for scale in SCALES]

        def does(known: Callable[[jax.Array], jax.Array]) -> bool:
            pairs = zip(SCALES, outputs, strict=True)
            return all(_same(y, known(scale * x) / scale) for scale, y in pairs)

        if does(lambda x: x):
            return
        for name, activation in flax_network.ACTIVATIONS.items():
            if does(activation):
                stage = self._last(layer, bare=False)
                early = stage.pool == "none" or (
                    POOLS[stage.pool].commutes and ACTIVATIONS[name].rises
                )
                if stage.activation != "none" or not early:
                    layer.refuse("is not behind an nn.Conv or nn.Dense")
                self.stages[-1] = replace(stage, activation=name)
                return
        for pool, size in _pools(x):
            window = (size, size)
            known = functools.partial(flax_network.POOLS[pool], window_shape=window, strides=window)
            if does(known):
                stage = self._last(layer, bare=False)
                if stage.pool != "none":
                    layer.refuse("is a second pool behind one layer")
                self.stages[-1] = replace(stage, pool=pool, pool_size=size)
                return
        layer.refuse("does what no known function does")


def _is_done(stage: Stage) -> bool:
    return stage.activation != "none" or stage.pool != "none" or stage.norm != "none"


def _same(y: Any, expected: jax.Array) -> bool:
    """Whether ``y`` is what is expected, as it is or flattened."""
    if y.shape == (len(expected), expected[0].size):
        expected = expected.reshape(y.shape)
    return y.shape == expected.shape and bool(jnp.allclose(y, expected, rtol=1e-5, atol=1e-5))


def _pools(x: jax.Array) -> Iterator[tuple[str, int]]:
    """The pools that ``x`` is large enough for."""
    if x.ndim == 4:
        for size in range(2, min(POOL_MAX, *x.shape[1:3]) + 1):
            yield from ((pool, size) for pool in flax_network.POOLS)


def _conv(layer: _Layer, shape: tuple[int, ...]) -> Stage:
    """The stage of an ``nn.Conv`` that reads ``shape``, without a name of its own."""
    conv = layer.layer
    kernel = np.atleast_1d(conv.kernel_size)
    strides, *dilations = (
        np.broadcast_to(value or 1, 2).tolist()
        for value in (conv.strides, conv.input_dilation, conv.kernel_dilation)
    )
    if len(shape) != 3 or len(kernel) != 2:
        layer.refuse(f"has kernel_size {conv.kernel_size} and reads {shape}; expected 2 dimensions")
    if strides[0] != strides[1]:
        layer.refuse(f"has the strides {tuple(strides)}; expected the same twice")
    if dilations != [[1, 1], [1, 1]] or conv.feature_group_count != 1 or conv.mask is not None:
        layer.refuse("has a dilation, groups or a mask")
    size = int(kernel[0]), int(kernel[1])
    for padding in PADDINGS:
        stage = Stage("conv", "conv", conv.features, "none", size, padding, stride=strides[0])
        if conv.padding == padding or _border(conv.padding) == stage.pads(shape):
            return stage
    return layer.refuse(f"has the padding {conv.padding!r}; supported: {', '.join(PADDINGS)}")


def _border(padding: Any) -> Any:
    """Flax's padding in numbers as ``((above, below), (left, right))``; of a name, the name."""
    if isinstance(padding, str):
        return padding
    sides = (padding, padding) if isinstance(padding, int) else padding
    return tuple((side, side) if isinstance(side, int) else tuple(side) for side in sides)
