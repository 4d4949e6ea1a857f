"""Images and labels: UCI's small digits, MNIST, Fashion-MNIST, or the user's own IDX files."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export import idx
from lenet_export.errors import UserError
from lenet_train import download, optdigits

CLASSES = 10
SIDE = 28
FEWEST = 100
IMAGES = "{}-images-idx3-ubyte"
LABELS = "{}-labels-idx1-ubyte"
FILES = {
    IMAGES.format("train"): 3,
    LABELS.format("train"): 1,
    IMAGES.format("t10k"): 3,
    LABELS.format("t10k"): 1,
}

#: How an image of a data set is made from a camera's or scanner's; the C header prints it.
_DIGIT = "A digit is scaled to fit into 20x20 pixels and centred by its mass."
CONVENTIONS = {"digits": _DIGIT, "mnist": _DIGIT}

UInt8 = npt.NDArray[np.uint8]

_PACKING = "lenet_export.idx.pack makes such a file's bytes of a NumPy array of bytes"


@dataclass(frozen=True)
class Examples:
    """Images uint8 ``(n, 28, 28)``, 0 background, 255 ink, and labels uint8 ``(n,)``, 0 to 9.

    Where a teacher has judged them, labels are probabilities, float32 ``(n, 10)``.
    """

    images: UInt8
    labels: npt.NDArray[Any]

    def __getitem__(self, at: Any) -> Examples:
        """The images and labels at the places ``at``."""
        return Examples(self.images[at], self.labels[at])


@dataclass(frozen=True)
class Dataset:
    """A data set, split.

    Attributes:
        name: as the run calls it.
        training: what the network learns from.
        validation: what choices are made by; no image of it is learned from.
        test: what the result is measured on, once; nothing is chosen by it.
    """

    name: str
    training: Examples
    validation: Examples
    test: Examples

    @property
    def sha256(self) -> str:
        """The hash of the images and labels of all three splits, in order."""
        digest = hashlib.sha256()
        for part in (self.training, self.validation, self.test):
            digest.update(np.ascontiguousarray(part.images).tobytes())
            digest.update(np.ascontiguousarray(part.labels).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Source:
    """Where a published data set lies.

    Attributes:
        mirrors: addresses of folders, tried in turn.
        packed: file name to SHA-256 of the published ``.gz``.
        unpacked: the same of the unpacked files, where it is published.
    """

    mirrors: tuple[str, ...]
    packed: dict[str, str]
    unpacked: dict[str, str]


SOURCES = {
    # LeCun, Cortes, Burges, http://yann.lecun.com/exdb/mnist; CC BY-SA 3.0.
    "mnist": Source(
        mirrors=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
        packed={
            "train-images-idx3-ubyte": (
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
            ),
            "train-labels-idx1-ubyte": (
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
            ),
            "t10k-images-idx3-ubyte": (
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
            ),
            "t10k-labels-idx1-ubyte": (
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
            ),
        },
        unpacked={
            "train-images-idx3-ubyte": (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            ),
            "train-labels-idx1-ubyte": (
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
            ),
            "t10k-images-idx3-ubyte": (
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
            ),
            "t10k-labels-idx1-ubyte": (
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
            ),
        },
    ),
    # Xiao, Rasul, Vollgraf, https://github.com/zalandoresearch/fashion-mnist; MIT.
    "fashion-mnist": Source(
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        packed={
            "train-images-idx3-ubyte": (
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
            ),
            "train-labels-idx1-ubyte": (
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
            ),
            "t10k-images-idx3-ubyte": (
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
            ),
            "t10k-labels-idx1-ubyte": (
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
            ),
        },
        unpacked={},
    ),
}

NAMES = ("digits", *SOURCES)


def load(name: str) -> Dataset:
    """The data set ``name``: one of ``NAMES``, or a folder that holds the four IDX files.

    Raises:
        UserError: a file is missing, damaged, not the published one, or does not hold 28x28 images
            and labels 0 to 9; or no mirror gives it.
    """
    if name == "digits":
        return digits()
    if name in SOURCES:
        folder = _local(name) or _fetch(name)
    else:
        folder = Path(name)
        if not folder.is_dir():
            is_file = "a file, " if folder.exists() else ""
            raise UserError(
                name,
                f"is {is_file}neither the name of a data set nor a folder",
                f"names: {', '.join(NAMES)}; or a folder that holds {', '.join(FILES)}; {_PACKING}",
            )
        # The name goes into the model's file, which tells no path of the user's machine.
        name = folder.resolve().name
        if name in NAMES:  # Not the published one: that is asked for by its name.
            name = f"own-{name}"
    training, test = read_pair(folder, "train"), read_pair(folder, "t10k")
    _warn_of_bright_background(training.images, folder)
    return _split(name, training, test)


def _split(name: str, images: Examples, test: Examples) -> Dataset:
    """Takes the validation split from the training images.

    It is the last 5,000 of them in a fixed random order, or the last 15 % if that is fewer.
    """
    count = len(images.labels)
    # RandomState and not Generator: only its numbers are promised to stay the same (NEP 19).
    order = np.random.RandomState(1998).permutation(count)
    held = min(5000, count * 15 // 100)
    return Dataset(name, images[order[:-held]], images[order[-held:]], test)


def digits() -> Dataset:
    """UCI's 1,797 small digits, made like MNIST's; 360 of them at random are the test images.

    Each 8x8 image is enlarged to 20x20 by a cubic spline and put into 28x28 by its centre of mass,
    as MNIST's were. ``optdigits/README.md`` tells their source.
    """
    from scipy.ndimage import center_of_mass, zoom

    small, labels = optdigits.load()
    images = np.zeros((len(small), SIDE, SIDE), np.uint8)
    for image, eight in zip(images, small.astype(np.float64), strict=True):
        twenty = zoom(eight, 20 / 8, order=3, mode="nearest", grid_mode=True)
        twenty = np.clip(twenty * (255 / 16), 0, 255).round()
        corner = [round((SIDE - 1) / 2 - place) for place in center_of_mass(twenty)]
        top, left = np.clip(corner, 0, SIDE - 20)
        image[top : top + 20, left : left + 20] = twenty
    everything = Examples(images, labels)
    order = np.random.RandomState(1998).permutation(len(images))
    return _split("digits", everything[order[:-360]], everything[order[-360:]])


def read_pair(folder: Path, part: str) -> Examples:
    """The images and labels of ``part``, ``train`` or ``t10k``, from IDX files in ``folder``.

    Raises:
        UserError: see :func:`load`.
    """
    paths = [_find(folder, name.format(part)) for name in (IMAGES, LABELS)]
    images, labels = idx.read(paths[0], 3, (SIDE, SIDE)), idx.read(paths[1], 1)
    again = "give images and labels that belong together"
    if len(images) != len(labels):
        raise UserError(
            paths[1], f"has {len(labels)} labels, but {paths[0]} has {len(images)} images", again
        )
    if len(labels) < FEWEST:
        raise UserError(
            paths[0], f"has {len(labels)} images, expected at least {FEWEST}", "give more images"
        )
    _check_labels(paths[1], labels)
    return Examples(images, labels)


def _check_labels(path: Path, labels: UInt8) -> None:
    """Makes sure that the network's outputs can stand for the labels of the file ``path``.

    Raises:
        UserError: they are of more classes than it has, none of ``0`` to ``9``, or of one class.
    """
    classes = np.unique(labels)
    if classes[-1] >= CLASSES:
        raise UserError(
            path,
            f"holds {len(classes)} classes, labels {classes[0]} to {classes[-1]}, expected 0 to 9",
            f"leave out all but {CLASSES} classes, which is what the network tells apart, and "
            "number them from 0"
            if len(classes) > CLASSES
            else "number the classes from 0, in the training and the test labels",
        )
    if len(classes) == 1:
        raise UserError(
            path,
            f"every label is {classes[0]}, expected more than one class",
            "give images of two classes at least",
        )


def _warn_of_bright_background(images: UInt8, folder: Path) -> None:
    """Says so where the images look like ink on paper: 0 is background, here and in the C."""
    border = np.concatenate([images[:, [0, -1]], images[:, :, [0, -1]].swapaxes(1, 2)], axis=1)
    if np.quantile(border, 0.25) > 127:
        print(
            f"{folder}: the images' borders are bright, though 0 is background and 255 ink, and "
            "the network adds a border of 0: give 255 - image if this is ink on paper",
            file=sys.stderr,
        )


def _find(folder: Path, name: str) -> Path:
    path = idx.find(folder, name)
    if path is None:
        files = f"{', '.join(FILES)}, plain or .gz"
        remedy = f"put it there; the folder must hold {files}; {_PACKING}"
        others = sorted(file.name for file in folder.iterdir() if "idx" in file.name)
        if others and not any(idx.find(folder, file) for file in FILES):
            like = next((other for other in others if name in other), others[0])
            remedy = f"rename {like} and its like; the folder must hold {files}"
        raise UserError(folder, f"has neither {name} nor {name}.gz", remedy)
    return path


def _local(name: str) -> Path | None:
    """The folder with the published files in ``LENET_DATA``, or ``None`` if it has none of them.

    Raises:
        UserError: ``LENET_DATA`` is not a folder, or a file is missing or not the published one.
    """
    root = os.environ.get("LENET_DATA")
    if not root:
        return None
    if not Path(root).is_dir():
        raise UserError(f"LENET_DATA={root}", "is not a folder", "correct or unset the variable")
    for folder in (Path(root) / name, Path(root)):
        if any(idx.find(folder, file) for file in FILES):
            for file in FILES:
                _check_published(_find(folder, file), file, name)
            return folder
    print(f"LENET_DATA={root} has no {name}; taking it from cache or network", file=sys.stderr)
    return None


def _check_published(path: Path, file: str, name: str) -> None:
    """Checks that ``path`` holds the published bytes of ``file``, packed by whichever gzip."""
    source = SOURCES[name]
    known = {hashes[file] for hashes in (source.packed, source.unpacked) if file in hashes}
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found in known:
        return
    if file in source.unpacked:
        found = hashlib.sha256(idx.pack(idx.read(path, FILES[file]))).hexdigest()
        if found in known:
            return
    raise UserError(
        path,
        f"is not {name}'s file: its SHA-256 is {found}, expected {' or '.join(sorted(known))}",
        "fetch it again, or train on it as your own data with --dataset and its folder",
    )


def _fetch(name: str) -> Path:
    """The folder in the user's cache with the published files, fetched if they are not there.

    Raises:
        UserError: no mirror gives a file with the published SHA-256.
    """
    folder = download.cache() / name
    for file, sha256 in SOURCES[name].packed.items():
        download.fetch(folder, f"{file}.gz", sha256, SOURCES[name].mirrors)
    return folder
