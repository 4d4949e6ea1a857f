"""Data sets of a user's own, of every kind, on their way to C that is compared with JAX."""

from __future__ import annotations

import gzip
import json
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from lenet_export import checkpoint, idx
from lenet_export.cli import main as export
from lenet_train import cli, glyphs, run
from needs import wide

pytestmark = pytest.mark.usefixtures("no_pictures")

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
TEXTS = LETTERS + "".join(chr(n) for n in range(33, 127) if chr(n) not in LETTERS) + "£§ßéñö"


class Drawn(NamedTuple):
    """Images uint8 ``(n, rows, columns)``, light on dark, and labels from 0."""

    images: np.ndarray
    labels: np.ndarray


def drawn(classes, each=40, rows=28, columns=28, seed=0):
    """Printed letters, in a random order."""
    random = np.random.RandomState(seed)
    labels = random.permutation(np.repeat(np.arange(classes), each))
    images = [Image.fromarray(glyphs.printed(random, TEXTS[label])) for label in labels]
    return Drawn(np.stack([np.array(image.resize((columns, rows))) for image in images]), labels)


def coloured(images):
    """Of ink of a colour on black."""
    return (images[..., None] * np.array([1.0, 0.7, 0.4])).astype(np.uint8)


def folders(path, given, suffix=".png", mode=None, names=TEXTS):
    for number, (image, label) in enumerate(zip(*given, strict=True)):
        file = path / f"{names[label]}" / f"{number}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(image)
        (picture.convert(mode) if mode else picture).save(file)
    return path


def parted(path, *parts, **options):
    for name, part in zip(("train", "test", "val"), parts, strict=False):
        folders(path / name, part, **options)
    return path


def arrays(path, **named):
    np.savez(path.with_suffix(".npz"), **named)
    return path.with_suffix(".npz")


def idx_folder(path, parts, name="{part}-{kind}-idx{dims}-ubyte", first=0):
    path.mkdir()
    for part, (images, labels) in parts.items():
        for kind, values in (("images", images), ("labels", labels + first)):
            file = path / name.format(part=part, kind=kind, dims=values.ndim)
            content = idx.pack(values.astype(np.uint8))
            file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    return path


def table(path, given, header=False, labels=None):
    path.parent.mkdir(exist_ok=True)
    values = np.column_stack([given.labels if labels is None else labels,
                              given.images.reshape(len(given.labels), -1)])  # fmt: skip
    lines = [",".join(map(str, row)) for row in values]
    head = [",".join(["label", *(f"pixel{n}" for n in range(values.shape[1] - 1))])]
    path.write_text("\n".join([*(head if header else []), *lines]))
    return path


def csv_pair(path):
    table(path / "train.csv", drawn(10, rows=32, columns=32), header=True)
    table(path / "test.csv", drawn(10, 10, 32, 32, seed=1), header=True)
    return path


def medical(path):
    parts = {name: drawn(4, each, seed=each) for name, each in (("train", 60), ("val", 20),
                                                                ("test", 20))}  # fmt: skip
    return arrays(
        path,
        **{f"{name}_images": part.images for name, part in parts.items()},
        **{f"{name}_labels": part.labels[:, None] for name, part in parts.items()},
    )


def pair(path, **options):
    training, test = drawn(10, seed=2, **options), drawn(10, 10, seed=3, **options)
    return arrays(
        path, x_train=training.images, y_train=training.labels,
        x_test=test.images, y_test=test.labels,
    )  # fmt: skip


def from_one(path):
    given = drawn(26)
    return arrays(path, x=given.images, y=given.labels + 1)


def grouped(path):
    given = drawn(10, rows=32, columns=32)
    groups = np.arange(400) // 8
    return arrays(path, x_train=given.images, y_train=given.labels, groups=groups)


def named(path):
    given = drawn(3, 60)
    return arrays(path, x=given.images, y=np.array(["cat", "dog", "axolotl"])[given.labels])


def of(classes, each=40, rows=28, columns=28, colours=None):
    def make(path):
        given = drawn(classes, each, rows, columns)
        images = given.images if colours is None else colours(given.images)
        return arrays(path, x_train=images, y_train=given.labels)

    return make


