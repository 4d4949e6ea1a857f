"""A user's own data sets: each form is read, each mistake is told with its place and a remedy."""

from __future__ import annotations

import gzip
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lenet_export import idx
from lenet_export.errors import UserError
from lenet_train import cli, data
from lenet_train.datasets import published
from lenet_train.datasets.part import grey

ROWS, COLUMNS, COUNT = 16, 12, 200


def drawn(count=COUNT, rows=ROWS, columns=COLUMNS, seed=0):
    """Light ink in the middle of a dark image; no two are alike."""
    images = np.zeros((count, rows, columns), np.uint8)
    random = np.random.RandomState(seed)
    images[:, 3:-3, 3:-3] = random.randint(0, 256, (count, rows - 6, columns - 6))
    return images


LABELS = np.arange(COUNT) % 4


def pictures(folder, images=None, labels=LABELS, suffix=".png", names="ABCDEFGH"):
    images = drawn() if images is None else images
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / names[label] / f"{number}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return folder


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def csv(path, images=None, labels=LABELS, header=""):
    images = drawn(columns=ROWS) if images is None else images
    lines = [",".join(map(str, [n, *image.flat])) for n, image in zip(labels, images, strict=True)]
    path.write_text("\n".join([*([header] if header else []), *lines]) + "\n")
    return path


def ends(part):
    return sorted(image.tobytes() for image in part.images)


def everything(found):
    parts = (found.training, found.validation, found.test)
    images = np.concatenate([part.images for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    return {image.tobytes(): int(label) for image, label in zip(images, labels, strict=True)}


def expected(images, labels=LABELS):
    return {image.tobytes(): int(label) for image, label in zip(images, labels, strict=True)}


def load(path, **options):
    return data.load(str(path), **options)


@pytest.mark.parametrize("suffix", [".png", ".pgm", ".bmp", ".tiff"])
def test_a_folder_of_class_folders(suffix, tmp_path, capsys):
    found = load(pictures(tmp_path / "letters", suffix=suffix))
    assert found.class_names == ("A", "B", "C", "D") == found.own_names
    assert found.input_shape == (ROWS, COLUMNS, 1)
    assert [len(p.labels) for p in (found.training, found.validation, found.test)] == [136, 24, 40]
    assert everything(found) == expected(drawn())
    assert found.name == "letters"
    assert "no test images: 40 of 200 are held out" in capsys.readouterr().err


def test_jpegs_and_colours_become_grey(tmp_path):
    colours = np.random.RandomState(0).randint(0, 256, (COUNT, 14, 14, 3)).astype(np.uint8)
    colours[:, [0, -1]] = colours[:, :, [0, -1]] = 0
    folder = load(pictures(tmp_path / "colour", colours))
    arrays = load(npz(tmp_path / "colour.npz", x_train=colours, y_train=LABELS))
    assert everything(folder) == everything(arrays) == expected(grey(colours))
    first = load(npz(tmp_path / "first.npz", x_train=np.moveaxis(colours, 3, 1), y_train=LABELS))
    assert everything(first) == everything(arrays)
    jpegs = load(pictures(tmp_path / "jpeg", suffix=".jpg"))
    assert len(jpegs.training.labels) == 136


def test_parts_of_their_own_folders(tmp_path, capsys):
    folder = tmp_path / "own"
    for seed, part in enumerate(("train", "valid", "test")):
        pictures(folder / part, drawn(seed=seed))
    (folder / ".DS_Store").write_text("")
    (folder / "train" / "A" / "Thumbs.db").write_text("")
    found = load(folder)
    for seed, part in enumerate((found.training, found.validation, found.test)):
        assert ends(part) == sorted(image.tobytes() for image in drawn(seed=seed))
    assert found.split == "given"
    assert capsys.readouterr().err == ""


def test_what_lies_beside_the_class_folders_makes_them_nothing_else(tmp_path):
    folder = pictures(tmp_path / "letters")
    for name in ("class_to_idx.json", "idx2label.txt", "labels.csv", ".train-images-idx3-ubyte"):
        (folder / name).write_text("A/0.png,A")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "._0.png").write_text("")
    assert everything(load(folder)) == expected(drawn())


def test_folders_of_digits_are_in_the_order_of_numbers(tmp_path):
    names = [str(n) for n in range(11)]
    labels = np.arange(COUNT) % 11
    found = load(pictures(tmp_path / "numbers", labels=labels, names=names))
    assert found.class_names == tuple(names)
    assert found.own_names == ()
    assert everything(found) == expected(drawn(), labels)


@pytest.mark.parametrize("names", ["x_train y_train x_test y_test", "train_images train_labels "
                                   "test_images test_labels"])  # fmt: skip
def test_arrays(names, tmp_path, capsys):
    x, y, x_test, y_test = names.split()
    arrays = {x: drawn(), y: LABELS[:, None], x_test: drawn(50, seed=1), y_test: LABELS[:50]}
    found = load(npz(tmp_path / "own.npz", **arrays))
    assert [len(p.labels) for p in (found.training, found.validation, found.test)] == [170, 30, 50]
    assert ends(found.test) == sorted(image.tobytes() for image in drawn(50, seed=1))
    assert (found.name, found.own_names, found.classes) == ("own", (), 4)
    assert capsys.readouterr().err == ""


def test_arrays_of_wider_numbers_of_flat_images_and_of_names(tmp_path):
    images = drawn(columns=ROWS)
    wide = npz(tmp_path / "wide.npz", x=images.astype(np.int64), y=LABELS.astype(np.int8))
    flat = npz(tmp_path / "flat.npz", x=images.reshape(COUNT, -1), y=LABELS)
    named = npz(tmp_path / "named.npz", x=images[..., None], y=np.array(list("zebu"))[LABELS])
    assert everything(load(wide)) == everything(load(flat)) == expected(images)
    assert load(named).class_names == ("b", "e", "u", "z")


@pytest.mark.parametrize("header", ["", "label," + ",".join(f"pixel{n}" for n in range(256)),
                                    "label," + ",".join(map(str, range(256)))])  # fmt: skip
def test_csv(header, tmp_path):
    found = load(csv(tmp_path / "own.csv", header=header))
    assert everything(found) == expected(drawn(columns=ROWS))
    assert (found.name, found.input_shape) == ("own", (ROWS, ROWS, 1))


def test_csv_packed_quoted_and_with_other_marks(tmp_path):
    text = csv(tmp_path / "a.csv").read_text()
    (tmp_path / "b.CSV.GZ").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "c.csv").write_text(text.replace(",", ";").replace("\n", "\r\n\r\n"))
    (tmp_path / "d.csv").write_text("\ufeff" + text.replace(",", '","').replace("\n", '"\n"')
                                    .removesuffix('"').join(['"', ""]))  # fmt: skip
    plain = load(tmp_path / "a.csv")
    for name in ("b.CSV.GZ", "c.csv", "d.csv"):
        assert load(tmp_path / name).sha256 == plain.sha256, name


