"""The tables of benchmarks/field.py count what they say they count, and are those committed."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

import field
from lenet_export import checkpoint
from lenet_export.compiled import CompiledNetwork
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from lenet_export.verdict import Verdict
from material import amounts, corruptions, scenes, strangers
from needs import ROOT, wide

FIGURES = json.loads(field.FIGURES.read_text())


def test_a_network_with_an_eleventh_output_rejects_what_is_none():
    logits = np.array([[9, 5] + [0] * 9, [0, 5] + [0] * 8 + [9]])
    assert field.scores(logits).tolist() == [4, -1]
    assert field.scores(logits[:, :10]).tolist() == [4, 5]
    assert field.scores(logits[:, :10], np.array([True, False])).tolist() == [-1, 5]


def test_the_threshold_rejects_the_share_that_was_asked():
    score = np.arange(1000)
    assert (score < field.threshold(score, 0.015)).sum() == 15


def test_what_is_rejected_is_the_least_that_leaves_so_few_errors():
    is_right = np.array([False, True, True, False] + [True] * 96)
    score = np.arange(100)
    assert field.rejected_for(is_right, score, 0.02) == pytest.approx(0)
    assert field.rejected_for(is_right, score, 0.011) == pytest.approx(0.01)
    assert field.rejected_for(is_right, score, 0.001) == pytest.approx(0.04)
    assert field.rejected_for(np.zeros(5, bool), np.arange(5), 0.001) == 1


def test_lines_are_accepted_from_the_least_score_that_leaves_so_few_errors_of_all():
    is_right = np.array([False, True, False, True])
    score = np.array([1, 2, 3, 4])
    assert field.least_score(is_right, score, 0.25) == pytest.approx(1)
    assert (score >= field.least_score(is_right, score, 0.25)).tolist() == [False, True, True, True]
    assert (score >= field.least_score(is_right, score, 0.2)).sum() == 1
    assert field.least_score(is_right, score, 0.5) == -np.inf


def test_pictures_and_lines_are_measured_where_there_is_what_reads_them(by_five, monkeypatch):
    two = {name: corruptions.CORRUPTIONS[name] for name in ("stripe", "scale")}
    monkeypatch.setattr(corruptions, "CORRUPTIONS", two)

    def read(images):
        """Knows an image by the bytes that it has learnt."""
        known = {
            image.tobytes(): label
            for image, label in zip(by_five.images, by_five.labels, strict=True)
        }
        return np.eye(10, dtype=int)[[known.get(image.tobytes(), 0) for image in images]]

    def prepare(picture):
        return picture if picture.shape == (28, 28) else np.zeros((28, 28), np.uint8)

    found = field.measure(read, by_five, 10, 1, prepare, lambda _: ("7", 1.0), by_five)
    assert found["clean"] == {"right": 1, "taken for none": 0, "refused for their ink": 0}
    assert found["mnist-c"].keys() == {"stripe", "scale", "mean"}
    assert found["cut amounts"]["wrong"] == 0
    assert found["pictures"]["clean"] == 1
    assert found["pictures"]["printed, unseen fonts"] == pytest.approx(0.1)
    assert found["pictures"]["clean, accepted"] == 1
    assert found["pictures"]["printed, unseen fonts, wrong of them"] == pytest.approx(0.9)
    assert found["cut ZIP codes"]["wrong"] == 0
    assert found["writers"] == {"employees": 1, "without an error": 1}
    assert found["lines, mix"] == {"right": 0, "correct": 0, "error": 0, "reject": 1}
    assert "pictures" not in field.measure(read, by_five, 10, 1)


def test_scans_are_counted_all_and_where_the_digit_is_large(by_five):
    made = scenes.make(by_five, "flat", 40, 1)
    known = {one.picture.tobytes(): one for one in made}

    def scan(picture):
        """In place of an image: the digit, if it is large."""
        one = known.get(picture.tobytes())
        return np.full((1, 1), one.label if one and one.share >= field.LARGE else 10)

    found = field.scans(lambda images: np.eye(11)[images[:, 0, 0]], scan, by_five, 40, 1)
    share = np.mean([one.share >= 0.3 for one in made])
    assert 0 < share < 1
    assert found["flat scenes, large digits"] == 1
    assert found["flat scenes"] == pytest.approx(share)
    assert found["hard scenes"] == 0


def test_pushed_lines_are_counted_by_how_near_their_digits_are(by_five):
    spaced = {one.picture.tobytes(): one.text for one in amounts.lines(by_five, "spaced", 10, 1)}
    found = field.pushed_lines(lambda line: (spaced.get(line.tobytes(), ""), 1), by_five, 10, 1)
    assert found == {"spaced": 1, "near": 0, "touching": 0, "mix": 0}


@pytest.mark.parametrize("names", [[], *wide([(["brightness", "stripe", "glass_blur"],)])], ids=str)
def test_the_committed_figures_are_those_of_a_run_of_now(names, written):
    """Of one model and what takes least: some corruptions, cut amounts."""
    read = field.reader(field.BUNDLED / "mnist.safetensors")
    known = FIGURES["models"]["mnist"]
    logits = read(written.images)
    assert field.right(logits, written.labels) == known["clean"]["right"]
    refuse = field.refuser(field.BUNDLED / "mnist.safetensors")
    assert refuse(written.images).mean() == known["clean"]["refused for their ink"]
    for name in names:
        changed = corruptions.corrupt(written.images, name, FIGURES["seed"])
        assert field.right(read(changed), written.labels) == known["mnist-c"][name]
    made = amounts.cut(written, 10 * FIGURES["count"], FIGURES["seed"])
    assert field.strings(read, written, made, refuse) == known["cut amounts"]
    assert field.writers(read, written) == known["writers"]


def test_the_committed_figures_of_pictures_are_those_of_a_run_of_now(monkeypatch, written):
    """Of UCI's digits and of printed ones, which need no scene."""
    monkeypatch.setattr(scenes, "LIGHTS", {})
    path = field.BUNDLED / "mnist.safetensors"
    sure = make_plan(checkpoint.load(path), "int8", field.MAX_ERROR).threshold
    few = replace(written, images=written.images[:1], labels=written.labels[:1])
    prepare, refuse = field.preparer(), field.refuser(path)
    made = few, FIGURES["count"], FIGURES["seed"]
    found = field.pictures(field.reader(path), prepare, *made, sure, refuse)
    known = FIGURES["models"]["mnist"]["pictures"]
    same = [name for name in found if not name.startswith("clean")]
    assert len(same) == 6
    assert {name: found[name] for name in same} == {name: known[name] for name in same}


