"""The Python face: what an export gives back, a loaded model, the examples of docstrings."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import inspect
import json
from functools import partial

import jax
import numpy as np
import pytest

import lenet_export
import lenet_train
from lenet_export import UserError, cli, reference
from lenet_export.errors import TRUTHS
from lenet_export.verdict import Verdict
from needs import ROOT

RNG = np.random.default_rng(0)
CONV, DENSE = RNG.normal(0, 0.4, (4, 3, 3, 3)).astype("f4"), RNG.normal(0, 0.4, (144, 5))
IMAGES = RNG.integers(0, 256, (200, 3, 8, 8)).astype(np.uint8)


def channels_first(x):
    """As PyTorch's users write one: channels in front, a softmax at the end."""
    x = jax.nn.relu(jax.lax.conv_general_dilated(x, CONV, (1, 1), "VALID"))
    return jax.nn.softmax(x.reshape(len(x), -1) @ DENSE.astype("f4"))


LABELS = np.asarray(channels_first(IMAGES / np.float32(255))).argmax(1)
LABELS[::40] = (LABELS[::40] + 1) % 5  # so that some are read wrongly


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    return lenet_export.export(
        channels_first, None, (3, 8, 8), folder, images=IMAGES, labels=LABELS, max_error=0.02
    )


def test_it_predicts_what_the_c_predicts_of_images_as_the_network_reads_them(exported):
    assert exported.computed_by.startswith("the C, compiled by ")
    logits = exported.logits(IMAGES)
    assert logits.dtype == np.int32
    expected = reference.run_integers(exported.plan, IMAGES.transpose(0, 2, 3, 1))
    assert np.array_equal(logits, expected[exported.plan.layers[-1].name])
    assert np.array_equal(exported.predict(IMAGES), logits.argmax(1))
    assert (exported.predict(IMAGES) == LABELS).mean() == exported.report.verified.c_accuracy > 0.9


def test_without_a_compiler_the_reference_computes_the_same_and_says_so(exported, monkeypatch):
    logits = exported.logits(IMAGES)
    other = dataclasses.replace(exported)
    monkeypatch.setenv("CC", "no-such-cc")
    assert np.array_equal(other.logits(IMAGES), logits)
    assert other.computed_by.startswith("the reference in NumPy, which gives what the C gives: ")
    assert "no-such-cc" in other.computed_by


def test_a_reading_is_accepted_by_the_gap_of_max_error(exported):
    digits, gaps, verdicts = exported.read(IMAGES)
    assert exported.report.min_gap == exported.plan.threshold > 0
    assert np.array_equal(verdicts == Verdict.ACCEPTED, gaps >= exported.plan.threshold)
    accepted = exported.report.verified.verdicts[Verdict.ACCEPTED]
    assert (verdicts == Verdict.ACCEPTED).sum() == accepted
    assert np.array_equal(digits, exported.predict(IMAGES))


def test_its_text_is_one_screen_and_its_report_the_same_in_numbers(exported):
    screen, report = repr(exported), exported.report
    assert screen == str(exported) == str(report)
    assert len(screen.splitlines()) < 24
    assert f"{report.constant_bytes:,} bytes of constants" in screen
    assert f"{report.workspace_bytes:,} bytes of workspace" in screen
    assert f"0 of {report.verified.logits:,} logits differ" in screen
    for note in report.notes:
        assert f"note      {note}" in screen
    assert all(bound.fits for bound in report.bounds) and len(report.bounds) > 3
    assert [str(path) in screen for path in exported.files] == [True] * 3


def test_how_it_was_read_is_in_the_manifest(exported):
    (manifest,) = (path for path in exported.files if path.suffix == ".json")
    notes = json.loads(manifest.read_text())["notes"]
    assert notes == list(exported.notes)
    assert any("the last softmax is left out" in note for note in notes)
    assert any("(8, 8, 3); the network (3, 8, 8)" in note for note in notes)


def test_its_head_tells_the_call_that_wrote_it(exported):
    call = "lenet_export.export(channels_first, (3, 8, 8), images=images, labels=labels, "
    call += "max_error=0.02)"
    header, _, manifest = (path.read_text() for path in exported.files)
    assert json.loads(manifest)["command"] == call
    assert call in header.replace("\n *     ", " ")
    assert max(map(len, header.splitlines())) <= 100


@pytest.mark.parametrize("call", ["logits", "predict", "read"])
@pytest.mark.parametrize(
    ("images", "says"),
    [
        (IMAGES / 255, "images: are float64 (200, 3, 8, 8); give uint8 (images, 3, 8, 8)"),
        (IMAGES[:, :, 1:], "images: are uint8 (200, 3, 7, 8); give uint8 (images, 3, 8, 8)"),
        (IMAGES[0], "of one image: images[None]"),
        (IMAGES[:0], "images: are uint8 (0, 3, 8, 8)"),
        ([[1]], "images: are list (1, 1)"),
        (np.uint8(3), "images: are uint8 ()"),
    ],
)
def test_what_is_no_image_is_told(call, images, says, exported):
    with pytest.raises(UserError) as caught:
        getattr(exported, call)(images)
    assert says in str(caught.value).replace("\n  ", "; ")


