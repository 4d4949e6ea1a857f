"""The page of an export and its numbers: whole, right, the same each time, and readable."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from lenet_export import cli, packages
from lenet_export.api import write
from lenet_export.cpus.registry import CPUS
from lenet_export.errors import UserError
from lenet_export.evidence import facts, page, pictures
from lenet_export.gap_table import GapTable
from lenet_export.outputs.options import Options
from lenet_export.plan import make_plan
from needs import formats, wide

from .networks import CHAINS, named_model

VOID = {"meta", "img", "br", "wbr", "line", "circle", "polyline"}
#: What HTML itself leaves open is closed on this page.
SECTIONS = [
    "Stages", "No number overflows, whatever the image", "Memory", "What it reads",
    "What the first layer looks for", "Where it is in the C", "Identity",
]  # fmt: skip


class Page(HTMLParser):
    """The elements of a page, which must be nested rightly, and its text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.text, self.addresses, self.heads = [], [], "", [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data
        if self.open and self.open[-1] == "h2":
            self.heads.append(data)


def told(folder):
    """The page in a folder, and its numbers."""
    assert sorted(path.name for path in folder.iterdir()) == sorted(page.REPORT)
    found = Page((folder / "index.html").read_text())
    # It stands alone: no script, no other file, no address of anywhere.
    assert not {"script", "link", "iframe", "object"} & {*found.seen}
    assert all(address.startswith("data:image/png;base64,") for address in found.addresses)
    assert "url(" not in (folder / "index.html").read_text()
    return found, json.loads((folder / "report.json").read_text())


def images_of(plan, count=40):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (count, *plan.input_shape)).astype(np.uint8)
    return images, rng.integers(0, plan.classes, count)


@pytest.fixture(scope="module")
def reported(bundled, mnist, tmp_path_factory):
    """The default model's page, with some images."""
    folder = tmp_path_factory.mktemp("report")
    images, labels = (of[:1000] for of in mnist)
    plan = make_plan(bundled, "int8", 0.002)
    exported = write(
        "mnist", plan, folder / "c", Options(), True, images, labels, folder / "page"
    )  # fmt: skip
    return exported, *told(folder / "page")


def test_the_page_of_formats_names_its_sections(reported):
    assert formats("`report.json` and `evidence.json`") == reported[2].keys()


def test_its_page_shows_its_numbers(reported):
    _, shown, numbers = reported
    assert shown.heads == SECTIONS
    text = " ".join(shown.text.split())
    readings = numbers["readings"]
    for figure in (
        "63,378 bytes of constants in flash",
        "1,112 bytes of workspace in RAM",
        "416,520 multiply-adds an image",
        f"{readings['accuracy']:.2%} of 1,000 test images right",
        f"0 of {numbers['verified']['logits']:,} logits differ from the JAX integer reference",
        f"gap of {numbers['reject']['chosen']['min_gap']:,} and more",
        *(stage["does"] for stage in numbers["stages"]),
        *numbers["cpus"][1]["cpu"].split(),
        *numbers["identity"]["files"].values(),
    ):
        assert figure in text, figure
    assert len(shown.addresses) == len(readings["mistakes"]) + 6


def test_its_numbers_are_those_of_the_export(reported, mnist):
    exported, _, numbers = reported
    plan, report = exported.plan, exported.report
    images, labels = (of[:1000] for of in mnist)
    assert numbers["identity"]["model_id"] == plan.model_id
    assert sum(of["bytes"] for of in numbers["constants"]) == plan.constant_bytes
    assert sum(of["constant_bytes"] for of in numbers["stages"]) == plan.constant_bytes - 512
    assert sum(numbers["rows"]) + 48000 + 10080 + 840 == plan.multiply_adds
    assert [of["cpu"] for of in numbers["cpus"]] == [*CPUS]
    assert numbers["cpus"][0]["workspace_bytes"] == report.workspace_bytes
    bounds = [of for stage in numbers["stages"] for of in stage["bounds"]]
    assert [(of["least"], of["most"]) for of in bounds] == [
        (bound.least, bound.most) for bound in report.bounds
    ]
    assert max(of["bits"] for of in bounds) == 32
    found = exported.read(images)
    readings = numbers["readings"]
    confusion = np.array(readings["confusion"])
    assert (confusion.sum(axis=1) == np.bincount(labels)).all()
    assert np.trace(confusion) == (found.digits == labels).sum() == 1000 - readings["wrong"]
    assert readings["verdicts"]["ACCEPTED"] == (found.verdicts == 0).sum()
    for mistake in readings["mistakes"]:
        place = mistake["image"]
        assert (mistake["label"], mistake["digit"]) == (labels[place], found.digits[place])
        assert mistake["label"] != mistake["digit"] and mistake["gap"] == found.gaps[place]
    gaps = [(of["verdict"] != "ACCEPTED", -of["gap"]) for of in readings["mistakes"]]
    assert gaps == sorted(gaps)
    for curve in (readings["curve"], numbers["reject"]["curve"]):
        assert [of["rejected"] for of in curve] == sorted(of["rejected"] for of in curve)
        assert curve[0]["rejected"] == 0
    assert readings["curve"][0]["wrong"] == readings["wrong"] / 1000


def test_integers_are_near_floats_in_each_layer(reported):
    _, _, numbers = reported
    differences = numbers["float_difference"]
    assert (differences["images"], differences["made_up"]) == (500, False)
    assert [*differences["layers"]] == [stage["name"] for stage in numbers["stages"]]
    for name, of in differences["layers"].items():
        assert 0 < of["rms"] < 0.01 and of["rms"] < of["largest"] < 0.1, name


