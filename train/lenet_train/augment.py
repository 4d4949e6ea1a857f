"""Random affine changes of training images, inside the compiled training loop."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

from lenet_train.recipes import Augmentation


def augment(key: jax.Array, images: jax.Array, most: Augmentation) -> jax.Array:
    """Rotates, scales, shears and shifts each image about its centre, by its own random amounts.

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

    def one(image: jax.Array, amount: jax.Array) -> jax.Array:
        angle, tall, wide, lean, down, right = amount
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        rotate = jnp.array([[cos, -sin], [sin, cos]])
        stretch = jnp.array([[1 + tall, 0], [lean, 1 + wide]])
        shift = jnp.stack([down, right])[:, None, None]
        # Where in the old image each pixel of the new one comes from.
        source = jnp.tensordot(rotate @ stretch, grid, 1) + centre + shift
        return map_coordinates(image, list(source), order=1, mode="constant")

    return jax.vmap(one)(images[..., 0], amounts * limits)[..., None]
