"""Which function it is, by what it does to a random input: however it is written."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lenet_export import flax_network
from lenet_export.activations import ACTIVATIONS
from lenet_export.checkpoint import POOL_MAX
from lenet_export.errors import UserError
from lenet_export.pools import POOLS

FUNCTIONS = (
    f"functions that are {', '.join(sorted(ACTIVATIONS))}, a "
    f"{' or '.join(pool.noun for pool in POOLS.values())} pool of side and stride 2 to {POOL_MAX}, "
    "a mean over the map, or that flatten"
)
#: Of the random input: a bound may lie far out.
SCALES = (1.0, 1e3, 1e6)

Function = Callable[[jax.Array], jax.Array]


class Known(NamedTuple):
    """What a function is known as.

    Attributes:
        kind: ``identity`` (which may flatten), ``activation``, ``pool``, ``mean`` over the map; or
            ``unknown``.
        name: of the activation or pool.
        size: of the pool's window.
    """

    kind: str
    name: str = ""
    size: int = 0


@dataclass(frozen=True)
class Probe:
    """What a function makes of random inputs of several sizes.

    Attributes:
        x: float32 ``(3, *shape)``.
        outputs: of each scale times ``x``, divided by the scale again.
    """

    x: jax.Array
    outputs: list[jax.Array]

    @classmethod
    def of(cls, at: str, function: Callable[[jax.Array], Any], shape: tuple[int, ...]) -> Probe:
        """The probe of the layer ``at``, a function that reads ``(images, *shape)``.

        Raises:
            UserError: it fails, or gives no array.
        """
        x = jax.random.normal(jax.random.key(0), (3, *shape)) * 3
        return cls(x, [call(at, function, scale * x) / scale for scale in SCALES])

    def does(self, known: Function) -> bool:
        """Whether the function did what ``known`` does, as it is or flattened."""
        pairs = zip(SCALES, self.outputs, strict=True)
        return all(_same(y, known(scale * self.x) / scale) for scale, y in pairs)

    def known(self) -> Known:
        """What the function is."""
        if self.does(lambda x: x):
            return Known("identity")
        for name, activation in flax_network.ACTIVATIONS.items():
            if self.does(activation):
                return Known("activation", name)
        if self.x.ndim != 4:
            return Known("unknown")
        for size in range(2, min(POOL_MAX, *self.x.shape[1:3]) + 1):
            window = (size, size)
            for name, pool in flax_network.POOLS.items():
                if self.does(functools.partial(pool, window_shape=window, strides=window)):
                    return Known("pool", name, size)
        is_mean = self.does(lambda x: x.mean((1, 2), keepdims=True))
        return Known("mean" if is_mean else "unknown")

    def told(self) -> tuple[str, str]:
        """What a function that is not known does, and a remedy, or ``""``: often met ones."""
        for function, what, remedy in NEAR:
            if self.does(function):
                return f"is {what}, which is not supported", remedy
        line = self._line()
        if line:
            return line
        shape, output = self.x.shape[1:], self.outputs[0].shape[1:]
        if len(shape) == len(output) == 3 and shape[2] == output[2] and output != shape:
            before, behind = ("x".join(map(str, of[:2])) for of in (shape, output))
            return (
                f"makes a map of {behind} of one of {before}, as no supported pool does",
                f"supported: {' and '.join(pool.noun for pool in POOLS.values())} pools whose "
                f"stride is their side, 2 to {POOL_MAX}, without padding",
            )
        return "does what no known function does", ""

    def _line(self) -> tuple[str, str] | None:
        """The same of a function made of one or two straight lines."""
        x, y, far = (np.ravel(values) for values in (self.x, self.outputs[0], self.outputs[-1]))
        if x.shape != y.shape:
            return None
        rise, fall = (float(far[place] / x[place]) for place in (np.argmax(x), np.argmin(x)))
        shift = float(y[0] - (rise if x[0] > 0 else fall) * x[0])
        if self.does(lambda x: rise * x + shift):
            return (
                f"is {rise:.4g} * x" + (f" {shift:+.4g}" if shift else ""),
                "put it into the weights and bias of a layer beside it; the image is bytes / 255",
            )
        if self.does(lambda x: jnp.where(x > 0, rise, fall) * x):
            return f"is a ReLU with the slope {fall:.4g} below 0, which is not supported", OTHER
        return None


OTHER = "take nn.relu, or another activation that is supported, and train again"
LOGITS = "leave it out: the C gives logits, and the largest is of the same class"
#: Functions that are often met, what they are, and what to do instead.
NEAR: list[tuple[Function, str, str]] = [
    (
        functools.partial(jax.nn.gelu, approximate=False),
        "the exact GELU",
        "take the form with tanh, nn.gelu(x, approximate=True): it differs by less than 0.0005",
    ),
    (jax.nn.softmax, "a softmax", LOGITS),
    (jax.nn.log_softmax, "a log_softmax", LOGITS),
    (jax.nn.hard_tanh, "hard_tanh", "take nn.tanh, and train again"),
    (jax.nn.hard_sigmoid, "hard_sigmoid", "take nn.sigmoid, and train again"),
    (jax.nn.relu6, "ReLU6", OTHER),
    (jax.nn.silu, "SiLU", OTHER),
    (jax.nn.hard_silu, "hard_silu", OTHER),
    (jax.nn.elu, "ELU", OTHER),
    (jax.nn.selu, "SELU", OTHER),
    (jax.nn.softplus, "softplus", OTHER),
    (jax.nn.soft_sign, "soft_sign", OTHER),
]


def call(at: str, function: Callable[[jax.Array], Any], x: jax.Array) -> jax.Array:
    """What ``function``, the layer ``at``, makes of ``x``; refused if that is no array."""
    try:
        y = function(x)
    except Exception as error:
        raise UserError(
            at,
            f"fails on an input of shape {x.shape[1:]}: {error}",
            "give the module's own parameters and the shape of its input",
        ) from None
    if not isinstance(y, jax.Array | np.ndarray) or y.ndim == 0:
        what = f"gives {type(y).__name__}, expected an array"
        raise UserError(at, what, "let it give one array, the images first")
    return jnp.asarray(y)


def _same(y: Any, expected: jax.Array) -> bool:
    """Whether ``y`` is what is expected, as it is or flattened."""
    if y.shape == (len(expected), expected[0].size):
        expected = expected.reshape(y.shape)
    return y.shape == expected.shape and bool(jnp.allclose(y, expected, rtol=1e-5, atol=1e-5))
