"""Few bits and teachers on the command line: which runs there are, and what their models hold."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil

import numpy as np
import pytest

from conftest import write_idx_folder
from lenet_export import checkpoint
from lenet_export.checkpoint import Model, Stage
from lenet_train import cli

pytestmark = pytest.mark.usefixtures("no_pictures")

FAST = ["--recipe", "textbook", "--epochs", "1", "--set", "few_bits.epochs=1"]
FAST += ["--set", "distillation.copies=2"]


def teacher():
    random = np.random.RandomState(1)
    params = {"fc1/kernel": random.normal(0, 1, (784, 10)), "fc1/bias": random.normal(0, 1, 10)}
    stages = (Stage("fc1", "dense", 10),)
    return Model((28, 28, 1), stages, {k: v.astype(np.float32) for k, v in params.items()})


def train(idx_folder, out, *more):
    command = ["--dataset", idx_folder, "--arch", "mlp", "--out", out, *FAST, *more]
    return cli.main([str(part) for part in command])


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    folder = write_idx_folder(tmp_path_factory.mktemp("data") / "own")
    out = tmp_path_factory.mktemp("runs") / "few"
    assert train(folder, out, "--bits", "fc1=2,fc2=4") == 0
    return folder, out


def test_few_bits_are_trained_from_a_float_network_that_is_a_run_of_its_own(few):
    _, out = few
    floats = checkpoint.load(out / "float/model.safetensors")
    model = checkpoint.load(out / "model.safetensors")
    assert [stage.bits for stage in floats.stages] == ["8", "8"]
    assert [stage.bits for stage in model.stages] == ["2", "4"]
    assert model.info["bits"] == "fc1=2,fc2=4"
    assert model.activation_ranges == floats.activation_ranges
    # It began there: one epoch at a small learning rate leads not far from it.
    float_kernel, kernel = (m.params["fc1/kernel"].ravel() for m in (floats, model))
    assert np.corrcoef(float_kernel, kernel)[0, 1] > 0.8


def test_the_same_command_finds_both_runs_done(few, capsys):
    folder, out = few
    before = (out / "model.safetensors").read_bytes()
    assert train(folder, out, "--bits", "fc1=2,fc2=4") == 0
    assert capsys.readouterr().out.count("trained before") == 2
    assert (out / "model.safetensors").read_bytes() == before


def test_bits_beside_another_run_are_refused_before_the_float_network(few, tmp_path, capsys):
    folder, out = few
    shutil.copy(out / "float/model.safetensors", tmp_path)
    assert train(folder, tmp_path, "--bits", "2") == 1
    message = capsys.readouterr().err
    assert "is of a run with other settings" in message
    assert "bits none there, 2 now" in message
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_network_of_8_bits_is_not_taken_for_one_of_few(few, capsys):
    folder, out = few
    assert train(folder, out) == 1
    assert "bits fc1=2,fc2=4 there, none now" in capsys.readouterr().err


def test_a_training_that_diverges_is_told_and_leaves_no_model(idx_folder, tmp_path, capsys):
    settings = [f"--set={field}" for field in ("optimizer=adamw", "lr=100", "weight_decay=100")]
    assert train(idx_folder, tmp_path / "run", "--epochs", "30", *settings) == 1
    message = capsys.readouterr().err
    assert ": the training diverged: its loss is" in message
    assert "a lower learning rate" in message
    assert not (tmp_path / "run/model.safetensors").exists()


def test_how_few_bits_are_trained_is_no_matter_of_the_float_network(few, tmp_path, capsys):
    folder, out = few
    shutil.copytree(out / "float", tmp_path / "float")
    assert train(folder, tmp_path, "--bits", "2", "--set", "few_bits.lr=0.002") == 0
    printed = capsys.readouterr().out
    assert printed.count("trained before") == 1
    assert "few_bits.lr" not in printed.splitlines()[0]
    assert checkpoint.load(tmp_path / "model.safetensors").info["recipe"]["few_bits"]["lr"] == 0.002


def test_other_bits_go_on_from_the_same_float_network_or_are_refused_there(few, capsys):
    folder, out = few
    assert train(folder, out, "--bits", "1") == 1
    assert "bits fc1=2,fc2=4 there, 1 now" in capsys.readouterr().err


def test_a_teacher_changes_what_is_learned_and_is_told_in_the_model(idx_folder, tmp_path):
    path = tmp_path / "teacher.safetensors"
    checkpoint.save(teacher(), path)
    assert train(idx_folder, tmp_path / "alone") == 0
    assert train(idx_folder, tmp_path / "taught", "--teacher", path) == 0
    alone, taught = (
        checkpoint.load(tmp_path / name / "model.safetensors") for name in ("alone", "taught")
    )
    assert taught.info["teachers"] == [hashlib.sha256(path.read_bytes()).hexdigest()]
    assert "teachers" not in alone.info
    assert (taught.params["fc1/kernel"] != alone.params["fc1/kernel"]).any()


def test_a_teacher_of_other_images_is_refused_before_any_work(idx_folder, tmp_path, capsys):
    model = teacher()
    narrow = {"fc1/kernel": model.params["fc1/kernel"][:81], "fc1/bias": model.params["fc1/bias"]}
    path = tmp_path / "teacher.safetensors"
    checkpoint.save(Model((9, 9, 1), model.stages, narrow), path)
    assert train(idx_folder, tmp_path / "out", "--teacher", path) == 1
    assert "takes (9, 9, 1) and gives 10 classes, expected (28, 28, 1)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_teacher_that_cannot_be_computed_is_refused_before_any_work(idx_folder, tmp_path, capsys):
    model = teacher()
    stages = tuple(dataclasses.replace(stage, activation="swish") for stage in model.stages)
    path = tmp_path / "teacher.safetensors"
    checkpoint.save(dataclasses.replace(model, stages=stages), path)
    assert train(idx_folder, tmp_path / "out", "--teacher", path) == 1
    assert 'teacher.safetensors: layer 1 of 1, fc1: activation "swish" is not' in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_bits_that_make_no_sense_are_refused_before_any_work(idx_folder, tmp_path, capsys):
    assert train(idx_folder, tmp_path / "out", "--bits", "conv1=2") == 1
    assert "--bits conv1=2: 'conv1=2' is not known" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_few_bits_behind_a_layer_norm_are_refused_before_any_work(idx_folder, tmp_path, capsys):
    command = ["--dataset", idx_folder, "--norm", "layer", "--bits", "2", "--out", tmp_path / "out"]
    assert cli.main([str(part) for part in command]) == 1
    assert "--bits 2: layer 1 of 5, conv1: weights of bits 2 with norm" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
