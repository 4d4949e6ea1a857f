"""``docs/python.md``: what both packages give, by their signatures and docstrings.

``python tests/python_page.py`` renews it; a test holds it to the code.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import lenet_export
import lenet_train

PAGE = Path(__file__).parents[1] / "docs/python.md"
HEAD = """\
# The Python API

Written by `python tests/python_page.py` from the docstrings, which `help()` shows, too.
"""
#: The sections of a docstring that list names.
LISTS = ("Args", "Attributes", "Raises", "Warns")


def page() -> str:
    """The whole page: functions first."""
    parts = [HEAD]
    for package in (lenet_export, lenet_train):
        given = {f"{package.__name__}.{name}": getattr(package, name) for name in package.__all__}
        parts.append(f"## `{package.__name__}`\n")
        for called, of in sorted(given.items(), key=lambda item: inspect.isclass(item[1])):
            parts += [f"### `{called}`\n", *described(called, of)]
    return "\n".join(parts)


def described(called: str, given: Any) -> list[str]:
    """A function or class that is ``called`` so, and the methods of a class."""
    if not inspect.isclass(given):
        return [signature(called, given), text_of(given)]
    parts = [text_of(given)]
    for name, of in members(given):
        parts.append(f"#### `{called.rpartition('.')[2]}.{name}`\n")
        parts += [text_of(of)] if isinstance(of, property) else described(name, of)
    return parts


def members(given: type) -> list[tuple[str, Any]]:
    """The public methods and properties of a class, as far as they are ours, in their order."""
    names = dict.fromkeys(name for base in given.__mro__[::-1] for name in vars(base))
    found = [(name, inspect.getattr_static(given, name)) for name in names if name[0] != "_"]
    own = [(name, getattr(of, "__func__", of)) for name, of in found]
    return [(name, of) for name, of in own if is_ours(getattr(of, "fget", of))]


def is_ours(given: Any) -> bool:
    """Whether a function is one of these packages."""
    return inspect.isfunction(given) and given.__module__.startswith("lenet_")


def signature(called: str, given: Any) -> str:
    """How it is called, as a block of code, with what an argument is if it is left out."""
    of = inspect.signature(inspect.unwrap(given))
    kept = [one for one in of.parameters.values() if one.name not in ("self", "cls")]
    words = [argument(one) for one in kept]
    named = [one for one in kept if one.kind is inspect.Parameter.KEYWORD_ONLY]
    if named:
        words.insert(len(kept) - len(named), "*")
    line = f"{called}({', '.join(words)}) -> {of.return_annotation}"
    if len(line) > 100:
        inside = "".join(f"    {word},\n" for word in words)
        line = f"{called}(\n{inside}) -> {of.return_annotation}"
    return f"```text\n{line}\n```\n"


def argument(one: inspect.Parameter) -> str:
    """An argument, its type, and what it is if it is left out."""
    value = "" if one.default is one.empty else f" = {one.default!r}"
    return f"{one.name}: {one.annotation}{value}"


def text_of(given: Any) -> str:
    """A docstring as Markdown: its sections are lists, its example a block."""
    text = inspect.cleandoc(given.__doc__ or "")
    text = re.sub(r":\w+:`[~.]*([^`<]*?)(?: <[^`>]*>)?`", r"`\1`", text).replace("``", "`")
    parts = re.split(r"^(\w+):\n((?:    .*\n?|\n)+)", text, flags=re.MULTILINE)
    shown = [parts[0].rstrip()]
    for section, body, rest in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        inside = textwrap.dedent(body).strip("\n")
        if section in LISTS:
            inside = re.sub(r"^([\w.]+):", r"- `\1`:", inside, flags=re.MULTILINE)
            inside = re.sub(r"^    ", "  ", inside, flags=re.MULTILINE)
        if section == "Example":
            inside = f"```python\n{inside}\n```"
        shown += [f"**{section}**\n\n{inside}", *([rest.strip()] if rest.strip() else [])]
    return "\n\n".join(shown) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(PAGE)
