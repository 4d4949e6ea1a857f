"""What networks are read: of which frameworks, and that what was read is the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from lenet_export import float_network
from lenet_export.checkpoint import Float32, Model, check_chain
from lenet_export.errors import UserError
from lenet_export.plan import make_plan
from lenet_export.readers import parameters, trace
from lenet_export.readers.chain_builder import SUPPORTED, Line
from lenet_export.readers.jaxpr import JaxprReader
from lenet_export.reference import Images

TOLERANCE = 1e-4  # of the largest logit
LEAST = 1e-12  # the largest logit of a network that gives nothing but rounding
TRACED = 3  # images that a network is read with
CHECKED = 100  # of the user's images
BORDER = 0.05  # of the largest logit: what a border of whole bytes may change

Function = Callable[[Any, Any], Any]


class Framework(Protocol):
    """A module that makes a function of networks of one framework."""

    @staticmethod
    def knows(module: Any) -> bool:
        """Whether ``module`` is such a network."""

    @staticmethod
    def function_of(module: Any, params: Any, x: Any) -> tuple[Function, Any]:
        """A function of ``(parameters, images)`` that JAX can trace, and the parameters.

        Args:
            module: the network.
            params: what it learned, as the user gave it.
            x: float32 images, as the network reads them.

        Returns:
            It gives logits ``(images, classes)``. The parameters are arrays in dictionaries, whose
            keys name the layers: ``{"conv1": {"kernel": ...}}``.

        Raises:
            UserError: the parameters are not the network's.
        """


#: The modules of this folder that know a framework, and what they know, in a few words.
READERS = {
    "linen": "a module of flax.linen and its variables",
    "nnx": "a module of flax.nnx",
    "function": "a function of images that gives logits, with its parameters inside",
}


@dataclass(frozen=True)
class Network:
    """A network that was read.

    Attributes:
        model: the chain, with its parameters; nothing is measured yet.
        notes: what a user should know of how it was read, in sentences.
        input_shape: what the network itself reads, without the axis of images.
        order: for each number of an image of the model, its place in what the network reads.
        reads_bytes: whether it divides bytes by itself.
    """

    model: Model
    notes: tuple[str, ...]
    input_shape: tuple[int, ...]
    order: npt.NDArray[Any]
    reads_bytes: bool = False

    def images(self, given: Images) -> Images:
        """Images as the network reads them, laid out as the model does."""
        flat = given.reshape(len(given), -1)
        return np.ascontiguousarray(flat[:, self.order]).reshape(-1, *self.model.input_shape)


def _module(name: str) -> Framework:
    return cast(Framework, import_module(f"lenet_export.readers.{name}"))


def _knows(name: str, module: Any) -> bool:
    """Whether ``module`` is of the reader; of a framework that is not installed it is not."""
    try:
        return _module(name).knows(module)
    except ModuleNotFoundError:
        return False


def read(
    module: Any,
    params: Any,
    input_shape: tuple[int, ...],
    given: Images | None = None,
    scale: Line | None = None,
) -> Network:
    """The chain that ``module`` is, with its parameters; nothing is measured yet.

    Args:
        module: what one of :data:`READERS` knows; it reads float32 ``(images, *input_shape)`` and
            gives logits.
        params: what it learned, or where it is: see :func:`parameters.loaded`.
        input_shape: e.g. rows, columns, channels.
        given: uint8 ``(images, *input_shape)``, on which the chain must be the module, too.
        scale: what the network reads of an image's bytes / 255; ``None``: bytes / 255, or bytes if
            it divides them itself.

    Raises:
        UserError: the module is none that can be read, or an operation of it none that a chain can
            have, with its place and what is supported; or its parameters are not its own.
    """
    name = next((name for name in READERS if _knows(name, module)), None)
    if isinstance(module, type):
        remedy = f"give a network of it: {module.__name__}(...)"
        raise UserError(f"the module, {module.__name__}", "is a class", remedy)
    if name is None:
        raise UserError(
            f"the module, {type(module).__name__}",
            "is not a network that can be read",
            f"give {'; or '.join(READERS.values())}; {SUPPORTED}",
        )
    params = parameters.loaded(params)
    zeros = np.zeros((TRACED, *input_shape), np.float32)
    function, params = _module(name).function_of(module, params, zeros)
    steps = trace.trace(function, params, zeros).steps()
    reader = JaxprReader(zeros.shape, scale)
    reader.read(steps)
    chain = reader.chain
    exact = chain.model(exact=True)
    check_chain("the network", exact.input_shape, exact.stages)
    model = chain.model()
    notes = dict.fromkeys(chain.notes)
    if (reader.order != np.arange(reader.order.size)).any():
        what = f"rows, columns and channels, {model.input_shape}; the network {input_shape}"
        notes[f"the C reads images of {what}"] = None

    network = Network(model, tuple(notes), input_shape, reader.order, reader.reads_bytes)
    images = np.random.default_rng(0).integers(0, 256, (4, *input_shape)).astype(np.uint8)
    if given is not None:
        images = np.concatenate([images, given[:CHECKED]])
    x, shown = _scaled(images, reader, scale), len(steps) - reader.dropped
    theirs = _logits(trace.trace(function, params, x).steps()[:shown], x)
    is_the_same = _are_near(theirs[:TRACED], _logits(steps[:shown], x[:TRACED]))
    if theirs.shape[1] == 1:  # the model has a first class more, which is always 0
        theirs = np.pad(theirs, ((0, 0), (1, 0)))
    ours = float_network.run_logits(exact, network.images(images))
    if not is_the_same or not _are_near(theirs, ours):
        raise _misread(exact, network.images(images), theirs, is_the_same)
    return _with_border(network, images, ours) if np.any(exact.input_zero) else network


def _scaled(images: Images, reader: JaxprReader, scale: Line | None) -> Float32:
    """What the network itself reads of ``images``, laid out as it reads them."""
    x = images.astype(np.float32)
    if reader.reads_bytes:
        return x
    x /= 255
    if scale is None:
        return x
    laid = x.reshape(len(x), -1)[:, reader.order].reshape(-1, *reader.chain.input_shape)
    laid = (laid * scale.scale + scale.shift).astype(np.float32)
    x = np.empty((len(x), x[0].size), np.float32)
    x[:, reader.order] = laid.reshape(len(x), -1)
    return x.reshape(images.shape)


def _logits(steps: list[trace.Step], x: Float32) -> Float32:
    """The network's own logits ``(images, classes)``."""
    import jax

    return np.asarray(jax.jit(lambda x: trace.run(steps, x))(x)).reshape(len(x), -1)


