"""The models that the package brings: what their metadata and their cards say is so."""

from __future__ import annotations

from pathlib import Path

import pytest

import lenet_export
from lenet_export import checkpoint
from lenet_export.flax_network import run_logits
from lenet_export.plan import make_plan
from lenet_export.reference import run_integers
from lenet_train import architectures, data, qat, summary
from lenet_train.recipes import BEST

MODELS = Path(lenet_export.__file__).parent / "models"
NAMES = sorted(path.stem for path in MODELS.glob("*.safetensors"))

MODERN = architectures.lenet("relu", "max", "batch", "he")
STAGES = {
    "mnist": architectures.LENET_STAGES,
    "mnist-modern": MODERN.stages,
    "mnist-uno": qat.with_bits(MODERN.stages, "fc1=2,4"),
}
#: What was trained; the forerunner of the command did not count what is folded in.
LEARNED = {
    "mnist": summary.parameters(architectures.lenet()),
    "mnist-modern": summary.parameters(MODERN),
    "mnist-uno": summary.parameters(architectures.lenet()),
}
AT_LEAST = {"mnist": 0.994, "mnist-modern": 0.9965, "mnist-uno": 0.9955}


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def bundled(name):
    return checkpoint.load(MODELS / f"{name}.safetensors")


@pytest.fixture(scope="module")
def card(name):
    return (MODELS / f"{name}.md").read_text()


def test_it_is_the_architecture_that_its_card_tells(name, bundled):
    assert bundled.stages == STAGES[name]
    weights = [value for part, value in bundled.params.items() if not part.endswith("/step")]
    assert sum(value.size for value in weights) == summary.parameters(architectures.lenet())
    assert bundled.info["parameters"] == LEARNED[name]
    assert (bundled.info["dataset"], bundled.info["test_images"]) == ("mnist", 10_000)


def test_the_first_is_what_the_plain_command_trains():
    info = checkpoint.load(MODELS / "mnist.safetensors").info
    assert (info["seed"], info["recipe"]["name"]) == (0, "best")
    assert info["recipe"]["epochs"] == BEST.epochs


@pytest.mark.usefixtures("mnist_folder")
def test_it_classifies_as_its_metadata_and_its_card_say(name, bundled, card):
    mnist = data.load("mnist")
    images, labels = mnist.test.images[..., None], mnist.test.labels
    assert mnist.sha256 == bundled.info["dataset_sha256"]
    last = bundled.stages[-1].name
    floats = (run_logits(bundled, images).argmax(1) == labels).mean()
    assert floats == pytest.approx(bundled.info["test_accuracy"], abs=2e-4)
    assert floats >= AT_LEAST[name]
    integers = (run_integers(make_plan(bundled, "int8"), images)[last].argmax(1) == labels).mean()
    assert abs(integers - floats) <= 2e-4
    assert f"| Test accuracy, int8 | {100 * integers:.2f} %" in card


def test_its_card_tells_its_accuracy_and_its_command(bundled, card):
    assert f"{100 * bundled.info['test_accuracy']:.2f} %" in card
    assert f"{100 * bundled.info['validation_accuracy']:.2f} %" in card
    assert "lenet-train --dataset mnist" in card
