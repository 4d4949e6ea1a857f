"""Batch normalization, folded into the layer in front of it: it costs the C nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lenet_export.checkpoint import Float32


def fold_batch_norm(
    kernel: Float32, bias: Float32, norm: Mapping[str, Any], epsilon: float = 1e-5
) -> tuple[Float32, Float32]:
    """The kernel and bias that give what ``norm`` makes of the layer's output.

    With s = scale / sqrt(var + epsilon), (x @ kernel + bias - mean) * s + shift is
    x @ (kernel * s) + (bias - mean) * s + shift. A border of zeros changes nothing: it is in front.

    Args:
        kernel: float32 ``(..., outputs)``.
        bias: float32 ``(outputs,)``.
        norm: Flax's names to ``(outputs,)``: ``mean`` and ``var``, the running statistics, and,
            if they are learned, ``scale`` and ``bias``.
        epsilon: what is added to the variance.

    Source: Ioffe, Szegedy, "Batch Normalization", 2015, algorithm 2.
    """
    values = {name: np.asarray(value, np.float64) for name, value in norm.items()}
    factor = values.get("scale", 1.0) / np.sqrt(values["var"] + epsilon)
    shifted = (bias - values["mean"]) * factor + values.get("bias", 0.0)
    return (kernel * factor).astype(np.float32), shifted.astype(np.float32)
