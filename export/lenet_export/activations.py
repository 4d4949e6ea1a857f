"""The activation functions, and how each becomes integers: an index, a table, codes."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

CODE_MAX = 255  # of an image's bytes and of every activation
TABLE_SIZE = 512  # entries of an activation's table; docs/numerics.md tells other sizes
TABLE_TOP = TABLE_SIZE - 1
GELU_MIN = -0.17  # its smallest value, to 1e-4
SILU_MIN = -0.27846  # likewise
SLOPE = 0.01  # of a leaky ReLU below 0 that does not say it: Flax's own

Array = npt.NDArray[Any]

#: What tables are made with: of one number, and the same on every machine.
SCALARS = SimpleNamespace(
    tanh=math.tanh, expm1=math.expm1, minimum=min, maximum=max, where=lambda c, a, b: a if c else b
)


@dataclass(frozen=True)
class Activation:
    """How an activation function becomes integers.

    Attributes:
        name: of the function from index to code, which layers may share.
        steps: index steps for each unit of the activation's argument.
        offset: the index, a real number, of argument 0. Half a step for rounding is in it.
        top: the largest index; the smallest is 0.
        scale: what one code more stands for.
        zero_point: the code of value 0.
        table: uint8 ``(top + 1,)``, the code at each index; ``None``: the index is the code.
        about: what the table holds, in one line.
    """

    name: str
    steps: float
    offset: float
    top: int
    scale: float
    zero_point: int = 0
    table: Array | None = None
    about: str = ""

    @property
    def has_table(self) -> bool:
        """Whether the index is a place in a table."""
        return self.table is not None

    @property
    def mirror(self) -> int:
        """What each code of the table and its mirror's make together, 255 or 256; 0 if neither."""
        if self.table is None:
            return 0
        both = set((self.table + self.table[::-1].astype(int)).tolist())
        return both.pop() if both in ({CODE_MAX}, {CODE_MAX + 1}) else 0


def sigmoid(z: Any, xp: Any) -> Any:
    """``1 / (1 + exp(-z))``, in the module ``xp``: ``math``, ``numpy`` or ``jax.numpy``."""
    return 0.5 + 0.5 * xp.tanh(0.5 * z)


def gelu(z: Any, xp: Any) -> Any:
    """The argument times the share of a normal distribution below it, in the form with tanh.

    Source: Hendrycks, Gimpel, "Gaussian Error Linear Units", 2016, section 2; ``nn.gelu``.
    """
    return 0.5 * z * (1 + xp.tanh((2 / math.pi) ** 0.5 * (z + 0.044715 * z**3)))


def hard_sigmoid(z: Any, xp: Any) -> Any:
    """``z / 6 + 1/2``, cut at 0 and 1."""
    return xp.minimum(xp.maximum(z + 3, 0), 6) / 6


def elu(z: Any, xp: Any) -> Any:
    """``z`` above 0, ``exp(z) - 1`` below."""
    return xp.where(z > 0, z, xp.expm1(xp.minimum(z, 0)))


def _codes(values: Callable[[float], float], steps: float, offset: float) -> Array:
    """The table of the codes ``values(z)``, rounded, z in the middle of each index step."""
    codes = [round(values((index + 0.5 - offset) / steps)) for index in range(TABLE_SIZE)]
    return np.array(codes).clip(0, CODE_MAX).astype(np.uint8)


@functools.cache
def _sigmoid() -> Activation:
    """255 * sigmoid in the middle of each of 512 steps of 1/40, rounded.

    Beyond the ends, at |z| >= 6.4, the rounded sigmoid is 0 or 255, so that clamping the index
    is exact.
    """
    steps, offset = 40, TABLE_SIZE / 2
    table = _codes(lambda z: CODE_MAX * sigmoid(z, math), steps, offset)
    about = f"round(255 * sigmoid(z)), z = (index - {offset - 0.5}) / {steps}"
    return Activation("sigmoid", steps, offset, TABLE_TOP, 1 / CODE_MAX, table=table, about=about)


