"""Whether a reading is accepted, and if not, why: what ``lenet_decide`` of the C says."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lenet_export.gap_table import classes_of
from lenet_export.plan import Plan


class Verdict(IntEnum):
    """``lenet_verdict``: where several are true, the first of MISCOUNTED, NO_CLASS, UNSURE."""

    ACCEPTED = 0
    UNSURE = 1
    MISCOUNTED = 2
    NO_CLASS = 3


class Readings(NamedTuple):
    """Of each image what ``lenet_reading`` holds.

    Attributes:
        digits: the class.
        gaps: how far its logit is ahead of all others, in the type of the logits.
        verdicts: numbers of :class:`Verdict`.
    """

    digits: npt.NDArray[np.intp]
    gaps: npt.NDArray[Any]
    verdicts: npt.NDArray[np.intp]


def readings(plan: Plan, logits: npt.NDArray[Any]) -> Readings:
    """What a network reads, whose images gave ``logits``.

    Args:
        plan: tells the threshold, and whether the last logit stands for "none of these".
        logits: ``(images, outputs)``, int32 of an int8 plan, or float32.
    """
    classes = classes_of(logits, plan.none_output)
    is_best = np.arange(logits.shape[1]) == classes[:, None]
    lowest = logits.min(axis=1, keepdims=True)
    gaps = logits[is_best] - np.where(is_best, lowest, logits).max(axis=1)
    verdicts = np.full(len(logits), Verdict.ACCEPTED, np.intp)
    verdicts[gaps < logits.dtype.type(plan.threshold)] = Verdict.UNSURE
    if plan.none_output:
        verdicts[gaps < 0] = Verdict.NO_CLASS
    return Readings(classes, gaps, verdicts)
