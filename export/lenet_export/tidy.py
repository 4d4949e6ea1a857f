"""The printed C in its width, which a template cannot know: names and numbers have any length."""

from __future__ import annotations

import re
import textwrap

WIDTH = 100


def tidy(text: str) -> str:
    """One blank line at most, none before a brace that closes, and no line over 100 columns.

    Comments are filled, from one line that ends with a period to the next. The comment at the top
    stays as it is, and so does each with an indented line: it holds a list or a table.
    """
    text = re.sub(r"\n{2,}(?= *\})", "\n", re.sub(r"\n{3,}", "\n\n", text))
    top, begin, rest = text.partition("\n#")
    comment = r"^( *)/\* ((?:(?!\*/).)*?)(\n* *\*/)$"
    rest = re.sub(comment, _filled, rest, flags=re.MULTILINE | re.DOTALL)
    return top + begin + "\n".join(map(_folded, rest.split("\n")))


def _filled(comment: re.Match[str]) -> str:
    indent, text, end = comment.groups()
    passages: list[str] = []
    for line in re.split(r"\n *\* ?", text):
        if line.startswith(" "):
            return comment[0]
        if passages and passages[-1] and line and not passages[-1].endswith("."):
            passages[-1] += " " + line
        else:
            passages.append(line)
    if end == " */":  # It goes with the last word.
        passages[-1] += "\0*/"
    width = WIDTH - len(indent) - len(" * ")
    lines = [
        f"{indent} * {line}".rstrip()
        for passage in passages
        for line in textwrap.wrap(passage, width, break_on_hyphens=False) or [""]
    ]
    filled = "\n".join(lines).replace(" * ", "/* ", 1).replace("\0", " ")
    return filled if end == " */" else filled + end


def _folded(line: str, further: int = 4) -> str:
    """A line of code broken where the fewest brackets are open, and there as late as it fits.

    What follows stands behind the innermost of these, or ``further`` to the right.
    """
    if len(line) <= WIDTH or re.match(r" *(#|\*|/\*)", line):
        return line
    inside: list[int] = []  # of each open bracket
    breaks = []
    for place, character in enumerate(line[:WIDTH]):
        if re.search(r"(, | [-+*&|] )$", line[:place]) or re.match(r"[?:] ", line[place:]):
            breaks.append((len(inside), -place, inside[-1] if inside else _indent(line) + further))
        if character in "([{":
            inside.append(place + 1)
        elif character in ")]}":
            inside.pop()
    if not breaks:
        return line
    _, place, column = min(breaks)
    return line[:-place].rstrip() + "\n" + _folded(" " * column + line[-place:], 0)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
