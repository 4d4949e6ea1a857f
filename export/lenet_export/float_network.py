"""The float network of a chain in plain JAX: what the C is compared with.

Tests hold it to Flax's own layers. It imports none of them, so that C is verified without Flax.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn

from lenet_export.activations import BOUNDS, INNER, OUTER, function_of, slope_of
from lenet_export.checkpoint import NORM_EPSILON, Float32, Model, Pads
from lenet_export.errors import UserError
from lenet_export.plan import Plan
from lenet_export.reference import Images, Outputs, batches, in_batches, network

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "none": lambda x: x,
    "sigmoid": nn.sigmoid,
    "tanh": jnp.tanh,
    "scaled_tanh": lambda x: OUTER * jnp.tanh(INNER * x),
    "relu": nn.relu,
    "gelu": nn.gelu,
    "relu6": nn.relu6,
    "leaky_relu": nn.leaky_relu,
    "hard_sigmoid": nn.hard_sigmoid,
    "hard_swish": nn.hard_swish,
    "silu": nn.silu,
    "elu": nn.elu,
}


class Windows(NamedTuple):
    """The windows of a pool: their sides, what they move on by, and the border of what they see."""

    sides: tuple[int, int]
    steps: tuple[int, int]
    pads: Pads = ((0, 0), (0, 0))

    @classmethod
    def squares(cls, size: int) -> Windows:
        """Squares side by side; partial ones go."""
        return cls((size, size), (size, size))


#: Of the windows of ``(images, rows, columns, channels)``.
POOLS: dict[str, Callable[[jax.Array, Windows], jax.Array]] = {
    "avg": lambda x, of: _pool(x, of, 0.0, lax.add) / math.prod(of.sides),
    "max": lambda x, of: _pool(x, of, -jnp.inf, lax.max),
}

#: Of products: all of float32. By default GPUs and TPUs round what they multiply to 8 or 11 bits.
FULL = lax.Precision.HIGHEST
SHARE = 0.9999  # of a layer's activations that its range holds


def activation_of(name: str) -> Callable[[jax.Array], jax.Array]:
    """JAX's own function of an activation: of :data:`ACTIVATIONS`, or a leaky ReLU's slope."""
    slope = slope_of(name)
    leaky = functools.partial(nn.leaky_relu, negative_slope=slope or 0)
    return ACTIVATIONS[name] if slope is None else leaky


def float_network(model: Model, x: jax.Array) -> dict[str, tuple[jax.Array, jax.Array]]:
    """What every stage gives in front of its pool and behind it, by the stage's name.

    Args:
        model: the trained network.
        x: float32 from 0 to 1, NHWC.
    """
    params, outputs = model.params, {}
    for stage in model.stages:
        if stage.kernel is not None and not stage.learns:
            x = POOLS[stage.pool](x, Windows(stage.kernel, stage.strides, stage.pads(x.shape[1:])))
            outputs[stage.name] = x, x
            continue
        kernel, bias = (jnp.asarray(params[f"{stage.name}/{of}"]) for of in ("kernel", "bias"))
        if stage.kernel is not None:
            x = lax.conv_general_dilated(
                *(x, kernel, stage.strides, stage.pads(x.shape[1:])),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                feature_group_count=x.shape[-1] if stage.kind == "depthwise" else 1,
                precision=FULL,
            )
        else:
            x = jnp.dot(x.reshape(len(x), -1), kernel, precision=FULL)
        x = x + bias
        if stage.norm == "layer":
            gain, shift = (params[f"{stage.norm_name}/{of}"] for of in ("scale", "bias"))
            x = _normalized(x) * gain + shift
        activated = activation_of(stage.activation)(x)
        x = activated
        if stage.pool != "none":
            x = POOLS[stage.pool](x, Windows.squares(stage.pool_size))
        outputs[stage.name] = activated, x
    return outputs


def _pool(x: jax.Array, of: Windows, start: float, function: Callable[..., Any]) -> jax.Array:
    """``function`` over each window, from ``start`` on, which a border is of."""
    sides, steps, pads = (1, *of.sides, 1), (1, *of.steps, 1), ((0, 0), *of.pads, (0, 0))
    pooled: jax.Array = lax.reduce_window(x, start, function, sides, steps, pads)
    return pooled


def _normalized(x: jax.Array) -> jax.Array:
    """LayerNorm over the last axis, before its gain."""
    x = x - x.mean(-1, keepdims=True)
    return x * lax.rsqrt((x * x).mean(-1, keepdims=True) + NORM_EPSILON)


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
    return _run(model, images, [stage.name for stage in model.stages])


def run_logits(model: Model, images: Images) -> Float32:
    """The last stage's output alone, float32 ``(images, classes)``: see :func:`run_floats`."""
    last = model.stages[-1].name
    return _run(model, images, [last])[last]


