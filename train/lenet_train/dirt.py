"""Random dirt on training images, inside the compiled training loop: light, lines, noise, pens.

What a scanner, a pen and paper do to a digit that is a digit all the same. An image gets one kind,
or two, so that it can still be read.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from lenet_train.recipes import Dirt

GRID = 4  # nodes a side of the light; between them it is even
LINES = 2  # that an image gets at most
COARSEST = 9  # pixels a side of the coarsest picture
Change = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


def dirty(key: jax.Array, images: jax.Array, most: Dirt) -> jax.Array:
    """The first ``most.share`` of the images with one or two kinds of dirt, the others as they are.

    Args:
        key: of the random numbers.
        images: float32 ``(images, rows, columns, 1)``, 0 is paper, 1 is ink, in no order.
        most: the largest amounts; an image gets any from 0 to them.

    Returns:
        float32 of the same shape, from 0 to 1.
    """
    kinds = [name for name in CHANGES if getattr(most, name)]
    count = round(most.share * len(images))
    if not kinds or not count:
        return images
    # A batch is in no order, so that its first ones are any.
    x, clean = images[:count, ..., 0], images[count:]
    first, second, amount = jax.random.split(key, 3)
    one = jax.random.randint(first, (count,), 0, len(kinds))
    # The second kind is the first again in half of the images.
    two = jax.random.randint(second, (count,), 0, 2 * len(kinds))
    two = jnp.where(two < len(kinds), two, one)
    chosen = (jnp.stack([one, two])[..., None] == jnp.arange(len(kinds))).any(0)
    amounts = chosen * jax.random.uniform(amount, (count, len(kinds)))
    for place, name in enumerate(kinds):
        own = (getattr(most, name) * amounts[:, place])[:, None, None]
        x = jnp.clip(CHANGES[name](jax.random.fold_in(key, place), x, own), 0, 1)
    return jnp.concatenate([x[..., None], clean])


def _thickness(key: jax.Array, x: jax.Array, amount: jax.Array) -> jax.Array:
    """Strokes a pixel wider on each side, or as much thinner; of an amount of 1."""
    wider, thinner = _widest(x), 1 - _widest(1 - x)
    pen = jnp.where(jax.random.bernoulli(key, 0.5, amount.shape), wider, thinner)
    return x + amount * (pen - x)


def _outline(_: jax.Array, x: jax.Array, amount: jax.Array) -> jax.Array:
    """Strokes fade, and what goes around them shows, as wide as a pixel."""
    return x + amount * (1.5 * (_widest(x) - x) - x)


def _blur(_: jax.Array, x: jax.Array, amount: jax.Array) -> jax.Array:
    """Light of a pixel spreads to those around it."""
    return x + amount * (_blurred(_blurred(x)) - x)


def _coarse(_: jax.Array, x: jax.Array, amount: jax.Array) -> jax.Array:
    """A picture of fewer pixels, enlarged: of an amount of 1 of :data:`COARSEST` a side.

    Of what is half ink and half paper more is taken for ink.
    """
    rows, columns = x.shape[1:]
    down, along = (
        jnp.asarray(_enlarged(side))[jnp.round(amount[:, 0, 0] * (side - COARSEST)).astype(int)]
        for side in (rows, columns)
    )
    return (1 + amount) * jnp.einsum("nra,nab,ncb->nrc", down, x, along)


def _shuffle(key: jax.Array, x: jax.Array, amount: jax.Array) -> jax.Array:
    """Each pixel comes from anywhere around it, as through frosted glass: of 1 from 2 away."""
    count, rows, columns = x.shape
    from_where = (
        2.5 * amount[:, None] * jax.random.uniform(key, (count, 2, rows, columns), minval=-1)
    )
    y, z = (
        jnp.clip(place + jnp.round(aside).astype(int), 0, side - 1)
        for place, aside, side in zip(
            jnp.indices((rows, columns)), from_where.swapaxes(0, 1), (rows, columns), strict=True
        )
    )
    return jnp.take_along_axis(
        x.reshape(count, -1), (y * columns + z).reshape(count, -1), 1
    ).reshape(x.shape)


def _lines(key: jax.Array, x: jax.Array, amount: jax.Array) -> jax.Array:
    """Straight lines, solid or dashed or wavy, as dark as the amount."""
    count, rows, columns = x.shape
    down, right = jnp.arange(rows)[:, None], jnp.arange(columns)
    drawn = jax.random.uniform(key, (7, LINES, count, 1, 1))
    for angle, place, width, dash, dashed, height, wavy in drawn.swapaxes(0, 1):
        cos, sin = jnp.cos(jnp.pi * angle), jnp.sin(jnp.pi * angle)
        y, across = down - (rows - 1) / 2, right - (columns - 1) / 2
        along = cos * across + sin * y
        wave = jnp.where(wavy < 0.4, 2.5 * height, 0) * jnp.sin(2 * jnp.pi * along / (4 + 6 * dash))
        distance = jnp.abs(cos * y - sin * across - (place - 0.5) * rows + wave)
        ink = jnp.clip(0.7 + 0.9 * width - distance, 0, 1)
        is_dash = (along / (2 + 4 * dash) + dash) % 1 < 0.55
        ink = jnp.where((dashed < 0.35) & ~is_dash, 0, ink)
        x = jnp.maximum(x, jnp.sqrt(amount) * ink)
    return x


def _contrast(_: jax.Array, x: jax.Array, amount: jax.Array) -> jax.Array:
    """Ink loses the amount."""
    return (1 - amount) * x


def _background(key: jax.Array, x: jax.Array, amount: jax.Array) -> jax.Array:
    """Paper in uneven light: from nothing to the amount; ink on it loses, or is added to it."""
    count, rows, columns = x.shape
    levels, even, added = jax.random.split(key, 3)
    nodes = jax.random.uniform(levels, (count, GRID, GRID))
    down, along = (_tents(side) for side in (rows, columns))
    ground = jnp.einsum("rg,ngh,ch->nrc", down, nodes, along)
    # Half of the papers are nearly even.
    flat = ground.mean((1, 2), keepdims=True)
    part = jax.random.bernoulli(even, 0.5, (count, 1, 1))
    ground = amount * jnp.where(part, 1 - 0.2 * (ground - flat), ground)
    is_added = jax.random.bernoulli(added, 0.5, (count, 1, 1))
    return jnp.where(is_added, x + ground, x + ground * (1 - x))


def _inversion(key: jax.Array, x: jax.Array, amount: jax.Array) -> jax.Array:
    """Ink and paper change places beside a band at any angle; or in it."""
    count, rows, columns = x.shape
    turn, place, inside = jax.random.split(key, 3)
    angle = jnp.pi * jax.random.randint(turn, (count, 1, 1), 0, 8) / 8
    middle = rows * (jax.random.uniform(place, (count, 1, 1)) - 0.5)
    down, right = jnp.arange(rows)[:, None], jnp.arange(columns)
    across = jnp.cos(angle) * (right - (columns - 1) / 2) + jnp.sin(angle) * (down - (rows - 1) / 2)
    in_band = jnp.abs(across - middle) < rows * amount / 2
    swap = in_band ^ jax.random.bernoulli(inside, 0.5, (count, 1, 1)) & (amount > 0)
    return jnp.where(swap, 1 - x, x)


def _noise(key: jax.Array, x: jax.Array, amount: jax.Array) -> jax.Array:
    """A sensor's noise; the amount is its standard deviation."""
    return x + amount * jax.random.normal(key, x.shape)


