"""Beginning with a trained network, so that what it knows need not be learned again."""

from __future__ import annotations

from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from lenet_export.checkpoint import Model
from lenet_export.errors import UserError
from lenet_train.architectures import Architecture
from lenet_train.data import UInt8
from lenet_train.loop import Variables, to_input
from lenet_train.model import EPSILON, Network


def check(where: str, model: Model, architecture: Architecture) -> None:
    """Makes sure that the network can begin with the model's weights.

    The last layer may have more outputs than the model's: those begin as in a new network.

    Args:
        where: it was asked for.
        model: trained.
        architecture: of the network.

    Raises:
        UserError: its layers are other ones, by name, kind or size.
    """
    if architecture.subsampling or architecture.sees:
        raise UserError(
            where,
            f"{architecture.title} has weights that a model does not hold apart",
            "train it from the beginning, without --from",
        )
    here, there = (
        [replace(stage, bits="8") for stage in of.stages] for of in (architecture, model)
    )
    if there[-1].features < here[-1].features:
        there[-1] = replace(there[-1], features=here[-1].features)
    if here != there or model.input_shape != architecture.input_shape:
        raise UserError(
            where,
            f"is not of the layers of {architecture.title}",
            "give a model of the same layers, or the --arch and its parts that it was trained with",
        )


def variables(network: Network, model: Model, images: UInt8) -> Variables:
    """What the network begins with: it gives what the model gives.

    Batch normalization, which a model holds folded, begins with the statistics of ``images``, and
    with a scale and bias that undo them.

    Args:
        network: whose layers are the model's, see :func:`check`.
        model: trained.
        images: uint8 ``(n, rows, columns)``, of those that are learned.
    """
    fresh = network.init(jax.random.key(0), jnp.zeros((1, *network.architecture.input_shape)))
    params = jax.tree.map(np.array, fresh["params"])
    for name, value in model.params.items():
        layer, tensor = name.split("/")
        if tensor in params[layer]:  # The steps of few bits are learned anew.
            params[layer][tensor][..., : value.shape[-1]] = value
    if "batch_stats" not in fresh:
        return {"params": params}
    # With a mean of 0 and a variance of 1 it passes on what it is given.
    _, seen = network.apply(
        {**fresh, "params": params},
        to_input(jnp.asarray(images)),
        capture_intermediates=lambda module, _: not isinstance(module, nn.BatchNorm),
        mutable=["intermediates"],
    )
    statistics = {}
    for stage in network.architecture.stages:
        if stage.norm_name in params:
            x = np.asarray(seen["intermediates"][stage.name]["__call__"][0])
            mean, var = (of(x, axis=tuple(range(x.ndim - 1))) for of in (np.mean, np.var))
            statistics[stage.norm_name] = {"mean": mean, "var": var}
            params[stage.norm_name] = {"scale": np.sqrt(var + EPSILON), "bias": mean}
    return {"params": params, "batch_stats": statistics}
