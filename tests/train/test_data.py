"""Data: the splits, and each mistake in a user's files told with file, reason and remedy."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import shutil

import numpy as np
import pytest

from conftest import write_idx_folder
from lenet_export import idx
from lenet_export.errors import UserError
from lenet_train import cli, data, optdigits
from lenet_train.datasets import published
from lenet_train.datasets.idx_files import FILES

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = FILES


def rows(part):
    return {image.tobytes() for image in part.images}


def test_the_small_digits_are_those_of_scikit_learn():
    images, labels = optdigits.load()
    assert images.shape == (1797, 8, 8) and images.max() == 16
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert digest == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
    if importlib.util.find_spec("sklearn"):
        from sklearn.datasets import load_digits

        np.testing.assert_array_equal(images, load_digits().images)
        np.testing.assert_array_equal(labels, load_digits().target)


def test_digits_are_split_once_and_for_all():
    found = data.load("digits")
    parts = (found.training, found.validation, found.test)
    assert [len(part.labels) for part in parts] == [1222, 215, 360]
    assert [part.images.shape[1:] for part in parts] == [(28, 28)] * 3
    assert all(part.images.dtype == part.labels.dtype == np.uint8 for part in parts)
    assert not rows(found.training) & rows(found.test)
    assert not rows(found.validation) & (rows(found.test) | rows(found.training))
    assert found.sha256 == data.load("digits").sha256


def test_digits_look_like_mnist_s():
    images = data.load("digits").training.images
    assert images.max() == 255
    assert np.median(images.max(axis=(1, 2))) > 230
    assert np.mean(images == 0) > 0.5
    ink = images / images.sum(axis=(1, 2), keepdims=True)
    centre = np.einsum("nyx,y->n", ink, np.arange(28)), np.einsum("nyx,x->n", ink, np.arange(28))
    assert np.abs(np.array(centre) - 13.5).max() < 1.1


@pytest.mark.usefixtures("mnist_folder")
def test_mnist_is_split_once_and_for_all():
    found = data.load("mnist")
    parts = (found.training, found.validation, found.test)
    assert [len(part.labels) for part in parts] == [55_000, 5_000, 10_000]
    assert all(np.bincount(part.labels, minlength=10).min() > 400 for part in parts)
    assert not rows(found.training) & rows(found.test)


def test_a_folder_of_plain_or_packed_files_is_a_data_set(idx_folder):
    plain = data.load(str(idx_folder))
    assert [len(p.labels) for p in (plain.training, plain.validation, plain.test)] == [102, 18, 100]
    assert plain.name == "own"
    for path in list(idx_folder.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert data.load(str(idx_folder)).sha256 == plain.sha256


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_names_with_a_dot_are_read(suffix, idx_folder):
    plain = data.load(str(idx_folder))
    for path in list(idx_folder.iterdir()):
        content = gzip.compress(path.read_bytes()) if suffix else path.read_bytes()
        path.with_name(path.name.replace("-idx", ".idx") + suffix).write_bytes(content)
        path.unlink()
    assert data.load(str(idx_folder)).sha256 == plain.sha256


@pytest.mark.parametrize("bright", [False, True])
def test_ink_on_paper_is_told(bright, idx_folder, capsys):
    images = np.zeros((120, 28, 28), np.uint8)
    images[:, 10:18, 10:18] = 200
    (idx_folder / TRAIN_IMAGES).write_bytes(idx.pack(255 - images if bright else images))
    data.load(str(idx_folder))
    assert ("give --invert" in capsys.readouterr().err) == bright


def missing(folder):
    (folder / TEST_LABELS).unlink()
    return [folder, f"neither {TEST_LABELS} nor {TEST_LABELS}.gz", "put it there"]


def truncated(folder):
    path = folder / TRAIN_IMAGES
    path.write_bytes(path.read_bytes()[:-1])
    return [path, "has 94095 bytes, expected 94096"]


def truncated_gzip(folder):
    path = folder / f"{TRAIN_IMAGES}.gz"
    path.write_bytes(gzip.compress((folder / TRAIN_IMAGES).read_bytes())[:-100])
    (folder / TRAIN_IMAGES).unlink()
    return [path, "cannot be read"]


def swapped(folder):
    shutil.copy(folder / TRAIN_LABELS, folder / TRAIN_IMAGES)
    return [folder / TRAIN_IMAGES, "starts with 00 00 08 01, expected 00 00 08 03"]


def colour(folder):
    (folder / TRAIN_IMAGES).write_bytes(idx.pack(np.zeros((120, 28, 28, 3), np.uint8)))
    return [folder / TRAIN_IMAGES, "starts with 00 00 08 04, expected 00 00 08 03", "grey images"]


def floats(folder):
    path = folder / TRAIN_IMAGES
    path.write_bytes(path.read_bytes()[:2] + b"\x0d" + path.read_bytes()[3:])
    return [path, "starts with 00 00 0d 03, expected 00 00 08 03", "as one byte"]


def packed_without_a_name(folder):
    path = folder / TRAIN_IMAGES
    path.write_bytes(gzip.compress(path.read_bytes()))
    return [path, "starts with 1f 8b", "add .gz to its name"]


def wrong_size(folder):
    (folder / TEST_IMAGES).write_bytes(idx.pack(np.zeros((100, 32, 30), np.uint8)))
    return [folder / TEST_LABELS, "images of 30x32 pixels for test, and 28x28 for training"]


def different_lengths(folder):
    (folder / TRAIN_LABELS).write_bytes(idx.pack(np.arange(119, dtype=np.uint8) % 10))
    return [folder / TRAIN_LABELS, "has 119 labels", "has 120 images"]


def labels_from_one(folder):
    (folder / TEST_LABELS).write_bytes(idx.pack(np.arange(100, dtype=np.uint8) % 10 + 1))
    return [folder / TEST_LABELS, "has the label 10, which no training image has", "alike"]


def a_class_an_image(folder):
    (folder / TRAIN_LABELS).write_bytes(idx.pack(np.arange(120, dtype=np.uint8)))
    return [folder / TRAIN_LABELS, "has 120 classes, 0 to 119, expected 100 at most"]


def a_single_image(folder):
    labels = np.arange(120, dtype=np.uint8) % 2
    order = np.random.RandomState(1998).permutation(120)
    labels[order[-1]] = 9  # which is held out
    (folder / TRAIN_LABELS).write_bytes(idx.pack(labels))
    (folder / TEST_LABELS).write_bytes(idx.pack(np.arange(100, dtype=np.uint8) % 2))
    return [folder / TRAIN_LABELS, "no image of class 9 is left to train with"]


def other_names(folder):
    for path in list(folder.iterdir()):
        path.rename(path.with_name(path.name.replace("ubyte", "bytes")))
    return [folder, "has IDX files of other names: t10k-images-idx3-bytes", f"hold {TRAIN_IMAGES}"]


def two_data_sets(folder):
    shutil.copy(folder / TEST_LABELS, folder / f"emnist-digits-{TEST_LABELS}")
    return [folder, "holds IDX files of 2 data sets: MNIST, emnist-digits", "a folder of their own"]


def too_large(folder):
    for part, count in (("train", 120), ("t10k", 100)):
        images = np.zeros((count, 65, 40), np.uint8)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx.pack(images))
    return [folder / TRAIN_LABELS, "has images of 40x65 pixels, expected at most 64x64"]


def one_class(folder):
    (folder / TRAIN_LABELS).write_bytes(idx.pack(np.full(120, 7, np.uint8)))
    return [folder / TRAIN_LABELS, "every label is 7"]


def too_few(folder):
    write_idx_folder(folder, training=99)
    return [folder / TRAIN_LABELS, "has 99 images, expected at least 100"]


def empty(folder):
    write_idx_folder(folder, test=0)
    return [folder / TEST_IMAGES, "is empty: the shape in its header is (0, 28, 28)"]


@pytest.mark.parametrize(
    "damage",
    [
        missing, other_names, two_data_sets, truncated, truncated_gzip, swapped, colour, floats,
        packed_without_a_name, wrong_size,
        too_large, different_lengths, labels_from_one, a_class_an_image, a_single_image, one_class,
        too_few, empty,
    ],
    ids=lambda damage: damage.__name__,
)  # fmt: skip
def test_a_damaged_folder_is_told(damage, idx_folder):
    where, *said = damage(idx_folder)
    with pytest.raises(UserError) as caught:
        data.load(str(idx_folder))
    assert caught.value.where == str(where)
    assert all(str(part) in f"{caught.value.what} {caught.value.remedy}" for part in said)


def test_a_damaged_folder_is_told_before_anything_is_made(idx_folder, tmp_path, capsys):
    where, *_ = truncated(idx_folder)
    out = tmp_path / "run"
    assert cli.main(["--dataset", str(idx_folder), "--out", str(out)]) == 1
    first, remedy = capsys.readouterr().err.splitlines()
    assert first.startswith(f"lenet-train: error: {where}: ")
    assert remedy.startswith("  ")
    assert not out.exists()


def test_a_name_that_is_neither_data_set_nor_folder_is_told(capsys):
    assert cli.main(["--dataset", "minst"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("lenet-train: error: minst: is neither the name of a data set")
    assert "digits, mnist, fashion-mnist" in message


@pytest.fixture
def own_mnist(idx_folder, monkeypatch):
    """The small folder, as if it were published under the name mnist."""
    source = published.Source(
        mirrors=(),
        packed=dict.fromkeys(FILES, "0" * 64),
        unpacked={
            name: hashlib.sha256((idx_folder / name).read_bytes()).hexdigest() for name in FILES
        },
    )
    monkeypatch.setitem(published.SOURCES, "mnist", source)
    return idx_folder


def test_lenet_data_is_looked_at_first_by_name_then_itself(own_mnist, monkeypatch, tmp_path):
    monkeypatch.setenv("LENET_DATA", str(own_mnist))
    direct = data.load("mnist")
    named = tmp_path / "all"
    shutil.copytree(own_mnist, named / "mnist")
    monkeypatch.setenv("LENET_DATA", str(named))
    assert data.load("mnist").sha256 == direct.sha256
    assert direct.name == "mnist"


def test_in_lenet_data_any_gzip_of_the_published_bytes_will_do(own_mnist, monkeypatch):
    monkeypatch.setenv("LENET_DATA", str(own_mnist))
    path = own_mnist / TRAIN_IMAGES
    (own_mnist / f"{TRAIN_IMAGES}.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
    path.unlink()
    assert len(data.load("mnist").training.labels) == 102


def test_a_file_in_lenet_data_that_is_not_the_published_one_is_told(own_mnist, monkeypatch):
    monkeypatch.setenv("LENET_DATA", str(own_mnist))
    path = own_mnist / TEST_LABELS
    labels = idx.read(path, 1).copy()
    labels[3] ^= 1
    path.write_bytes(idx.pack(labels))
    with pytest.raises(UserError, match="is not mnist's file: its SHA-256 is") as caught:
        data.load("mnist")
    assert caught.value.where == str(path)


def test_a_file_missing_in_lenet_data_is_told_and_not_fetched(own_mnist, monkeypatch):
    monkeypatch.setenv("LENET_DATA", str(own_mnist))
    (own_mnist / TRAIN_LABELS).unlink()
    with pytest.raises(UserError, match=f"has neither {TRAIN_LABELS} nor"):
        data.load("mnist")


def test_lenet_data_that_is_no_folder_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("LENET_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="is not a folder") as caught:
        data.load("mnist")
    assert caught.value.where.startswith("LENET_DATA=")
