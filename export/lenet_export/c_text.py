"""C as text: types, numbers, expressions, tables, and the width of a page."""

from __future__ import annotations

import re
import textwrap

import numpy as np

from lenet_export.plan import F32, Array, DType

WIDTH = 100
#: Where a function of the printed C is declared or defined, up to its name.
DECLARED = re.compile(
    r"^(?:__attribute__\(\(\w+\)\) )?(?!typedef\b)[a-z][\w ]*[ *](\w+)\(", re.MULTILINE
)


def short_type(dtype: DType) -> str:
    """The name of a type, within that of a function of it."""
    return "float" if dtype == F32 else f"{dtype.kind.replace('i', 's')}{dtype.itemsize * 8}"


def all_ones(dtype: DType) -> str:
    """What inverts each bit of a number of the type in 32 bits, into which a sign is extended."""
    return "0xFFFFFFFFu" if dtype.kind == "i" else f"0x{256**dtype.itemsize - 1:X}u"


def c_type(dtype: DType) -> str:
    """``uint8_t`` and so on."""
    return "float" if dtype == F32 else f"{dtype.name}_t"


def spaced(number: int) -> str:
    """An integer with its thousands apart."""
    return f"{int(number):,}".replace(",", " ")


def times(name: str, factor: int) -> str:
    """``name`` times ``factor``, as one writes it."""
    if factor == 1:
        return name
    if product := re.fullmatch(r"(\d+) \* (\w+)", name):
        return f"{factor * int(product[1])} * {product[2]}"
    return f"{factor} * {parens(name)}"


def parens(text: str) -> str:
    """``text``, in parentheses if it is of several words and not in them already."""
    return f"({text})" if " " in text and not text.startswith("(") else text


def plus(name: str, *numbers: int) -> str:
    """``name`` plus the sum of ``numbers``, as one writes it."""
    number = sum(numbers)
    if number < 0:
        return f"{name} - {-number}"
    return f"{name} + {number}" if number else name


def format_table(values: Array) -> str:
    """A C initializer: braces for each axis, the innermost rows wrapped to the page."""
    # Numbers of Python's are written faster than those of NumPy.
    flat = values.ravel()
    literals = map(float_literal, flat) if values.dtype == F32 else map(str, flat.tolist())
    return _braces(np.array([*literals], object).reshape(values.shape), 0)


def float_literal(value: np.float32) -> str:
    """The shortest decimal that reads back as ``value``."""
    text = str(value)
    return text + ("f" if "." in text or "e" in text else ".0f")


def _braces(values: Array, depth: int) -> str:
    indent = " " * (4 * depth)
    if values.ndim > 1:
        inner = "\n".join(f"{indent}    {_braces(row, depth + 1)}," for row in values)
        return f"{{\n{inner}\n{indent}}}"
    line = ", ".join(values)
    if len(indent) + len(line) + 3 <= (WIDTH if depth else WIDTH // 2):
        return f"{{{line}}}"
    line, lines, first, room = line + ",", [], 0, WIDTH - len(indent) - 4
    while first < len(line):
        last = len(line)
        if last - first > room:  # Up to a blank that fits; a number alone is there whatever fits.
            last = line.rfind(" ", first, first + room + 1)
            last = last if last > 0 else (line + " ").find(" ", first)
        lines.append(f"{indent}    {line[first:last]}\n")
        first = last + 1
    return f"{{\n{''.join(lines)}{indent}}}"


def passage(text: str) -> str:
    """``text`` as lines of a comment, filled to the page; ``~`` is a space that no line ends at."""
    lines = textwrap.wrap(_whole(" ".join(text.split())), WIDTH - len(" * "))
    return "\n".join(f" * {line}" for line in lines).replace("~", " ").replace("\0", " ")


def _whole(text: str) -> str:
    """A text in whose numbers the thousands are apart, but by no space that a line ends at."""
    return re.sub(r"(?<=\d) (?=\d{3}\b)", "\0", text)


def placed(text: str) -> str:
    """``text`` with ``LENET_CODE_ATTR`` on a line of its own in front of each function's body."""
    begins = rf"(?={DECLARED.pattern}[^;{{}}]*\)\n\{{)"
    return re.sub(begins, "LENET_CODE_ATTR\n", text, flags=re.MULTILINE)


def tidy(text: str) -> str:
    """One blank line at most, none before a brace that closes, and lines of up to 100 columns.

    A line that cannot be broken, as of a long name, or of the preprocessor, stays as it is.

    Comments are filled, from one line that ends with a period to the next. The comment at the top
    stays as it is, and so does each with an indented line: it holds a list or a table.
    """
    text = re.sub(r"\n\n+(?= *\})", "\n", re.sub(r"\n\n\n+", "\n\n", text))
    top, begin, rest = text.partition("\n#")
    comment = r"/\* ((?:(?!\*/).)*?)(\n* *\*/)$"
    rest = re.sub(comment, _filled, rest, flags=re.MULTILINE | re.DOTALL)
    return top + begin + "\n".join(map(_folded, rest.split("\n")))


def _filled(comment: re.Match[str]) -> str:
    text, end = comment.groups()
    start = comment.start()
    indent = comment.string[comment.string.rfind("\n", 0, start) + 1 : start]
    if indent.strip():  # It stands beside code.
        return comment[0]
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
        for line in textwrap.wrap(_whole(passage), width, break_on_hyphens=False) or [""]
    ]
    filled = "\n".join(lines).replace(f"{indent} * ", "/* ", 1).replace("\0", " ")
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
        elif character in ")]}" and inside:  # Others were opened on a line before.
            inside.pop()
    if not breaks:
        return line
    _, place, column = min(breaks)
    return line[:-place].rstrip() + "\n" + _folded(" " * column + line[-place:], 0)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
