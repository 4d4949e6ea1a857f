"""The readers: whose networks are understood. One more is a module and a row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from lenet_export import flax_network
from lenet_export.checkpoint import Model, check_chain
from lenet_export.errors import UserError
from lenet_export.plan import make_plan
from lenet_export.readers import linen
from lenet_export.readers.chain_builder import ChainBuilder
from lenet_export.readers.functions import FUNCTIONS
from lenet_export.reference import Images

TOLERANCE = 1e-4
CHECKED = 100  # of the user's images


@dataclass(frozen=True)
class Reader:
    """How the networks of one kind are read.

    Attributes:
        reads: what such a network is, in a few words.
        layers: which layers it may have, in words.
        knows: whether something is such a network; it must not import what is not imported yet.
        read: given the network, its parameters, a chain to build and float32 images
            ``(images, rows, columns, channels)``: builds, and gives the network's own logits.
    """

    reads: str
    layers: str
    knows: Callable[[Any], bool]
    read: Callable[[Any, Any, ChainBuilder, jax.Array], Any]


READERS = {
    "linen": Reader("an nn.Sequential of flax.linen", linen.LAYERS, linen.knows, linen.read),
}


def read(
    module: Any, params: Any, input_shape: tuple[int, int, int], given: Images | None = None
) -> Model:
    """The chain that ``module`` is, with its parameters; nothing is measured yet.

    Args:
        module: what one of :data:`READERS` knows; it reads float32 ``(images, rows, columns,
            channels)``, image bytes divided by 255, and gives logits.
        params: what it learned, as its reader wants it.
        input_shape: rows, columns, channels.
        given: uint8 ``(images, *input_shape)``, on which the chain must be the module, too.

    Raises:
        UserError: no reader knows the module; a layer is unknown, with its place and what is
            supported; or it has none of the parameters that it should have.
    """
    reader = next((reader for reader in READERS.values() if reader.knows(module)), None)
    if reader is None:
        known = "; or ".join(f"{of.reads} of {of.layers}" for of in READERS.values())
        raise UserError(
            f"the module, {type(module).__name__}",
            "is not a network that can be read",
            f"give {known}; {FUNCTIONS}",
        )
    images = np.random.default_rng(0).integers(0, 256, (4, *input_shape)).astype(np.uint8)
    if given is not None:
        images = np.concatenate([images, given[:CHECKED]])
    chain = ChainBuilder(input_shape, reader.layers)
    with jax.default_matmul_precision("highest"):
        theirs = reader.read(module, params, chain, jnp.asarray(images, jnp.float32) / 255)
    model = chain.model()
    check_chain(reader.reads, input_shape, model.stages)
    _check_same(model, images, np.asarray(theirs), reader.reads)
    return model


def _check_same(model: Model, images: Images, theirs: npt.NDArray[Any], where: str) -> None:
    """Checks that ``model`` has the module's own logits.

    Raises:
        UserError: it has not.
    """
    ours = flax_network.run_logits(model, images)
    theirs = theirs.reshape(len(theirs), -1)
    near = TOLERANCE * max(1, np.abs(theirs).max())
    if theirs.shape == ours.shape and np.abs(ours - theirs).max() <= near:  # nan is not near
        return
    noise = flax_network.noise(make_plan(model, "float32"), images, TOLERANCE)
    if noise:
        raise UserError(where, *noise)
    raise UserError(
        where,
        "is not the network that was read from it",
        "this is a bug of lenet-export: please report it with the module",
    )
