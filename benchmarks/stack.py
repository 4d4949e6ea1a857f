"""The compiler's own bound of the stack: -fstack-usage, along the calls in the program."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

#: A call or a jump, and where it goes, in the disassembly of Arm, RISC-V and AVR.
CALL = re.compile(r"\t(?:blx?|b|b\.[nw]|cb\w*|jalr?|j|call|rcall|jmp|rjmp)\b.*<([^+>]+)>")
#: Those of them that come back; before a jump to another function the frame is given up.
RETURNS = re.compile(r"\t(?:blx?|jalr?|call|rcall)\b")
FUNCTION = re.compile(r"[0-9a-f]+ <(.+)>:")


def frames(usage: Path, returned: int = 0) -> dict[str, int]:
    """The bytes of each function's frame, from a ``.su`` file.

    Args:
        usage: the file.
        returned: the bytes of a return address, where the compiler counts it in, as avr-gcc does.

    Raises:
        ValueError: a frame has no size that is known when it is compiled.
    """
    found = {}
    for line in usage.read_text().splitlines():
        place, size, kind = line.split("\t")
        if kind != "static":
            raise ValueError(f"{line}: the stack of this function has no bound")
        found[place.rsplit(":", 1)[1]] = int(size) - returned
    return found


def calls(program: Path, objdump: str) -> dict[str, list[tuple[str, bool]]]:
    """For each function those that it calls or jumps to, and whether they come back to it."""
    done = subprocess.run(
        [objdump, "--disassemble", "--no-show-raw-insn", program],
        capture_output=True,
        text=True,
        check=True,
    )
    edges: dict[str, list[tuple[str, bool]]] = {}
    function = ""
    for line in done.stdout.splitlines():
        if head := FUNCTION.fullmatch(line):
            function = head[1]
            edges[function] = []
        elif (call := CALL.search(line)) and call[1] != function:
            edges[function].append((call[1], RETURNS.search(line) is not None))
    return edges


def bound(
    usage: Mapping[str, int], edges: Mapping[str, list[tuple[str, bool]]], start: str, pushed: int
) -> int:
    """The bytes that a call of ``start`` needs at most, below its caller's frame.

    Args:
        usage: of :func:`frames`; what has none, e.g. the compiler's division, counts as 0.
        edges: of :func:`calls`.
        start: the function.
        pushed: the bytes of a return address that a call pushes.

    Raises:
        RecursionError: functions call each other in a circle.
    """

    @functools.cache
    def deepest(function: str) -> int:
        own = usage.get(function, usage.get(re.sub(r"\.\d+$", "", function), 0))
        below = [
            deepest(callee) + (own + pushed if returns else 0)
            for callee, returns in edges.get(function, [])
        ]
        return max(own, *below, 0)

    return pushed + deepest(start)
