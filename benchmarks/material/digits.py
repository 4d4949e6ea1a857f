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
from lenet_train.datasets import idx_files
from material.filters import UInt8

HELD = 5000  # digits that lenet-train keeps from training
WHERE = "set it to a folder with mnist/ and qmnist/"
CLASS, SERIES, WRITER = 0, 1, 2  # columns of QMNIST's labels
STUDENTS = 4  # NIST's series that pupils of a high school wrote; employees wrote the others


@dataclass(frozen=True)
class Digits:
    """Digits, and who wrote them.

    Attributes:
        images: uint8 ``(n, 28, 28)``.
        labels: uint8 ``(n,)``.
        writers: int ``(n,)``, QMNIST's numbers.
        series: int ``(n,)``, NIST's: ``STUDENTS``, or another one, of employees.
    """

    images: UInt8
    labels: UInt8
    writers: npt.NDArray[Any]
    series: npt.NDArray[Any]

    def __getitem__(self, kept: Any) -> Digits:
        """Those that ``kept`` tells, a mask or places."""
        return Digits(self.images[kept], self.labels[kept], self.writers[kept], self.series[kept])


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
    pair = idx_files.named_pair(folder / "mnist", part)
    images, labels = pair.images, pair.labels
    known = _labels(folder / "qmnist", "test" if split == "test" else "train")[: len(labels)]
    if (known[:, CLASS] != labels).any():
        raise UserError(folder / "qmnist", "is not of these images", "fetch QMNIST's labels again")
    given = Digits(images, labels, known[:, WRITER], known[:, SERIES])
    if split == "validation":
        return given[np.random.RandomState(1998).permutation(len(labels))[-HELD:]]
    return given


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
