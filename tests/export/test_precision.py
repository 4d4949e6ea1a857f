"""References are of full float32 on any device, and what float32 cannot determine is told."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

import lenet_export
from lenet_export import UserError, float_network
from lenet_export.plan import make_plan
from lenet_export.readers.registry import read
from needs import wide
from variables import drawn_for

SHAPE = (12, 12, 1)
IMAGES = np.random.default_rng(0).integers(0, 256, (40, *SHAPE)).astype(np.uint8)


def rounded(x):
    """float32 ``x`` with the 10 bits of TF32, to the nearest, ties to even."""
    if x.dtype != jnp.float32:
        return x
    bits = lax.bitcast_convert_type(x, jnp.uint32)
    half = jnp.uint32(0xFFF) + ((bits >> 13) & 1)
    return lax.bitcast_convert_type((bits + half) & jnp.uint32(0xFFFFE000), jnp.float32)


def is_full(precision):
    """Whether a product of such a precision, ``None`` by default, has all of float32."""
    precision = jax.config.jax_default_matmul_precision if precision is None else precision
    return "HIGHEST" in str(precision).upper()


@pytest.fixture
def tf32(monkeypatch):
    """Products as GPUs compute them: of rounded operands, unless more is asked for."""
    for name in ("conv_general_dilated", "dot_general"):
        product = getattr(lax, name)

        def rounding(a, b, *rest, product=product, precision=None, **more):
            if not is_full(precision):
                a, b = rounded(a), rounded(b)
            return product(a, b, *rest, precision=precision, **more)

        monkeypatch.setattr(lax, name, rounding)


def network(precision=None):
    return nn.Sequential(
        [
            nn.Conv(8, (3, 3), precision=precision),
            nn.BatchNorm(use_running_average=True),
            nn.relu,
            lambda x: nn.avg_pool(x, (2, 2), strides=(2, 2)),
            lambda x: x.reshape(len(x), -1),
            nn.Dense(10, precision=precision),
        ]
    )


@pytest.mark.usefixtures("tf32")
@pytest.mark.parametrize(
    ("precision", "dtype"),
    [
        *((None, "int8"), ("default", "float32")),
        *wide([(None, "float32"), ("default", "int8")]),
    ],
)
def test_a_device_that_rounds_to_tf32_exports_all_the_same(precision, dtype, tmp_path):
    module = network(precision)
    variables = drawn_for(module, SHAPE)
    x = IMAGES / np.float32(255)
    off = np.abs(module.apply(variables, x) - network("highest").apply(variables, x)).max()
    assert off > 1e-4  # the fixture rounds
    exported = lenet_export.export(module, variables, SHAPE, tmp_path, images=IMAGES, dtype=dtype)
    assert exported.report.verified.largest_difference < (1e-5 if dtype == "float32" else 1)


def equal_channels():
    """LayerNorm over channels that are equal but for rounding, which it makes as large as any."""
    module = nn.Sequential(
        [
            lambda x: x.reshape(len(x), -1),
            nn.Dense(6),
            nn.LayerNorm(),
            nn.relu,
            nn.Dense(3),
        ]
    )
    variables = drawn_for(module, SHAPE)
    rng = np.random.default_rng(0)
    kernel = rng.normal(0, 1e5, (144, 1)) + rng.normal(0, 1e-2, (144, 6))
    variables["params"]["layers_1"]["kernel"] = jnp.asarray(kernel, jnp.float32)
    return module, variables


def test_logits_that_float32_does_not_determine_are_told_as_that(tmp_path):
    module, variables = equal_channels()
    with pytest.raises(UserError, match=r"fc1 is noise in float32.*its norm divides") as caught:
        lenet_export.export(
            module, variables, SHAPE, tmp_path / "out", images=IMAGES, dtype="float32"
        )
    assert "bug" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_ordinary_network_is_no_noise():
    variables = drawn_for(network(), SHAPE)
    plan = make_plan(read(network(), variables, SHAPE).model, "float32")
    assert float_network.noise(plan, IMAGES, 1e-4) is None
