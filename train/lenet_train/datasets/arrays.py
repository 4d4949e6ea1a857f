"""NumPy's arrays in an ``.npz`` file."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from lenet_export.errors import UserError
from lenet_export.images import check_images
from lenet_train.datasets.part import Array, Part, Parts, UInt8, check_labels_given, grey, listed

#: What the arrays of each part are called: Keras's names, and MedMNIST's.
NAMES = {
    "training": (("x_train", "y_train"), ("train_images", "train_labels"), ("x", "y")),
    "validation": (("x_val", "y_val"), ("val_images", "val_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}
GROUPS = ("groups_train", "groups")
LAYOUT = (
    "make it by np.savez(file, x_train=images, y_train=labels, x_test=..., y_test=...), and "
    "groups=... where images of x_train belong together"
)

#: What NumPy and zipfile raise of a damaged file, or of one that is packed in an unknown way.
DAMAGE = (
    OSError, EOFError, ValueError, KeyError, TypeError, MemoryError, OverflowError, RuntimeError,
    SyntaxError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def recognizes(path: Path) -> bool:
    """Whether it is such a file by its name."""
    return path.suffix.lower() == ".npz" and path.is_file()


def read(path: Path) -> Parts:
    """The data set in the file at ``path``.

    Raises:
        UserError: it lacks arrays, they are of another type or shape, or the file is damaged.
    """
    try:
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise UserError(path, "holds a single array", LAYOUT)
            wanted = {name for pairs in NAMES.values() for pair in pairs for name in pair}
            arrays = {name: _array(path, file, name) for name in {*wanted, *GROUPS} & {*file.files}}
            given = list(file.files)
    except DAMAGE as error:
        if isinstance(error, OSError) and error.strerror:
            what, remedy = f"cannot be read: {error.strerror.lower()}", "check the path"
        else:
            what, remedy = "is no whole .npz file", LAYOUT
        raise UserError(path, what, remedy) from None
    parts = {}
    for purpose, pairs in NAMES.items():
        pair = next((pair for pair in pairs if arrays.keys() & {*pair}), None)
        if pair and not arrays.keys() >= {*pair}:
            (missing,) = {*pair} - arrays.keys()
            raise UserError(path, f"has no {missing} beside {listed(given)}", LAYOUT)
        if pair:
            parts[purpose] = _part(path, *((f"{path}: {name}", arrays[name]) for name in pair))
    if "training" not in parts:
        raise UserError(path, f"has no x_train, but {listed(given) or 'no array'}", LAYOUT)
    groups = next((arrays[name] for name in GROUPS if name in arrays), None)
    if groups is not None:
        images = len(parts["training"].images)
        if groups.shape != (images,) or groups.dtype.kind not in "iuUS":
            raise UserError(
                f"{path}: groups",
                f"are {groups.dtype} {groups.shape}, and there are {images} training images",
                "give a number or a name for each of them",
            )
        parts["training"] = parts["training"]._replace(groups=groups)
    return Parts(parts)


def _array(path: Path, file: np.lib.npyio.NpzFile, name: str) -> Array:
    """An array of the file; what is a pickle in it is never loaded.

    Raises:
        UserError: it is one.
    """
    try:
        array: Array = file[name]
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name} is no array")
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        raise UserError(
            f"{path}: {name}",
            "holds Python's objects, as a pickle, which may be a program: it is not loaded",
            "save arrays of one shape and of numbers: np.stack(images), np.array(labels)",
        ) from None
    return array


def _part(path: Path, images: tuple[str, Array], labels: tuple[str, Array]) -> Part:
    """A part of two arrays, each with its place.

    Raises:
        UserError: they are no images and labels.
    """
    checked, given = _images(*images), _labels(*labels)
    check_labels_given(Path(labels[0]), len(given), len(checked), images[0])
    return Part(path, checked, given)


def _images(where: str, images: Array) -> UInt8:
    """Grey images uint8 ``(n, rows, columns)``; channels may be first or last, pixels in a row.

    Raises:
        UserError: they are of another type or shape.
    """
    shape = images.shape
    if images.dtype.kind in "iu" and images.size and 0 <= images.min() <= images.max() <= 255:
        images = images.astype(np.uint8)
    side = math.isqrt(shape[1]) if len(shape) == 2 else 0
    if side and side * side == shape[1]:
        images = images.reshape(-1, side, side)
    elif len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3):
        images = np.moveaxis(images, 1, -1)
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    is_colour = images.ndim == 4 and images.shape[3] == 3
    if images.ndim != 3 and not is_colour:
        raise UserError(
            where,
            f"has the shape {shape}",
            "give (images, rows, columns), or with 3 channels of colour behind",
        )
    check_images(images, images.shape[1:], where)
    return grey(images) if is_colour else images


def _labels(where: str, labels: Array) -> Array:
    """Labels ``(n,)``: whole numbers or names.

    Raises:
        UserError: they are neither.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    remedy = "give a whole number or a name for each image"
    if labels.ndim == 2:
        raise UserError(where, f"has the shape {labels.shape}", f"{remedy}: labels.argmax(axis=1)")
    is_whole = labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels % 1 == 0).all()
    if is_whole or labels.dtype.kind == "b":
        remedy += ": labels.astype(int)"
    if labels.dtype.kind == "S":
        remedy += ": labels.astype(str)"
    if labels.ndim != 1 or labels.dtype.kind not in "iuU":
        raise UserError(where, f"is {labels.dtype} {labels.shape}", remedy)
    return labels
