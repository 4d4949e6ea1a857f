"""Progress bars on stderr, silent when it is not a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from lenet_train.loop import Epoch


def _console() -> Console:
    return Console(stderr=True)


class DownloadBar:
    """The bar that pooch moves; see "Custom progress bar" in its documentation.

    Attributes:
        total: bytes to come; pooch sets it.
    """

    total = 0

    def __init__(self, file: str) -> None:
        """A bar named ``file``."""
        console = _console()
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(),
            console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._progress.add_task(file, total=None)

    def update(self, count: int) -> None:
        """Moves on by ``count`` bytes."""
        self._progress.start()
        self._progress.update(self._task, advance=count, total=self.total)

    def reset(self) -> None:
        """Back to the start; pooch calls this before it fills the bar at the end."""
        self._progress.reset(self._task)

    def close(self) -> None:
        """Ends the bar."""
        self._progress.stop()


class TrainingBar:
    """The bar of a training run, with the figures of the last epoch."""

    def __init__(self, epochs: int, steps: int) -> None:
        """A bar of ``epochs`` of ``steps`` steps."""
        console = _console()
        self._progress = Progress(
            TextColumn(f"epoch {{task.fields[epoch]}}/{epochs}"), BarColumn(),
            TextColumn("{task.description}"), TimeRemainingColumn(),
            console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._progress.add_task("compiling", total=epochs * steps, epoch=0)

    def start(self) -> None:
        """Shows the bar."""
        self._progress.start()

    def stop(self) -> None:
        """Ends the bar."""
        self._progress.stop()

    def show(self, steps: int, epochs: Sequence[Epoch]) -> None:
        """Shows that ``steps`` are done and ``epochs`` over."""
        self._progress.update(self._task, completed=steps, epoch=len(epochs))
        if epochs:
            last = epochs[-1]
            self._progress.update(
                self._task,
                description=f"loss {last.loss:.4f}, validation {last.validation_accuracy:.2%}, "
                f"{last.seconds:.1f} s/epoch",
            )
