"""The readers: whose networks are understood. One more is a module and its name here."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, cast

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from lenet_export import flax_network
from lenet_export.checkpoint import Model, check_chain
from lenet_export.errors import UserError
from lenet_export.plan import make_plan
from lenet_export.readers.chain_builder import ChainBuilder
from lenet_export.readers.functions import FUNCTIONS
from lenet_export.reference import Images

TOLERANCE = 1e-4
CHECKED = 100  # of the user's images


class Reader(Protocol):
    """A module that reads the networks of one kind.

    Attributes:
        LAYERS: which layers it may have, in words.
    """

    LAYERS: str

    @staticmethod
    def knows(module: Any) -> bool:
        """Whether ``module`` is such a network."""

    @staticmethod
    def read(module: Any, params: Any, chain: ChainBuilder, images: jax.Array) -> Any:
        """Takes the layers up in ``chain``, first to last; gives the network's own logits.

        Args:
            module: the network.
            params: what it learned, as the user gave it.
            chain: to build.
            images: float32 ``(images, rows, columns, channels)``, to compute the logits of.

        Raises:
            UserError: a layer is unknown, or has none of the parameters that it should have.
        """


#: The modules of this folder that are readers, and what each reads, in a few words.
READERS = {
    "linen": "an nn.Sequential of flax.linen",
}


def _module(name: str) -> Reader:
    return cast(Reader, import_module(f"lenet_export.readers.{name}"))


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
    name = next((name for name in READERS if _module(name).knows(module)), None)
    if name is None:
        known = "; or ".join(f"{what} of {_module(name).LAYERS}" for name, what in READERS.items())
        raise UserError(
            f"the module, {type(module).__name__}",
            "is not a network that can be read",
            f"give {known}; {FUNCTIONS}",
        )
    reader, where = _module(name), READERS[name]
    images = np.random.default_rng(0).integers(0, 256, (4, *input_shape)).astype(np.uint8)
    if given is not None:
        images = np.concatenate([images, given[:CHECKED]])
    chain = ChainBuilder(input_shape, reader.LAYERS)
    with jax.default_matmul_precision("highest"):
        theirs = reader.read(module, params, chain, jnp.asarray(images, jnp.float32) / 255)
    model = chain.model()
    check_chain(where, input_shape, model.stages)
    _check_same(model, images, np.asarray(theirs), where)
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
