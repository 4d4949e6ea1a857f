"""The fast pools are Flax's mathematics, for every shape."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from lenet_train.pools import POOLS

FLAX = {"avg": nn.avg_pool, "max": nn.max_pool}


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("shape", [(28, 28, 6), (10, 10, 16), (7, 11, 3), (5, 6, 1)], ids=str)
def test_values_and_gradients_are_those_of_flax(kind, size, shape):
    # Rounded, so that some values are equal.
    x = jnp.round(jax.random.normal(jax.random.key(0), (2, *shape)), 1)
    rows, columns, channels = shape
    y_shape = (2, rows // size, columns // size, channels)
    weight = jax.random.normal(jax.random.key(1), y_shape)

    def results(pool):
        gradient = jax.grad(lambda x: (pool(x) * weight).sum())
        return jax.jit(lambda x: (pool(x), gradient(x)))(x)

    found, found_gradient = results(lambda x: POOLS[kind](x, size))
    expected, expected_gradient = results(
        lambda x: FLAX[kind](x, (size, size), strides=(size, size))
    )
    assert found.shape == y_shape
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found_gradient, expected_gradient, atol=1e-6)
