"""The float network of a chain, of Flax's own layers: what the C is compared with."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from lenet_export.activations import BOUNDS, INNER, OUTER
from lenet_export.checkpoint import NORM_EPSILON, Float32, Model, Stage
from lenet_export.errors import UserError
from lenet_export.plan import Plan
from lenet_export.reference import Images, Outputs, in_batches, network

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

#: Of products: all of float32. By default GPUs and TPUs round what they multiply to 8 or 11 bits.
FULL = jax.lax.Precision.HIGHEST


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
                    precision=FULL,
                    name=stage.name,
                )(x)
            else:
                x = x.reshape(len(x), -1)
                x = nn.Dense(stage.features, precision=FULL, name=stage.name)(x)
            if stage.norm == "layer":
                x = nn.LayerNorm(NORM_EPSILON, use_fast_variance=False, name=stage.norm_name)(x)
            x = ACTIVATIONS[stage.activation](x)
            self.sow("activated", f"{stage.name}_activated", x)
            if stage.pool != "none":
                window = (stage.pool_size, stage.pool_size)
                x = POOLS[stage.pool](x, window, window)
            outputs[stage.name] = x
        return outputs


def check_device() -> None:
    """Makes sure that JAX has a device to run on.

    Raises:
        UserError: it has not the one that the user asks for.
    """
    try:
        jax.devices()
    # Where the support for one is not installed, JAX tells it by an assertion without a text.
    except (RuntimeError, AssertionError) as error:
        asked, reason = os.environ.get("JAX_PLATFORMS"), str(error).partition("\n")[0]
        raise UserError(
            f"JAX_PLATFORMS={asked}" if asked else "JAX",
            f"finds no such device{reason and ': '}{reason}",
            "unset JAX_PLATFORMS, and JAX takes the best device that it finds; for a GPU, install "
            "JAX with its support first: pip install 'jax[cuda13]'",
        ) from None


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


def noise(plan: Plan, images: Images, tolerance: float, least: float = 1) -> tuple[str, str] | None:
    """What is noise in a network whose logits float32 does not determine, and a remedy.

    They are compared with those in float64. ``None`` if they are near: then two float32 networks
    that differ are not the same.

    Args:
        plan: in float32.
        images: uint8 ``(images, rows, columns, channels)``.
        tolerance: how far they may be, relative to the largest, or to ``least`` if that is more.
        least: as the largest of a layer that gives less.
    """
    floats, exact = run_floats(plan.model, images), network(plan, images)
    for layer in plan.layers:
        value = exact[layer.name]
        off = np.abs(floats[layer.name] - value).max()
        if not off <= tolerance / 4 * max(least, np.abs(value).max()):  # nan is not near
            why = "its norm divides" if layer.norm else "its sums leave"
            return (
                f"{layer.name} is noise in float32: Flax's own values are up to {off:.2g} from "
                f"those in float64; {why} differences that are smaller than float32's rounding",
                "train again; smaller biases and weights, or another seed, keep it from that",
            )
    return None


def _apply(model: Model, images: jax.Array, **options: Any) -> Any:
    """The network on uint8 ``images``."""
    params: dict[str, dict[str, Any]] = {}
    for name, value in model.params.items():
        layer, tensor = name.split("/")
        params.setdefault(layer, {})[tensor] = value
    x = images.astype(jnp.float32) / 255
    if np.any(model.input_zero):
        x = x - jnp.asarray(model.input_zero, jnp.float32) / 255
    return FlaxNetwork(model.stages).apply({"params": params}, x, **options)
