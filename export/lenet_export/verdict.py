"""Whether a reading is accepted, and if not, why: what ``lenet_decide`` of the C says."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lenet_export.gap_table import classes_of
from lenet_export.plan import Plan
from lenet_export.reference import Images

WORSE = 0.005  # a share of images that are read wrongly, and rightly by another way
MANY = 30  # images, from which on an accuracy tells something


class Verdict(IntEnum):
    """``lenet_verdict``.

    Where several are true, it is the first of NO_PICTURE, DAMAGED, MISCOUNTED, NO_INK, OUTSIDE,
    NO_CLASS, UNSURE. NO_PICTURE is told by exports ``--with picture`` only, DAMAGED by those with
    ``--harden``.
    """

    ACCEPTED = 0
    UNSURE = 1
    MISCOUNTED = 2
    NO_CLASS = 3
    NO_INK = 4
    OUTSIDE = 5
    NO_PICTURE = 6
    DAMAGED = 7


class Readings(NamedTuple):
    """Of each image what ``lenet_reading`` holds.

    Attributes:
        digits: the class.
        gaps: how far its logit is ahead of all others, in the type of the logits; of integers at
            most the largest that the type has. Where a logit is NaN, NaN.
        verdicts: numbers of :class:`Verdict`.
    """

    digits: npt.NDArray[np.intp]
    gaps: npt.NDArray[Any]
    verdicts: npt.NDArray[np.intp]


def readings(plan: Plan, images: Images, logits: npt.NDArray[Any]) -> Readings:
    """What a network reads in ``images``, which gave ``logits``.

    Args:
        plan: tells the threshold, whether the last logit stands for "none of these", and the limits
            of ink.
        images: uint8 ``(images, rows, columns, channels)``.
        logits: ``(images, outputs)``, int32 of an int8 plan, or float32.
    """
    classes = classes_of(logits, plan.none_output)
    is_best = np.arange(logits.shape[1]) == classes[:, None]
    lowest = logits.min(axis=1, keepdims=True)
    gaps = _ahead(logits[is_best], np.where(is_best, lowest, logits).max(axis=1))
    of_gaps = np.full(len(logits), Verdict.UNSURE, np.intp)
    of_gaps[gaps >= logits.dtype.type(plan.threshold)] = Verdict.ACCEPTED
    if plan.none_output:
        of_gaps[gaps < 0] = Verdict.NO_CLASS
    of_ink = verdicts_of_ink(plan, images)
    verdicts = np.where(of_ink == Verdict.ACCEPTED, of_gaps, of_ink)
    return Readings(classes, gaps, verdicts)


def _ahead(logits: npt.NDArray[Any], others: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """``logits - others``, clamped to what their type holds of either sign."""
    ahead: npt.NDArray[Any]
    if logits.dtype.kind == "f":
        ahead = logits - others
    else:
        most = np.iinfo(logits.dtype).max
        ahead = np.clip(logits.astype(np.int64) - others, -most, most).astype(logits.dtype)
    return ahead


def verdicts_of_ink(plan: Plan, images: Images) -> npt.NDArray[np.intp]:
    """What ``lenet_finish`` returns for ``images`` of which each row came once."""
    verdicts = np.full(len(images), Verdict.ACCEPTED, np.intp)
    if plan.ink:
        too_little, outside = plan.ink.beyond(images)
        verdicts[outside] = Verdict.OUTSIDE
        verdicts[too_little] = Verdict.NO_INK
    return verdicts


def surely_above(share: float, count: int) -> float:
    """More of ``count`` than this are not by chance where ``share`` is the mean."""
    return float(share * count + 3 * np.sqrt(share * (1 - share) * count))
