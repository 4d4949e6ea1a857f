"""``lenet-read``: the digit in a photograph, as text, as JSON, and drawn."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from lenet_export import bundled, checkpoint, photos, prepare, read, reading, steps
from lenet_export.checkpoint import Stage
from lenet_export.errors import UserError
from lenet_export.gap_table import GapTable
from needs import ROOT, formats

from .networks import random_model

PAGE = ROOT / "c_runtime/examples/page.pgm"
GREY = photos.read(PAGE)


def said(capsys, *arguments, status=0):
    assert read.main(list(map(str, arguments))) == status
    return capsys.readouterr()


def test_it_prints_the_digit_its_gap_its_verdict_and_its_place(capsys, tmp_path):
    Image.fromarray(np.full((40, 50), 99, np.uint8)).save(tmp_path / "grey.png")
    out = said(capsys, PAGE, tmp_path / "grey.png").out.splitlines()
    top, left, bottom, right = prepare(GREY).box
    assert out[0].startswith(f"{PAGE}: 3, gap ")
    assert out[0].endswith(
        f", accepted (dark ink, {right - left}x{bottom - top} pixels at column {left}, row {top})"
    )
    assert out[1:] == [f"{tmp_path}/grey.png: no ink"]


def test_json_tells_the_same(capsys, tmp_path):
    Image.fromarray(np.full((40, 50), 99, np.uint8)).save(tmp_path / "grey.png")
    page, grey = json.loads(said(capsys, "--json", PAGE, tmp_path / "grey.png").out)
    assert page["file"] == str(PAGE) and page["digit"] == 3 and page["gap"] > 0
    assert page["accepted"] is True and page["verdict"] == "accepted" and page["is_dark"] is True
    assert formats("What programs print as JSON") == page.keys()
    assert tuple(page["box"].values()) == prepare(GREY).box
    assert grey["digit"] is grey["box"] is None and grey["verdict"] == "no ink"
    assert grey["accepted"] is False


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_show_draws_each_picture_on_its_way(capsys, tmp_path, kind):
    Image.fromarray(np.full((40, 50), 99, np.uint8)).save(tmp_path / "grey.png")
    drawn = tmp_path / f"steps.{kind}"
    said(capsys, PAGE, tmp_path / "grey.png", "--show", drawn)
    head = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind]
    assert drawn.read_bytes().startswith(head) and drawn.stat().st_size > 5_000


def test_layers_draws_what_each_layer_makes_of_a_picture(capsys, tmp_path, monkeypatch):
    """Maps as the C has them, each with its shape, and the logits as integers."""
    kept = []
    make = steps.drawing.layers_of
    monkeypatch.setattr(steps.drawing, "layers_of", lambda *a: kept.append(make(*a)) or kept[-1])
    drawn, named = tmp_path / "layers.png", tmp_path / "a$^$.pgm"
    named.write_bytes(PAGE.read_bytes())
    out = said(capsys, named, "--layers", drawn, "--show", tmp_path / "steps.png").out
    assert drawn.read_bytes().startswith(b"\x89PNG") and (tmp_path / "steps.png").exists()
    ((figure, bars),) = kept
    network = reading.load(bundled.FOR_PICTURES)
    found = network.layers(prepare(GREY).image[..., None])
    shown = [axes.get_ylabel() for axes in figure.axes[:-1]]
    shapes = ["x".join(map(str, values.shape)) for values in found.values()]
    assert [label.split("\n")[1] for label in shown] == ["28x28x1", *shapes]
    assert shown[1].startswith("conv1, relu, maximum pool\n")
    maps = found["conv1"]
    assert np.array_equal(figure.axes[1].images[0].get_array()[:, :14], maps[..., 0])
    assert [text.get_text() for text in bars.texts] == [f"{v:,.0f}" for v in found["fc3"]]
    gap = out.split("gap ")[1].split(", acc")[0]
    assert f"a$^$.pgm: 3, gap {gap}, accepted\n" in figure.get_suptitle()


def test_layers_of_no_ink_or_of_two_pictures_are_refused(capsys, tmp_path):
    grey, drawn = tmp_path / "grey.png", tmp_path / "layers.png"
    Image.fromarray(np.full((40, 50), 99, np.uint8)).save(grey)
    told = said(capsys, grey, "--layers", drawn, status=1).err
    assert told.startswith(f"lenet-read: error: {grey}: has no ink, so that no layer is computed\n")
    for wrong, what in (
        ([PAGE, grey, "--layers", drawn], "the layers of one picture are drawn at a time"),
        ([PAGE, "--layers", drawn, "--show", drawn], "is what --show writes, too"),
        ([grey, "--layers", grey], "is one of the pictures, which it would replace"),
        ([PAGE, "--layers", "layers.gif"], "the file ends in none of .png, .svg, .pdf"),
    ):
        with pytest.raises(SystemExit, match="2"):
            read.main([*map(str, wrong)])
        assert what in capsys.readouterr().err
    assert not drawn.exists()


@pytest.mark.parametrize("name", ["a$^$.pgm", "b\udce9\n.pgm"])
def test_a_picture_of_any_name_is_drawn(capsys, tmp_path, name):
    (tmp_path / name).write_bytes(PAGE.read_bytes())
    said(capsys, tmp_path / name, "--show", tmp_path / "steps.png")
    assert (tmp_path / "steps.png").stat().st_size > 5_000


def test_show_replaces_no_picture_and_draws_no_more_than_fit(capsys, tmp_path):
    photo = tmp_path / "photo.png"
    Image.fromarray(GREY).save(photo)
    kept = photo.read_bytes()
    (tmp_path / "other.png").symlink_to(photo)
    for pictures, show in (([PAGE, photo], tmp_path / "other.png"), ([PAGE] * 201, "steps.png")):
        with pytest.raises(SystemExit, match="2"):
            read.main([*map(str, pictures), "--show", str(show)])
        assert f"--show {show}: " in capsys.readouterr().err
    assert photo.read_bytes() == kept


def test_a_picture_may_come_through_a_pipe():
    code = "import sys; from lenet_export.__main__ import read; sys.exit(read())"
    with io.BytesIO() as file:
        Image.fromarray(GREY).save(file, "png")
        content = file.getvalue()
    done = subprocess.run([sys.executable, "-c", code, "/dev/stdin"], input=content,
                          capture_output=True, check=True)  # fmt: skip
    assert done.stdout.startswith(b"/dev/stdin: 3, gap ")


def test_a_long_output_on_a_full_disk_is_told_as_such_and_the_drawing_is_there(tmp_path):
    # By its long paths: it takes long to draw many pictures.
    folder = tmp_path.joinpath(*["p" * 240] * 12)
    folder.mkdir(parents=True)
    page = folder / "page.pgm"
    page.symlink_to(PAGE)
    code = "import sys; from lenet_export.__main__ import read; sys.exit(read())"
    show = tmp_path / "steps.png"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, *[page] * 4, "--json", "--show", show],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        1,
        "lenet-read: error: standard output: cannot be written: no space left on device\n"
        "  send the output elsewhere to read it\n",
    )
    assert show.stat().st_size > 5_000


def test_a_model_of_no_grey_images_is_named(capsys, tmp_path):
    model = random_model((Stage("fc", "dense", 3),), (8, 8, 3))
    checkpoint.save(model, tmp_path / "model")
    error = said(capsys, PAGE, "--model", tmp_path / "model", status=1).err
    assert error.startswith(f"lenet-read: error: --model {tmp_path}/model: takes images of 8x8x3")


def test_a_long_name_is_drawn_short():
    found, logits, path = prepare(GREY), np.arange(10), Path("a-meter-in-the-kitchen.jpeg")
    outputs = [str(digit) for digit in logits]
    result = reading.Read(path, GREY, found, 9, 1, "accepted", logits, outputs)
    axes = Figure().subplots(1, 4)
    steps._draw(axes, result)
    assert axes[0].get_xlabel() == "a-meter-in-the-…: 9, accepted"


def test_another_model_and_another_error_are_taken(capsys):
    out = said(capsys, PAGE, "--model", "mnist-uno", "--max-error", "0.001").out
    assert ": 3, gap " in out
    strict = reading.load("mnist", 0.001).plan.threshold
    assert strict > reading.load("mnist").plan.threshold > 0


def test_of_few_validation_images_the_least_error_that_they_show_is_taken(capsys, tmp_path):
    """As one of the small digits is, whose 215 cannot show the default's."""
    model = bundled.load("mnist")
    gaps = np.linspace(1, 9, 200, dtype=np.float32)
    model = replace(model, gap_table=GapTable.of(gaps, gaps < 1.1))
    checkpoint.save(model, tmp_path / "model")
    assert said(capsys, PAGE, "--model", tmp_path / "model").out.startswith(f"{PAGE}: 3, gap ")
    told = said(capsys, PAGE, "--model", tmp_path / "model", "--max-error", "0.002", status=1).err
    assert "--max-error 0.002: cannot be reached" in told


