"""The CSV form of MNIST: a line for each image, its label first, then its pixels row by row."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path

import numpy as np

from lenet_export.errors import UserError
from lenet_train.datasets.part import PURPOSES, Part, Parts, listed, shown

SUFFIXES = (".csv", ".csv.gz")
LAYOUT = "give a line for each image: its label, then its pixels row by row, 0 to 255, with commas"
DELIMITERS = ",;\t"
LABEL_MAX = 2**15 - 1


def recognizes(path: Path) -> bool:
    """Whether it is such a file, or a folder with one, by its name."""
    if path.is_dir():
        return any(recognizes(file) for file in shown(path) if file.is_file())
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def read(path: Path) -> Parts:
    """The data set in a file, or in a folder's files of ``train`` and ``test`` in their names.

    Raises:
        UserError: the files cannot be told apart, or one is damaged.
    """
    if path.is_file():
        return Parts({"training": _part(path)}, _beside(path))
    files = [file for file in shown(path) if file.is_file() and recognizes(file)]
    by_purpose: dict[str, list[Path]] = {purpose: [] for purpose in PURPOSES}
    for file in files:
        for purpose, words in PURPOSES.items():
            if any(word in file.name.lower() for word in words):
                by_purpose[purpose].append(file)
    if len(files) == 1:
        by_purpose = {"training": files}
    is_clear = all(len(found) <= 1 for found in by_purpose.values())
    if not is_clear or sum(map(len, by_purpose.values())) != len(files):
        raise UserError(
            path,
            f"has CSV files that are not clearly one to train and one to test: "
            f"{listed([file.name for file in files])}",
            "name them train.csv and test.csv, or give one file",
        )
    if not by_purpose["training"]:
        raise UserError(path, "has no CSV file to train", "name it train.csv")
    return Parts({purpose: _part(found[0]) for purpose, found in by_purpose.items() if found})


def _beside(path: Path) -> tuple[str, ...]:
    """What is told of a file of tests that lies beside one to train, and is not read."""
    if "train" not in path.name.lower():
        return ()
    name = path.name.lower().replace("train", "test")
    other = next((file.name for file in shown(path.parent) if file.name.lower() == name), "")
    return (f"{other} beside it is not read: give the folder",) if other else ()


def _part(path: Path) -> Part:
    """The images of a file.

    Raises:
        UserError: its lines are not :data:`LAYOUT`.
    """
    lines = _text(path).splitlines()
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise UserError(path, "is empty", LAYOUT)
    delimiter = max(DELIMITERS, key=lines[first].count)
    fields = lines[first].split(delimiter)
    numbers = [field.strip(' "') for field in fields[1:]]
    are_pixels = None not in map(_whole, numbers) and numbers[:2] not in (["0", "1"], ["1", "2"])
    if _whole(fields[0]) is None and not are_pixels:
        first += 1  # A header; a label that is no number has pixels behind it.
    rows = [line for line in lines[first:] if line.strip()]
    if not rows:
        raise UserError(path, "has no line of an image", LAYOUT)
    try:
        values = np.loadtxt(
            rows, np.int16, comments=None, delimiter=delimiter, quotechar='"', ndmin=2
        )
    except (ValueError, OverflowError):
        values = None
    if values is None or values[:, 1:].size == 0 or not 0 <= values[:, 1:].min() <= 255:
        raise _fault(path, lines, first, delimiter)
    if values[:, 1:].max() > 255 or values[:, 0].min() < 0:
        raise _fault(path, lines, first, delimiter)
    pixels = values.shape[1] - 1
    side = math.isqrt(pixels)
    if side * side != pixels:
        square = math.isqrt(pixels + 1) ** 2 == pixels + 1
        raise UserError(
            f"{path}: line {first + 1}",
            f"has a label and {pixels} pixels, which are no square",
            "put the label in front; a file without labels goes out of the folder" if square else
            "give an .npz file, which knows the rows and columns of its images",
        )  # fmt: skip
    images = values[:, 1:].astype(np.uint8).reshape(-1, side, side)
    return Part(path, images, values[:, 0])


def _text(path: Path) -> str:
    """The file's text, unpacked if it is ``.gz``.

    Raises:
        UserError: it cannot be read.
    """
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix.lower() == ".gz" else data
        return data.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        reason = (getattr(error, "strerror", None) or "it is no text").lower()
        raise UserError(path, f"cannot be read: {reason}", LAYOUT) from None


def _whole(field: str) -> int | None:
    """The whole number in a field, no larger than matters here; ``None`` if there is none."""
    found = re.fullmatch("([+-]?)0*([0-9]+)", field.strip(' "'))
    return int(found[1] + found[2][:9]) if found else None


def _fault(path: Path, lines: list[str], first: int, delimiter: str) -> UserError:
    """What is wrong with the first line that is not :data:`LAYOUT`, from line ``first`` on."""
    width = 0
    for number, line in enumerate(lines[first:], first + 1):
        fields = line.split(delimiter)
        where = f"{path}: line {number}"
        if not line.strip():
            continue
        width = width or len(fields)
        if len(fields) < 2:
            return UserError(where, f"has {len(fields)} field", LAYOUT)
        if len(fields) != width:
            what = f"has {len(fields)} fields, and the first image's line has {width}"
            return UserError(where, what, LAYOUT)
        for column, field in enumerate(fields):
            found = _whole(field)
            text = field.strip()[:20] or "empty"
            if column == 0 and (found is None or not 0 <= found <= LABEL_MAX):
                return UserError(
                    where,
                    f"the label is {text}, expected a whole number of up to {LABEL_MAX:,}",
                    "number the classes; or give a folder of class folders, which have names",
                )
            if column and (found is None or not 0 <= found <= 255):
                what = f"the pixel in column {column + 1} is {text}, expected 0 to 255"
                return UserError(where, what, LAYOUT)
    return UserError(path, "has quotation marks that do not close", LAYOUT)
