"""The images and labels that a user gives: what they must be, and what is plainly wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lenet_export import idx
from lenet_export.errors import UserError
from lenet_export.reference import Images

Labels = npt.NDArray[Any]

#: The labels of MNIST's test images that tell who wrote them (Yadav and Bottou, 2019).
QMNIST = "qmnist-test-labels-idx2-int"
STUDENTS = 4  # the series of NIST that is of a high school; the others are of the Census Bureau
SERIES = "students", "employees"


def without_ones(images: Any, shape: tuple[int, ...]) -> Any:
    """The images in ``shape``, if they differ from it by axes of one alone."""
    found = getattr(images, "shape", ())
    return images.reshape(len(images), *shape) if found and _alike(found[1:], shape) else images


def _alike(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether shapes differ by axes of one alone."""
    return [size for size in shape if size != 1] == [size for size in other if size != 1]


def check_bytes(images: Any, shape: tuple[int, ...], where: object = "images") -> Images:
    """``images`` if they are bytes of ``shape``.

    Raises:
        UserError: they are floats, of another shape, or none.
    """
    wanted = f"give uint8 (images, {', '.join(map(str, shape))})"
    dtype = getattr(images, "dtype", None)
    found = f"are {dtype if dtype is not None else type(images).__name__} {_told_shape(images)}"
    if dtype != np.uint8:
        is_number = dtype is not None and np.dtype(dtype).kind in "fiub"
        in_one = is_number and images.size and images.min() >= 0 and images.max() <= 1
        to_bytes = ": np.round(255 * images).astype(np.uint8)" if in_one else ""
        if is_number and not in_one and np.dtype(dtype).kind == "f":
            to_bytes = "; and what was made of them as input_mean and input_std"
        raise UserError(where, found, f"{wanted}, the bytes that are divided by 255{to_bytes}")
    if images.shape[1:] != shape or not images.size:
        one = "; of one image: images[None]" if _alike(images.shape, shape) else ""
        raise UserError(where, found, wanted + one)
    checked: Images = images
    return checked


def check_images(images: Any, shape: tuple[int, ...], where: object = "images") -> Images:
    """``images`` if they are bytes of ``shape`` that can be pictures.

    Raises:
        UserError: they are floats, of another shape, none, only 0 and 1, or all the same.
    """
    checked = check_bytes(images, shape, where)
    if images.max() <= 1:
        what = "are all black" if images.max() == 0 else "hold no number but 0 and 1"
        raise UserError(
            where,
            f"{what}: were floats from 0 to 1 cast to bytes?",
            "give bytes from 0 to 255: np.round(255 * images).astype(np.uint8)",
        )
    if images.min() == images.max() or (len(images) > 1 and (images == images[0]).all()):
        raise UserError(where, "are all the same", "give some hundred different images")
    return checked


def check_labels(labels: Any, classes: int, where: object = "labels") -> Labels:
    """The labels as integers.

    Raises:
        UserError: they are none of the network's classes.
    """
    numbers = np.asarray(labels)
    remedy = f"give labels of 0 to {classes - 1}" + ("" if where == "labels" else ", or none")
    if numbers.dtype.kind not in "iu":
        raise UserError(where, f"are {numbers.dtype}, expected whole numbers", remedy)
    wrong = (numbers < 0) | (numbers >= classes)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise UserError(
            where, f"label {at} is {numbers[at]}, and the model has {classes} classes", remedy
        )
    return numbers


def check_count(images: Any, labels: Any) -> None:
    """Checks that there is a label for each image.

    Raises:
        UserError: there is not.
    """
    if images is None:
        raise UserError("labels", "are given without images", "give the images that they are of")
    found = _told_shape(labels)
    if found != str((len(images),)):
        raise UserError(
            "labels",
            f"have the shape {found}",
            "give one for each image: a whole number, not a vector with a 1",
        )


def _told_shape(values: Any) -> str:
    """The shape of what may be no array, for a message."""
    try:
        return str(np.shape(values))
    except ValueError:
        return "of rows that differ in length"


class Writers(NamedTuple):
    """Who wrote each image, as QMNIST tells it.

    Attributes:
        numbers: of the writers.
        groups: what each image's writer belonged to.
    """

    numbers: npt.NDArray[Any]
    groups: npt.NDArray[Any]


def read_writers(folder: Path, labels: Labels | None) -> Writers | None:
    """Who wrote MNIST's test images, if QMNIST's labels lie in ``folder``, or in ``../qmnist``.

    Args:
        folder: of the images.
        labels: theirs, which must be QMNIST's, too.

    Raises:
        UserError: the file is damaged, or of other images.
    """
    found = (idx.find(of, QMNIST) for of in (folder, folder.resolve().parent / "qmnist"))
    path = next((of for of in found if of), None)
    if path is None or labels is None or not folder.is_dir():
        return None
    told = idx.read(path, 2, kind=idx.INT32)
    if told.shape[1] < 3 or not np.array_equal(told[: len(labels), 0], labels):
        if path.parent != folder:
            return None
        raise UserError(path, "is not of these images", "take it away, or give QMNIST's own")
    series, numbers = told[: len(labels), 1], told[: len(labels), 2]
    return Writers(numbers, np.where(series == STUDENTS, *SERIES))


def read_images(
    folder: Path, shape: tuple[int, int, int], classes: int
) -> tuple[Images, Labels | None]:
    """The test images of an IDX folder, and their labels if they are there.

    Args:
        folder: with ``t10k-images-idx3-ubyte`` and perhaps ``t10k-labels-idx1-ubyte``, plain or
            gzipped; or a path of an IDX file of images itself.
        shape: rows, columns, channels that the model reads.
        classes: that it tells apart.

    Raises:
        UserError: a file is missing, damaged, or does not fit the model; or the images are none.
    """
    dims = 3 if shape[2] == 1 else 4
    labels: Labels | None = None
    path: Path | None = folder
    if folder.is_dir():
        path = idx.find(folder, f"t10k-images-idx{dims}-ubyte")
        if path is None:
            raise UserError(
                folder,
                f"holds no t10k-images-idx{dims}-ubyte, plain or .gz",
                "give a folder of MNIST's layout, e.g. the one that lenet-train wrote",
            )
        label_path = idx.find(folder, "t10k-labels-idx1-ubyte")
        labels = None if label_path is None else idx.read(label_path, 1)
    assert path is not None
    images = idx.read(path, dims, shape[: dims - 1])
    if labels is not None:
        if len(labels) != len(images):
            raise UserError(
                folder, f"has {len(images)} images but {len(labels)} labels", "give matching files"
            )
        labels = check_labels(labels, classes, label_path)
    return check_images(images.reshape(len(images), *shape), shape, path), labels
