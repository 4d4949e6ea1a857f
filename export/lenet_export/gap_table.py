"""The reject option: what the gap between the two largest logits tells about errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lenet_export.errors import in_python

#: Parts into which a gap table cuts the way from one wrong image's gap to the next.
BETWEEN = 8


class GapRow(NamedTuple):
    """A threshold of the score gap, in units of the float logits, and what it does."""

    gap: float
    accepted: int
    errors: int
    strangers: int = 0


def classes_of(logits: npt.NDArray[Any], none_output: bool = False) -> npt.NDArray[np.intp]:
    """The class of each image: of ``logits`` ``(images, outputs)`` the largest of a class."""
    of_classes = logits[:, :-1] if none_output else logits
    classes: npt.NDArray[np.intp] = of_classes.argmax(axis=1)
    return classes


def score_gaps(logits: npt.NDArray[Any], none_output: bool = False) -> npt.NDArray[np.float32]:
    """How far the class of each image is ahead of all other outputs, float32 ``(images,)``.

    Without an output for "none of these" that is the largest logit minus the second largest. With
    one it is below 0 where that output is the largest.
    """
    logits = logits.astype(np.float32)
    classes = classes_of(logits, none_output)[:, None]
    best = np.take_along_axis(logits, classes, 1)[:, 0]
    others = np.where(np.arange(logits.shape[1]) == classes, -np.float32(np.inf), logits)
    gaps: npt.NDArray[np.float32] = best - others.max(axis=1)
    return gaps


@dataclass(frozen=True)
class GapTable:
    """What the score gap (:func:`score_gaps`) tells about errors, on a validation split.

    Attributes:
        images: how many images the split has.
        rows: gap ascending: of the images whose score gap is at least ``gap``, how many there are
            (accepted) and how many of them are wrong (errors); and of the strangers, how many are
            accepted too. There is a row for gap 0, one just above the gap of each wrong image, and
            some evenly between two of these.
        strangers: how many images of no class were measured; 0: none were.
    """

    images: int
    rows: tuple[GapRow, ...]
    strangers: int = 0

    @classmethod
    @in_python
    def measure(
        cls,
        logits: npt.NDArray[np.float32],
        labels: npt.NDArray[Any],
        strangers: npt.NDArray[np.float32] | None = None,
        *,
        none_output: bool = False,
    ) -> GapTable:
        """The table of a validation split.

        Args:
            logits: of its images, float32 ``(images, outputs)``.
            labels: their classes ``(images,)``.
            strangers: the logits of images of no class, float32 ``(strangers, outputs)``, of which
                none should be accepted; ``None`` where there are none.
            none_output: whether the last output stands for "none of these".

        Raises:
            UserError: ``none_output`` is neither true nor false.
        """
        gap = score_gaps(logits, none_output)
        odd = np.zeros(0, np.float32) if strangers is None else score_gaps(strangers, none_output)
        return cls.of(gap, classes_of(logits, none_output) != labels, odd)

    @classmethod
    def of(
        cls,
        gap: npt.NDArray[np.float32],
        wrong: npt.NDArray[np.bool_],
        odd: npt.NDArray[np.float32] | None = None,
    ) -> GapTable:
        """The table of readings of any kind.

        Args:
            gap: of each, float32 ``(readings,)``: the larger, the surer; below 0 none is accepted.
            wrong: whether it is.
            odd: the gaps of strangers.
        """
        odd = np.zeros(0, np.float32) if odd is None else odd
        # Where the output for none wins, the gap is below 0, and no threshold accepts.
        above = np.nextafter(gap[wrong & (gap >= 0)], np.float32(np.inf))
        ends = np.unique(np.append(above, np.float32(0)))
        between = np.linspace(ends[:-1], ends[1:], BETWEEN + 1, dtype=np.float32)
        rows = [
            GapRow(
                float(t),
                int((gap >= t).sum()),
                int((wrong & (gap >= t)).sum()),
                int((odd >= t).sum()),
            )
            for t in np.unique(np.append(between, ends))
        ]
        return cls(len(gap), tuple(rows), len(odd))

    def expected_errors(self) -> npt.NDArray[np.float64]:
        """How many errors to expect among as many other images, for each row.

        A threshold just above a wrong image's gap lies there because of that image, which counts
        therefore; from there to the next one the expectation falls evenly. To count only what is
        above would promise one error too few each time. Threshold 0 was placed by none. Never less
        than was seen, nor than 1.
        """
        first = [
            i for i, row in enumerate(self.rows) if not i or row.errors < self.rows[i - 1].errors
        ]
        gaps = [row.gap for row in self.rows]
        counted = [max(1, self.rows[i].errors + (gaps[i] > 0)) for i in first]
        seen = [row.errors for row in self.rows]
        return np.maximum(seen, np.interp(gaps, [gaps[i] for i in first], counted))

    def row(self, max_error: float) -> GapRow | None:
        """The row that accepts most images with at most ``max_error`` of the accepted wrong.

        As many errors as :meth:`expected_errors` says are taken to be among them. ``None`` if there
        is no such row: few images cannot show a small error.
        """
        for row, errors in zip(self.rows, self.expected_errors(), strict=True):
            if row.accepted and errors / row.accepted <= max_error:
                return row
        return None

    def smallest_error(self) -> float:
        """The smallest error that can be asked for, at most 1."""
        asked = zip(self.rows, self.expected_errors(), strict=True)
        return float(min([1.0, *(e / row.accepted for row, e in asked if row.accepted)]))

    def describe(self, row: GapRow) -> tuple[str, str]:
        """How many a row rejects, and how many of the accepted are wrong, in percent."""
        return f"{1 - row.accepted / self.images:.2%}", f"{row.errors / row.accepted:.2%}"

    def describe_strangers(self, row: GapRow) -> str:
        """How many of the strangers a row accepts, in percent; empty where none were measured."""
        return f"{row.strangers / self.strangers:.2%}" if self.strangers else ""