@functools.cache
def _tanh(outer: float = 1.0, inner: float = 1.0) -> Activation:
    """``outer * tanh(inner * z)``: 128 + 127 * tanh in the middle of each of 512 steps, rounded.

    The table is that of sigmoid in steps twice as fine, and ends where the rounded tanh does. The
    factors are in the scale and the steps, so that every tanh has the same table.
    """
    steps, offset, zero_point, levels = 80, TABLE_SIZE / 2, 128, 127
    table = _codes(lambda z: zero_point + levels * math.tanh(z), steps, offset)
    about = f"round(128 + 127 * tanh(z)), z = (index - {offset - 0.5}) / {steps}"
    scale = outer / levels
    return Activation("tanh", inner * steps, offset, TABLE_TOP, scale, zero_point, table, about)


def _relu(name: str, largest: float) -> Activation:
    """From 0 to ``largest`` in 255 steps: the index is the code."""
    return Activation(name, CODE_MAX / largest, 0.5, CODE_MAX, largest / CODE_MAX)


def _hard_sigmoid() -> Activation:
    """The index is the code: what is cut at 0 and 1 is cut at 0 and 255."""
    steps = CODE_MAX / 6
    return Activation("hard_sigmoid", steps, 3 * steps + 0.5, CODE_MAX, 1 / CODE_MAX)


@functools.cache
def _leaky_table(slope: float) -> tuple[int, Array]:
    """The zero point and the table of a leaky ReLU: of arguments from -1 to 1 in 512 steps."""
    scale = (1 + slope) / CODE_MAX
    zero_point = round(slope / scale)
    return zero_point, _codes(
        lambda z: zero_point + max(z, slope * z) / scale, TABLE_SIZE / 2, TABLE_SIZE / 2
    )


def _leaky_relu(slope: float, largest: float) -> Activation:
    """Arguments from ``-largest`` to ``largest``; those of one slope share a table."""
    zero_point, table = _leaky_table(slope)
    scale, offset = (1 + slope) * largest / CODE_MAX, TABLE_SIZE / 2
    about = (
        f"round({zero_point} + {CODE_MAX / (1 + slope):.6g} * max(z, {slope:g} * z)), "
        f"z = (index - {offset - 0.5}) / {offset:g}"
    )
    name = re.sub(r"\W", "_", f"leaky_relu_{slope:g}")
    steps = TABLE_SIZE / 2 / largest
    return Activation(name, steps, offset, TABLE_TOP, scale, zero_point, table, about)


def _measured(
    name: str, value: Callable[[Any, Any], Any], least: float, left: float
) -> Callable[[float, str], Activation]:
    """The codes of a function that dips below 0, or stays below it, and then rises.

    They go from its minimum ``least`` to the layer's largest value in 255 steps, in a table for
    each layer. Left of ``z = -left`` the function does not change, to less than half a step; ``z``
    exceeds it by ``-least`` at most.
    """

    def codes(largest: float, layer: str) -> Activation:
        scale = (largest - least) / CODE_MAX
        zero_point = round(-least / scale)
        steps = TABLE_SIZE / (left + largest - least)
        offset = left * steps
        table = _codes(lambda z: zero_point + value(z, SCALARS) / scale, steps, offset)
        formula = f"round({zero_point} + {name}(z) / {scale:.4g})"
        about = f"{layer}: {formula}, z = (index - {offset - 0.5:.4g}) / {steps:.4g}"
        name_in_c = f"{layer}_{name}"
        return Activation(name_in_c, steps, offset, TABLE_TOP, scale, zero_point, table, about)

    return codes


def _above_zero(values: Any) -> Any:
    return np.maximum(values, 0)


@dataclass(frozen=True)
class Function:
    """An activation function of hidden layers.

    Attributes:
        value: the function itself, of ``z`` and the module ``xp`` (``numpy`` or ``jax.numpy``).
        codes: how it becomes integers, of the layer's calibrated range and its name.
        formula: the function as text, in terms of ``z`` and functions of ``numpy``.
        calls: the activations that its float form in C calls.
        bound: its largest value; ``None`` if it has none, so that the range is measured.
        rises: whether it never falls: then a maximum may be taken before it or after.
        reach: what the range is measured on, of the function's values: what is above 0, unless
            codes have to reach as far below.
    """

    value: Callable[[Any, Any], Any]
    codes: Callable[[float, str], Activation]
    formula: str
    calls: tuple[str, ...] = ()
    bound: float | None = None
    rises: bool = True
    reach: Callable[[Any], Any] = _above_zero

    @functools.cached_property
    def has_table_of_layer(self) -> bool:
        """Whether each layer has codes of its own, by its name."""
        return self.codes(1.0, "a").name != self.codes(1.0, "b").name


