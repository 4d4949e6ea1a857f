"""The Flax module of any chain of stages."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import numpy as np

from lenet_export.checkpoint import NORM_EPSILON, Float32, Stage
from lenet_export.float_network import activation_of
from lenet_export.fold import fold_batch_norm
from lenet_train.architectures import Architecture
from lenet_train.conv import Conv, fast_tile
from lenet_train.pools import POOLS, avg_pool

#: Flax's collections: ``params``, and with batch normalization ``batch_stats``.
Variables = dict[str, Any]

INITS = {"xavier": nn.initializers.xavier_uniform(), "he": nn.initializers.he_uniform()}

EPSILON = 1e-5
MOMENTUM = 0.9


class Network(nn.Module):
    """A network, stage by stage: convolution or dense layer, norm, activation, pool.

    Takes float32 ``(images, rows, columns, 1)``, the image bytes divided by 255, and gives float32
    logits ``(images, outputs)``.
    """

    architecture: Architecture

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """The logits of the images ``x``."""
        for stage in self.architecture.stages:
            x = self.layer(stage, x)
            if self.architecture.norm == "batch" and stage.activation != "none":
                name = stage.norm_name
                x = nn.BatchNorm(not train, momentum=MOMENTUM, epsilon=EPSILON, name=name)(x)
            elif stage.norm == "layer":
                x = nn.LayerNorm(NORM_EPSILON, name=stage.norm_name)(x)
            x = activation_of(stage.activation)(x)
            if stage.pool != "none":
                x = POOLS[stage.pool](x, stage.pool_size)
        return x

    def layer(self, stage: Stage, x: jax.Array) -> jax.Array:
        """The convolution or dense layer of ``stage``."""
        init = INITS[self.architecture.init]
        if stage.kernel is None:
            x = x.reshape(x.shape[0], -1)
            return nn.Dense(stage.features, kernel_init=init, name=stage.name)(x)
        if stage.name in self.architecture.subsampling:
            return Subsample(name=stage.name)(x)
        return Conv(
            stage.features,
            stage.kernel,
            padding=stage.padding,
            strides=stage.strides,
            tile=fast_tile(stage.features),
            mask=mask(self.architecture, stage, x.shape[-1]),
            kernel_init=init,
            name=stage.name,
        )(x)


def recompute_batch_stats(network: nn.Module, variables: Variables, x: jax.Array) -> Variables:
    """The variables with the statistics of the images ``x`` in place of those of training.

    Training's are those of augmented images, and lag behind the parameters, which are a running
    mean besides. Source: Wu, Johnson, "Rethinking 'Batch' in BatchNorm", 2021, section 3.

    Args:
        network: of the variables.
        variables: what was trained; without batch normalization it comes back as it is.
        x: float32 ``(images, rows, columns, 1)``.
    """
    if "batch_stats" not in variables:
        return variables
    old = variables["batch_stats"]
    _, moved = network.apply(variables, x, train=True, mutable=["batch_stats"])
    # How far the images moved the statistics tells their own.
    own = jax.tree.map(
        lambda old, new: old + (new - old) / (1 - MOMENTUM), old, moved["batch_stats"]
    )
    return {**variables, "batch_stats": own}


class Subsample(nn.Module):
    """The sum of each 2x2 places of a map, times the map's coefficient, plus its bias.

    The coefficients start at 1/4: the mean. Source: LeCun et al. 1998, section II.B, layer S2.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Takes float32 ``(images, rows, columns, maps)`` to half the rows and columns."""
        coefficient = self.param("coefficient", nn.initializers.constant(0.25), x.shape[-1:])
        bias = self.param("bias", nn.initializers.zeros, x.shape[-1:])
        return avg_pool(x, 2) * 4 * coefficient + bias


def mask(architecture: Architecture, stage: Stage, inputs: int) -> Float32 | None:
    """1 where a map of ``stage`` sees a map of its input, ``(1, 1, inputs, features)``; or None."""
    seen = dict(architecture.sees).get(stage.name)
    if seen is None:
        return None
    table = np.zeros((1, 1, inputs, stage.features), np.float32)
    for output, maps in enumerate(seen):
        table[..., list(maps), output] = 1
    return table


def deployed(architecture: Architecture, variables: dict[str, Any]) -> dict[str, Float32]:
    """The parameters of a plain chain of stages that computes the same: ``Model.params``.

    Batch normalization is folded in; what a map does not see has weights of 0, and a map that is
    subsampled sees itself alone.

    Args:
        architecture: of the network.
        variables: ``params``, and ``batch_stats`` where there are some.
    """
    found: dict[str, Float32] = {}
    inputs = architecture.input_shape[-1]
    for stage in architecture.stages:
        layer = {name: np.asarray(v) for name, v in variables["params"][stage.name].items()}
        if stage.name in architecture.subsampling:
            weights = np.diag(layer["coefficient"])
            kernel = np.broadcast_to(weights, (*(stage.kernel or ()), *weights.shape))
        else:
            table = mask(architecture, stage, inputs)
            kernel = layer["kernel"] if table is None else layer["kernel"] * table
        bias, norm = layer["bias"], variables["params"].get(stage.norm_name, {})
        if stage.norm == "layer":
            found |= {f"{stage.norm_name}/{name}": np.asarray(v) for name, v in norm.items()}
        elif norm:
            statistics = norm | variables["batch_stats"][stage.norm_name]
            kernel, bias = fold_batch_norm(kernel, bias, statistics, EPSILON)
        found |= {f"{stage.name}/kernel": np.array(kernel), f"{stage.name}/bias": bias}
        inputs = stage.features
    return found
