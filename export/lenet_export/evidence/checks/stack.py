"""The stack has a bound that the compiler knows: no recursion, no frame of a size unknown."""

from __future__ import annotations

import functools
import re

from lenet_export.errors import UserError
from lenet_export.evidence import cortex_m0
from lenet_export.evidence.check import (
    IMPLEMENTATION_FILE,
    Case,
    Check,
    FailedError,
    NotRunError,
    Outcome,
)

NODE = re.compile(r'node: \{ title: "([^"]+)" label: "[^"]*?(\d+) bytes \(([\w,]+)\)')
EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
BY_POINTER = "__indirect_call"
NO_BOUND = 1 << 40
BOUNDED = ("static", "dynamic,bounded")
#: What a compiler calls of its own, with a frame of a few words.
LIBRARY = ("memcpy", "memset", "memmove", "expf", "tanhf", "sqrtf")


#: What a Cortex-M0's division and other helpers of the compiler may push.
HELPER = 32
#: What is called on a Cortex-M0, whose stack is painted before.
PROGRAM = """\
#include "lenet.h"

uint8_t image[LENET_ROWS * LENET_COLUMNS * LENET_CHANNELS];
lenet_workspace ws;
lenet_reading reading;

void read_rows(void)
{
    logit_type logits[LENET_LOGITS];
    lenet_begin(&ws);
    for (int y = 0; y < LENET_ROWS; y++) {
        lenet_row(&ws, &image[y * LENET_COLUMNS * LENET_CHANNELS]);
    }
    reading = lenet_decide(logits, lenet_finish(&ws, logits));
}

void read_image(void)
{
    reading = lenet_read(&ws, image);
}

void self_test(void)
{
    lenet_self_test(&ws);
}
"""
PAINTED = ("read_rows", "read_image", "self_test")


def bounds(graph: str) -> dict[str, int]:
    """The most bytes that a call of each function takes, by gcc's graphs of calls.

    Raises:
        FailedError: functions call each other in a circle, or a frame has no size known.
    """
    frames = {_name(title): int(size) for title, size, _ in NODE.findall(graph)}
    unknown = [_name(title) for title, _, kind in NODE.findall(graph) if kind not in BOUNDED]
    if unknown:
        raise FailedError(f"the frame of {unknown[0]} has no size that is known before it runs")
    calls: dict[str, list[str]] = {}
    for caller, callee in EDGE.findall(graph):
        calls.setdefault(_name(caller), []).append(_name(callee))

    @functools.cache
    def deepest(function: str) -> int:
        if function == BY_POINTER:
            return NO_BOUND
        if function.startswith("__aeabi_"):
            return HELPER
        if function not in frames and function not in LIBRARY:
            raise FailedError(f"{function} is called, of which no frame is known")
        return frames.get(function, 0) + max(map(deepest, calls.get(function, ())), default=0)

    try:
        return {name: deepest(name) for name in sorted(frames)}
    except RecursionError:
        raise FailedError("functions call each other in a circle") from None


def _run(case: Case) -> Outcome:
    graph = ("-Os", "-fcallgraph-info=su")
    case.run(["gcc", "-std=c99", *case.flags, "-I..", *graph, "-c", IMPLEMENTATION_FILE])
    found = bounds((case.work / IMPLEMENTATION_FILE).with_suffix(".ci").read_text("utf-8"))
    public = {name: size for name, size in found.items() if case.is_public(name)}
    yours = [name for name, size in public.items() if size >= NO_BOUND]
    if yours and not case.options.parts:
        raise FailedError(
            f"{yours[0]} calls a function by a pointer, so that its stack has no bound"
        )
    known = {name: size for name, size in public.items() if size < NO_BOUND}
    case.log.extend(f"{name}: {size} bytes" for name, size in known.items())
    case.log.extend(f"{name}: calls a function of yours by its pointer" for name in yours)
    most = max(known, key=known.__getitem__)
    says = f"at most {known[most]:,} bytes, by {most}, on this machine"
    figures = {"bytes": known, "by_pointer": yours}
    try:
        figures["cortex_m0"] = painted = _painted(case)
    except (NotRunError, UserError) as why:
        case.log.append(f"not painted: {why}")
        says += "; nothing was painted: see the log"
    else:
        deepest = max(painted, key=lambda name: painted[name]["bound"])
        of = painted[deepest]
        says += f"; on a Cortex-M0 {of['bound']}, of which {deepest} writes {of['painted']}"
    if yours:
        says += f"; none is known of {', '.join(yours)}, which call a function by its pointer"
    return Outcome(says, figures)


def _painted(case: Case) -> dict[str, dict[str, int]]:
    """On a Cortex-M0 the bound of some calls, and the bytes that they were seen to write.

    Raises:
        FailedError: they are more.
        NotRunError: it cannot be run here.
        UserError: the emulator is not installed.
    """
    cortex_m0.require(case)
    machine = cortex_m0.Machine(case, PROGRAM)
    graphs = case.work.glob("check.elf-*.ci")
    bound = bounds("".join(graph.read_text("utf-8") for graph in graphs))
    found = {}
    for name in PAINTED:
        of = {"bound": bound[name], "painted": machine.stack_of(name)}
        case.log.append(f"Cortex-M0: {name}: {of['painted']} of {of['bound']} bytes")
        if of["painted"] > of["bound"]:
            raise FailedError(
                f"{name} writes {of['painted']} bytes of a Cortex-M0's stack, where the graph of "
                f"calls has {of['bound']}"
            )
        found[name] = of
    return found


def _name(title: str) -> str:
    """A function's name, which is behind its file's where it is static."""
    return title.rpartition(":")[2]


CHECK = Check(
    "The stack is bounded",
    "By gcc's call graph with the frame of each function, at -Os on this machine: of the network's "
    "functions none calls itself, or another by a pointer, and no frame's size depends on data. On "
    "another CPU the sum is another: of plain C and a Cortex-M0's also there, at -O2, where the "
    "stack is painted, and what calls of rows, of an image and of the self-test write is no more.",
    ("gcc",),
    _run,
    runs_the_c=False,
    also=(cortex_m0.COMPILER,),
)