def run_scaled(model: Model, images: Images, lines: Sequence[tuple[Any, Any]]) -> list[Float32]:
    """The logits ``(images, outputs)`` for ``factor * byte + shift`` in each byte's place.

    Args:
        model: the trained network.
        images: uint8 ``(images, rows, columns, channels)``.
        lines: factors and shifts, each a number or one for each channel.
    """
    last, zero = model.stages[-1].name, np.float32(model.input_zero)

    @jax.jit
    def function(x: jax.Array, factor: jax.Array, shift: jax.Array) -> jax.Array:
        return float_network(model, (x * factor + shift - zero) / 255)[last][1]

    x = jnp.asarray(images, jnp.float32)
    return [np.asarray(function(x, *map(jnp.float32, line))) for line in lines]


def run_activations(model: Model, images: Images, names: Sequence[str]) -> Outputs:
    """What the stages called ``names`` give in front of their pools: see :func:`run_floats`."""
    return _run(model, images, names, place=0) if names else {}


def activation_ranges(model: Model, images: Images) -> dict[str, float]:
    """The largest activation to represent of each hidden layer: ``Model.activation_ranges``.

    Of a function that is bounded it is the bound. Of the others it is the 99.99th percentile over
    ``images``, uint8 ``(images, rows, columns, channels)``, before the pool and never below 0: the
    few activations above it would cost the others their resolution. Of a leaky ReLU it is that of
    the arguments on both sides.

    Raises:
        UserError: a layer is dead: it gives nothing above 0.
    """
    hidden = {stage.name: stage.activation for stage in model.stages[:-1] if stage.learns}
    ranges = {name: BOUNDS[of] for name, of in hidden.items() if of in BOUNDS}
    open_ended = [name for name in hidden if name not in ranges]
    tops = {name: np.zeros(0, np.float32) for name in open_ended}
    counts = dict.fromkeys(open_ended, 0)
    for part in batches(_function(model, open_ended, 0), images) if open_ended else ():
        for name, values in part.items():
            reach = function_of(hidden[name]).reach(values).ravel()
            counts[name] = len(images) * reach.size // len(values)
            tops[name] = _largest(np.concatenate([tops[name], reach]), counts[name])
    for name, largest in tops.items():
        ranges[name] = _percentile(largest, counts[name])
        if not ranges[name] > 0:
            raise UserError(
                name,
                f"gives nothing above 0 for any of {len(images):,} images",
                "if they are like those to come, this layer died while it learned: train again, "
                "with a lower learning rate",
            )
    return ranges


def _largest(values: Float32, count: int) -> Float32:
    """Of some of ``count`` values the largest, which their 99.99th percentile is among."""
    kept = count - int(SHARE * (count - 1))
    return values if len(values) <= kept else np.partition(values, -kept)[-kept:]


def _percentile(largest: Float32, count: int) -> float:
    """The 99.99th percentile of ``count`` values, between two of the ``largest`` of them."""
    place = SHARE * (count - 1)
    low, high = np.sort(largest)[[0, min(1, len(largest) - 1)]].astype(np.float64)
    return float(low + (place - int(place)) * (high - low))


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
                f"{layer.name} is noise in float32: JAX's own values are up to {off:.2g} from "
                f"those in float64; {why} differences that are smaller than float32's rounding",
                "train again; smaller biases and weights, or another seed, keep it from that",
            )
    return None


def _run(model: Model, images: Images, names: Sequence[str], place: int = 1) -> Outputs:
    """What the stages called ``names`` give for uint8 ``images``: see :func:`float_network`."""
    return in_batches(_function(model, names, place), images)


def _function(model: Model, names: Sequence[str], place: int) -> Callable[[Any], Any]:
    """What the stages called ``names`` give for a batch: in front of a pool, 0, or behind it, 1."""

    def function(x: jax.Array) -> dict[str, jax.Array]:
        x = x.astype(jnp.float32) / 255
        if np.any(model.input_zero):
            x = x - jnp.asarray(model.input_zero, jnp.float32) / 255
        outputs = float_network(model, x)
        return {name: outputs[name][place] for name in names}

    return jax.jit(function)
