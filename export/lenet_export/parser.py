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


class _Help(argparse.HelpFormatter):
    """Breaks no line inside a name such as ``mnist-uno``, which is to be copied."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)