def test_the_table_of_the_document_is_that_of_the_file():
    document = (ROOT / "benchmarks/README.md").read_text()
    for line in field.rows(FIGURES["models"]):
        assert line in document, line
    assert re.search(rf"{FIGURES['count']:,} of each kind, seed {FIGURES['seed']}", document)


def test_the_table_of_the_card_is_that_of_the_file():
    card = (field.BUNDLED / "mnist-field.md").read_text()
    for line in field.rows({"mnist-field": FIGURES["models"]["mnist-field"]}):
        assert line in card, line


#: Blank paper, noise, textures: their ink is none of a digit's. The letters' and scribbles' is.
REFUSED = ("textures", "noise", "blanks", "flat greys", "the empty image")


@pytest.mark.parametrize("name", ["mnist", "mnist-modern", "mnist-tiny", "mnist-uno"])
def test_what_has_no_digits_ink_is_never_accepted(name, by_five):
    model = checkpoint.load(field.BUNDLED / f"{name}.safetensors")
    plan = make_plan(model, "int8")  # no threshold
    network = CompiledNetwork(plan, render_c(plan, Options()))
    kinds = strangers.make(by_five, 40, 7)
    images = np.concatenate([kinds[kind] for kind in REFUSED] + [255 - by_five.images[:40]])
    verdicts = network.read(images[..., None])[1].verdicts
    assert set(verdicts) == {Verdict.NO_INK, Verdict.OUTSIDE}
    clean = network.read(by_five.images[:100, ..., None])[1].verdicts
    assert (clean == Verdict.ACCEPTED).sum() >= 99
    table = FIGURES["models"][name]["strangers accepted"]
    assert [table[kind] for kind in REFUSED] == [0] * len(REFUSED)
