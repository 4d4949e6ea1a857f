"""What a run tells while it trains: a bar or lines, ``metrics.jsonl``, TensorBoard if asked."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

from lenet_export import packages
from lenet_train.loop import Progress, Training
from lenet_train.progress import show_training

METRICS = "metrics.jsonl"
TENSORBOARD = "tensorboard"

#: The figures of an epoch that TensorBoard draws.
SCALARS = ("loss", "train_accuracy", "validation_accuracy", "seconds")


class Report:
    """Tells each epoch that is over, once.

    In its files it begins with the epochs that the run goes on from, and writes them anew: a crash
    may have left epochs there that no checkpoint knows.
    """

    def __init__(self, folder: Path, training: Training, tensorboard: bool, known: int = 0) -> None:
        """Reports on ``training`` into ``folder``; the user has seen ``known`` epochs already."""
        self._metrics = folder / METRICS
        self._tensorboard = folder / TENSORBOARD if tensorboard else None
        self._training = training
        self._known = known
        self._told = 0

    def __enter__(self) -> Report:
        """Opens the files and begins to show how far the training is."""
        self._lines = self._metrics.open("w", encoding="utf-8", newline="\n")
        self._events = _events(self._tensorboard) if self._tensorboard else None
        recipe = self._training.recipe
        self._screen = show_training(recipe.epochs, self._training.steps, self._known)
        return self

    def __exit__(self, *_: object) -> None:
        """Ends what is shown and closes the files."""
        self._screen.stop()
        self._lines.close()
        if self._events:
            self._events.close()

    def show(self, progress: Progress) -> None:
        """Tells what is new."""
        for epoch in progress.epochs[self._told :]:
            values = dataclasses.asdict(epoch)
            self._lines.write(json.dumps(values) + "\n")
            if self._events:
                for name in SCALARS:
                    self._events.add_scalar(name, values[name], epoch.epoch)
        self._told = len(progress.epochs)
        self._lines.flush()
        self._screen.show(progress.step, progress.epochs)


def check_tensorboard() -> None:
    """Makes sure that TensorBoard's files can be written.

    Raises:
        UserError: the library that does is not installed.
    """
    packages.require("tensorboard", "--tensorboard")


def _events(folder: Path) -> Any:
    from tensorboardX import SummaryWriter

    shutil.rmtree(folder, ignore_errors=True)
    return SummaryWriter(str(folder))
