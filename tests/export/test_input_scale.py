"""The scale of the image, found in a network or given, is folded into its first layer."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from flax import linen as nn
from hypothesis import given, settings
from hypothesis import strategies as st

import lenet_export
from export.networks import random_model
from export.test_parity import assert_equals_jax, can_run
from lenet_export import UserError, float_network
from lenet_export.checkpoint import Stage, load, save
from lenet_export.cpus.registry import CPUS, lay_out
from lenet_export.plan import make_plan
from lenet_export.readers.chain_builder import Line
from lenet_export.readers.registry import read
from lenet_export.verify import _worse_warning

SHAPE = (10, 9, 2)
IMAGES = np.random.default_rng(0).integers(0, 256, (60, *SHAPE)).astype(np.uint8)
KERNEL, DENSE = (
    np.random.default_rng(1).normal(0, 0.5, shape).astype("f4") for shape in ((3, 3, 2, 4), (80, 3))
)


def network(scale, padding):
    """A function of images: its own scale, a convolution, a pool, a dense layer."""

    def logits(x):
        axes = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(scale(x), KERNEL, (1, 1), padding, None, None, axes)
        x = nn.max_pool(jax.nn.sigmoid(x + 0.1), (2, 2), (2, 2)).reshape(len(x), -1)
        return x @ DENSE[: x.shape[1]] + 0.3

    return logits


def of_c(model, images=IMAGES):
    return float_network.run_logits(model, images)


scales = st.tuples(
    st.floats(0.1, 4.0), st.sampled_from([1, -1]), st.floats(0.0, 1.0), st.booleans()
)


@settings(max_examples=12, deadline=None)
@given(scales, st.sampled_from(["SAME", "VALID"]))
def test_any_scale_in_front_of_the_first_layer_is_in_its_weights(scale, padding):
    factor, sign, zero, per_channel = scale
    slope = sign * factor * (np.array([1.0, 0.8], "f4") if per_channel else np.ones(2, "f4"))
    module = network(lambda x: slope * (x - np.float32(zero)), padding)
    model = read(module, None, SHAPE).model
    theirs = module(IMAGES / np.float32(255))
    off = np.abs(of_c(model) - theirs).max()
    if padding == "VALID":
        assert model.input_zero == 0
        assert off < 1e-4 * np.abs(theirs).max()
    else:
        assert model.input_zero == round(255 * zero)
        near = 0.5 / 255 * np.abs(slope).max() * np.abs(KERNEL).sum() * np.abs(DENSE).sum() / 4
        assert off < near


@pytest.mark.parametrize(
    ("scale", "arguments", "bytes_each"),
    [
        (lambda x: (x - 0.1307) / 0.3081, {}, 255),
        (lambda x: x, {"input_mean": 0.1307, "input_std": 0.3081}, None),
        (lambda x: x, {"input_mean": (0.4, 0.5), "input_std": (0.2, 0.3)}, None),
        (lambda x: 2 * x - 1, {}, 255),
        (lambda x: 1 - x, {}, 255),
        (lambda x: x / 255, {}, 1),
        (lambda x: (x - 33.3) / 78.6, {}, 1),
        (lambda x: x / 255 - 0.5, {"input_mean": 0, "input_std": 1 / 255}, 1),
        (lambda x: 0.02 * x, {"input_std": 1 / 255}, 1),
    ],
)
@pytest.mark.parametrize("padding", ["SAME", pytest.param("VALID", marks=pytest.mark.wide)])
def test_every_way_to_say_it_is_the_same_network(scale, arguments, bytes_each, padding, tmp_path):
    module = network(scale, padding)
    done = lenet_export.export(
        module, None, SHAPE, tmp_path, images=IMAGES, verify=False, **arguments
    )
    x = IMAGES / np.float32(bytes_each or 255)
    if not bytes_each:
        x = (x - np.float32(arguments["input_mean"])) / np.float32(arguments["input_std"])
    theirs = module(x)
    near = 1e-4 if padding == "VALID" else 3e-2
    assert np.abs(of_c(done.plan.model) - theirs).max() < near * np.abs(theirs).max()
    said = any("is given bytes, 0 to 255" in note for note in done.notes)
    assert said == (bytes_each == 1 and not arguments)


def test_the_byte_of_the_border_and_what_it_changes_are_said():
    found = read(network(lambda x: (x - 0.1307) / 0.3081, "SAME"), None, SHAPE, IMAGES)
    (note,) = found.notes
    assert found.model.input_zero == 33
    assert "here the byte 33, and logits differ by up to 0.0" in note


def test_a_scale_of_each_place_goes_into_a_dense_layer_and_into_no_convolution():
    shades = np.random.default_rng(2).uniform(0.2, 1, SHAPE).astype("f4")
    dense = np.random.default_rng(3).normal(0, 0.2, (180, 3)).astype("f4")

    def flat(x):
        return (shades * x - 0.5).reshape(len(x), -1) @ dense

    assert np.abs(of_c(read(flat, None, SHAPE).model) - flat(IMAGES / np.float32(255))).max() < 1e-4
    with pytest.raises(UserError, match="reads what differs by its place in the map"):
        read(network(lambda x: shades * x, "VALID"), None, SHAPE)


BORDERED = (
    Stage("conv1", "conv", 5, "relu", (3, 3), "SAME", "max", 2),
    Stage("conv2", "conv", 3, "tanh", (3, 2), "SAME"),
    Stage("last", "dense", 3),
)


# What has a limit to its RAM holds int8 alone.
@pytest.mark.parametrize(
    ("cpu", "dtype"),
    [
        (cpu, dtype)
        for cpu in CPUS
        if can_run(cpu)
        for dtype in (["int8"] if CPUS[cpu].ram else ["int8", "float32"])
    ],
)
def test_every_kernel_has_the_byte_in_its_border(cpu, dtype):
    model = replace(random_model(BORDERED, (11, 12, 1)), input_zero=33)
    assert_equals_jax(lay_out(make_plan(model, dtype), cpu, "speed"), count=20)
    assert make_plan(model, dtype).model_id != make_plan(
        replace(model, input_zero=34), dtype
    ).model_id  # fmt: skip


def test_the_byte_is_kept_in_the_file_and_no_other_is_taken(tmp_path):
    model = replace(random_model(BORDERED, (11, 12, 1)), input_zero=255)
    save(model, tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").input_zero == 255
    for zero in (256, -1, 1.5, True):
        save(replace(model, input_zero=zero), tmp_path / "wrong.safetensors")
        with pytest.raises(UserError, match="its metadata is damaged"):
            load(tmp_path / "wrong.safetensors")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"input_std": 0}, "input_std: is 0"),
        ({"input_mean": "few"}, "input_mean: is 'few'"),
        ({"input_mean": np.inf}, "input_mean: is inf"),
        ({"input_mean": (1, 2), "input_std": (1, 2, 3)}, "are of 2 and 3 channels"),
        ({"input_mean": (1, 2, 3)}, "input_mean and input_std: are of 3 channels"),
    ],
)
def test_a_scale_that_is_none_is_told(arguments, says, tmp_path):
    with pytest.raises(UserError) as caught:
        lenet_export.export(network(lambda x: x, "VALID"), None, SHAPE, tmp_path, **arguments)
    assert says in str(caught.value)


def test_a_c_that_is_worse_than_the_network_is_told_loudly():
    assert _worse_warning(right=950, ours=940, images=1000) == ""
    assert _worse_warning(right=950, ours=930, images=1000).startswith("THE C IS WORSE")
    assert _worse_warning(right=30, ours=40, images=40) == ""


def test_a_line_is_known_as_one_of_channels_only_where_places_agree():
    same = Line.of(np.ones((3, 2, 4)) * [1, 2, 3, 4], 0.5)
    assert np.array_equal(same.by_channel().scale, [1, 2, 3, 4])
    assert Line.of(np.arange(24).reshape(3, 2, 4), 0).by_channel() is None
    assert Line.of(2, 1).then(Line.of(3, 1)).over((2,))[1].tolist() == [4, 4]


def test_a_border_that_no_byte_stands_for_is_refused():
    with pytest.raises(UserError) as caught:
        read(network(lambda x: 2 * x + 3, "SAME"), None, SHAPE)
    assert "which no byte stands for: nearest is the byte 0" in caught.value.what
    assert "padding='VALID'" in caught.value.remedy
