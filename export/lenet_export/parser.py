"""The parser of a program's arguments."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any, NoReturn

from lenet_export.errors import printable


class Parser(argparse.ArgumentParser):
    """Reads a command line; what is wrong in it is told as text, whatever characters are there."""

    def __init__(self, **options: Any) -> None:
        """Takes what argparse's parser takes."""
        super().__init__(formatter_class=_Help, **options)

    def error(self, message: str) -> NoReturn:
        """Ends the program with the usage and the message."""
        super().error(printable(message))


def as_share(value: Any) -> float | None:
    """``value`` in Python's numbers, which are printed, if it is a share between 0 and 1."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 < number < 1 else None


def share(text: str) -> float:
    """The type of an argument that is a share between 0 and 1.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    number = as_share(text)
    if number is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share between 0 and 1, e.g. 0.005")
    return number


class _Help(argparse.HelpFormatter):
    """Breaks no line inside a name such as ``mnist-uno``, which is to be copied."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)