def test_the_default_model_is_one_of_the_package():
    assert bundled.FOR_PICTURES in bundled.names() and bundled.DEFAULT in bundled.names()


@pytest.mark.parametrize(
    ("name", "image", "tolerance"),
    [
        ("lossless.png", Image.fromarray(GREY), 0),
        ("lossy.jpg", Image.fromarray(GREY), 30),
        ("colour.png", Image.fromarray(np.stack([GREY] * 3, -1)), 0),
        ("deep.png", Image.fromarray(GREY.astype(np.uint16) * 257), 0),
        ("words.tif", Image.fromarray(GREY.astype(np.int32)), 0),
        ("more words.tif", Image.fromarray(GREY.astype(np.int32) * 2**22), 30),
        ("floats.tif", Image.fromarray(GREY.astype(np.float32)), 0),
        ("shares.tif", Image.fromarray(GREY.astype(np.float32) / 255), 0),
        ("palette.gif", Image.fromarray(GREY).quantize(256), 4),
    ],
)
def test_every_kind_of_file_gives_the_same_grey(tmp_path, name, image, tolerance):
    image.save(tmp_path / name)
    assert np.abs(photos.read(tmp_path / name).astype(int) - GREY).max() <= tolerance


def test_what_is_transparent_is_paper(tmp_path):
    ink = 255 - GREY
    layers = np.stack([np.zeros_like(GREY)] * 3 + [ink], -1)
    Image.fromarray(layers).save(tmp_path / "a.png")
    assert np.abs(photos.read(tmp_path / "a.png").astype(int) - GREY).max() <= 1


