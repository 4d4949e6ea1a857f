"""How far a training is, on stderr: a bar on a terminal, a line an epoch anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from lenet_train.loop import Epoch


def show_training(epochs: int, steps: int, known: int) -> TrainingBar | EpochLines:
    """What shows a training of ``epochs`` of ``steps`` steps, begun where ``known`` are over."""
    console = Console(stderr=True)
    if console.is_terminal:
        return TrainingBar(console, epochs, steps)
    return EpochLines(epochs, known)


def _figures(epoch: Epoch) -> str:
    return (
        f"loss {epoch.loss:.4f}, validation {epoch.validation_accuracy:.2%}, "
        f"{epoch.seconds:.1f} s/epoch"
    )


class TrainingBar:
    """The bar of a training run, with the figures of the last epoch."""

    def __init__(self, console: Console, epochs: int, steps: int) -> None:
        """Shows a bar of ``epochs`` of ``steps`` steps."""
        self._progress = Progress(
            TextColumn(f"epoch {{task.fields[epoch]}}/{epochs}"), BarColumn(),
            TextColumn("{task.description}"), TimeRemainingColumn(), console=console,
        )  # fmt: skip
        self._task = self._progress.add_task("compiling", total=epochs * steps, epoch=0)
        self._progress.start()

    def stop(self) -> None:
        """Ends the bar."""
        self._progress.stop()

    def show(self, steps: int, epochs: Sequence[Epoch]) -> None:
        """Shows that ``steps`` are done and ``epochs`` over."""
        self._progress.update(self._task, completed=steps, epoch=len(epochs))
        if epochs:
            self._progress.update(self._task, description=_figures(epochs[-1]))


class EpochLines:
    """A line for each epoch as soon as it is over, for a log or a pipe."""

    def __init__(self, epochs: int, known: int) -> None:
        """Tells of a run of ``epochs``, of which ``known`` were told by a run before this one."""
        self._total = epochs
        self._told = known

    def stop(self) -> None:
        """Nothing is left to end."""

    def show(self, _: int, epochs: Sequence[Epoch]) -> None:
        """Tells of those of ``epochs`` that are new."""
        for epoch in epochs[self._told :]:
            line = f"epoch {epoch.epoch}/{self._total}: {_figures(epoch)}"
            print(line, file=sys.stderr, flush=True)
        self._told = len(epochs)