#: Of the scaled tanh of LeNet-5, 1998 (LeCun et al., appendix A): A and S.
OUTER, INNER = 1.7159, 2 / 3


@functools.cache
def _leaky(slope: float) -> Function:
    """A ReLU with a ``slope`` below 0, between 0 and 1."""
    return Function(
        lambda z, xp: xp.maximum(z, slope * z),
        lambda largest, _: _leaky_relu(slope, largest),
        f"maximum(z, {slope:g} * z)",
        reach=lambda values: np.maximum(values, values / -slope),
    )


#: The activation functions by name. Those with a number of their own besides: see
#: :func:`function_of`.
ACTIVATIONS = {
    "sigmoid": Function(sigmoid, lambda _, __: _sigmoid(), "1 / (1 + exp(-z))", bound=1.0),
    "tanh": Function(
        lambda z, xp: xp.tanh(z), lambda _, __: _tanh(), "tanh(z)", ("sigmoid",), bound=1.0
    ),
    "scaled_tanh": Function(
        lambda z, xp: OUTER * xp.tanh(INNER * z),
        lambda _, __: _tanh(OUTER, INNER),
        f"{OUTER} * tanh(2 / 3 * z)",
        ("sigmoid", "tanh"),
        bound=OUTER,
    ),
    "relu": Function(
        lambda z, xp: xp.maximum(z, 0), lambda largest, _: _relu("relu", largest), "maximum(z, 0)"
    ),
    "relu6": Function(
        lambda z, xp: xp.minimum(xp.maximum(z, 0), 6),
        lambda largest, _: _relu("relu6", min(largest, 6)),
        "minimum(maximum(z, 0), 6)",
    ),
    "leaky_relu": _leaky(SLOPE),
    "hard_sigmoid": Function(
        hard_sigmoid,
        lambda _, __: _hard_sigmoid(),
        "minimum(maximum(z + 3, 0), 6) / 6",
        bound=1.0,
    ),
    "hard_swish": Function(
        lambda z, xp: z * hard_sigmoid(z, xp),
        _measured("hard_swish", lambda z, xp: z * hard_sigmoid(z, xp), -0.375, left=3.0),
        "z * minimum(maximum(z + 3, 0), 6) / 6",
        ("hard_sigmoid",),
        rises=False,
    ),
    "silu": Function(
        lambda z, xp: z * sigmoid(z, xp),
        _measured("silu", lambda z, xp: z * sigmoid(z, xp), SILU_MIN, left=8.0),
        "z / (1 + exp(-z))",
        ("sigmoid",),
        rises=False,
    ),
    "elu": Function(
        elu, _measured("elu", elu, -1.0, left=6.0), "where(z > 0, z, exp(z) - 1)", ("sigmoid",)
    ),
    "gelu": Function(
        gelu,
        _measured("gelu", gelu, GELU_MIN, left=4.0),
        "z / 2 * (1 + tanh(sqrt(2 / pi) * (z + 0.044715 * z ** 3)))",
        ("sigmoid",),
        rises=False,
    ),
}
BOUNDS = {name: of.bound for name, of in ACTIVATIONS.items() if of.bound is not None}


def leaky_relu(slope: float) -> str:
    """The name of the leaky ReLU of a slope: ``leaky_relu(0.1)``, ``leaky_relu`` of Flax's own."""
    return "leaky_relu" if f"{slope:g}" == f"{SLOPE:g}" else f"leaky_relu({slope:g})"


def slope_of(name: str) -> float | None:
    """The slope of the leaky ReLU called ``name``; ``None`` if it is none."""
    if name == "leaky_relu":
        return SLOPE
    found = re.fullmatch(r"leaky_relu\(([0-9.e-]+)\)", name)
    try:
        slope = float(found[1]) if found else 0.0
    except ValueError:
        return None
    return slope if 0 < slope < 1 and leaky_relu(slope) == name else None


def word_of(name: str) -> str:
    """What an activation is called without the number that belongs to it."""
    return name.partition("(")[0]


def is_known(name: str) -> bool:
    """Whether :func:`function_of` has a function called ``name``."""
    return name in ACTIVATIONS or slope_of(name) is not None


def function_of(name: str) -> Function:
    """The function called ``name``: of :data:`ACTIVATIONS`, or a leaky ReLU of any slope."""
    slope = slope_of(name)
    return ACTIVATIONS[name] if slope is None else _leaky(slope)