def test_a_pair_of_csv_files(tmp_path, capsys):
    csv(tmp_path / "mnist_train.CSV")
    csv(tmp_path / "Mnist_test.csv", drawn(50, columns=ROWS, seed=1), LABELS[:50])
    (tmp_path / "._mnist_train.csv").write_bytes(b"\0\5\26\7")  # as archives of a Mac have
    assert len(load(tmp_path).test.labels) == 50
    assert capsys.readouterr().err == ""
    assert len(load(tmp_path / "mnist_train.CSV").test.labels) == 40
    assert "Mnist_test.csv beside it is not read: give the folder" in capsys.readouterr().err


@pytest.mark.parametrize("prefix", ["emnist-letters-", "own_"])
def test_idx_files_of_other_names(prefix, tmp_path, capsys):
    for part, count in (("train", COUNT), ("test", 50)):
        images, labels = drawn(count), LABELS[:count].astype(np.uint8) + 1
        (tmp_path / f"{prefix}{part}-images-idx3-ubyte").write_bytes(idx.pack(images))
        packed = gzip.compress(idx.pack(labels))
        (tmp_path / f"{prefix}{part}-labels.idx1-ubyte.gz").write_bytes(packed)
    found = load(tmp_path, transpose=True)
    assert found.class_names == ("1", "2", "3", "4") == found.own_names
    assert ends(found.test) == sorted(image.T.tobytes() for image in drawn(50))
    assert found.input_shape == (COLUMNS, ROWS, 1)
    assert found.convention == "Rows are the columns of the data set."
    told = capsys.readouterr().err
    assert "the labels 1, 2, 3, 4 are the network's classes 0 to 3" in told
    assert ("--transpose" in told) == prefix.startswith("emnist")


def test_idx_files_without_a_test_part_are_held_out_from(tmp_path, capsys):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx.pack(drawn()))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx.pack(LABELS.astype(np.uint8)))
    assert len(load(tmp_path).test.labels) == 40
    assert "no test images" in capsys.readouterr().err


