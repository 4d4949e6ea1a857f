"""What a user is told: of a mistake where it is, what it is, and the remedy; on any terminal."""

import io
import os
import sys
from collections.abc import Callable
from typing import TextIO


class UserError(Exception):
    """A mistake in what the user gave, told as the command line prints it.

    What came out of a file or a name is in it as it was; a terminal is shown it, and obeys nothing.

    Attributes:
        where: the file, option or layer at fault, e.g. ``model.safetensors``.
        what: what is wrong and what was expected, in one line, or with another program's below it.
        remedy: what the user can do about it, in one line, or with a list below it.
    """

    def __init__(self, where: object, what: str, remedy: str) -> None:
        """Keeps the three parts, printable; ``str()`` joins them on two lines."""
        self.where = printable(where)
        self.what, self.remedy = (
            "\n".join(map(printable, text.split("\n"))) for text in (what, remedy)
        )
        super().__init__(f"{self.where}: {self.what}\n  {self.remedy}")


def printable(text: object) -> str:
    r"""``text`` in one line, with an escape like ``\x1b`` for what a terminal would not show."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text)
    )


def exit_status(program: str, task: Callable[[], object], left: str) -> int:
    """Runs ``task``; returns 0, or 1 after a mistake, which is told, or 130 after Ctrl-C.

    Args:
        program: its name.
        task: what it does.
        left: what an interruption leaves.
    """
    _escape_unprintable()
    try:
        try:
            task()
        finally:
            _flush(sys.stdout)
    except (UserError, OSError, MemoryError) as error:
        _tell(f"{program}: error: {_mistake(error)}")
        return 1
    except KeyboardInterrupt:
        _tell(f"{program}: interrupted; {left}")
        return 130
    return 0


def _tell(text: str) -> None:
    """Prints on the standard error, if there is one."""
    if sys.stderr:
        print(text, file=sys.stderr)


def _escape_unprintable() -> None:
    """Lets what a terminal's encoding lacks be printed as an escape, and nothing fail by it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flush(stream: TextIO | None) -> None:
    """Sees to it that all that was printed is where it goes to.

    Raises:
        UserError: it cannot be written.
    """
    try:
        if stream:
            stream.flush()
    except OSError as error:
        assert stream
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # where Python's own flush at the end succeeds
        os.close(nowhere)
        raise UserError(
            "standard output",
            f"cannot be written: {(error.strerror or str(error)).lower()}",
            "the work itself is done; send the output elsewhere to read it",
        ) from None


def _mistake(error: UserError | OSError | MemoryError) -> UserError:
    """What the operating system refused, told as a user's mistake."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, MemoryError):
        return UserError(
            "memory", "there is too little of it", "end other programs, or give smaller data"
        )
    return UserError(
        error.filename or "a file",
        f"cannot be used: {(error.strerror or str(error)).lower()}",
        "check the path, its permissions, and the space left",
    )
