"""Random changes of training images, inside the compiled training loop: affine, elastic, dirt.

The elastic ones are those of Simard, Steinkraus, Platt, "Best Practices for Convolutional Neural
Networks Applied to Visual Document Analysis", ICDAR 2003, on a coarse grid.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates

from lenet_train.data import UInt8
from lenet_train.dirt import dirty
from lenet_train.recipes import Augmentation

BATCH = 1000  # images that are changed at once
ELASTIC_GRID = 6  # nodes a side whose displacements are drawn; between them it is smooth


def augment(key: jax.Array, images: jax.Array, most: Augmentation) -> jax.Array:
    """Rotates, scales, shears, shifts and bends each image, and makes it dirty, at random.

    Args:
        key: of the random numbers.
        images: float32 ``(images, rows, columns, 1)``, 0 is background.
        most: the largest amounts.

    Returns:
        float32 of the same shape, interpolated between the four nearest pixels; what comes from
        outside the image is 0.
    """
    count, rows, columns, _ = images.shape
    amounts = jax.random.uniform(key, (count, 6), minval=-1, maxval=1)
    limits = jnp.array(
        [jnp.deg2rad(most.rotation), most.scale, most.scale, most.shear, most.shift, most.shift]
    )
    centre = jnp.array([(rows - 1) / 2, (columns - 1) / 2])[:, None, None]
    grid = jnp.indices((rows, columns)) - centre

    bends = jnp.zeros((count, 2, 1, 1))
    if most.elastic:
        shape = (count, 2, ELASTIC_GRID, ELASTIC_GRID)
        nodes = jax.random.normal(jax.random.fold_in(key, 1), shape)
        down, along = (_smoothing(side) for side in (rows, columns))
        bends = most.elastic * jnp.einsum("rg,nkgh,ch->nkrc", down, nodes, along)

    def one(image: jax.Array, amount: jax.Array, bend: jax.Array) -> jax.Array:
        angle, tall, wide, lean, down, right = amount
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        rotate = jnp.array([[cos, -sin], [sin, cos]])
        stretch = jnp.array([[1 + tall, 0], [lean, 1 + wide]])
        shift = jnp.stack([down, right])[:, None, None]
        # Where in the old image each pixel of the new one comes from.
        source = jnp.tensordot(rotate @ stretch, grid, 1) + centre + shift + bend
        moved: jax.Array = map_coordinates(image, list(source), order=1, mode="constant")
        return moved

    moved = jax.vmap(one)(images[..., 0], amounts * limits, bends)[..., None]
    return dirty(jax.random.fold_in(key, 2), moved, most.dirt) if most.dirt else moved


def copy(key: jax.Array, images: UInt8, most: Augmentation | None) -> UInt8:
    """A changed copy of each image, in bytes as a camera would give them.

    Args:
        key: of the random numbers.
        images: uint8 ``(n, rows, columns)``.
        most: the largest amounts; ``None`` leaves the images alone.
    """
    if most is None:
        return images
    starts = range(0, len(images), BATCH)
    return np.concatenate(
        [_changed(jax.random.fold_in(key, at), images[at : at + BATCH], most) for at in starts]
    )


@functools.partial(jax.jit, static_argnums=2)
def _changed(key: jax.Array, images: jax.Array, most: Augmentation) -> jax.Array:
    x = augment(key, images[..., None].astype(jnp.float32) / 255, most)
    return jnp.round(x[..., 0] * 255).astype(jnp.uint8)


def _smoothing(side: int) -> jax.Array:
    """What each node of the grid weighs at each pixel of a side: ``(side, nodes)``, sums of 1."""
    nodes, pixels = jnp.linspace(0, 1, ELASTIC_GRID), jnp.linspace(0, 1, side)
    distance = (pixels[:, None] - nodes) * (ELASTIC_GRID - 1)
    weights: jax.Array = jax.nn.softmax(-0.5 * (distance / 0.6) ** 2, axis=1)
    return weights
