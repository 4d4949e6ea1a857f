"""The keyword network of MLPerf Tiny, DS-CNN, with random weights: its figures need no training.

Source: Banbury et al., "MLPerf Tiny Benchmark", 2021; Zhang et al., "Hello Edge", 2017.
"""

from __future__ import annotations

import numpy as np

from lenet_export.checkpoint import Model, Stage

SHAPE = (49, 10, 1)  # a spectrogram: times, coefficients
WORDS = 12
CHANNELS = 64
BLOCKS = 4


def stages() -> tuple[Stage, ...]:
    """Its chain; batch normalization is folded in."""
    chain = [Stage("conv1", "conv", CHANNELS, "relu", (10, 4), "SAME", stride=2)]
    for n in range(2, 2 + 2 * BLOCKS, 2):
        chain.append(Stage(f"conv{n}", "depthwise", CHANNELS, "relu", (3, 3), "SAME"))
        chain.append(Stage(f"conv{n + 1}", "conv", CHANNELS, "relu", (1, 1)))
    mean = {"pool": "avg", "stride": 25, "column_stride": 5}
    chain.append(Stage("pool9", "pool", CHANNELS, "none", (25, 5), **mean))
    return (*chain, Stage("fc1", "dense", WORDS))


def model() -> Model:
    """The network; a seed draws kernels that keep activations as large as they come."""
    rng, chain, params = np.random.default_rng(0), stages(), {}
    for stage, size in zip(chain, Model(SHAPE, chain, {}).shapes, strict=False):
        if stage.learns:
            kernel = stage.kernel_shape(size)
            spread = (2 / np.prod(kernel[:-1])) ** 0.5
            params[f"{stage.name}/kernel"] = rng.normal(0, spread, kernel).astype(np.float32)
            params[f"{stage.name}/bias"] = rng.normal(0, 0.1, stage.features).astype(np.float32)
    ranges = {stage.name: 4.0 for stage in chain if stage.activation == "relu"}
    return Model(SHAPE, chain, params, ranges)
