"""Which function of numbers it is, by what it does to random ones: however it is written."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from lenet_export.activations import ACTIVATIONS, function_of, is_known, leaky_relu
from lenet_export.checkpoint import POOL_MAX
from lenet_export.pools import POOLS

FUNCTIONS = (
    f"functions that are {', '.join(sorted(ACTIVATIONS))}, a "
    f"{' or '.join(pool.noun for pool in POOLS.values())} pool of up to {POOL_MAX**2} numbers, "
    "a mean over the map, or that flatten"
)
Floats = npt.NDArray[Any]
Function = Callable[[Any], Any]

#: Of the random numbers: a bound may lie far out, and a gap near 0.
SCALES = (1e-2, 1.0, 1e3, 1e6)
#: Random numbers, of both signs.
NUMBERS = np.random.default_rng(0).normal(0, 3, 64).astype(np.float32)


def outputs_of(function: Function, numbers: Floats = NUMBERS) -> list[Floats]:
    """What a function makes of each scale times ``numbers``, divided by the scale again."""
    return [np.asarray(function(np.float32(scale) * numbers)) / scale for scale in SCALES]


def does(outputs: list[Floats], known: Function, numbers: Floats = NUMBERS) -> bool:
    """Whether the ``outputs`` are what ``known`` gives."""
    return all(
        np.allclose(y, np.asarray(known(np.float32(scale) * numbers)) / scale, rtol=1e-5, atol=1e-5)
        for scale, y in zip(SCALES, outputs, strict=True)
    )


def activation_of(outputs: list[Floats]) -> str:
    """The name of the activation that gives the ``outputs``, or ``""``."""
    with np.errstate(over="ignore", invalid="ignore"):
        for name in (*ACTIVATIONS, *_leaky(outputs)):
            if does(outputs, functools.partial(_in_numpy, function_of(name).value)):
                return name
    return ""


def _leaky(outputs: list[Floats]) -> list[str]:
    """The leaky ReLU that the ``outputs`` may be of, by what it makes of the smallest number.

    What makes the same of all numbers is none: a norm's scale is near 1, too.
    """
    slope = float(outputs[-1][NUMBERS.argmin()] / NUMBERS.min())
    is_bent = not does(outputs, lambda x: slope * x)
    return [leaky_relu(slope)] if is_bent and is_known(leaky_relu(slope)) else []


def _in_numpy(function: Callable[[Any, Any], Any], z: Any) -> Any:
    return function(z, np)


def told(outputs: list[Floats]) -> tuple[str, str] | None:
    """What an often met function that is not supported is, and a remedy."""
    for function, what, remedy in NEAR:
        if does(outputs, function):
            return f"is {what}, which is not supported", remedy
    rise, fall = (
        float(outputs[-1][at] / NUMBERS[at]) for at in (NUMBERS.argmax(), NUMBERS.argmin())
    )
    is_leaky = does(outputs, lambda x: np.where(x > 0, x, fall * x))
    if abs(rise - 1) < 1e-3 and (fall < -1e-3 or fall > 1.001) and is_leaky:
        what = f"is a ReLU with the slope {fall:.4g} below 0, which is not supported"
        return what, "take a slope between 0 and 1, as nn.leaky_relu(x, 0.1), and train again"
    return None


def dropped(function: Function, shape: tuple[int, ...]) -> str:
    """Which last function, of logits of ``shape``, leaves their order as it is; or ``""``."""
    rows = np.random.default_rng(0).normal(0, 3, shape).astype(np.float32)
    outputs = [np.asarray(function(scale * rows)) for scale in (0.1, 1.0, 3.0)]
    for name, known in LAST.items():
        pairs = zip((0.1, 1.0, 3.0), outputs, strict=True)
        if all(np.allclose(y, known(scale * rows), rtol=1e-4, atol=1e-6) for scale, y in pairs):
            return name
    return ""


OTHER = "take nn.relu, or another activation that is supported, and train again"
#: Functions that are often met, what they are, and what to do instead.
NEAR: list[tuple[Function, str, str]] = [
    (
        functools.partial(jax.nn.gelu, approximate=False),
        "the exact GELU",
        "take the form with tanh, nn.gelu(x, approximate=True): it differs by less than 0.0005",
    ),
    (jax.numpy.abs, "the absolute value", OTHER),
    (jax.nn.hard_tanh, "hard_tanh", "take nn.tanh, and train again"),
    (jax.nn.selu, "SELU", OTHER),
    (jax.nn.softplus, "softplus", OTHER),
    (jax.nn.soft_sign, "soft_sign", OTHER),
    (jax.nn.mish, "mish", OTHER),
]
#: Functions that leave the largest logit the largest, and a sigmoid's 1/2 where the logit is 0.
LAST: dict[str, Function] = {
    "softmax": jax.nn.softmax,
    "log_softmax": jax.nn.log_softmax,
    "sigmoid": jax.nn.sigmoid,
    "log_sigmoid": jax.nn.log_sigmoid,
    "tanh": jax.numpy.tanh,
}
