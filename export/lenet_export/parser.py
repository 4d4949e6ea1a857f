"""The parser of a program's arguments."""

from __future__ import annotations

import argparse
from typing import NoReturn

from lenet_export.errors import printable


class Parser(argparse.ArgumentParser):
    """Reads a command line; what is wrong in it is told as text, whatever characters are there."""

    def error(self, message: str) -> NoReturn:
        """Ends the program with the usage and the message."""
        super().error(printable(message))
