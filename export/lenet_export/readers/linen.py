"""A user's own ``nn.Sequential`` of ``flax.linen``: layers that learn are known by their class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from lenet_export.errors import UserError
from lenet_export.readers.chain_builder import ChainBuilder
from lenet_export.readers.functions import call

LAYERS = "nn.Conv, nn.Dense, nn.BatchNorm or nn.LayerNorm behind one of them, nn.Dropout"

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

    @property
    def at(self) -> str:
        """Its place and its name, for messages."""
        function = getattr(self.layer, "func", self.layer)
        name = getattr(function, "__name__", type(self.layer).__name__)
        return f"{self.path}, {name}"

    def apply(self, x: jax.Array) -> Any:
        """What it makes of ``x`` when it is not trained."""
        if isinstance(self.layer, nn.Dropout):
            return x
        if not isinstance(self.layer, nn.Module):
            return self.layer(x)
        layer = self.layer.clone(parent=None, name=None)
        if isinstance(layer, nn.BatchNorm):
            layer = layer.clone(use_running_average=True)
        if getattr(layer, "precision", None) is not None:
            layer = layer.clone(precision=None)  # that of the moment: full
        return layer.apply({"params": self.params, "batch_stats": self.statistics}, x)


def knows(module: Any) -> bool:
    """Whether ``module`` is an ``nn.Sequential``."""
    return isinstance(module, nn.Sequential)


def read(
    module: nn.Sequential, params: Variables, chain: ChainBuilder, images: jax.Array
) -> jax.Array:
    """Takes the layers up in ``chain``, one after the other; gives the module's own logits.

    Args:
        module: of known layers.
        params: the variables of ``module.init`` or as trained: ``params``, and ``batch_stats`` if
            it has some; or the parameters alone.
        chain: to build.
        images: float32 ``(images, rows, columns, channels)``.

    Raises:
        UserError: a layer is unknown, or has none of the parameters that it should have.
    """
    variables = _unboxed(params)
    x = images
    for layer in _layers(module, variables.get("params", {}), variables.get("batch_stats", {})):
        y = call(layer.at, layer.apply, x)
        _add(chain, layer)
        if not jnp.isfinite(y).all():
            chain.refuse(
                layer.at,
                "gives values that are not finite",
                "its training diverged: train again, with a lower learning rate",
            )
        x = y
    return x


def _unboxed(variables: Any) -> Any:
    """The variables as NumPy arrays in dictionaries, of what ``module.init`` gives or a part."""
    if not isinstance(variables, Mapping):
        raise UserError("params", f"are {variables!r:.60}", "give the variables of module.init")
    variables = nn.meta.unbox(flax.core.unfreeze(dict(variables)))
    variables = jax.device_get(variables if "params" in variables else {"params": variables})
    for kind, of_layers in variables.items():
        if not isinstance(of_layers, Mapping):
            raise UserError("params", f"have {of_layers!r:.60} as {kind}", "give those of Flax")
    return variables


def _layers(
    module: nn.Sequential, params: Any, statistics: Any, above: str = ""
) -> Iterator[_Layer]:
    """The layers one by one, those of a Sequential in it too."""
    for place, layer in enumerate(module.layers):
        key = f"layers_{place}"
        inner = params.get(key, {}), statistics.get(key, {})
        if isinstance(layer, nn.Sequential):
            yield from _layers(layer, *inner, f"{above}{key}/")
        else:
            yield _Layer(f"{above}{key}", layer, *inner)


def _add(chain: ChainBuilder, layer: _Layer) -> None:
    """Takes up ``layer``."""
    at, of, params = layer.at, layer.layer, layer.params
    dtype = isinstance(of, nn.Module) and getattr(of, "dtype", None)
    if dtype and dtype != jnp.float32:
        remedy = "give it dtype=None: the C is compared with float32"
        chain.refuse(at, f"computes in {jnp.dtype(dtype)}", remedy)
    match of:
        case nn.Dropout():
            pass
        case nn.Conv():
            _conv(chain, layer)
        case nn.Dense():
            chain.dense(at, params["kernel"], params.get("bias"), of.name)
        case nn.BatchNorm():
            if of.axis not in (-1, (-1,)):
                chain.refuse(at, f"has the axis {of.axis}, expected -1, the channels")
            chain.batch_norm(at, params | layer.statistics, of.epsilon)
        case nn.LayerNorm():
            axes = of.reduction_axes, of.feature_axes
            if axes not in [(-1, -1), ((-1,), (-1,))]:
                chain.refuse(
                    at, f"has the axes {axes[0]}, {axes[1]}; expected -1 twice, the channels"
                )
            chain.layer_norm(at, params.get("scale"), params.get("bias"), of.epsilon)
        case nn.Module():
            chain.refuse(at, "is not supported")
        case _:
            chain.function(at, of)


def _conv(chain: ChainBuilder, layer: _Layer) -> None:
    """Takes up an ``nn.Conv`` of two dimensions without dilation, groups or mask."""
    conv = layer.layer
    strides, *dilations = (
        np.broadcast_to(value or 1, 2).tolist()
        for value in (conv.strides, conv.input_dilation, conv.kernel_dilation)
    )
    if dilations != [[1, 1], [1, 1]] or conv.feature_group_count != 1 or conv.mask is not None:
        chain.refuse(layer.at, "has a dilation, groups or a mask")
    kernel, bias = layer.params["kernel"], layer.params.get("bias")
    chain.conv(layer.at, kernel, bias, strides, conv.padding, conv.name)
