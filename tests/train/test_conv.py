"""The fast convolution is nn.Conv's mathematics, for every shape."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lenet_train.conv import Conv
from variables import drawn_for

CASES = [  # image shape, kernel, padding, tile, strides
    ((28, 28, 1), (5, 5), "SAME", 4, (1, 1)),  # conv1
    ((14, 14, 6), (5, 5), "VALID", 2, (1, 1)),  # conv2
    ((14, 14, 6), (5, 5), "VALID", 1, (1, 1)),
    ((14, 14, 2), (5, 5), "SAME", 3, (1, 1)),
    ((7, 9, 2), (3, 3), "SAME", 2, (1, 1)),
    ((7, 9, 2), (3, 3), "VALID", 4, (1, 1)),
    ((5, 5, 1), (5, 5), "VALID", 4, (1, 1)),
    ((13, 6, 4), (2, 4), "SAME", 3, (1, 1)),
    ((11, 5, 2), (5, 2), "VALID", 2, (1, 1)),
    ((6, 11, 3), (1, 1), "VALID", 4, (1, 1)),
    ((28, 28, 1), (5, 5), "SAME", 4, (2, 2)),
    ((14, 14, 6), (5, 5), "VALID", 2, (2, 2)),
    ((13, 12, 2), (3, 4), "SAME", 3, (3, 3)),
    ((14, 12, 2), (3, 2), "VALID", 2, (2, 2)),
    ((10, 10, 1), (2, 2), "VALID", 1, (2, 2)),
    ((28, 28, 1), (3, 5), "VALID", 4, (2, 3)),
    ((13, 9, 2), (3, 2), "SAME", 2, (3, 1)),
]


@pytest.mark.parametrize("shape, kernel, padding, tile, strides", CASES, ids=str)
def test_values_and_gradients_are_those_of_nn_conv(shape, kernel, padding, tile, strides):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *shape)).astype("f4")
    mask = (np.arange(shape[-1])[:, None] + np.arange(7)) % 3 > 0
    settings = {
        "padding": padding,
        "strides": strides,
        "mask": np.broadcast_to(mask, (*kernel, *mask.shape)),
    }
    networks = Conv(7, kernel, tile=tile, **settings), nn.Conv(7, kernel, **settings)
    params = drawn_for(networks[1], shape)
    weight = rng.normal(size=jax.eval_shape(networks[1].apply, params, x).shape).astype("f4")

    @jax.jit
    def results(params, x):
        def weighted(network, params, x):
            y = network.apply(params, x)
            return (y * weight).sum(), y

        gradient = jax.grad(weighted, argnums=(1, 2), has_aux=True)
        return [gradient(network, params, x) for network in networks]

    (found_gradient, found), (expected_gradient, expected) = results(params, x)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4),
        found_gradient,
        expected_gradient,
    )


def test_its_parameters_have_the_names_and_shapes_of_nn_conv():
    x = jnp.zeros((1, 14, 14, 6))
    shapes = [
        jax.tree.map(jnp.shape, network.init(jax.random.key(0), x))
        for network in (Conv(16, (5, 5)), nn.Conv(16, (5, 5)))
    ]
    assert shapes[0] == shapes[1]


def test_a_padding_that_it_does_not_know_is_refused():
    with pytest.raises(ValueError, match="expected SAME or VALID"):
        Conv(6, (5, 5), padding="CIRCULAR").init(jax.random.key(0), jnp.zeros((1, 9, 9, 1)))


def test_an_image_smaller_than_the_kernel_is_refused():
    with pytest.raises(ValueError, match="smaller than the kernel"):
        Conv(6, (5, 5), padding="VALID").init(jax.random.key(0), jnp.zeros((1, 4, 9, 1)))
