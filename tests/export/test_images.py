"""Images and labels that cannot be those of the network are refused, or doubted loudly."""

from __future__ import annotations

import dataclasses
import re
import warnings
from functools import partial

import numpy as np
import pytest
from flax import linen as nn

import lenet_export
from export.networks import named_model
from lenet_export import UserError, checkpoint, cli
from lenet_export.images import check_images, check_labels
from variables import drawn_for

SHAPE = (8, 8, 1)
BYTES = np.random.default_rng(0).integers(0, 256, (200, *SHAPE)).astype(np.uint8)


@pytest.mark.parametrize(
    ("images", "says", "remedy"),
    [
        (BYTES / 255, "are float64 (200, 8, 8, 1)", "np.round(255 * images).astype(np.uint8)"),
        (BYTES > 99, "are bool (200, 8, 8, 1)", "np.round(255 * images).astype(np.uint8)"),
        (BYTES / 1.0, "are float64 (200, 8, 8, 1)", "give uint8 (images, 8, 8, 1), the bytes"),
        ((BYTES / 255).astype(np.uint8), "hold no number but 0 and 1", "np.round(255 * images)"),
        (BYTES // 255, "hold no number but 0 and 1: were floats", "np.round(255 * images)"),
        (BYTES * 0, "are all black", "np.round(255 * images)"),
        (BYTES * 0 + 7, "are all the same", "different images"),
        (np.repeat(BYTES[:1], 9, 0), "are all the same", "different images"),
        (BYTES[..., 0], "are uint8 (200, 8, 8)", "give uint8 (images, 8, 8, 1)"),
        (BYTES[:0], "are uint8 (0, 8, 8, 1)", "give uint8 (images, 8, 8, 1)"),
        ([[1]], "are list (1, 1)", "give uint8 (images, 8, 8, 1)"),
        ([[1], [1, 2]], "are list of rows that differ in length", "give uint8 (images, 8, 8, 1)"),
    ],
)
def test_images_that_are_no_bytes_of_pictures_are_refused(images, says, remedy):
    with pytest.raises(UserError) as caught:
        check_images(images, SHAPE)
    assert says in caught.value.what
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("images", [BYTES, BYTES[:1], np.uint8(255) * (BYTES > 99), BYTES // 100])
def test_images_that_may_be_pictures_are_taken(images):
    assert check_images(images, SHAPE) is images


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([0, 3], "label 1 is 3, and the model has 3 classes"),
        ([-1, 0], "label 0 is -1"),
        ([0.0, 1.0], "are float64, expected whole numbers"),
        (np.uint8([200, 0]), "label 0 is 200"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, says):
    with pytest.raises(UserError) as caught:
        check_labels(labels, 3)
    assert says in caught.value.what
    assert caught.value.remedy == "give labels of 0 to 2"
    assert check_labels([0, 2], 3).tolist() == [0, 2]


def dense_network():
    module = nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(10)])
    return module, drawn_for(module, SHAPE)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_export_refuses_floats_cast_to_bytes(dtype, tmp_path):
    with pytest.raises(UserError, match="images: hold no number but 0 and 1"):
        lenet_export.export(
            *dense_network(), SHAPE, tmp_path / "out", images=BYTES // 255, dtype=dtype
        )
    assert not (tmp_path / "out").exists()


def test_a_network_that_reads_no_better_than_chance_is_doubted(tmp_path):
    module, variables = dense_network()
    right = np.argmax(module.apply(variables, BYTES / np.float32(255)), -1)
    export = partial(lenet_export.export, module, variables, SHAPE, tmp_path, images=BYTES)
    with pytest.warns(
        UserWarning, match=r"itself reads \d+ of 200 images rightly, as chance would"
    ):
        export(labels=(right + 1) % 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert export(labels=right).report.verified.float_accuracy == 1
        assert export(labels=np.where(np.arange(200) % 3, (right + 1) % 10, right)).report


def test_activation_ranges_of_another_network_are_told_loudly(tmp_path, capsys):
    model = named_model("mlp")
    wrong = dataclasses.replace(model, activation_ranges={"fc1": 1e4, "fc2": 1.0})
    for which, of in (("right", model), ("wrong", wrong)):
        checkpoint.save(of, tmp_path / f"{which}.safetensors")
        arguments = ["--model", str(tmp_path / f"{which}.safetensors"), "--out", str(tmp_path)]
        assert cli.main(arguments) == 0
        told = capsys.readouterr()
        assert re.search(r" 0 of [1-9][0-9,]* logits differ", told.out)
        found = re.findall(r"warning: the C gives (\d+) of (\d+) images another class", told.err)
        assert bool(found) == (which == "wrong")
        assert all(5 * int(count) > int(images) for count, images in found)
