"""Pictures read by the C that ``--with picture`` exports, compiled here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export import bundled
from lenet_export.compiled import CompiledNetwork
from lenet_export.errors import UserError
from lenet_export.outputs.c import render_c
from lenet_export.outputs.options import Options
from lenet_export.plan import make_plan
from lenet_export.preparation import Prepared, is_prepared_for, prepare

MAX_ERROR = 0.002  # of the accepted, where the model has a table of thresholds


@dataclass(frozen=True)
class Read:
    """What was read in a picture.

    Attributes:
        path: of its file.
        picture: grey, uint8.
        found: what its preparation found.
        digit: -1 if there is none.
        gap: between the two largest logits.
        verdict: of the C, in small words: ``accepted``, ``unsure``, ``no ink``.
        logits: of the prepared image; none without ink.
        outputs: what each logit stands for: a class's name or number, or ``none`` of them.
    """

    path: Path
    picture: npt.NDArray[np.uint8]
    found: Prepared
    digit: int
    gap: int
    verdict: str
    logits: npt.NDArray[Any] | None
    outputs: list[str]

    @property
    def accepted(self) -> bool:
        """Whether nothing is known against it."""
        return self.verdict == "accepted"


def load(name: str, max_error: float | None = None) -> CompiledNetwork:
    """A model as C that reads pictures, compiled.

    Args:
        name: of a bundled one, or a path.
        max_error: see ``--max-error``; ``None`` for the default, where the model has a table, or
            for the least that the table shows, where it was measured on too few images for that.

    Raises:
        UserError: it cannot be used, or there is no compiler.
    """
    model = bundled.load(name)
    if not is_prepared_for(model.input_shape):
        kind = "x".join(map(str, model.input_shape))
        remedy = "give one of grey images of 7 to 128 rows and columns"
        raise UserError(f"--model {name}", f"takes images of {kind}", remedy)
    least = model.gap_table.smallest_error() if model.gap_table else 1.0
    if max_error is None and least < 1:
        max_error = max(MAX_ERROR, least)
    plan = make_plan(model, "int8", max_error, name)
    return CompiledNetwork(plan, render_c(plan, Options(parts=("picture",))))


def read(network: CompiledNetwork, path: Path, picture: npt.NDArray[np.uint8]) -> Read:
    """What the C reads in a picture.

    Raises:
        UserError: the C prepares it otherwise than the reference.
    """
    reading = network.read_picture(picture)
    found = prepare(picture, network.plan.input_shape[:2])
    seen = network.prepare(picture)
    if not np.array_equal(found.image, seen.image) or found.box != seen.box:
        raise UserError(path, "is prepared by C otherwise than by NumPy", "report this as a bug")
    logits = network.logits(found.image[None, ..., None])[0] if found.has_ink else None
    verdict = network.verdict_name(reading.verdict)
    model = network.plan.model
    outputs = [*model.names, *(["none"] if model.none_output else [])]
    gap = int(reading.gap)
    return Read(path, picture, found, reading.digit, gap, verdict, logits, outputs)
