"""What a user is told of a mistake: where it is, what it is, and the remedy."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Hashable, Mapping
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Options of the command lines that have another name in Python.
NAMES = {"with": "with_", "from": "start", "no-verify": "verify=False"}


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


#: As it is written in a message, and in no path.
OPTION = re.compile(r"(?<![\w./-])--([a-z][a-z-]*)")


#: How an option that is true or false is annotated, and what equals what it takes, as NumPy's do.
TRUTHS = {"bool": (True, False), "bool | None": (True, False, None)}


def in_python(function: Callable[P, T]) -> Callable[P, T]:
    """``function``, whose errors name its options: ``max_error`` for ``--max-error``.

    Those of its options that are true or false take nothing else: of a text, ``"no"`` is true.
    """
    truths = {
        name: TRUTHS[of.annotation]
        for name, of in inspect.signature(function).parameters.items()
        if of.annotation in TRUTHS and of.kind is of.KEYWORD_ONLY
    }

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        _check_truths(truths, kwargs)
        try:
            return function(*args, **kwargs)
        except UserError as error:
            told = (error.where, error.what, error.remedy)
            raise UserError(*map(python_words, told)) from None

    return called


def _check_truths(truths: Mapping[str, tuple[object, ...]], given: dict[str, Any]) -> None:
    """Makes sure of the options that are true or false, and makes them Python's.

    Raises:
        UserError: one is neither.
    """
    for name in truths.keys() & given.keys():
        value = given[name]
        if not isinstance(value, Hashable) or value not in truths[name]:
            none = ", or None" if None in truths[name] else ""
            raise UserError(name, f"is {value!r}", f"give True or False{none}")
        given[name] = value if value is None else bool(value)


def python_words(text: str) -> str:
    """A message whose options are called as Python calls them."""
    return OPTION.sub(_name, text)


def _name(option: re.Match[str]) -> str:
    return NAMES.get(option[1], option[1].replace("-", "_"))
