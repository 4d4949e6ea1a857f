"""The parser of a program's arguments."""

from __future__ import annotations

import argparse
import itertools
import re
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn

from lenet_export import __version__
from lenet_export.errors import printable


class Parser(argparse.ArgumentParser):
    """Reads a command line; what is wrong in it is told as text, whatever characters are there.

    All programs have ``--version`` and ``--completion``.
    """

    def __init__(self, prog: str, description: str, epilog: str) -> None:
        """A parser of the program ``prog``.

        Args:
            prog: its name.
            description: what it does, in a sentence.
            epilog: examples and exit statuses, in lines.
        """
        super().__init__(prog, None, description, epilog, formatter_class=_Help)
        self.add_argument("--version", action="version", version=f"{prog} {__version__}")
        self.add_argument(
            "--completion",
            choices=("bash", "zsh", "tcsh"),
            action=_Completion,
            help="print the script that lets this shell complete the options, and exit",
        )

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Reads the arguments; of ``--option=--`` Python's own makes an empty list, of no type."""
        given = list(sys.argv[1:] if args is None else args)
        for word in itertools.takewhile(lambda word: word != "--", given):
            if re.fullmatch(r"--[\w-]+=--", word):
                self.error(f"argument {word[:-3]}: expected one argument")
        return super().parse_known_args(given, namespace)

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


class _Completion(argparse.Action):
    """Prints what a shell completes a program's options by, as ``--help`` prints."""

    def __call__(self, parser: argparse.ArgumentParser, _: Any, shell: Any, __: Any = None) -> None:
        import shtab  # which few need, once

        print(shtab.complete(parser, shell))
        parser.exit()


class _Help(argparse.HelpFormatter):
    """Breaks no line inside a name such as ``mnist-uno``, which is to be copied.

    Lines of several are kept as they are: examples.
    """

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)
