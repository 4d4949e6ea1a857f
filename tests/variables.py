"""Variables of Flax that NumPy draws: to compile the numbers of a start takes longest of all."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np


def drawn_like(shapes: Any, seed: int = 1) -> Any:
    """A tree of the shapes of ``shapes``, float32: kernels of their inputs' size, scales near 1."""
    rng = np.random.default_rng(seed)

    def drawn(path: Any, of: Any) -> Any:
        if path[-1].key in ("scale", "var"):
            return rng.uniform(0.7, 1.3, of.shape).astype("f4")
        inputs = np.prod(of.shape[:-1]) if len(of.shape) > 1 else 100
        return rng.normal(0, inputs**-0.5, of.shape).astype("f4")

    return jax.tree_util.tree_map_with_path(drawn, shapes)


def drawn_for(module: Any, shape: tuple[int, ...], *arguments: Any, seed: int = 1) -> Any:
    """Those of a linen module of images of ``shape``; no bias is 0, no statistic the start's."""
    image = np.zeros((1, *shape), np.float32)
    shapes = jax.eval_shape(lambda key: module.init(key, image, *arguments), jax.random.key(0))
    return drawn_like(shapes, seed)
