"""The scale of the image, found in a network or given, is folded into its first layer."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from flax import linen as nn
from flax import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

import lenet_export
from export.networks import random_model
from export.test_parity import assert_equals_jax, can_run
from lenet_export import UserError, cli, float_network, idx, reference
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


class Small(nn.Module):
    """A border of zeros, ReLU."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(8, (5, 5), strides=2, name="conv")(x))
        return nn.Dense(10, name="fc")(x.reshape(len(x), -1))


BIAS = np.random.default_rng(1).uniform(-0.5, 0.5, 8).astype("f4")
#: What networks are often trained on, of bytes / 255: as ``input_mean`` and ``input_std``.
WRONG = {
    "normalized": (0.1307, 0.3081),
    "from -1 to 1": (0.5, 0.5),
    "from 0 to 255": (0.0, 1 / 255),
    "inverted": (1.0, -1.0),
}


def ridge(x, labels, strength):
    """The dense layer that gives classes their 1 with the least squares: quicker than training."""
    x = np.asarray(x, np.float32).reshape(len(x), -1)
    squares = x.T @ x + strength * np.eye(x.shape[1], dtype="f4")
    return np.linalg.solve(squares, x.T @ np.eye(10, dtype="f4")[labels])


def small_params(images, labels):
    """What :class:`Small` learns of images in each of the scales: its last layer alone."""
    drawn = np.random.default_rng(0).normal(0, 0.4, (5, 5, 1, 8)).astype("f4")

    @jax.jit
    def features(kernel, mean, std):
        x = (images.astype(np.float32) / 255 - mean) / std
        return nn.relu(nn.Conv(8, (5, 5), 2).apply({"params": {"kernel": kernel, "bias": BIAS}}, x))

    found = {}
    for name, (mean, std) in WRONG.items():
        conv = {"kernel": drawn * np.float32(abs(std)), "bias": BIAS}
        dense = ridge(features(conv["kernel"], mean, std), labels, 10)
        found[name] = {"conv": conv, "fc": {"kernel": dense, "bias": np.zeros(10, "f4")}}
    return found


@pytest.fixture(scope="module")
def small(mnist):
    """The parameters of each scale, images that they have not seen, and their labels."""
    images, labels = mnist
    return small_params(images[:4000], labels[:4000]), images[6000:], labels[6000:]


@pytest.mark.parametrize("scale", WRONG)
def test_a_network_of_any_scale_reads_as_well_in_integers(scale, small, tmp_path):
    params, images, labels = small
    mean, std = WRONG[scale]
    own = Small().apply({"params": params[scale]}, (images / np.float32(255) - mean) / std)
    accuracy = (np.argmax(own, -1) == labels).mean()
    assert accuracy > 0.85
    export = partial(lenet_export.export, Small(), params[scale], (28, 28, 1), verify=False)
    some = {"images": images[:600], "labels": labels[:600]}
    done = export(tmp_path, input_mean=mean, input_std=std, **some)
    assert done.report.warnings == ()
    logits = reference.run_integers(done.plan, images)["fc"]
    assert (logits.argmax(1) == labels).mean() >= accuracy - 0.002
    # Unsaid, it is told, with what to say.
    with pytest.warns(UserWarning, match="THE SCALE OF THE IMAGES IS ANOTHER") as caught:
        worse = export(tmp_path, **some)
    said = f"give input_mean {mean:.6g} input_std {std:.6g}"
    assert any(said in str(one.message) for one in caught)
    assert any(said in note for note in json.loads(worse.files[-1].read_text())["notes"])


def test_the_command_line_tells_of_another_scale(small, tmp_path, capsys):
    params, images, labels = small
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx.pack(images[:600, ..., 0]))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx.pack(labels[:600]))
    (tmp_path / "net.msgpack").write_bytes(serialization.to_bytes(params["from -1 to 1"]))
    (tmp_path / "net.py").write_text(
        f"from flax import linen as nn\n\n\n{inspect.getsource(Small)}"
    )
    command = ["--network", f"{tmp_path}/net.py:Small", "--model", f"{tmp_path}/net.msgpack"]
    command += ["--images", str(tmp_path), "--no-verify", "--out", str(tmp_path / "out")]
    assert cli.main(command) == 0
    assert "give --input-mean 0.5 --input-std 0.5" in capsys.readouterr().err
    assert cli.main([*command, "--input-mean", "0.5", "--input-std", "0.5"]) == 0
    assert capsys.readouterr().err == ""


def test_a_c_that_is_worse_is_told_by_python_and_the_command_line(mnist, tmp_path, capsys):
    """A weight at a pixel that has no ink takes all steps of the last layer's scale."""
    images, labels = mnist[0][:1500], mnist[1][:1500]
    kernel = ridge(images / 255, labels, 10)
    labels = np.argmax(images.reshape(1500, -1) @ kernel, 1).astype(np.uint8)  # it is right
    kernel[0, 9] = 60 * np.abs(kernel).max(0).min()
    with pytest.warns(UserWarning) as caught:
        done = lenet_export.export(
            lambda x: x.reshape(len(x), -1) @ kernel, None, (28, 28, 1), tmp_path / "out",
            images=images, labels=labels,
        )  # fmt: skip
    assert any("THE C IS WORSE THAN THE NETWORK" in str(one.message) for one in caught)
    assert done.report.verified.float_accuracy - done.report.verified.c_accuracy > 0.02
    save(done.plan.model, tmp_path / "worse.safetensors")
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx.pack(images[..., 0]))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx.pack(labels))
    command = ["--model", tmp_path / "worse.safetensors", "--images", tmp_path]
    assert cli.main(list(map(str, [*command, "--out", tmp_path / "out"]))) == 0
    assert "lenet-export: warning: THE C IS WORSE THAN THE NETWORK" in capsys.readouterr().err


def test_a_c_that_is_hardly_worse_than_the_network_is_not_told():
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
