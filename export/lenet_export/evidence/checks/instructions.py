"""The instructions of a Cortex-M0, by call and by stage: the same for every image."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from lenet_export.evidence import cortex_m0, stages
from lenet_export.evidence.check import Case, Check, FailedError, Outcome
from lenet_export.evidence.cortex_m0 import COMPILER, LEVEL, Machine, Words

IMAGES = 4
CALLS = ("lenet_begin", "lenet_row", "lenet_finish")
PROGRAM = """\
#include "lenet.h"

uint8_t image[LENET_ROWS][LENET_COLUMNS * LENET_CHANNELS];
lenet_workspace ws;
logit_type logits[LENET_LOGITS];

void read_rows(void)
{
    lenet_begin(&ws);
    for (int y = 0; y < LENET_ROWS; y++) {
        lenet_row(&ws, image[y]);
    }
    lenet_finish(&ws, logits);
}
"""


def calls_of(machine: Machine, trace: Words) -> list[tuple[str, Words]]:
    """The functions that ``read_rows`` calls, in order, each with the addresses of its call."""
    starts = {machine.symbols[machine.case.named(name)]: name for name in CALLS}
    own = machine.symbols["read_rows"]
    behind = min(at for at in (*machine.symbols.values(), machine.returns_to) if at > own)
    is_own = (trace >= own) & (trace < behind)
    edges = np.flatnonzero(np.diff(is_own)) + 1
    parts = [trace[a:b] for a, b in pairwise([0, *edges, len(trace)])]
    return [(starts[int(part[0])], part) for part in parts if int(part[0]) in starts]


def _run(case: Case) -> Outcome:
    cortex_m0.require(case)
    machine = Machine(case, PROGRAM)
    counts = set()
    for image in case.images[-IMAGES:]:
        machine.write("image", image.tobytes())
        trace = machine.traced("read_rows")
        calls = calls_of(machine, trace)
        counts.add(tuple(len(part) for _, part in calls))
    if len(counts) > 1:
        raise FailedError("images take unequal numbers of instructions")
    rows = [len(part) for name, part in calls if name == "lenet_row"]
    (finish,) = [len(part) for name, part in calls if name == "lenet_finish"]
    inside = np.concatenate([part for _, part in calls])
    by_stage = stages.attribute(
        inside,
        np.ones_like(inside),
        machine.elf,
        "arm-none-eabi-addr2line",
        case.plan.layers,
        case.prefix,
    )
    figures: dict[str, Any] = {
        "compiled": f"{COMPILER} -mcpu=cortex-m0 {LEVEL}",
        "images": min(IMAGES, len(case.images)),
        "instructions": len(inside),
        "rows": rows,
        "finish": finish,
        "stages": by_stage,
    }
    for name, count in by_stage.items():
        case.log.append(f"{name}: {count:,} instructions")
    case.log.extend(f"row {y}: {count:,} instructions" for y, count in enumerate(rows))
    says = (
        f"{len(inside):,} instructions for each of {figures['images']} images, by a Cortex-M0; the "
        f"longest call of a row takes {max(rows):,}, the end {finish:,}; "
        + ", ".join(f"{name} {count:,}" for name, count in by_stage.items())
    )
    return Outcome(says, figures)


CHECK = Check(
    "Every image takes the same instructions, by call and by stage",
    "Each instruction that an emulated Cortex-M0 executes for an image, row by row, is counted for "
    "its call, and by the debugger's lines for its layer. Without wait states of flash, of its "
    "instructions most take a cycle, loads and stores two.",
    (COMPILER,),
    _run,
    runs_the_c=False,
)
