"""Layer normalization in integers: near the float one, for any sums that a plan allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenet_export.layer_norm import SHARE_MAX, LayerNorm


def expected(acc, unit, gain, bias):
    """The index, a real number, that LayerNorm asks for."""
    z = acc.astype(np.float64) * unit
    d = z - z.mean(-1, keepdims=True)
    return d / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-6) * gain + bias


@given(
    channels=st.sampled_from([1, 2, 3, 6, 16, 84, 120, 1000]),
    bits=st.integers(1, 31),
    unit=st.floats(1e-9, 1),
    spread=st.sampled_from([1, 0.3, 0.01]),
    seed=st.integers(0, 99),
)
def test_it_is_near_the_float_one_and_never_overflows(channels, bits, unit, spread, seed):
    rng = np.random.default_rng(seed)
    largest = 2**bits - 1
    acc = rng.integers(0, largest, (50, channels), endpoint=True)
    acc[25:] = (acc[25:] * spread + largest * (1 - spread) / 2).astype(int)
    acc[0], acc[1], acc[2] = 0, largest, largest * (np.arange(channels) % 2)
    acc[3], acc[4] = largest * (np.arange(channels) == 0), largest * (np.arange(channels) > 0)
    gain, bias = rng.uniform(-80, 80, channels), rng.uniform(0, 512, channels)
    norm, shift, bound = LayerNorm.of(largest, unit, gain, bias)
    found = norm.apply(acc.astype(np.int32), np)
    assert found.dtype == np.int32
    # The bits that are dropped, and those of the mean, are seen where the sums hardly differ.
    deviation = (acc >> norm.drop).std(-1, keepdims=True)
    noise = 3 * np.abs(gain) / np.maximum(deviation, 1e-9)
    near = np.abs(found / 2.0**shift - expected(acc, unit, gain, bias))
    sure = (deviation > 2).ravel()
    assert (near <= 0.06 + 1e-3 * np.abs(gain) * channels**0.5 + noise)[sure].all()
    assert np.abs(found.astype(np.int64)).max() <= bound < 2**31


@pytest.mark.parametrize("value", [0, 1, 1000, 2**20])
def test_equal_sums_are_at_the_mean(value):
    bias = np.array([3.25, 100, 411])
    norm, shift, _ = LayerNorm.of(2**20, 1e-4, np.array([40.0, -40, 0]), bias)
    found = norm.apply(np.full((1, 3), value, np.int32), np)
    np.testing.assert_allclose(found[0] / 2.0**shift, bias, atol=40 / 2**6)


def test_the_epsilon_counts_where_sums_hardly_differ():
    """A deviation of 1e-3 is that of the epsilon's root: what is left of it is 1 / sqrt(2)."""
    norm, shift, _ = LayerNorm.of(2**12, 1e-4, np.array([100.0, 100]), np.array([200.0, 200]))
    found = norm.apply(np.array([[1000, 1020]], np.int32), np) / 2.0**shift
    np.testing.assert_allclose(found, [[200 - 70.7, 200 + 70.7]], atol=0.5)


@pytest.mark.parametrize("unit", [1e-12, 1e-30])
def test_sums_that_the_epsilon_hides_are_at_the_mean(unit):
    norm, shift, _ = LayerNorm.of(2**20, unit, np.array([40.0, -40]), np.array([100.0, 200]))
    assert norm.drop < 32
    assert norm.least < 2**32
    found = norm.apply(np.array([[0, 2**20]], np.int32), np) / 2.0**shift
    np.testing.assert_allclose(found, [[100, 200]], atol=0.1)


@pytest.mark.parametrize("gain", [1e10, np.inf, np.nan])
def test_a_gain_that_32_bits_do_not_hold_is_refused(gain):
    with pytest.raises(ValueError, match="its norm is too large"):
        LayerNorm.of(2**20, 1e-4, np.array([gain, 1.0]), np.array([100.0, 200]))


def test_no_share_leaves_its_bounds():
    x = np.arange(2**14, 2**16)
    norm = LayerNorm(np.zeros(1, np.int16), np.zeros(1, np.int32))
    root = norm._root(x.astype(np.uint32)).astype(float)
    exact = 2**15 / np.sqrt(x / 2**14)
    assert np.abs(root / exact - 1).max() < 3e-4
    assert 2**15 + 2**14 * (root / exact).max() <= SHARE_MAX