def test_labels_with_gaps_are_classes_with_names(tmp_path):
    found = load(npz(tmp_path / "own.npz", x=drawn(), y=np.array([0, 3, 7, 40])[LABELS]))
    assert found.class_names == ("0", "3", "7", "40")
    assert everything(found) == expected(drawn())


def test_inverted_images_are_told_and_turned_round_if_asked_only(tmp_path, capsys):
    path = npz(tmp_path / "own.npz", x=255 - drawn(), y=LABELS)
    assert everything(load(path)) == expected(255 - drawn())
    assert "bright" in (told := capsys.readouterr().err) and "give --invert" in told
    inverted = load(path, invert=True)
    assert everything(inverted) == expected(drawn())
    assert inverted.convention == "A pixel is 255 minus that of the data set."
    assert "bright" not in capsys.readouterr().err
    load(npz(path, x=drawn(), y=LABELS), invert=True)
    assert "leave out --invert" in capsys.readouterr().err


def test_groups_stay_together(tmp_path, capsys):
    groups = np.array([f"writer {n}" for n in np.random.RandomState(3).randint(0, 25, COUNT)])
    path = npz(tmp_path / "own.npz", x_train=drawn(), y_train=LABELS, groups=groups)
    found = load(path)
    of = {image.tobytes(): group for image, group in zip(drawn(), groups, strict=True)}
    parts = (found.training, found.validation, found.test)
    training, validation, test = ({of[end] for end in ends(part)} for part in parts)
    assert not training & validation and not training & test and not validation & test
    assert [len(part.labels) for part in parts] == pytest.approx([136, 24, 40], abs=12)
    assert found.split == "groups"
    assert "groups, none of which trains" in capsys.readouterr().err
    at_random = load(path, split="random")
    assert at_random.split == "random"
    assert {of[end] for end in ends(at_random.training)} == set(groups)


@pytest.mark.usefixtures("mnist_folder")
def test_the_writers_of_mnist_s_validation_images_do_not_train():
    random, found = data.load("mnist"), data.load("mnist", split="groups")
    assert random.sha256 != found.sha256 and ends(found.test) == ends(random.test)
    writers = published._writers()
    parts = published.read("mnist").by_purpose["training"]
    of = {image.tobytes(): writer for image, writer in zip(parts.images, writers, strict=True)}
    training, validation = (
        {of[end] for end in ends(part)} for part in (found.training, found.validation)
    )
    assert not training & validation
    assert (len(training), len(validation)) == (494, 45)
    assert len(found.validation.labels) == 5_045
    assert len(found.validation.labels) + len(found.training.labels) == 60_000


def test_writers_that_are_not_the_published_ones_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("LENET_DATA", str(tmp_path))
    path = tmp_path / f"{published.WRITERS_FILE}.gz"
    path.write_bytes(gzip.compress(b"something else"))
    with pytest.raises(UserError, match=r"is not QMNIST's file.*\n.*leave out --split groups"):
        published._writers()


def damaged_picture(folder):
    path = folder / "B" / "1.png"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path, "is no picture that can be read", "save it again"


def no_picture(folder):
    path = folder / "B" / "x.jpg"
    path.write_text("not a picture")
    return path, "is no picture that can be read", "save it again"


def two_sizes(folder):
    path = folder / "C" / "x.png"
    Image.fromarray(drawn(1, 20, 20)[0]).save(path)
    return path, "is 20x20 pixels, and 200 of 201 pictures are 12x16", "to one size"


def too_large(folder):
    path = folder / "A" / "0.png"
    Image.fromarray(np.zeros((65, 65), np.uint8)).save(path)
    return path, "is 65x65 pixels, expected at most 64x64", "resize"


def empty_class(folder):
    (folder / "E").mkdir()
    return folder / "E", "is the folder of a class and holds no picture", "or remove it"


def folders_in_a_class(folder):
    (folder / "A" / "more").mkdir()
    what = "is no file, or a link to none, in the folder of the class A"
    return folder / "A" / "more", what, "move it away"


def link_to_nothing(folder):
    (folder / "A" / "9.png").symlink_to(folder / "9.png")
    return folder / "A" / "9.png", "is no file, or a link to none", "move it away"


def loose_pictures(folder):
    shutil.copy(folder / "A" / "0.png", folder)
    return folder, "has pictures beside the folders of classes: 0.png", "a folder for each class"


def one_class_folder(folder):
    for name in "BCD":
        shutil.rmtree(folder / name)
    for number in range(60):
        shutil.copy(folder / "A" / "0.png", folder / "A" / f"x{number}.png")
    return folder, "every label is A, expected more than one class", "two classes"


