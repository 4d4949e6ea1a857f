"""Where each layer is in the C: its tables and its functions, by their lines."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from lenet_export.outputs.options import Files
from lenet_export.plan import Plan

TABLE = re.compile(r"^static const \w+ (\w+)\[")
#: The first line of a function, which may go on; a prototype ends with ";".
FUNCTION = re.compile(r"^(?!typedef|struct|#|/|\s)[\w ]+[ *](\w+)\(")


def traced(plan: Plan, files: Files) -> list[dict[str, Any]]:
    """For each layer what computes it.

    Args:
        plan: what the files were printed from.
        files: the generated files, by name.

    Returns:
        By layer its ``tables`` and ``functions``: name, file, first and last line. None of a file
        that is no C.
    """
    found = [
        place for name, data in files.items() for place in _places(name, data.decode("latin1"))
    ]
    layers = []
    for layer in plan.layers:
        tables = {constant.name for constant in layer.constants}
        begin = (f"{layer.name}_", f"{layer.output}_row")
        layers.append(
            {
                "layer": layer.name,
                "tables": [of for of in found if of["name"] in tables],
                "functions": [
                    of for of in found if of["name"].startswith(begin) and of["name"] not in tables
                ],
            }
        )
    return layers


def _places(file: str, text: str) -> list[dict[str, Any]]:
    """The tables and functions that a file defines."""
    if not file.endswith((".c", ".h")):
        return []
    lines = text.splitlines()
    ends = [number for number, line in enumerate(lines, 1) if re.match(r"^\}|.*\};$", line)]
    starts = [
        (number, match[1])
        for number, line in enumerate(lines, 1)
        if (match := TABLE.match(line) or FUNCTION.match(line))
    ]
    starts.append((len(lines) + 1, ""))
    found = []
    for (first, name), (following, _) in pairwise(starts):
        # What has no end before the next begins is a prototype.
        last = next((end for end in ends if first <= end < following), 0)
        if last:
            found.append({"name": name, "file": file, "first": first, "last": last})
    return found
