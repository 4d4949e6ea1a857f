"""What a run tells while it trains: a bar, ``metrics.jsonl`` and, if asked, TensorBoard."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

from lenet_export.errors import UserError
from lenet_train.loop import Progress, Training
from lenet_train.progress import TrainingBar

METRICS = "metrics.jsonl"
TENSORBOARD = "tensorboard"


class Report:
    """Tells each epoch that is over, once.

    It begins with the epochs that the run goes on from, and writes its files anew: a crash may have
    left epochs in them that no checkpoint knows.
    """

    def __init__(self, folder: Path, training: Training, tensorboard: bool) -> None:
        """Reports on ``training`` into ``folder``."""
        self._metrics = folder / METRICS
        self._tensorboard = folder / TENSORBOARD if tensorboard else None
        self._training = training
        self._told = 0

    def __enter__(self) -> Report:
        """Opens the files and shows the bar."""
        self._lines = self._metrics.open("w", encoding="utf-8")
        self._events = _events(self._tensorboard) if self._tensorboard else None
        recipe = self._training.recipe
        self._bar = TrainingBar(recipe.epochs, self._training.steps)
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the bar and closes the files."""
        self._bar.stop()
        self._lines.close()
        if self._events:
            self._events.close()

    def show(self, progress: Progress) -> None:
        """Tells what is new."""
        for epoch in progress.epochs[self._told :]:
            values = dataclasses.asdict(epoch)
            self._lines.write(json.dumps(values) + "\n")
            if self._events:
                number = values.pop("epoch")
                for name, value in values.items():
                    self._events.add_scalar(name, value, number)
        self._told = len(progress.epochs)
        self._lines.flush()
        self._bar.show(progress.step, progress.epochs)


def check_tensorboard() -> None:
    """Makes sure that TensorBoard's files can be written.

    Raises:
        UserError: the library that does is not installed.
    """
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        raise UserError(
            "--tensorboard",
            "the package tensorboardX is not installed",
            "pip install 'lenet-export[tensorboard]'",
        ) from None


def _events(folder: Path) -> Any:
    from tensorboardX import SummaryWriter

    shutil.rmtree(folder, ignore_errors=True)
    return SummaryWriter(str(folder))
