"""lenet_train.train: the command line from Python, option by option."""

from __future__ import annotations

import doctest
import inspect
from concurrent.futures import ThreadPoolExecutor

import pytest

import lenet_train
from lenet_export.errors import UserError
from lenet_train import api, cli


def test_it_takes_the_options_of_the_command_line_with_their_defaults():
    parameters = inspect.signature(lenet_train.train).parameters
    options = {a.dest: a for a in cli.command_line()._actions if a.option_strings != ["--epochs"]}
    shown_only = {"help", "version", "completion", "summary"}
    assert parameters.keys() - {"epochs"} == options.keys() - shown_only
    for name, parameter in parameters.items():
        default = options[name].default if name in options else None
        assert parameter.default == (() if default == [] else default), name


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, ""),
        ({"dataset": "mnist", "seed": 7, "anew": True}, "--dataset=mnist --seed=7 --anew"),
        ({"set": {"lr": 0.002, "augmentation.rotation": 15}, "epochs": 3},
         "--set lr=0.002 --set augmentation.rotation=15 --epochs 3"),
        ({"set": ["lr=0.1"]}, "--set lr=0.1"),
        ({"bits": {"fc1": 2, "conv": 4}}, "--bits fc1=2,conv=4"),
        ({"bits": 4, "teacher": "mnist"}, "--bits 4 --teacher mnist"),
        ({"teacher": ["mnist", "mnist-modern"], "start": "mnist"},
         "--teacher mnist mnist-modern --from mnist"),
        ({"channels": (8, 24), "kernels": [5, 3], "dense": 64, "pool": "max", "out": "run"},
         "--channels 8,24 --kernels 5,3 --dense 64 --pool max --out run"),
        ({"tensorboard": True, "distributed": True, "arch": "mlp", "recipe": "textbook"},
         "--tensorboard --distributed --arch mlp --recipe textbook"),
    ],
)  # fmt: skip
def test_each_is_what_the_command_line_reads(given, words, monkeypatch):
    seen = []
    monkeypatch.setattr(cli, "run_of", lambda options: seen.append(options) or "result")
    assert lenet_train.train(**given) == "result"
    assert vars(seen[0]) == vars(cli._parse(words.split()))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"arch": "resnet"}, "arch: invalid choice: 'resnet' (choose from "),
        ({"seed": -1}, "seed: '-1' is not a whole number from 0 to "),
        ({"channels": (6, "x")}, "channels: '6,x' are not numbers from 1 to 1024"),
        ({"arch": "mlp", "pool": "max"}, "pool: goes with arch lenet only"),
        ({"set": {"rl": 1}}, "set rl=1: there is no such field"),
        ({"epochs": "few"}, "epochs=few"),
        ({"bits": 3}, "bits 3: '3' is not known"),
        ({"dataset": "mnits"}, "mnits"),
        ({"set": 3}, "set 3: is not FIELD=VALUE"),
        ({"teacher": 3}, "teacher 3: is neither a bundled model nor a file"),
        ({"teacher": "mnits"}, "teacher mnits: is neither a bundled model nor a file"),
    ],
)
def test_a_mistake_is_told_as_there_and_nothing_is_written(given, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        lenet_train.train(**given)
    assert says in str(caught.value)
    assert "--" not in str(caught.value)
    assert caught.value.remedy
    assert not list(tmp_path.rglob("*.safetensors"))


def test_the_package_names_what_it_gives():
    for name in lenet_train.__all__:
        assert getattr(lenet_train, name).__name__ == name
        assert name in dir(lenet_train)


def test_an_unknown_option_is_one_of_python():
    with pytest.raises(TypeError, match="unexpected keyword argument 'epoch'"):
        lenet_train.train(epoch=3)


def test_the_example_trains_from_a_thread_too(tmp_path, no_pictures, monkeypatch):  # noqa: ARG001
    """A notebook's server has many: signals are the main one's. A finished run is left as it is."""
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(doctest.testmod, api, optionflags=doctest.ELLIPSIS).result()
    assert done.attempted > 3
    assert not done.failed
    before = (tmp_path / "run/model.safetensors").read_bytes()
    again = lenet_train.train("digits", arch="mlp", epochs=1, out="run")
    assert again.model.read_bytes() == before
    assert again.test_images == 360