def _are_near(logits: Float32, others: Float32) -> bool:
    """Whether logits are the same but for rounding, however small they are; NaN is not."""
    near = TOLERANCE * max(LEAST, np.abs(logits).max())
    return logits.shape == others.shape and bool(np.abs(logits - others).max() <= near)


def _misread(model: Model, images: Images, theirs: Float32, is_the_same: bool) -> UserError:
    """The error of a model whose logits are not those of the network.

    Args:
        model: what was read.
        images: as it takes them.
        theirs: the network's logits.
        is_the_same: whether the network computes the same however many images it is given.
    """
    where = "the network"
    if not np.isfinite(theirs).all():
        what, remedy = "gives logits that are not finite", "train again, with a lower learning rate"
        return UserError(where, what, remedy)
    noise = float_network.noise(make_plan(model, "float32"), images, TOLERANCE, LEAST)
    if noise:
        return UserError(where, *noise)
    if not is_the_same:
        what = f"computes something else for {len(images)} images than for {TRACED}"
        return UserError(where, what, "let it compute the same whatever their number")
    return UserError(
        where,
        "is not the network that was read from it",
        "this is a bug of lenet-export: please report it with the module",
    )


def _with_border(network: Network, images: Images, exact: Float32) -> Network:
    """The network, with a note of what a border of whole bytes changes.

    Raises:
        UserError: it changes too much.
    """
    model = network.model
    off = np.abs(float_network.run_logits(model, network.images(images)) - exact).max()
    largest = np.abs(exact).max()
    changes = f"the byte {model.input_zero}, and logits differ by up to {off:.2g} of {largest:.2g}"
    if off > BORDER * max(LEAST, largest):
        raise UserError(
            "the border of the image",
            f"is 0 in the network's own scale, which no byte stands for: nearest is {changes}",
            "take padding='VALID' in the first layer, or a scale whose 0 is a byte; train again",
        )
    note = f"the zeros around the image are those of the network's own scale: here {changes}"
    return replace(network, notes=(*network.notes, note))
