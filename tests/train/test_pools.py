"""The fast pools are Flax's mathematics, for every shape."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from flax import linen as nn

from lenet_train.pools import POOLS
from needs import pairs

FLAX = {"avg": nn.avg_pool, "max": nn.max_pool}


@pytest.mark.parametrize(
    ("shape", "size", "kind"),
    pairs([(28, 28, 6), (10, 10, 16), (7, 11, 3), (5, 6, 1)], [2, 3, 5], POOLS),
)
def test_values_and_gradients_are_those_of_flax(kind, size, shape):
    # Rounded, so that some values are equal.
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *shape)).round(1).astype("f4")
    rows, columns, channels = shape
    y_shape = (2, rows // size, columns // size, channels)
    weight = rng.normal(size=y_shape).astype("f4")
    pools = (
        lambda x: POOLS[kind](x, size),
        lambda x: FLAX[kind](x, (size, size), strides=(size, size)),
    )

    @jax.jit
    def results(x):
        def of(pool):
            return pool(x), jax.grad(lambda x: (pool(x) * weight).sum())(x)

        return [of(pool) for pool in pools]

    (found, found_gradient), (expected, expected_gradient) = results(x)
    assert found.shape == y_shape
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found_gradient, expected_gradient, atol=1e-6)