def _specks(key: jax.Array, x: jax.Array, amount: jax.Array) -> jax.Array:
    """The amount is the share of pixels that are black or white instead."""
    drawn = jax.random.uniform(key, x.shape)
    return jnp.where(drawn < amount, (drawn < amount / 2).astype(x.dtype), x)


#: What each amount of :class:`Dirt` does, in the order in which it happens to paper and camera:
#: a key, images ``(n, rows, columns)`` and amounts ``(n, 1, 1)`` to images. Amount 0 changes none.
CHANGES: dict[str, Change] = {
    "coarse": _coarse,
    "thickness": _thickness,
    "outline": _outline,
    "lines": _lines,
    "blur": _blur,
    "shuffle": _shuffle,
    "contrast": _contrast,
    "background": _background,
    "inversion": _inversion,
    "noise": _noise,
    "specks": _specks,
}
assert {"share", *CHANGES} == {field.name for field in dataclasses.fields(Dirt)}


def _widest(x: jax.Array) -> jax.Array:
    """The largest of each pixel and its four neighbours."""
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1)))
    along = jnp.maximum(padded[:, 1:-1, 2:], padded[:, 1:-1, :-2])
    return jnp.maximum(
        x, jnp.maximum(along, jnp.maximum(padded[:, 2:, 1:-1], padded[:, :-2, 1:-1]))
    )


def _blurred(x: jax.Array) -> jax.Array:
    """Each pixel half itself, the rest its neighbours': 1 2 1 along rows and columns."""
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1)), mode="edge")
    down = (padded[:, 2:] + 2 * padded[:, 1:-1] + padded[:, :-2]) / 4
    return (down[..., 2:] + 2 * down[..., 1:-1] + down[..., :-2]) / 4


@functools.lru_cache
def _enlarged(side: int) -> npt.NDArray[np.float32]:
    """Matrices that shrink ``side`` pixels to fewer by means, and enlarge them again linearly.

    Returns:
        ``(side - COARSEST + 1, side, side)``: the first leaves all as it is, the last is of
        ``COARSEST``.
    """
    made = []
    for fewer in range(side, COARSEST - 1, -1):
        ends = np.linspace(0, side, fewer + 1)
        pixel = np.arange(side)
        inside = np.minimum(ends[1:, None], pixel + 1) - np.maximum(ends[:-1, None], pixel)
        means = np.maximum(0, inside) * fewer / side
        at = np.clip((pixel + 0.5) * fewer / side - 0.5, 0, fewer - 1)
        between = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(fewer)))
        made.append(between @ means)
    return np.stack(made).astype(np.float32)


def _tents(side: int) -> jax.Array:
    """What each node of the light weighs at each pixel of a side: ``(side, GRID)``."""
    pixels = jnp.linspace(0, GRID - 1, side)
    return jnp.maximum(0, 1 - jnp.abs(pixels[:, None] - jnp.arange(GRID)))