def turned(given):
    return Drawn(given.images.swapaxes(1, 2), given.labels)


def mnist(path):
    return idx_folder(path, {"train": drawn(10), "t10k": drawn(10, 10, seed=1)})


def signs(path):
    given = drawn(24, 30)
    return table(path / "sign_mnist_train.csv", given, True, given.labels + (given.labels > 8))


#: What makes each, and the options that it needs.
SETS = {
    "pictures": (lambda path: folders(path, drawn(5)), ""),
    "photographs of dark ink, in colour": (
        lambda path: folders(path, Drawn(255 - coloured(drawn(5, 60).images), drawn(5, 60).labels),
                             suffix=".jpg"), "--invert"),
    "pictures to train and to test": (
        lambda path: parted(path, drawn(10, rows=32, columns=32), drawn(10, 10, 32, 32, seed=1),
                            suffix=".pgm"), ""),
    "pictures with a palette": (lambda path: folders(path, drawn(6), ".gif", "P"), ""),
    "black and white pictures": (lambda path: folders(path, drawn(6, 40, 24, 24), ".bmp", "1"), ""),
    "pictures in three parts, not square": (
        lambda path: parted(path, *(drawn(8, each, 40, 30, each) for each in (40, 10, 12))), ""),
    "digits' folders": (
        lambda path: folders(path, drawn(11), names=[str(n) for n in range(11)]), ""),
    "arrays": (pair, ""),
    "arrays of channels in front": (
        of(10, 40, 32, 32, lambda images: np.moveaxis(coloured(images), 3, 1)), ""),
    "arrays with groups": (grouped, ""),
    "labels from 1": (from_one, ""),
    "labels with names": (named, ""),
    "MedMNIST's names": (medical, ""),
    "the largest": (of(4, 120, 64, 64), ""),
    "the smallest": (of(10, 40, 12, 12), ""),
    "two classes": (of(2, 100), ""),
    "a hundred classes": (of(100, 12), ""),
    "MNIST's files": (mnist, ""),
    "EMNIST's files": (
        lambda path: idx_folder(
            path, {name: turned(drawn(26, each, seed=each)) for name, each in
                   (("train", 40), ("test", 8))},
            "emnist-letters-{part}-{kind}-idx{dims}-ubyte.gz", 1), "--transpose"),
    "files with dots, none to test": (
        lambda path: idx_folder(path, {"train": drawn(10)}, "{part}-{kind}.idx{dims}-ubyte"), ""),
    "CSV": (lambda path: table(path / "mnist.csv", drawn(10)), ""),
    "CSV in a pair, with headers": (csv_pair, ""),
    "CSV with gaps in the labels": (signs, ""),
}  # fmt: skip
FIRST = "photographs of dark ink, in colour"
NETWORK = (
    "--activation relu --pool max --norm batch --init he --recipe modern --epochs 3 "
    "--set augmentation=none"
)


@pytest.mark.parametrize("name", [FIRST, *wide(name for name in SETS if name != FIRST)])
def test_a_data_set_is_learned_and_exported(name, tmp_path, capsys):
    make, options = SETS[name]
    path, out = make(tmp_path / "own"), tmp_path / "run"
    assert (
        cli.main(["--dataset", str(path), *options.split(), *NETWORK.split(), "--out", str(out)])
        == 0
    )
    screen = capsys.readouterr()
    assert "NOTHING LEARNED" not in screen.out
    assert "--invert" not in screen.err
    trained = checkpoint.load(out / run.MODEL)
    assert trained.info["test_accuracy"] > 2 / trained.classes or trained.classes == 2
    arguments = ["--model", str(out / run.MODEL), "--images", str(out), "--out", str(out / "c")]
    assert export(arguments) == 0
    manifest = json.loads((out / "c/lenet.json").read_text())
    assert tuple(manifest.get("class_names", ())) == trained.class_names
    header = (out / "c/lenet.h").read_text()
    assert ("LENET_CLASS_NAMES" in header) == bool(trained.class_names)
    assert f"#define LENET_CLASSES {trained.classes}\n" in header
    if name == FIRST:
        assert trained.class_names == tuple("ABCDE")
        assert "A pixel is 255 minus that of the data set." in header
