"""The model that the package brings: what its metadata and its card say is so."""

from __future__ import annotations

from pathlib import Path

import pytest
from flax.traverse_util import unflatten_dict

import lenet_export
from lenet_export import checkpoint
from lenet_train import architectures, data, loop, model
from lenet_train.recipes import BEST

MODELS = Path(lenet_export.__file__).parent / "models"


@pytest.fixture(scope="module")
def bundled():
    return checkpoint.load(MODELS / "mnist.safetensors")


def test_it_is_what_the_plain_command_trains(bundled):
    info = bundled.info
    assert bundled.stages == architectures.LENET_STAGES
    assert (info["dataset"], info["seed"], info["recipe"]["name"]) == ("mnist", 0, "best")
    assert info["recipe"]["epochs"] == BEST.epochs
    assert info["test_images"] == 10_000


@pytest.mark.usefixtures("mnist_folder")
def test_it_classifies_as_its_metadata_says_and_99_percent_rightly(bundled):
    mnist = data.load("mnist")
    variables = {"params": unflatten_dict(bundled.params, sep="/")}
    right = (
        loop.logits(model.Network(architectures.lenet()), variables, mnist.test.images).argmax(1)
        == mnist.test.labels
    )
    assert right.mean() == pytest.approx(bundled.info["test_accuracy"], abs=2e-4)
    assert right.mean() >= 0.99
    assert mnist.sha256 == bundled.info["dataset_sha256"]


def test_its_card_tells_its_accuracy_and_its_command(bundled):
    card = (MODELS / "mnist.md").read_text()
    assert f"{100 * bundled.info['test_accuracy']:.2f} %" in card
    assert f"{100 * bundled.info['validation_accuracy']:.2f} %" in card
    assert "lenet-train --dataset mnist" in card
