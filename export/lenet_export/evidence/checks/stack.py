"""The stack has a bound that the compiler knows: no recursion, no frame of a size unknown."""

from __future__ import annotations

import functools
import re

from lenet_export.evidence.check import IMPLEMENTATION, Case, Check, FailedError, Outcome

NODE = re.compile(r'node: \{ title: "([^"]+)" label: "[^"]*?(\d+) bytes \((\w+)\)')
EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
BY_POINTER = "__indirect_call"
STARTS = ("lenet_begin", "lenet_row", "lenet_finish", "lenet_read", "lenet_self_test")


def _run(case: Case) -> Outcome:
    case.run(["gcc", "-std=c99", *case.flags, "-Os", "-fcallgraph-info=su", "-c", IMPLEMENTATION])
    text = (case.folder / "implementation.ci").read_text()
    frames = {_name(title): int(size) for title, size, _ in NODE.findall(text)}
    unknown = [_name(title) for title, _, kind in NODE.findall(text) if kind != "static"]
    if unknown:
        raise FailedError(f"the frame of {unknown[0]} has no size that is known before it runs")
    calls: dict[str, list[str]] = {}
    for caller, callee in EDGE.findall(text):
        calls.setdefault(_name(caller), []).append(_name(callee))

    @functools.cache
    def deepest(function: str) -> int:
        if function == BY_POINTER:
            raise FailedError("a function is called by a pointer, so that the stack has no bound")
        return frames.get(function, 0) + max(map(deepest, calls.get(function, ())), default=0)

    try:
        bounds = {start: deepest(case.named(start)) for start in STARTS}
    except RecursionError:
        raise FailedError("functions call each other in a circle") from None
    case.log.extend(f"{name}: {size} bytes" for name, size in bounds.items())
    most = max(bounds.values())
    says = f"at most {most:,} bytes, by {max(bounds, key=bounds.__getitem__)}, on this machine"
    return Outcome(says, {"bytes": bounds})


def _name(title: str) -> str:
    """A function's name, which is behind its file's where it is static."""
    return title.rpartition(":")[2]


CHECK = Check(
    "The stack is bounded",
    "By gcc's call graph with the frame of each function, at -Os on this machine: no recursion, no "
    "call by a pointer, no frame whose size depends on data. On another CPU the sum is another.",
    ("gcc",),
    _run,
    runs_the_c=False,
)
