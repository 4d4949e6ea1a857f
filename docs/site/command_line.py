"""``docs/command-line.md``: the options of the three programs, as their parsers know them.

python docs/site/command_line.py    writes it again; a test holds it to the code
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import lenet_export.cli
import lenet_export.read
import lenet_train.cli

PAGE = Path(__file__).parents[1] / "command-line.md"
PROGRAMS = (lenet_export.cli, lenet_train.cli, lenet_export.read)
HEAD = """\
# The command line

Written by `python docs/site/command_line.py` from what the programs themselves read. `--help` shows
the same, `--version` the version; `--completion bash`, or `zsh` or `tcsh`, prints the script that
lets that shell complete the options.
"""
#: What all programs have.
COMMON = ("help", "version", "completion")


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(line for of in PROGRAMS for line in described(of.command_line()))])


def described(parser: argparse.ArgumentParser) -> Iterator[str]:
    """A program: what it does, its options group by group, its examples and exit statuses."""
    yield f"## `{parser.prog}`\n"
    yield f"{parser.description}\n"
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action.dest not in COMMON]
        options = [option(parser, action) for action in actions]
        if options:
            yield f"### {parser.prog}: {group.title}\n"
            yield "\n".join(options) + "\n"
    yield f"```text\n{parser.epilog.strip()}\n```\n"


def option(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """An option: how it is written, and what it does."""
    formatter = parser._get_formatter()
    value = formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
    forms = [f"{form} {value}".strip() for form in action.option_strings] or [value]
    does = " ".join(formatter._expand_help(action).split())
    # A name of an option is code, wherever it stands.
    does = re.sub(r"(?<![\w`-])--\w[\w-]*", r"`\g<0>`", does)
    line = f"- {', '.join(f'`{form}`' for form in forms)}: {does}"
    return textwrap.fill(
        line, 118, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )


if __name__ == "__main__":
    PAGE.write_text(page())
    print(PAGE)
