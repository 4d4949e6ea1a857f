"""How long an MNIST epoch takes: this project, Flax's own convolution, PyTorch.

    pip install -e '.[bench]'
    python benchmarks/epoch.py             prints the times and the ratios
    python benchmarks/epoch.py --update    adds the ratios, with the machine, to epoch.json

All train LeNet by SGD, batch 128, float32, on the same made-up images, with the threads that the
machine has (PyTorch: as many). A turn is a quarter of an epoch of 55,000 images; all take a turn,
one after the other, several times, after one that is not counted. Quote the ratios: they hold where
the machine's speed does not; the documents give their range over epoch.json. Run it on a machine
that does nothing else: PyTorch's threads wait in a loop, so that whatever runs beside them slows
them most.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import runs
from lenet_train import architectures, devices, loop, model
from lenet_train.recipes import TEXTBOOK

RUNS = Path(__file__).with_name("epoch.json")
OURS = "this project"
STEPS = 107
TURNS_AN_EPOCH = 55_000 / TEXTBOOK.batch / STEPS
TILED = model.Conv

Turn = Callable[[], object]


def plain(*sizes: object, tile: int, **settings: object) -> nn.Conv:
    """Flax's own convolution in the place of the tiled one."""
    del tile
    return nn.Conv(*sizes, **settings)


def made_up() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The images and labels of a turn."""
    random = np.random.default_rng(0)
    count = STEPS * TEXTBOOK.batch
    return random.integers(0, 256, (count, 28, 28), np.uint8), random.integers(
        0, 10, count, np.uint8
    )


def flax_turn(conv: object, steps_a_call: int) -> Turn:
    """A turn of LeNet with the convolution ``conv``, ``steps_a_call`` steps in each call."""
    model.Conv = conv
    network = model.Network(architectures.lenet())
    images, labels = map(jnp.asarray, made_up())
    optimizer = loop.make_optimizer(TEXTBOOK, STEPS)
    variables = loop.initial_variables(
        network, architectures.LENET_STAGES, TEXTBOOK, jax.random.key(0), (28, 28, 1)
    )
    state = loop.State(
        variables,
        variables,
        optimizer.init(variables["params"]),
        loop.optax.ema(0.0).init(variables),
        jnp.zeros((), jnp.float32),
        jnp.zeros((), jnp.int32),
    )
    step = functools.partial(loop.train_step, network, optimizer, TEXTBOOK)
    order = jax.random.permutation(jax.random.key(1), len(labels)).reshape(STEPS, -1)
    keys = jax.random.split(jax.random.key(2), STEPS)
    mesh = devices.mesh(TEXTBOOK.batch)
    # Compiled now, while model.Conv is the one that is meant.
    many = jax.jit(functools.partial(loop._run_steps, step, mesh))
    many = many.lower(state, images, labels, order, keys, 0, STEPS).compile()
    single = jax.jit(step)
    single = single.lower(state, images[order[0]], labels[order[0]], keys[0]).compile()

    def turn() -> None:
        now = state
        if steps_a_call > 1:
            now = many(now, images, labels, order, keys, 0, STEPS)
        else:
            for number in range(STEPS):
                chosen = order[number]
                now = single(now, images[chosen], labels[chosen], keys[number])
        jax.block_until_ready(now)

    return turn


def torch_turn(channels_last: bool) -> Turn:
    """A turn of the same network and step in PyTorch."""
    import torch
    from torch import nn as layers

    torch.set_num_threads(os.cpu_count() or 1)
    images, labels = (torch.tensor(part.tolist(), dtype=torch.uint8) for part in made_up())
    network = layers.Sequential(
        layers.Conv2d(1, 6, 5, padding=2), layers.Sigmoid(), layers.AvgPool2d(2),
        layers.Conv2d(6, 16, 5), layers.Sigmoid(), layers.AvgPool2d(2), layers.Flatten(),
        layers.Linear(400, 120), layers.Sigmoid(), layers.Linear(120, 84), layers.Sigmoid(),
        layers.Linear(84, 10),
    )  # fmt: skip
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(memory_format=layout)
    optimizer = torch.optim.SGD(network.parameters(), TEXTBOOK.lr)
    loss = layers.CrossEntropyLoss()

    def turn() -> None:
        for chosen in torch.randperm(len(labels)).reshape(STEPS, -1):
            x = (images[chosen][:, None].float() / 255).contiguous(memory_format=layout)
            optimizer.zero_grad()
            loss(network(x), labels[chosen].long()).backward()
            optimizer.step()

    return turn


def add_run(where: Path, machine: str, walls: dict[str, float]) -> None:
    """Adds to the file ``where`` the ratios of ours to the others, of seconds an epoch."""
    ratios = {name: round(walls[OURS] / wall, 2) for name, wall in walls.items() if name != OURS}
    runs.add(where, {"machine": machine, "counted": "wall clock", "ratios": ratios})


def main() -> None:
    """Prints a line for each: the median time of an epoch, and its ratio to this project's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5, help="of each (default: %(default)s)")
    parser.add_argument("--update", action="store_true", help="add this run to epoch.json")
    options, here = parser.parse_args(), runs.machine(("jax", "torch"))
    turns: dict[str, Turn] = {
        OURS: flax_turn(TILED, STEPS),
        "nn.Conv, many steps a call": flax_turn(plain, STEPS),
        "nn.Conv, a step a call": flax_turn(plain, 1),
    }
    try:
        turns["PyTorch"] = torch_turn(channels_last=False)
        turns["PyTorch, channels_last"] = torch_turn(channels_last=True)
    except ImportError as error:
        print(f"no PyTorch ({error}); pip install -e '.[bench]'")
    walls: dict[str, list[float]] = {name: [] for name in turns}
    cpus: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(options.turns + 1):
        for name, turn in turns.items():
            wall, cpu = time.perf_counter(), time.process_time()
            turn()
            if number:
                walls[name].append((time.perf_counter() - wall) * TURNS_AN_EPOCH)
                cpus[name].append((time.process_time() - cpu) * TURNS_AN_EPOCH)
    medians = {name: statistics.median(times) for name, times in walls.items()}
    ours = [medians[OURS], statistics.median(cpus[OURS])]
    print(f"{'':28}{'s/epoch':>9}{'ours is':>10}{'CPU s':>9}{'ours is':>10}")
    for name in turns:
        wall, cpu = medians[name], statistics.median(cpus[name])
        print(f"{name:28}{wall:9.2f}{ours[0] / wall:9.2f}x{cpu:9.2f}{ours[1] / cpu:9.2f}x")
    print(here)
    if options.update:
        add_run(RUNS, here, medians)


if __name__ == "__main__":
    main()
