"""Seconds an MNIST epoch takes with `lenet_train.conv.Conv`, and with Flax's own `nn.Conv`.

    python benchmarks/epoch.py

Both train LeNet by SGD, batch 128, on 55,000 made-up images, in one compiled scan an epoch, in this
order: the tiled convolution, nn.Conv, and again. The first epoch of each, which compiles, is left
out. Quote the ratio: it holds where the machine's speed does not.
"""

from __future__ import annotations

import functools
import statistics
import time

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from lenet_train import architectures, loop, model
from lenet_train.recipes import TEXTBOOK

TILED = model.Conv


def plain(*sizes: object, tile: int, **settings: object) -> nn.Conv:
    """Flax's own convolution in the place of the tiled one."""
    del tile
    return nn.Conv(*sizes, **settings)


def seconds(conv: object, epochs: int) -> list[float]:
    """The wall time of each epoch after the first."""
    model.Conv = conv
    network, stages = model.Network(architectures.lenet()), architectures.LENET_STAGES
    random = np.random.default_rng(0)
    images = jnp.asarray(random.integers(0, 256, (55_000, 28, 28), np.uint8))
    labels = jnp.asarray(random.integers(0, 10, 55_000, np.uint8))
    params = loop.start(network, stages, TEXTBOOK, jax.random.key(0))
    optimizer = loop.make_optimizer(TEXTBOOK, len(labels) // TEXTBOOK.batch)
    mean = loop.optax.ema(0.0)
    state = loop.State(params, params, optimizer.init(params), mean.init(params))
    run = jax.jit(
        functools.partial(loop.run_epoch, network, optimizer, mean, TEXTBOOK, TEXTBOOK.batch)
    )
    took = []
    for epoch in range(epochs + 1):
        began = time.perf_counter()
        state, _ = jax.block_until_ready(run(state, images, labels, jax.random.key(epoch)))
        took.append(time.perf_counter() - began)
    return took[1:]


def main() -> None:
    """Prints the medians and their ratio."""
    times: dict[str, list[float]] = {"tiled": [], "nn.Conv": []}
    for _ in range(2):
        times["tiled"] += seconds(TILED, 3)
        times["nn.Conv"] += seconds(plain, 1)
    for name, took in times.items():
        print(f"{name:<8} {statistics.median(took):6.2f} s an epoch (of {len(took)})")
    ratio = statistics.median(times["nn.Conv"]) / statistics.median(times["tiled"])
    print(f"nn.Conv takes {ratio:.1f} times as long")


if __name__ == "__main__":
    main()