@pytest.mark.parametrize("name", ["mnist-modern", "a file"])
def test_a_model_that_is_loaded_gives_the_bytes_of_the_command_line(name, tmp_path, bundled):
    if name == "a file":
        name = str(tmp_path / "model.safetensors")
        lenet_export.checkpoint.save(bundled, tmp_path / "model.safetensors")
    model = lenet_export.load(name)
    chosen = {"max_error": 0.002, "cpu": "cortex-m4", "verify": False}
    done = lenet_export.export(model, out=tmp_path / "python", **chosen)
    command = ["--model", name, "--max-error", "0.002", "--cpu", "cortex-m4", "--no-verify"]
    assert cli.main([*command, "--out", str(tmp_path / "shell")]) == 0
    for path in done.files:
        assert path.read_bytes() == (tmp_path / "shell" / path.name).read_bytes(), path.name


def test_a_model_that_is_loaded_predicts_in_floats_and_exported_in_integers(mnist, tmp_path):
    images, labels = mnist[0][:200], mnist[1][:200]
    model = lenet_export.load("mnist")
    assert (model.predict(images) == labels).mean() > 0.98
    assert model.logits(images[..., 0]).shape == (200, 10)
    done = lenet_export.export(model, out=tmp_path, images=images, labels=labels, target="npz")
    assert done.computed_by == "the reference in NumPy: no C was exported"
    assert np.array_equal(done.predict(images), model.predict(images))
    off = np.abs(done.logits(images) * done.plan.logit_scale - model.logits(images)).max()
    assert off < 0.05 * np.abs(model.logits(images)).max()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"params": {}}, "params: are given with a model that holds its own"),
        ({"input_mean": 0.5}, "input_mean and input_std: are given with a model"),
        ({"input_shape": (28, 28)}, ""),
        ({"input_shape": (32, 32, 1)}, "is \\(32, 32, 1\\), and the model reads \\(28, 28, 1\\)"),
    ],
)
def test_a_model_that_is_loaded_takes_nothing_that_it_holds(arguments, says, tmp_path):
    export = partial(lenet_export.export, lenet_export.load("mnist"), verify=False)
    if not says:
        assert export(out=tmp_path, **arguments).plan.threshold == 0
        return
    with pytest.raises(UserError, match=says):
        export(out=tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mnits", "model mnits: is neither a bundled model nor a file"),
        ("./none.safetensors", "none.safetensors: cannot be read: no such file"),
        (3, "model: is 3"),
    ],
)
def test_a_model_that_is_not_there_is_told(name, says):
    with pytest.raises(UserError) as caught:
        lenet_export.load(name)
    assert says in str(caught.value)


def test_the_package_names_what_it_gives():
    assert list(lenet_export._GIVEN) == lenet_export.__all__
    for name in lenet_export.__all__:
        assert getattr(lenet_export, name).__name__ == name
        assert name in dir(lenet_export)


def truths():
    """The options that are true or false, of all that the packages give."""
    for package in (lenet_export, lenet_train):
        for given in (getattr(package, name) for name in package.__all__):
            own = vars(given).items() if inspect.isclass(given) else []
            methods = [getattr(given, name) for name, _ in own if not name.startswith("_")]
            for call in filter(callable, methods or [given]):
                is_type = inspect.isclass(call)  # what it is made of are no options
                of = {} if is_type else inspect.signature(call).parameters
                yield from ((call, name) for name in of if of[name].annotation in TRUTHS)


@pytest.mark.parametrize(("call", "name"), [*truths()], ids=lambda of: getattr(of, "__name__", of))
def test_an_option_that_is_true_or_false_takes_nothing_else(call, name, tmp_path, monkeypatch):
    """``"no"`` is true, and so it would harden."""
    monkeypatch.chdir(tmp_path)
    parameters = inspect.signature(call).parameters.values()
    needed = [None for of in parameters if of.default is of.empty]
    for value in ("no", 2, "", [], *([] if name == "verify" else [None])):
        with pytest.raises(UserError, match=rf"^{name}: is .*\n  give True or False"):
            call(*needed, **{name: value})
    assert not [*tmp_path.iterdir()]


def test_truths_of_numpy_are_as_good(tmp_path):
    model = lenet_export.load("mnist-tiny")
    done = lenet_export.export(model, out=tmp_path, verify=np.False_, harden=np.True_)
    assert done.plan.is_hardened is True
    assert {name for _, name in truths()} >= {
        "none_output", "single_file", "harden", "verify", "invert", "transpose", "anew",
    }  # fmt: skip


def examples():
    """The modules whose docstrings have examples."""
    for file in sorted((ROOT / "export/lenet_export").rglob("*.py")):
        if "\n        >>> " in file.read_text():
            yield ".".join(file.relative_to(ROOT / "export").with_suffix("").parts)


@pytest.mark.parametrize("module", list(examples()))
def test_the_examples_of_docstrings_print_what_they_say(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert done.attempted
    assert not done.failed
