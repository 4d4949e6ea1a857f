"""How a program begins: whatever its standard streams are, and whenever Ctrl-C comes.

Nothing heavy is imported here, for the imports of a program are what it guards.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn


@contextlib.contextmanager
def beginning(name: str) -> Iterator[None]:
    """Makes the streams ready; and while the rest is imported, Ctrl-C ends the program at once.

    An exception would not do: what is half imported turns it into others.

    Args:
        name: of the program.
    """
    _open_closed_streams()
    _outlive_readers()

    def leave(_: int, __: FrameType | None) -> NoReturn:
        with contextlib.suppress(OSError):
            os.write(2, f"{name}: interrupted; nothing was written\n".encode())
        os._exit(128 + signal.SIGINT)

    listens = signal.getsignal(signal.SIGINT) == signal.default_int_handler  # not under nohup
    if listens:
        signal.signal(signal.SIGINT, leave)
    yield
    if listens:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _open_closed_streams() -> None:
    """Opens what the shell closed (``>&-``), or the next file would get its number and its text."""
    handle = os.open(os.devnull, os.O_RDWR)
    while handle <= 2:
        handle = os.open(os.devnull, os.O_RDWR)
    os.close(handle)


class _Outliving(io.FileIO):
    """A stream whose reader may go away (``| head -1``) while the program goes on."""

    def write(self, data: Any) -> int:
        """Writes, or drops what nobody reads."""
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def _outlive_readers() -> None:
    """Lets a file be written and a training go on though nobody reads what is told of it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            raw = _Outliving(stream.fileno(), "w", closefd=False)
            lines = stream.line_buffering or name == "stderr"
            text = io.TextIOWrapper(
                io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=lines
            )
            setattr(sys, name, text)
