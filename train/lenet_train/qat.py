"""Quantization-aware training: a network that already computes with the weights and codes of the C.

Weights of few bits have a learned step for each channel, and round with a gradient that passes
straight through: Esser, McKinstry, Bablani, Appuswamy, Modha, "Learned Step Size Quantization",
ICLR 2020. Activations are the codes that the exporter makes of them, 0 to 255.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from lenet_export import activations
from lenet_export.checkpoint import BITS, KINDS, Float32, Grid, Stage
from lenet_export.errors import UserError
from lenet_export.float_network import activation_of
from lenet_export.pools import POOLS
from lenet_train import pools
from lenet_train.conv import fast_tile, tiled_conv

Params = dict[str, Any]


def nearest(grid: Grid, x: jax.Array) -> jax.Array:
    """The integers of the grid that are nearest to ``x``."""
    x = jnp.clip(x, -grid.peak, grid.peak)
    return jnp.round((x + grid.peak) / grid.spacing) * grid.spacing - grid.peak


def straight_through(x: jax.Array, rounded: jax.Array) -> jax.Array:
    """``rounded``, with the gradient of ``x``."""
    return x + jax.lax.stop_gradient(rounded - x)


def with_bits(stages: tuple[Stage, ...], text: str) -> tuple[Stage, ...]:
    """The stages with the bits that ``text`` says: ``2``, or by layer ``fc1=2,conv=8``.

    What stands before ``=`` is a layer's name or a kind, ``conv`` or ``dense``. A name goes before
    a kind, a kind before bits alone, and what none of them says is 8.

    Raises:
        UserError: there is no such layer, kind or number of bits, or one is given twice.
    """
    chosen: dict[str, str] = {}
    places = [*(stage.name for stage in stages), *KINDS]
    for part in text.split(","):
        place, equals, bits = part.rpartition("=")
        if bits not in BITS or (equals and place not in places) or place in chosen:
            raise UserError(
                f"--bits {text}",
                f"{part!r} is given twice" if place in chosen else f"{part!r} is not known",
                f"give {', '.join(BITS)}, or PLACE=BITS with a place of {', '.join(places)}",
            )
        chosen[place] = bits
    return tuple(
        replace(
            stage,
            bits=chosen.get(stage.name, chosen.get(stage.kind, chosen.get("", "8"))),
        )
        for stage in stages
    )


class QuantizedNetwork(nn.Module):
    """A chain of stages that computes as its export will.

    Its input is that of the float network, and so are its kernels and biases, which stay float
    while they learn; a layer of few bits has ``log_step`` besides, the logarithm of its channels'
    steps. The last layer has one step for all its channels.

    Attributes:
        stages: the chain, with the bits of each layer.
        ranges: the largest activation of each hidden layer, in order: code 255.
    """

    stages: tuple[Stage, ...]
    ranges: tuple[float, ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """The logits float32 ``(images, classes)`` of the images ``x``."""
        *hidden, last = self.stages
        for stage, largest in zip(hidden, self.ranges, strict=True):
            x = QuantizedLayer(stage, name=stage.name)(x)
            x = activation_of(stage.activation)(x)
            codes = activations.function_of(stage.activation).codes(largest, stage.name)
            x = _pooled(codes, stage, x)
        logits: jax.Array = QuantizedLayer(last, name=last.name)(x)
        return logits


def _pooled(codes: activations.Activation, stage: Stage, x: jax.Array) -> jax.Array:
    """The codes of ``x`` behind the stage's pool, if it has one.

    A pool that commutes with rounding comes first: there is less to round.
    """
    if stage.pool == "none":
        return _fake_quantize_activations(codes, x)
    if not POOLS[stage.pool].commutes:
        x = _fake_quantize_activations(codes, x)
    return _fake_quantize_activations(codes, pools.POOLS[stage.pool](x, stage.pool_size))


class QuantizedLayer(nn.Module):
    """A convolution or dense layer with weights of few bits.

    Attributes:
        stage: what it is.
    """

    stage: Stage

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """What is in front of the activation."""
        stage = self.stage
        shape = stage.kernel_shape(x.shape[1:])
        kernel = self.param("kernel", nn.initializers.zeros, shape)
        bias = self.param("bias", nn.initializers.zeros, (stage.features,))
        if stage.grid:
            steps = 1 if stage.activation == "none" else stage.features
            log_step = self.param("log_step", nn.initializers.zeros, (steps,))
            kernel = fake_quantize(stage.grid, kernel, jnp.exp(log_step))
        if stage.kernel is None:
            return x.reshape(len(x), -1) @ kernel + bias
        tile = fast_tile(stage.features)
        return tiled_conv(x, kernel, stage.padding, tile, stage.strides) + bias


def fake_quantize(grid: Grid, kernel: jax.Array, step: jax.Array) -> jax.Array:
    """The kernel on its grid; the gradient is 1 between the grid's ends and 0 beyond."""
    x = kernel / step
    inside = jnp.clip(x, -grid.peak, grid.peak)
    return step * straight_through(inside, nearest(grid, x))


def _fake_quantize_activations(codes: activations.Activation, x: jax.Array) -> jax.Array:
    """Activations as codes 0 to 255 give them back, half rounded up."""
    low, high = (code - codes.zero_point for code in (0, activations.CODE_MAX))
    x = jnp.clip(x, low * codes.scale, high * codes.scale)
    return straight_through(x, jnp.floor(x / codes.scale + 0.5) * codes.scale)


def begin(stages: tuple[Stage, ...], params: Mapping[str, Float32]) -> Params:
    """The parameters of :class:`QuantizedNetwork` that are nearest to those of a model of floats.

    The first step of a channel is LSQ's, 2 * mean|w| / sqrt(peak), for integers one apart; that of
    a channel of zeros, which has none, is the channels' mean.

    Args:
        stages: the chain, with the bits of each layer.
        params: as the checkpoint names them.
    """
    start = {}
    for stage in stages:
        kernel, bias = params[f"{stage.name}/kernel"], params[f"{stage.name}/bias"]
        start[stage.name] = {"kernel": kernel, "bias": bias}
        if stage.grid:
            last = stage.activation == "none"
            size = np.abs(kernel).mean(None if last else tuple(range(kernel.ndim - 1)))
            step = 2 * size / math.sqrt(stage.grid.peak) / stage.grid.spacing
            step = np.where(step > 0, step, step.mean() or 1)
            start[stage.name]["log_step"] = np.log(step).reshape(-1)
    return start


def finish(stages: tuple[Stage, ...], params: Mapping[str, Any]) -> dict[str, Float32]:
    """The parameters as the checkpoint holds them: ``step``, and ``kernel`` a multiple of it."""
    done = {}
    for stage in stages:
        layer = params[stage.name]
        kernel = layer["kernel"]
        if stage.grid:
            step = jnp.exp(layer["log_step"])
            kernel = step * nearest(stage.grid, kernel / step)
            done[f"{stage.name}/step"] = np.array(jnp.broadcast_to(step, (stage.features,)))
        done[f"{stage.name}/kernel"] = np.asarray(kernel)
        done[f"{stage.name}/bias"] = np.asarray(layer["bias"])
    return done
