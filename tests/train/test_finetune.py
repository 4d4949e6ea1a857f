"""Beginning with a trained network."""

from __future__ import annotations

import dataclasses
import hashlib

import jax.numpy as jnp
import numpy as np
import pytest

from conftest import write_idx_folder
from lenet_export import checkpoint
from lenet_export.errors import UserError
from lenet_export.float_network import run_logits
from lenet_train import cli, finetune, loop, run
from lenet_train.architectures import LENET5, MLP, lenet
from lenet_train.model import Network
from needs import ROOT

MODELS = ROOT / "export/lenet_export/models"
pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(scope="module")
def modern():
    return checkpoint.load(MODELS / "mnist-modern.safetensors")


@pytest.fixture(scope="module")
def images():
    y, x = np.mgrid[:28, :28]
    waves = [np.sin(x / (2 + i % 5)) * np.cos(y / (3 + i % 7)) * (i % 3 + 1) / 3 for i in range(60)]
    return (255 * np.clip(waves, 0, 1)).astype(np.uint8)


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("is_wider", [False, True])
def test_a_network_begins_as_the_model_it_begins_with(norm, is_wider, modern, images):
    architecture = lenet("relu", "max", norm)
    architecture = architecture.with_none_output() if is_wider else architecture
    network = Network(architecture)
    begun = finetune.variables(network, modern, images)
    found = loop.logits(network, begun, images)
    expected = run_logits(modern, images[..., None])
    np.testing.assert_allclose(found[:, :10], expected, atol=0.02)
    if norm == "batch":
        # What the layers give is the same in training, where a batch has statistics of its own.
        x = loop.to_input(jnp.asarray(images))
        z, _ = network.apply(begun, x, train=True, mutable=["batch_stats"])
        np.testing.assert_allclose(z[:, :10], expected, atol=0.02)


@pytest.mark.parametrize(
    "architecture",
    [
        MLP,
        lenet(),
        lenet("relu"),
        lenet("relu", "max", "layer"),
        lenet("relu", "max", channels=(6, 17)),
        lenet("relu", "max", kernels=(3, 5)),
    ],
    ids=lambda architecture: architecture.title,
)
def test_a_model_of_other_layers_is_refused(architecture, modern):
    with pytest.raises(UserError, match=r"--from m: is not of the layers of "):
        finetune.check("--from m", modern, architecture)


def test_a_model_with_more_outputs_is_refused(modern):
    last = dataclasses.replace(modern.stages[-1], features=11)
    model = dataclasses.replace(modern, stages=(*modern.stages[:-1], last))
    with pytest.raises(UserError, match="is not of the layers"):
        finetune.check("--from m", model, lenet("relu", "max"))


def test_weights_that_a_model_does_not_hold_apart_are_refused(modern):
    with pytest.raises(UserError, match="lenet5-1998 has weights that a model does not hold apart"):
        finetune.check("--from m", modern, LENET5)


def test_a_run_tells_what_it_began_with(tmp_path):
    folder = write_idx_folder(tmp_path / "own")
    parts = ["--dataset", str(folder), "--activation", "relu", "--pool", "max", "--epochs", "1"]
    still = ["--set", "lr=0", "--set", "augmentation=none"]
    command = [*parts, *still, "--from", "mnist-modern", "--out", str(tmp_path / "out")]
    assert cli.main(command) == 0
    model, first = (
        checkpoint.load(path)
        for path in (tmp_path / "out" / run.MODEL, MODELS / "mnist-modern.safetensors")
    )
    for name, value in first.params.items():
        np.testing.assert_allclose(model.params[name], value, atol=1e-4)
    content = (MODELS / "mnist-modern.safetensors").read_bytes()
    assert model.info["from"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnist-moderm", "--from mnist-moderm: is neither a bundled model nor a file"),
        ("none.safetensors", "none.safetensors: cannot be read: no such file"),
        ("mnist-modern", "--from mnist-modern: is not of the layers of lenet\n"),
    ],
)
def test_what_cannot_be_begun_with_is_told_before_any_work(name, message, tmp_path, capsys):
    folder = write_idx_folder(tmp_path / "own")
    out = tmp_path / "out"
    assert cli.main(["--dataset", str(folder), "--from", name, "--out", str(out)]) == 1
    assert message in capsys.readouterr().err
    assert not out.exists()