def few_pictures(folder):
    for name in "CD":
        shutil.rmtree(folder / name)
    (folder / "B" / "1.png").unlink()
    return folder, "has 99 images, expected at least 100", "give more"


def unknown_class(folder):
    pictures(folder.parent / "parted" / "train")
    pictures(folder.parent / "parted" / "test", names="ABCX")
    shutil.rmtree(folder)
    (folder.parent / "parted").rename(folder)
    return folder / "test", "has the label X, which no training image has", "alike"


@pytest.mark.parametrize(
    "damage",
    [damaged_picture, no_picture, two_sizes, too_large, empty_class, folders_in_a_class,
     link_to_nothing,
     loose_pictures, one_class_folder, few_pictures, unknown_class],
    ids=lambda damage: damage.__name__,
)  # fmt: skip
def test_a_folder_of_pictures_that_cannot_be_used_is_told(damage, tmp_path):
    assert_told(pictures(tmp_path / "own"), damage)


def assert_told(path, damage):
    where, what, remedy = damage(path)
    with pytest.raises(UserError) as caught:
        load(path)
    assert caught.value.where == str(where)
    assert what in caught.value.what
    assert remedy in caught.value.remedy


class Program:
    """What would run if a pickle were loaded."""

    def __reduce__(self):
        return Path.touch, (Path("it_ran"),)