def test_a_layer_of_other_integers_is_told(int8_plan):
    """A bias that is off by a tenth of what the layer gives is seen there and behind it."""
    layer = int8_plan.layers[2]
    bias = layer.bias + (layer.integers.acc_max.max() // 20).astype(np.int32)
    layers = list(int8_plan.layers)
    layers[2] = replace(layer, bias=bias)
    found = facts._float_difference(replace(int8_plan, layers=tuple(layers)), None)["layers"]
    assert found["conv2"]["rms"] < 0.01 < found["fc1"]["rms"]


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("chain", ["mlp", *wide(name for name in CHAINS if name != "mlp")])
def test_any_chain_has_a_page_with_and_without_images(chain, dtype, tmp_path):
    plan = make_plan(named_model(chain), dtype)
    for name, (images, labels) in {
        "labelled": images_of(plan), "alone": (None, None), "seen": (images_of(plan)[0], None),
    }.items():  # fmt: skip
        write(chain, plan, tmp_path / "c", Options(), False, images, labels, tmp_path / name)
        shown, numbers = told(tmp_path / name)
        assert ("not_run" in numbers["readings"]) == (name == "alone")
        assert ("confusion" in numbers["readings"]) == (name == "labelled")
        assert "not_run" in numbers["verified"] and "not run" in shown.text
        assert "not asked for" in shown.text
        assert ("layers" in numbers["float_difference"]) == (dtype == "int8")
        assert SECTIONS[1] in shown.heads or dtype == "float32"


def test_a_network_of_many_classes_has_a_page(tmp_path):
    model = named_model("mlp")
    names = tuple(f"<b>{number} & more</b>" for number in range(model.classes))
    plan = make_plan(replace(model, class_names=names), "int8")
    write("<i>", plan, tmp_path / "c", Options(), False, *images_of(plan), tmp_path / "page")
    shown, _ = told(tmp_path / "page")
    assert not {"i", "b>"} & {*shown.seen} and "<b>0 & more</b>" in shown.text
    assert shown.text.startswith("\n\n\n<i> as C: report") or "<i> as C" in shown.text


def test_without_jax_the_page_says_what_was_not_run(int8_plan, tmp_path, monkeypatch):
    def require(extra, where):
        raise UserError(where, "the package jax is not installed", packages.install(extra))

    monkeypatch.setattr(packages, "require", require)
    write("mnist", int8_plan, tmp_path / "c", Options(), None, report=tmp_path / "page")
    shown, numbers = told(tmp_path / "page")
    why = 'the package jax is not installed; pip install "lenet-export[verify]"'
    assert numbers["verified"] == numbers["float_difference"] == {"not_run": why}
    assert "NOT VERIFIED" in shown.text and why in shown.text


def test_it_is_the_same_each_time(tmp_path):
    for name in "ab":
        words = ["--no-verify", "--quiet", "--out", tmp_path / "c", "--report", tmp_path / name]
        assert cli.main([*map(str, words)]) == 0
    for name in page.REPORT:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_place_that_cannot_be_written_is_refused_before_anything_is(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for words, what in (
        (["--out", "c", "--report", "file"], "error: --report file: is a file, not a folder"),
        (
            ["--out", "c", "--report", "./c/", "--prefix", "report"],
            "error: c: report.json would be a file of the page and of the export",
        ),
    ):
        words = [tmp_path / word if word in ("c", "./c/", "file") else word for word in words]
        assert cli.main(["--no-verify", *map(str, words)]) == 1
        assert what in capsys.readouterr().err.replace(f"{tmp_path}/", "")
        assert not (tmp_path / "c").exists()


def test_both_may_be_in_one_folder(tmp_path):
    words = ["--no-verify", "--quiet", "--out", str(tmp_path), "--report", str(tmp_path)]
    assert cli.main(words) == 0
    names = {"lenet.c", "lenet.h", "lenet.json", *page.REPORT}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_what_training_tells_is_words():
    assert (
        page._words({"teachers": ["ab", "cd"], "of": {"lr": 0.1}}) == "teachers ab, cd; of lr 0.1"
    )


def test_the_interval_is_wilsons():
    """Of 9 in 10, and of all: from the formula worked by hand."""
    assert facts._interval(9, 10) == pytest.approx([0.5958, 0.9821], abs=1e-4)
    low, high = facts._interval(10, 10)
    assert low == pytest.approx(0.7225, abs=1e-4) and high == pytest.approx(1)


def test_a_curve_keeps_to_its_table():
    gaps = np.arange(1, 1001, dtype=np.float32)
    table = GapTable.of(gaps, gaps % 7 == 1)
    curve = facts._curve(table)
    assert 60 <= len(curve) <= facts.CURVE
    for point in curve:
        accepted = gaps >= point["gap"]
        assert point["rejected"] == pytest.approx(1 - accepted.mean())
        assert point["wrong"] == pytest.approx((gaps[accepted] % 7 == 1).mean())


def decoded(address):
    data = base64.b64decode(re.sub("^data:image/png;base64,", "", address))
    return np.asarray(Image.open(io.BytesIO(data)))


def test_a_picture_has_the_pixels_of_its_image():
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    assert (decoded(pictures.of_image(colour)) == colour).all()
    grey = colour[..., :1]
    assert (decoded(pictures.of_image(grey)) == grey).all()


def test_weights_are_red_above_0_and_blue_below():
    weights = np.array([[[2.0, 0.0], [-1.0, -2.0]]])
    found = decoded(pictures.of_weights(weights))
    assert found.tolist() == [
        [[255, 0, 0], [127, 127, 255]],
        [[255, 255, 255], [0, 0, 255]],
    ]
