"""What ink the training images have: an image that is beyond it is not of their kind."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lenet_export.errors import UserError

#: Of the training images, how many may lie beyond each limit.
BEYOND = 0.0005

#: A border is this part of an image's shorter side.
BORDER = 8

#: Bytes of the largest image whose sum of bytes fits 31 bits.
BYTES_MAX = 2**23

#: The largest sum of bytes that a limit may be.
INK_MAX = 2**31 - 1

#: A share of ink counts in parts of this; as much as this is no limit.
SHARES = 256

Images = npt.NDArray[np.uint8]


class Found(NamedTuple):
    """What images have: of each the sum of its bytes, that of its border, and its largest byte."""

    total: npt.NDArray[np.uint32]
    around: npt.NDArray[np.uint32]
    peak: npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Ink:
    """The limits of the ink in an image that is like the training images.

    Attributes:
        border: how many rows and columns at each side are the image's border; 0: it has none.
        least: of the sum of all bytes; 0: no limit.
        most: of the same.
        share: the border's part of it at most, in 256ths: ``around <= ((total >> 8) + 1) * share``;
            256: no limit.
        peak: the largest byte is at least this; 0: no limit.
        images: of how many others was seen whether they are within.
        outside: how many of them are not.
    """

    border: int
    least: int
    most: int
    share: int
    peak: int
    images: int = 0
    outside: int = 0

    @classmethod
    def measure(cls, training: Images, others: Images | None = None) -> Ink:
        """The limits of ``training``: 0.05 % of its images may lie beyond each of them.

        Args:
            training: uint8 ``(images, rows, columns, channels)``: all kinds of images that the
                network was trained to read.
            others: the same that it was not trained on, to count how many the limits refuse.

        Raises:
            UserError: there is none, or the sum of an image's bytes may exceed 31 bits.
        """
        if not len(training) or training[0].size > BYTES_MAX:
            raise UserError(
                "the images for the limits of ink",
                f"have the shape {training.shape}",
                f"give one image at least, of {BYTES_MAX:,} bytes at most; or measure no ink",
            )
        border = min(training.shape[1:3]) // BORDER
        found = count(training, border)
        shares = -(-found.around.astype(np.int64) // ((found.total >> 8) + 1))
        ink = cls(
            border,
            int(np.quantile(found.total, BEYOND, method="lower")),
            int(np.quantile(found.total, 1 - BEYOND, method="higher")),
            int(np.quantile(shares, 1 - BEYOND, method="higher")) if border else SHARES,
            int(np.quantile(found.peak, BEYOND, method="lower")),
        )
        if others is None or not len(others):
            return ink
        outside = int((~ink.holds(others)).sum())
        return cls(border, ink.least, ink.most, ink.share, ink.peak, len(others), outside)

    def holds(self, images: Images) -> npt.NDArray[np.bool_]:
        """Which of ``images``, uint8 ``(images, rows, columns, channels)``, are within."""
        too_little, outside = self.beyond(images)
        within: npt.NDArray[np.bool_] = ~(too_little | outside)
        return within

    def beyond(self, images: Images) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which of ``images`` have too little ink, and which are beyond another limit."""
        found = count(images, self.border)
        outside = (
            (found.total > self.most)
            | (found.around > ((found.total >> 8) + 1) * self.share)
            | (found.peak < self.peak)
        )
        return found.total < self.least, outside


def check_ink(ink: Any, shape: tuple[int, int, int]) -> None:
    """Checks that limits are such, and of images of ``shape``.

    Raises:
        UserError: they are not.
    """
    numbers = astuple(ink) if isinstance(ink, Ink) else ()
    border = min(shape[:2]) // BORDER
    largest = (border, INK_MAX, INK_MAX, SHARES, 255, 2**53, 2**53)
    are_sizes = [
        type(n) is int and 0 <= n <= most for n, most in zip(numbers, largest, strict=False)
    ]
    if (
        not numbers
        or not all(are_sizes)
        or ink.border != border
        or ink.least > ink.most
        or ink.outside > ink.images
        or math.prod(shape) > BYTES_MAX
    ):
        raise UserError(
            "ink",
            f"{ink} are no limits of the ink of images of {'x'.join(map(str, shape))}",
            "give Ink.measure(images) of such images, or none",
        )


def count(images: Images, border: int) -> Found:
    """What ``images``, uint8 ``(images, rows, columns, channels)``, have; uint32 ``(images,)``."""
    axes = (1, 2, 3)
    total = images.sum(axes, dtype=np.uint32)
    rows, columns = images.shape[1:3]
    inside = images[:, border : rows - border, border : columns - border]
    peak = images.max(axes).astype(np.uint32)
    return Found(total, total - inside.sum(axes, dtype=np.uint32), peak)