X, Y = {"x_train": drawn()}, {"y_train": LABELS}
ARRAYS = {
    "floats": (X | Y | {"x_train": drawn() / 255}, ": x_train", "float64", "255 * images"),
    "0 and 1": (X | Y | {"x_train": drawn() // 255}, ": x_train", "no number but 0 and 1", "255"),
    "no columns": (Y | {"x_train": drawn()[:, :, :0]}, ": x_train", "16, 0)", "give uint8"),
    "black": (X | Y | {"x_train": 0 * drawn()}, ": x_train", "are all black", "0 to 255"),
    "float labels": (X | {"y_train": LABELS / 1}, ": y_train", "float64", "labels.astype(int)"),
    "names' bytes": (X | {"y_train": np.array(list("abcd"), "S")[LABELS]}, ": y_train", "|S1",
                     "labels.astype(str)"),
    "true and false": (X | {"y_train": LABELS > 1}, ": y_train", "bool", "labels.astype(int)"),
    "names in one part": (X | Y | {"x_test": drawn(), "y_test": LABELS.astype(str)}, "",
                          "for test by names, and those for training by numbers", "alike"),
    "one-hot": (X | {"y_train": np.eye(4)[LABELS]}, ": y_train", "(200, 4)", "argmax(axis=1)"),
    "negative": (X | {"y_train": LABELS - 1}, "", "has the label -1", "from 0"),
    "one class": (X | {"y_train": 0 * LABELS}, "", "every label is 0", "two classes"),
    "few labels": (X | {"y_train": LABELS[1:]}, ": y_train", "199 labels, but", "together"),
    "none": ({"a": LABELS}, "", "has no x_train, but a", "np.savez"),
    "no labels": (X, "", "has no y_train", "np.savez"),
    "volumes": (Y | {"x_train": np.zeros((COUNT, 4, 4, 4, 4))}, ": x_train", "shape", "colour"),
    "large": (Y | {"x_train": drawn(rows=65)}, "", "12x65 pixels, expected at most 64", "resize"),
    "test of another size": (
        X | Y | {"x_test": drawn(50, 20), "y_test": LABELS[:50]}, "", "for test", "one size",
    ),
    "objects": (X | {"y_train": np.array([Program()] * COUNT)}, ": y_train", "pickle", "numbers"),
    "groups": (X | Y | {"groups": LABELS[1:]}, ": groups", "(199,)", "each of them"),
    "few groups": (X | Y | {"groups": LABELS // 2}, "", "groups: 2", "--split random"),
    "a nameless class": (X | {"y_train": np.array(list("ab\n "))[LABELS]}, "", "name", "rename"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_cannot_be_used_are_told_and_no_pickle_is_loaded(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arrays, where, what, remedy = ARRAYS[name]
    path = npz(tmp_path / "own.npz", **arrays)
    assert_told(path, lambda path: (f"{path}{where}", what, remedy))
    assert not Path("it_ran").exists()


def with_field(archive, place, value):
    """A zip archive with another byte at a place of its first entry."""
    at = archive.index(b"PK\x01\x02") + place
    return archive[:at] + bytes([value]) + archive[at + 1 :]


def test_a_damaged_npz_is_told(tmp_path):
    path = npz(tmp_path / "own.npz", **X, **Y)
    whole = path.read_bytes()
    pickled = pickle.dumps(Program())
    np.save(tmp_path / "one.npy", drawn())
    single = (tmp_path / "one.npy").read_bytes()
    huge = single[:60].replace(b"(200, ", b"(99999999, ") + single[60:]
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("x_train.npy", huge)
        archive.writestr("y_train.npy", b"no array")
    cases = {
        "cut": whole[: len(whole) // 2],
        "changed": whole[:4000] + bytes([whole[4000] ^ 1]) + whole[4001:],
        "pickle": pickled,
        "empty": b"",
        "huge": (tmp_path / "huge.npz").read_bytes(),
        "a header": whole.replace(b"), }", b"),(}"),
        "encrypted": with_field(whole, 8, 1),
        "packed otherwise": with_field(whole, 10, 99),
    }
    for content in cases.values():
        path.write_bytes(content)
        assert_told(path, lambda path: (path, "is no whole .npz file", "np.savez"))
    path.write_bytes(single)
    assert_told(path, lambda path: (path, "holds a single array", "np.savez"))


def changed(line, column, field):
    def damage(path):
        lines = path.read_text().splitlines()
        fields = lines[line - 1].split(",")
        fields[column - 1 : column] = [field] if field else []
        lines[line - 1] = ",".join(fields)
        path.write_text("\n".join(lines))

    return damage


CSV = {
    "a label": (changed(7, 1, "seven"), ": line 7", "the label is seven, expected a whole number"),
    "the first label": (changed(1, 1, "x"), ": line 1", "the label is x, expected a whole number"),
    "a pixel": (changed(3, 9, "256"), ": line 3", "the pixel in column 9 is 256, expected 0 to"),
    "a float": (changed(3, 9, "0.5"), ": line 3", "the pixel in column 9 is 0.5, expected 0 to"),
    "two signs": (changed(3, 9, "+-5"), ": line 3", "the pixel in column 9 is +-5, expected 0 to"),
    "many digits": (changed(3, 9, "9" * 5000), ": line 3", "the pixel in column 9 is 9999"),
    "other digits": (changed(3, 9, "\u0663"), ": line 3", "column 9 is \u0663, expected"),
    "a large label": (changed(5, 1, "40000"), ": line 5", "the label is 40000, expected a whole"),
    "an open quotation": (changed(5, 1, '"1'), "", "has quotation marks that do not close"),
    "less": (changed(4, 2, ""), ": line 4", "has 256 fields, and the first image's line has 257"),
    "more": (changed(4, 2, "1,1"), ": line 4", "has 258 fields, and the first image's line has"),
    "no labels": (
        lambda path: path.write_text("\n".join("1" + ",2" * 255 for _ in range(COUNT))),
        ": line 1", "has a label and 255 pixels, which are no square",
    ),
    "one field": (lambda path: path.write_text("1\n2\n"), ": line 1", "has 1 field"),
    "nothing": (lambda path: path.write_text("\n"), "", "is empty"),
    "a header": (lambda path: path.write_text("label,pixel0\n"), "", "has no line of an image"),
    "no text": (lambda path: path.write_bytes(b"\xff\xfe\x00"), "", "it is no text"),
}  # fmt: skip


@pytest.mark.parametrize("name", CSV)
def test_csv_that_cannot_be_used_is_told_by_its_line(name, tmp_path):
    damage, where, what = CSV[name]
    path = csv(tmp_path / "own.csv")
    damage(path)
    assert_told(path, lambda path: (f"{path}{where}", what, ""))


def test_what_is_no_data_set_is_told(tmp_path):
    npz(tmp_path / "own.npz", **X, **Y)
    assert_told(tmp_path, lambda path: (path, "is a folder with no data set", f"{path}/own.npz"))
    (tmp_path / "own.txt").write_text("")
    path = tmp_path / "own.txt"
    assert_told(path, lambda path: (path, "is a file of no form that is known", "an .npz file"))


@pytest.mark.parametrize("name", ["digits", "fashion-mnist"])
def test_no_split_by_groups_where_there_are_none(name, tmp_path):
    with pytest.raises(UserError, match=f"^{name}: tells no groups of its images"):
        data.load(name, split="groups")
    with pytest.raises(UserError, match="tells no groups of its images"):
        load(npz(tmp_path / "own.npz", **X, **Y), split="groups")


def test_nothing_is_made_of_what_cannot_be_used(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = pictures(tmp_path / "own")
    where, what, _ = empty_class(path)
    assert cli.main(["--dataset", "own", "--out", "run"]) == 1
    assert f"error: {where.relative_to(tmp_path)}: {what}" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["own"]
