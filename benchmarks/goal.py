"""How long it takes to read 99 % of MNIST's test images: `fast`, and PyTorch's MNIST example.

    pip install -e '.[bench]'
    python benchmarks/goal.py               prints a line for each training
    python benchmarks/goal.py --update      writes goal.json

Each training is a program of its own, on one core; CPU seconds are counted from its start. Ours
are those of the whole of lenet-train: the start of Python, the compilation, both epochs, the
tables and the pictures. The example's are counted to the end of the first epoch behind which 99 %
are right, and the tests between its epochs are not: network, batch, Adadelta and learning rates
are those of pytorch/examples, mnist/main.py. Seeds take turns, one of ours and one of the
example's. MNIST is where lenet-train finds it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import runs

FIGURES = Path(__file__).with_suffix(".json")
GOAL = 99.0
OURS = "--dataset mnist --activation relu --pool max --norm batch --init he --recipe fast"


def ours(seed: int) -> dict[str, float]:
    """The accuracy that ``lenet-train`` tells in the end, in %, and what it took."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "lenet_train", *OURS.split()]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        told = subprocess.run(
            [*command, "--seed", str(seed), "--out", f"{out}/run"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    accuracy = re.search(r"test accuracy: ([\d.]+)%", told)
    assert accuracy, told
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"accuracy": float(accuracy[1]), "seconds": round(seconds, 1)}


def example(seed: int) -> dict[str, float]:
    """The same of PyTorch's example, which runs as a program of its own: this file's."""
    command = [sys.executable, __file__, "--example", str(seed)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, float] = json.loads(told)
    return found


def run_example(seed: int) -> dict[str, float]:
    """Trains as the example does, until the goal is reached."""
    import numpy as np
    import torch
    from torch import nn, optim
    from torch.nn import functional

    from lenet_train import data

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    mnist = data.load("mnist")
    parts = (mnist.training, mnist.validation)
    images = torch.tensor(np.concatenate([part.images for part in parts]))
    labels = torch.tensor(np.concatenate([part.labels for part in parts])).long()
    tests = torch.tensor(mnist.test.images), torch.tensor(mnist.test.labels)

    def normal(pixels: Any) -> Any:
        return (pixels[:, None].float() / 255 - 0.1307) / 0.3081

    network = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(0.25), nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(128, 10), nn.LogSoftmax(1),
    )  # fmt: skip
    optimizer = optim.Adadelta(network.parameters(), lr=1.0)
    schedule = optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    epochs, tested, accuracy = 0, 0.0, 0.0
    while accuracy < GOAL:
        network.train()
        for chosen in torch.randperm(len(labels)).split(64):
            optimizer.zero_grad()
            functional.nll_loss(network(normal(images[chosen])), labels[chosen]).backward()
            optimizer.step()
        schedule.step()
        epochs, began = epochs + 1, time.process_time()
        network.eval()
        with torch.no_grad():
            guesses = torch.cat([network(normal(part)).argmax(1) for part in tests[0].split(1000)])
        accuracy = 100 * float((guesses == tests[1]).float().mean())
        tested += time.process_time() - began
    seconds = round(time.process_time() - tested, 1)
    return {"accuracy": round(accuracy, 2), "epochs": epochs, "seconds": seconds}


def main() -> None:
    """Prints a line for each training, and behind each pair the ratio of the mean times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="of each (default: %(default)s)")
    parser.add_argument("--update", action="store_true", help="write goal.json")
    parser.add_argument("--example", type=int, metavar="SEED", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.example is not None:
        print(json.dumps(run_example(options.example)))
        return
    here = runs.machine(("jax", "torch"))
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    found: dict[str, list[dict[str, float]]] = {"fast": [], "PyTorch's example": []}
    for seed in range(options.seeds):
        for name, train in zip(found, (ours, example), strict=True):
            found[name].append(train(seed))
            print(f"{name:20} seed {seed}  {found[name][-1]}", flush=True)
        mean, other = (statistics.mean(one["seconds"] for one in all_) for all_ in found.values())
        ratio = round(mean / other, 2)
        print(f"CPU seconds, mean: {mean:.0f} and {other:.0f}, ratio {ratio}; {here}", flush=True)
        if options.update:
            content = {"machine": here, "trainings": found, "ratio": ratio}
            FIGURES.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
