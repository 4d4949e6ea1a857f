"""What a form of data sets gives: images and labels as they are in the user's files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lenet_export.errors import UserError

UInt8 = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]


class Part(NamedTuple):
    """The images of one purpose, in the order of the files.

    Attributes:
        where: the file of the labels, or the folder of the images, for messages.
        images: uint8 ``(n, rows, columns)``.
        labels: whole numbers or names of classes, ``(n,)``.
        groups: of each image what it shares with others of its group, such as its writer, ``(n,)``;
            ``None`` where nothing is known of that.
    """

    where: Path
    images: UInt8
    labels: Array
    groups: Array | None = None


@dataclass(frozen=True)
class Parts:
    """A data set as its files have it.

    Attributes:
        by_purpose: ``training``, and ``validation`` and ``test`` where the files have them.
        notes: what a user should know of them, in sentences.
    """

    by_purpose: Mapping[str, Part]
    notes: tuple[str, ...] = ()


LARGEST = 64  # rows and columns of an image
RESIZE = "Pillow's image.resize((28, 28)), or ImageMagick's mogrify -resize '28x28!' *.png"

#: What folders and arrays call the parts of a data set, in small letters.
PURPOSES = {
    "training": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing", "t10k"),
}


#: What file managers and archivers leave beside a user's files, in small letters.
LEFT_BEHIND = ("thumbs.db", "desktop.ini", "__macosx")


def shown(folder: Path) -> list[Path]:
    """What a user put into a folder, by name: nothing hidden, nothing that a system left there."""
    files = (file for file in folder.iterdir() if not file.name.startswith("."))
    files = (file for file in files if file.name.lower() not in LEFT_BEHIND)
    return sorted(files, key=lambda file: natural(file.name))


def grey(colours: UInt8) -> UInt8:
    """Grey bytes ``(...)`` of red, green and blue ones ``(..., 3)``.

    ITU-R 601's weights, 0.299, 0.587 and 0.114, in 16 bits: as Pillow makes a picture grey.
    """
    weighted = colours.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    made: UInt8 = ((weighted + 2**15) >> 16).astype(np.uint8)
    return made


def check_size(where: object, shape: tuple[int, ...], of: str = "is") -> None:
    """Checks that images are no larger than a network of this kind is for.

    Args:
        where: they are.
        shape: rows and columns of each.
        of: what is at that place.

    Raises:
        UserError: they are.
    """
    if max(shape) > LARGEST:
        raise UserError(
            where,
            f"{of} {told(shape)} pixels, expected at most {LARGEST}x{LARGEST}",
            f"bring all pictures to one such size: {RESIZE}",
        )


def told(shape: tuple[int, ...]) -> str:
    """Rows and columns, as they are said: ``28x28``, columns first."""
    rows, columns = shape
    return f"{columns}x{rows}"


def check_labels_given(where: Path, labels: int, images: int, of: object) -> None:
    """Checks that there is a label for each image.

    Args:
        where: the labels are.
        labels: how many there are.
        images: likewise.
        of: where the images are.

    Raises:
        UserError: there is not.
    """
    if labels != images:
        raise UserError(
            where,
            f"has {labels} labels, but {of} has {images} images",
            "give images and labels that belong together",
        )


def listed(names: Sequence[str], most: int = 5) -> str:
    """Some names in a line: ``a, b, c, ...``."""
    return ", ".join([*names[:most], *(["..."] if len(names) > most else [])])


def natural(text: str) -> list[tuple[bool, int, str]]:
    """What sorts ``2`` before ``10``."""
    parts = re.split(r"(\d+)", text)
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]
