"""The digits that material is made of, and who wrote them."""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export import idx
from lenet_export.errors import UserError
from lenet_train import data
from material.filters import UInt8

HELD = 5000  # digits that lenet-train keeps from training
WHERE = "set it to a folder with mnist/ and qmnist/"
CLASS, WRITER = 0, 2  # columns of QMNIST's labels


@dataclass(frozen=True)
class Digits:
    """Digits, and who wrote them.

    Attributes:
        images: uint8 ``(n, 28, 28)``.
        labels: uint8 ``(n,)``.
        writers: int ``(n,)``, QMNIST's numbers.
    """

    images: UInt8
    labels: UInt8
    writers: npt.NDArray[Any]


def load(split: str) -> Digits:
    """MNIST's digits with QMNIST's writers, from the folder that ``LENET_DATA`` names.

    Args:
        split: ``test``, the 10,000 test images; or ``validation``, the 5,000 training images that
            lenet-train keeps from training, whose writers it has seen.

    Raises:
        UserError: a file is not there, or QMNIST's labels are not those of the images.
    """
    folder = Path(os.environ.get("LENET_DATA") or "")
    if not (folder / "mnist").is_dir():
        raise UserError("LENET_DATA", f"names no folder with mnist/: {folder}", WHERE)
    part = {"test": "t10k", "validation": "train"}[split]
    given = data.read_pair(folder / "mnist", part)
    images, labels = given.images, given.labels
    known = _labels(folder / "qmnist", "test" if split == "test" else "train")[: len(labels)]
    if (known[:, CLASS] != labels).any():
        raise UserError(folder / "qmnist", "is not of these images", "fetch QMNIST's labels again")
    kept = slice(None)
    if split == "validation":
        kept = np.random.RandomState(1998).permutation(len(labels))[-HELD:]
    return Digits(images[kept], labels[kept], known[kept, WRITER])


def _labels(folder: Path, part: str) -> npt.NDArray[Any]:
    """QMNIST's extended labels, ``(n, 8)``: class, series, writer, and more.

    Raises:
        UserError: they are not there.
    """
    path = idx.find(folder, f"qmnist-{part}-labels-idx2-int")
    if path is None:
        raise UserError(
            folder,
            f"has no qmnist-{part}-labels-idx2-int.gz",
            "fetch it from github.com/facebookresearch/qmnist",
        )
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return np.frombuffer(file.read()[12:], ">i4").reshape(-1, 8).astype(int)
