"""Pools with fast gradients: the mathematics of ``nn.max_pool`` and ``nn.avg_pool``.

On a CPU, XLA sends a window's gradient back place by place. A network with maximum pools and batch
normalization learns in 0.7 of the time with the maximum below, LeNet in 0.9 with the mean below.
"""

from __future__ import annotations

from collections.abc import Callable

import jax


def max_pool(x: jax.Array, size: int) -> jax.Array:
    """The largest of each ``size`` x ``size`` places.

    Takes ``(images, rows, columns, channels)``; partial windows are left out. Of values that are
    equal each gets its share of the gradient, where ``nn.max_pool`` gives the first one all of it.
    """
    x = _whole_windows(x, size)
    images, rows, columns, channels = x.shape
    return x.reshape(images, rows // size, size, columns // size, size, channels).max((2, 4))


def avg_pool(x: jax.Array, size: int) -> jax.Array:
    """The mean of each ``size`` x ``size`` places; takes what :func:`max_pool` takes."""
    x = _whole_windows(x, size)
    x = sum((x[:, i::size] for i in range(1, size)), start=x[:, ::size])
    x = sum((x[:, :, i::size] for i in range(1, size)), start=x[:, :, ::size])
    return x / size**2


def _whole_windows(x: jax.Array, size: int) -> jax.Array:
    _, rows, columns, _ = x.shape
    return x[:, : rows // size * size, : columns // size * size]


POOLS: dict[str, Callable[[jax.Array, int], jax.Array]] = {"avg": avg_pool, "max": max_pool}
