"""The float network of a chain, of Flax's own layers: what the C is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from lenet_export.activations import BOUNDS, INNER, OUTER
from lenet_export.checkpoint import NORM_EPSILON, Float32, Model, Stage
from lenet_export.errors import UserError
from lenet_export.reference import Images, Outputs, in_batches

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "none": lambda x: x,
    "sigmoid": nn.sigmoid,
    "tanh": nn.tanh,
    "scaled_tanh": lambda x: OUTER * nn.tanh(INNER * x),
    "relu": nn.relu,
    "gelu": nn.gelu,
}
POOLS: dict[str, Callable[..., jax.Array]] = {
    "avg": nn.avg_pool,
    "max": nn.max_pool,
}


class FlaxNetwork(nn.Module):
    """A chain of stages."""

    stages: tuple[Stage, ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        """Every stage's output by the stage's name, for float32 images from 0 to 1, NHWC."""
        outputs = {}
        for stage in self.stages:
            if stage.kernel is not None:
                x = nn.Conv(
                    stage.features,
                    stage.kernel,
                    strides=stage.stride,
                    padding=stage.padding,
                    name=stage.name,
                )(x)
            else:
                x = nn.Dense(stage.features, name=stage.name)(x.reshape(len(x), -1))
            if stage.norm == "layer":
                x = nn.LayerNorm(NORM_EPSILON, use_fast_variance=False, name=stage.norm_name)(x)
            x = ACTIVATIONS[stage.activation](x)
            self.sow("activated", f"{stage.name}_activated", x)
            if stage.pool != "none":
                window = (stage.pool_size, stage.pool_size)
                x = POOLS[stage.pool](x, window, window)
            outputs[stage.name] = x
        return outputs


def run_floats(model: Model, images: Images) -> Outputs:
    """Every stage's float32 output, by the stage's name.

    Args:
        model: the trained network.
        images: uint8 ``(images, rows, columns, channels)``.
    """
    return in_batches(jax.jit(lambda x: _apply(model, x)), images)


def run_logits(model: Model, images: Images) -> Float32:
    """The last stage's output alone, float32 ``(images, classes)``: see :func:`run_floats`."""
    last = model.stages[-1].name
    return in_batches(jax.jit(lambda x: {last: _apply(model, x)[last]}), images)[last]


def run_activations(model: Model, images: Images, names: Sequence[str]) -> Outputs:
    """What the stages called ``names`` give in front of their pools: see :func:`run_floats`."""
    if not names:
        return {}

    def activated(images: jax.Array) -> Any:
        _, seen = _apply(model, images, mutable=["activated"])
        return {name: seen["activated"][f"{name}_activated"][0] for name in names}

    return in_batches(jax.jit(activated), images)


def activation_ranges(model: Model, images: Images) -> dict[str, float]:
    """The largest activation to represent of each hidden layer: ``Model.activation_ranges``.

    Of a function that is bounded it is the bound. Of the others it is the 99.99th percentile over
    ``images``, uint8 ``(images, rows, columns, channels)``, before the pool and never below 0: the
    few activations above it would cost the others their resolution.

    Raises:
        UserError: a layer is dead: it gives nothing above 0.
    """
    hidden = {stage.name: stage.activation for stage in model.stages[:-1]}
    ranges = {name: BOUNDS[of] for name, of in hidden.items() if of in BOUNDS}
    open_ended = [name for name in hidden if name not in ranges]
    for name, values in run_activations(model, images, open_ended).items():
        ranges[name] = float(np.percentile(np.maximum(values, 0), 99.99))
        if not ranges[name] > 0:
            raise UserError(
                name,
                f"gives nothing above 0 for any of {len(images):,} images",
                "if they are like those to come, this layer died while it learned: train again, "
                "with a lower learning rate",
            )
    return ranges


def _apply(model: Model, images: jax.Array, **options: Any) -> Any:
    """The network on uint8 ``images``."""
    params: dict[str, dict[str, Any]] = {}
    for name, value in model.params.items():
        layer, tensor = name.split("/")
        params.setdefault(layer, {})[tensor] = value
    network = FlaxNetwork(model.stages)
    return network.apply({"params": params}, images.astype(jnp.float32) / 255, **options)
