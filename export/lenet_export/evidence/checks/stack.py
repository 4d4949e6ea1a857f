"""The stack has a bound that the compiler knows: no recursion, no frame of a size unknown."""

from __future__ import annotations

import functools
import re

from lenet_export.evidence.check import IMPLEMENTATION, Case, Check, FailedError, Outcome

NODE = re.compile(r'node: \{ title: "([^"]+)" label: "[^"]*?(\d+) bytes \(([\w,]+)\)')
EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
BY_POINTER = "__indirect_call"
NO_BOUND = 1 << 40
BOUNDED = ("static", "dynamic,bounded")
#: What a compiler calls of its own, with a frame of a few words.
LIBRARY = ("memcpy", "memset", "memmove", "expf", "tanhf", "sqrtf")


def _run(case: Case) -> Outcome:
    case.run(
        ["gcc", "-std=c99", *case.flags, "-I..", "-Os", "-fcallgraph-info=su", "-c", IMPLEMENTATION]
    )
    text = (case.work / IMPLEMENTATION).with_suffix(".ci").read_text()
    frames = {_name(title): int(size) for title, size, _ in NODE.findall(text)}
    unknown = [_name(title) for title, _, kind in NODE.findall(text) if kind not in BOUNDED]
    if unknown:
        raise FailedError(f"the frame of {unknown[0]} has no size that is known before it runs")
    calls: dict[str, list[str]] = {}
    for caller, callee in EDGE.findall(text):
        calls.setdefault(_name(caller), []).append(_name(callee))

    @functools.cache
    def deepest(function: str) -> int:
        if function == BY_POINTER:
            return NO_BOUND
        if function not in frames and function not in LIBRARY:
            raise FailedError(f"{function} is called, of which no frame is known")
        return frames.get(function, 0) + max(map(deepest, calls.get(function, ())), default=0)

    try:
        bounds = {name: deepest(name) for name in sorted(frames) if case.is_public(name)}
    except RecursionError:
        raise FailedError("functions call each other in a circle") from None
    yours = [name for name, size in bounds.items() if size >= NO_BOUND]
    if yours and not case.options.parts:
        raise FailedError(
            f"{yours[0]} calls a function by a pointer, so that its stack has no bound"
        )
    known = {name: size for name, size in bounds.items() if size < NO_BOUND}
    case.log.extend(f"{name}: {size} bytes" for name, size in known.items())
    case.log.extend(f"{name}: calls a function of yours by its pointer" for name in yours)
    most = max(known, key=known.__getitem__)
    says = f"at most {known[most]:,} bytes, by {most}, on this machine"
    if yours:
        says += f"; none is known of {', '.join(yours)}, which call a function by its pointer"
    return Outcome(says, {"bytes": known, "by_pointer": yours})


def _name(title: str) -> str:
    """A function's name, which is behind its file's where it is static."""
    return title.rpartition(":")[2]


CHECK = Check(
    "The stack is bounded",
    "By gcc's call graph with the frame of each function, at -Os on this machine: of the network's "
    "functions none calls itself, or another by a pointer, and no frame's size depends on data. On "
    "another CPU the sum is another.",
    ("gcc",),
    _run,
    runs_the_c=False,
)
