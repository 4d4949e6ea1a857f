"""The models that the package brings: what their metadata and their cards say is so."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import lenet_export
from lenet_export import checkpoint
from lenet_export.compiled import CompiledNetwork
from lenet_export.float_network import run_logits
from lenet_export.ink import Ink
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from lenet_train import architectures, data, qat, summary
from lenet_train.recipes import BEST
from needs import wide

MODELS = Path(lenet_export.__file__).parent / "models"
NAMES = sorted(path.stem for path in MODELS.glob("*.safetensors"))

MODERN = architectures.lenet("relu", "max", "batch", "he")
FIELD = architectures.lenet("relu", "max", "batch").with_none_output()
STAGES = {
    "mnist": architectures.LENET_STAGES,
    "mnist-field": FIELD.stages,
    "mnist-modern": MODERN.stages,
    "mnist-tiny": qat.with_bits(architectures.TINY_STAGES, "4"),
    "mnist-uno": qat.with_bits(MODERN.stages, "fc1=2,4"),
}
#: What was trained, with the norms that are folded in.
LEARNED = {
    "mnist": summary.parameters(architectures.lenet()),
    "mnist-field": summary.parameters(FIELD),
    "mnist-modern": summary.parameters(MODERN),
    "mnist-tiny": summary.parameters(architectures.TINY),
    "mnist-uno": summary.parameters(MODERN),
}
AT_LEAST = {
    "mnist": 0.994,
    "mnist-field": 0.9945,
    "mnist-modern": 0.9965,
    "mnist-tiny": 0.984,
    "mnist-uno": 0.996,
}


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
    plain = replace(architectures.TINY, norm="none") if "tiny" in name else architectures.lenet()
    plain = plain.with_none_output() if bundled.none_output else plain
    assert sum(value.size for value in weights) == summary.parameters(plain)
    assert bundled.info["parameters"] == LEARNED[name]
    assert (bundled.info["dataset"], bundled.info["test_images"]) == ("mnist", 10_000)


def test_the_first_is_what_the_plain_command_trains():
    info = checkpoint.load(MODELS / "mnist.safetensors").info
    assert (info["seed"], info["recipe"]["name"]) == (0, "best")
    assert info["recipe"]["epochs"] == BEST.epochs


# The README's figures of the first are measured in any case.
@pytest.mark.parametrize(
    "name",
    ["mnist-field", "mnist-tiny", *wide(["mnist", "mnist-modern", "mnist-uno"])],
    indirect=True,
)
@pytest.mark.usefixtures("mnist_folder")
def test_it_classifies_as_its_metadata_and_its_card_say(name, bundled, card):
    mnist = data.load("mnist")
    images, labels = mnist.test.images[..., None], mnist.test.labels
    assert mnist.sha256 == bundled.info["dataset_sha256"]
    floats = int((run_logits(bundled, images).argmax(1) == labels).sum())
    plan = make_plan(bundled, "int8")
    # The C, which takes a fifth of the reference's time; others compare the two.
    integers = CompiledNetwork(plan, render_c(plan, Options())).logits(images)
    integers = int((integers.argmax(1) == labels).sum())
    # Another CPU rounds floats otherwise. Weights of few bits were measured as integers.
    measured = integers if "bits" in bundled.info else floats
    assert abs(measured - 10_000 * bundled.info["test_accuracy"]) < 1.5
    assert min(floats, integers) >= 10_000 * AT_LEAST[name]
    assert abs(integers - floats) <= 2 + (10_000 - integers) // 100
    assert f"| Test accuracy, int8 | {integers / 100:.2f} %" in card
    told = re.search(r"\| Test accuracy, float32 .*\| (\S+) % \((\d+) of 10,000 wrong", card)
    assert abs(10_000 - floats - int(told[2])) <= 1
    assert float(told[1]) == (10_000 - int(told[2])) / 100


@pytest.mark.usefixtures("mnist_folder")
def test_its_limits_of_ink_are_those_of_the_training_images(bundled, card):
    mnist = data.load("mnist")
    training, validation = mnist.training.images[..., None], mnist.validation.images[..., None]
    if (bundled.info["recipe"]["augmentation"] or {}).get("dirt"):
        # Of dirty copies, too: what they have is wider, and an empty image is still beyond it.
        clean = Ink.measure(training, validation)
        assert 0 < bundled.ink.least < clean.least and clean.most < bundled.ink.most
    else:
        assert bundled.ink == Ink.measure(training, validation)
    lost = 1 - bundled.ink.holds(mnist.test.images[..., None]).mean()
    assert lost <= 0.0025
    assert f"{100 * lost:.2f} % of the test images" in card


def test_its_card_tells_its_accuracy_and_its_command(bundled, card):
    assert f"{100 * bundled.info['test_accuracy']:.2f} %" in card
    assert f"{100 * bundled.info['validation_accuracy']:.2f} %" in card
    assert "lenet-train --dataset mnist" in card
