"""The reject option: what the gap between the two largest logits tells about errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

#: Parts into which a gap table cuts the way from one wrong image's gap to the next.
BETWEEN = 8


class GapRow(NamedTuple):
    """A threshold of the score gap, in units of the float logits, and what it does."""

    gap: float
    accepted: int
    errors: int


@dataclass(frozen=True)
class GapTable:
    """What the score gap (top logit minus second) tells about errors, on a validation split.

    Attributes:
        images: how many images the split has.
        rows: gap ascending: of the images whose score gap is at least ``gap``, how many there are
            (accepted) and how many of them are wrong (errors). There is a row for gap 0, one just
            above the gap of each wrong image, and some evenly between two of these.
    """

    images: int
    rows: tuple[GapRow, ...]

    @classmethod
    def measure(cls, logits: npt.NDArray[np.float32], labels: npt.NDArray[Any]) -> GapTable:
        """The table of ``logits`` float32 ``(images, classes)`` and ``labels`` ``(images,)``."""
        ordered = np.sort(logits.astype(np.float32), axis=1)
        gap = ordered[:, -1] - ordered[:, -2]
        wrong = logits.argmax(axis=1) != labels
        above = np.nextafter(gap[wrong], np.float32(np.inf))
        ends = np.unique(np.append(above, np.float32(0)))
        between = np.linspace(ends[:-1], ends[1:], BETWEEN + 1, dtype=np.float32)
        rows = [
            GapRow(float(t), int((gap >= t).sum()), int((wrong & (gap >= t)).sum()))
            for t in np.unique(np.append(between, ends))
        ]
        return cls(len(labels), tuple(rows))

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
