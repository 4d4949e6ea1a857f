"""The pools, and how each is computed in floats and in codes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Pool:
    """A pool: of square windows side by side, or, as a stage of its own, of any windows.

    In C it is the template ``pools/<name>.c.j2``. A kernel that has no form of its own for it uses
    that one, or leaves the layer to the generic kernel.

    Attributes:
        value: the pool of floats, over ``axes`` of an array (of ``numpy`` or ``jax.numpy``).
        codes: the same of codes, integers, with integers alone.
        formula: that of codes, in words, for those who compute it elsewhere.
        noun: what it gives.
        commutes: whether it may stand in front of an activation that never falls as well as behind
            it, and of rounding.
        border: what a border of windows counts as: 0, or an infinity that is never taken.
    """

    value: Callable[[Any, tuple[int, ...]], Any]
    codes: Callable[[Any, tuple[int, ...]], Any]
    formula: str
    noun: str
    commutes: bool
    border: float = 0.0


def _rounded_mean(codes: Any, axes: tuple[int, ...]) -> Any:
    """The mean of codes, rounded half up."""
    places = math.prod(codes.shape[axis] for axis in axes)
    return (codes.sum(axes, dtype=codes.dtype) + places // 2) // places


#: The pools by name; a stage without one has the pool ``none``.
POOLS = {
    "avg": Pool(
        lambda x, axes: x.mean(axes),
        _rounded_mean,
        "(sum of the window + size * size // 2) // (size * size)",
        "mean",
        commutes=False,
    ),
    "max": Pool(
        lambda x, axes: x.max(axes),
        lambda x, axes: x.max(axes),
        "the largest",
        "maximum",
        commutes=True,
        border=-math.inf,
    ),
}
