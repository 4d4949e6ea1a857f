"""Where each layer is in the C: its tables and its functions, by their lines."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, NamedTuple

from lenet_export.c_text import DECLARED
from lenet_export.outputs.options import Files
from lenet_export.plan import Plan

TABLE = re.compile(r"^static const \w+ (\w+)\[")
#: A line of a struct that is an array.
MEMBER = re.compile(r"^    \w+ (\w+)(?:\[\d+\])+(?: \w+)?;$")
END_OF_TABLE, END_OF_FUNCTION = re.compile(r"\};$"), re.compile(r"^\}|\}\}$")


class Place(NamedTuple):
    """A table or a function of the C: its file, and its first and last line."""

    name: str
    file: str
    first: int
    last: int


def traced(plan: Plan, files: Files) -> list[dict[str, Any]]:
    """For each layer what computes it.

    Args:
        plan: what the files were printed from.
        files: the generated files, by name.

    Returns:
        By layer its ``tables`` and ``functions``, of which each has the names of a
        :class:`Place`. None of a file that is no C.
    """
    found = [of for name, data in files.items() for of in places(name, data)]
    if plan.is_bound:
        found += [of for name, data in files.items() for of in members(name, data)]
    layers: dict[str, dict[str, Any]] = {
        layer.name: {"layer": layer.name, "tables": [], "functions": []} for layer in plan.layers
    }
    tables = {constant.name: layer.name for layer in plan.layers for constant in layer.constants}
    for place in found:
        table, layer = tables.get(place.name), layer_of(place.name, plan)
        if table:
            layers[table]["tables"].append(place._asdict())
        elif layer:
            layers[layer]["functions"].append(place._asdict())
    return [*layers.values()]


def layer_of(function: str, plan: Plan) -> str:
    """The layer whose name, or whose output's, a function's begins with: the longest."""
    begins = {f"{layer.output}_row": layer.name for layer in plan.layers}
    begins |= {f"{layer.name}_": layer.name for layer in plan.layers}
    return begins.get(max(filter(function.startswith, begins), key=len, default=""), "")


def places(file: str, data: bytes) -> list[Place]:
    """The tables and functions that a file of C defines."""
    if not file.endswith((".c", ".h")):
        return []
    lines = data.decode().splitlines()
    starts = [
        (number, match[1], end)
        for number, line in enumerate(lines, 1)
        for start, end in ((TABLE, END_OF_TABLE), (DECLARED, END_OF_FUNCTION))
        if (match := start.match(line))
    ]
    starts.append((len(lines) + 1, "", END_OF_TABLE))
    found = []
    for (first, name, end), (following, _, _) in pairwise(starts):
        # What has no end before the next begins is a prototype.
        body = range(first, following)
        last = next((number for number in body if end.search(lines[number - 1])), 0)
        if last:
            found.append(Place(name, file, first, last))
    return found


def members(file: str, data: bytes) -> list[Place]:
    """The arrays that are members of the structs of a file of C: of tables that are bound."""
    if not file.endswith((".c", ".h")):
        return []
    lines = enumerate(data.decode().splitlines(), 1)
    return [Place(of[1], file, n, n) for n, line in lines if (of := MEMBER.match(line))]


def code_alone(text: str) -> str:
    """A text of C whose comments, strings and directives are spaces: all else is where it was."""
    return re.sub(
        r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|^ *#(?:[^\n]*\\\n)*[^\n]*',
        lambda of: re.sub(r"[^\n]", " ", of[0]),
        text,
        flags=re.DOTALL | re.MULTILINE,
    )