def test_a_picture_is_turned_as_its_camera_was(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the top is at the right
    Image.fromarray(np.rot90(GREY)).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(photos.read(tmp_path / "turned.png"), GREY)


def test_a_large_photograph_is_shrunk(tmp_path):
    Image.fromarray(GREY).resize((2560, 1920)).save(tmp_path / "large.png")
    found = photos.read(tmp_path / "large.png")
    assert found.shape == (640, 853)
    assert prepare(found).has_ink


@pytest.mark.parametrize("white", [255, 85, 65535])
def test_a_pgm_of_any_maxval_needs_no_pillow(tmp_path, monkeypatch, white):
    monkeypatch.setitem(sys.modules, "PIL", None)
    values = np.round(GREY / 255 * white).astype(">u2" if white > 255 else "u1")
    head = f"P5\n# a page\n128 96\n{white}\n".encode()
    (tmp_path / "page.pgm").write_bytes(head + values.tobytes())
    assert np.abs(photos.read(tmp_path / "page.pgm").astype(int) - GREY).max() <= 2
    for extra in ("read", "train"):
        with pytest.raises(UserError, match=rf"needs Pillow .*\n  pip install .*\[{extra}\]"):
            photos.grey(ROOT / "docs/steps.png", extra)


def test_a_damaged_tiff_is_told_by_us_alone(tmp_path, capfd):
    Image.fromarray(GREY).save(tmp_path / "page.tif", compression="tiff_deflate")
    whole = (tmp_path / "page.tif").read_bytes()
    (tmp_path / "page.tif").write_bytes(whole[:60] + whole[61:100] + b"\0" + whole[100:])
    with pytest.raises(UserError, match="is no picture that can be read"):
        photos.grey(tmp_path / "page.tif")
    assert capfd.readouterr().err == ""


def png_of(columns, rows):
    """Of a PNG so large, the head and no pixels."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"no picture", "is no picture that can be read"),
        (b"", "is no picture that can be read"),
        (b"P5\n128 x", "has a broken header"),
        (b"P5\n128 96\n255\nshort", "ends before its last pixel"),
        (b"P5\n128 96\n70000\nshort", "with a maxval of 70000"),
        (b"P5\n" + b"9" * 5000 + b" 5\n255\nshort", "has a broken header"),
        (b"P5\n99999 99999\n255\nshort", "is 99999x99999 pixels"),
        (b"P5\n5 5\n255\n" + bytes(25), "is 5x5 pixels: too small or too long"),
        (b"P5\n12 20000\n255\n" + bytes(240000), "is 12x20000 pixels: too small or too long"),
        ((ROOT / "docs/steps.png").read_bytes()[:3000], "is no picture that can be read"),
        (png_of(60000, 60000), "has too many pixels\n  shrink it"),
    ],
)
def test_a_file_that_is_no_picture_is_told_with_a_remedy(capsys, tmp_path, content, what):
    path = tmp_path / "file"
    path.write_bytes(content)
    error = said(capsys, path, status=1).err
    assert error.startswith(f"lenet-read: error: {path}: ") and what in error
    assert error.count("\n  ") == 1


def test_other_mistakes_are_told(capsys, tmp_path):
    assert "no such file" in said(capsys, tmp_path / "none.png", status=1).err
    assert "neither a bundled model" in said(capsys, PAGE, "--model", "mnits", status=1).err
    for wrong in (["--show", "steps.gif"], ["--max-error", "2"], ["--model"]):
        with pytest.raises(SystemExit, match="2"):
            read.main([str(PAGE), *wrong])
    with pytest.raises(SystemExit, match="2"):
        read.main([])


def test_it_starts_as_the_other_programs_do():
    code = "import sys; from lenet_export.__main__ import read; sys.exit(read())"
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("lenet-read ")
