"""Ctrl-C, and a cluster's SIGTERM: noted while steps run, acted upon between two of them."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupted(Exception):  # noqa: N818 - the user's will, no error
    """A run ended early because a signal asked it to, with a checkpoint.

    Attributes:
        signal: the signal's number.
    """

    def __init__(self, number: int, where: str) -> None:
        """``where`` the run is, as the user is told."""
        super().__init__(where)
        self.signal = number


class Signals:
    """Notes the first signal that asks to stop; the second stops the program where it is.

    Attributes:
        noted: the signal's number, or 0.
    """

    noted = 0

    def __enter__(self) -> Signals:
        """Begins to listen, in the main thread: no other is told of signals."""
        is_main = threading.current_thread() is threading.main_thread()
        numbers = (signal.SIGINT, signal.SIGTERM) if is_main else ()
        self._before: dict[int, Any] = {
            number: signal.signal(number, self._note) for number in numbers
        }
        return self

    def __exit__(self, *_: object) -> None:
        """Gives the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.noted = number
        self.__exit__()
