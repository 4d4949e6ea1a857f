"""What a user is told: of a mistake where it is, what it is, and the remedy; on any terminal."""

import io
import sys
from collections.abc import Callable


class UserError(Exception):
    """A mistake in what the user gave, told as the command line prints it.

    Attributes:
        where: the file, option or layer at fault, e.g. ``model.safetensors``.
        what: what is wrong and what was expected, in one line.
        remedy: what the user can do about it, in one line.
    """

    def __init__(self, where: object, what: str, remedy: str) -> None:
        """Keeps the three parts; ``str()`` joins them on two lines."""
        super().__init__(f"{where}: {what}\n  {remedy}")
        self.where = str(where)
        self.what = what
        self.remedy = remedy


def exit_status(program: str, task: Callable[[], object], left: str) -> int:
    """Runs ``task``; returns 0, or 1 after a mistake, which is told, or 130 after Ctrl-C.

    Args:
        program: its name.
        task: what it does.
        left: what an interruption leaves.
    """
    _escape_unprintable()
    try:
        task()
    except (UserError, OSError) as error:
        told = _os_mistake(error) if isinstance(error, OSError) else error
        print(f"{program}: error: {told}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{program}: interrupted; {left}", file=sys.stderr)
        return 130
    return 0


def _escape_unprintable() -> None:
    """Lets what a terminal's encoding lacks be printed as an escape, and nothing fail by it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _os_mistake(error: OSError) -> UserError:
    """What the operating system refused, told as a user's mistake."""
    return UserError(
        error.filename or "a file",
        f"cannot be used: {(error.strerror or str(error)).lower()}",
        "check the path, its permissions, and the space left",
    )
