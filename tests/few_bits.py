"""Weights of few bits for a network that was trained without them: only its accuracy suffers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export.checkpoint import Grid, Model

Array = npt.NDArray[Any]
#: Of LeNet's stages: 18.7, 19.5 and 25.5 KB of weights.
FEW_BITS = {
    "fc1 of 2 bits, rest 4": ("4", "4", "2", "4", "4"),
    "fc1 of 1 bit, rest 8": ("8", "8", "1", "8", "8"),
    "fc1 of 2 bits, rest 8": ("8", "8", "2", "8", "8"),
}


def on_grids(model: Model, bits: Sequence[str]) -> Model:
    """``model`` with the weights of each stage rounded to the grid that ``bits`` names for it.

    The steps are those of the smallest squared error; what the network learned suffers.
    """
    stages = [
        dataclasses.replace(stage, bits=b) if stage.learns else stage
        for stage, b in zip(model.stages, bits, strict=True)
    ]
    params = dict(model.params)
    for stage in stages:
        if stage.grid:
            kernel = params[f"{stage.name}/kernel"]
            flat = kernel.reshape(-1, stage.features)
            flat = flat.reshape(-1, 1) if stage is stages[-1] else flat
            step, integers = nearest(flat, stage.grid)
            step = np.broadcast_to(step, stage.features).astype(np.float32)
            params[f"{stage.name}/step"] = step
            params[f"{stage.name}/kernel"] = integers.reshape(kernel.shape) * step
    return dataclasses.replace(model, stages=tuple(stages), params=params)


def nearest(flat: Array, grid: Grid) -> tuple[Array, Array]:
    """A step for each column of ``flat``, and the integers of ``grid`` nearest to it in steps."""
    _, peak, spacing = grid
    step = np.maximum(np.abs(flat).mean(axis=0) * 2 / (peak + 1), np.float32(1e-9))
    for _ in range(20):
        index = np.clip(np.rint((flat / step + peak) / spacing), 0, 2 * peak // spacing)
        integers = (index * spacing - peak).astype(np.float32)
        fitted = (flat * integers).sum(axis=0) / np.maximum((integers**2).sum(axis=0), 1)
        step = np.where(fitted > 0, fitted, step)
    return step, integers
