"""No jump depends on the image."""

from __future__ import annotations

import shutil
from collections import Counter

from lenet_export.cpus.registry import CPUS
from lenet_export.evidence.check import Case, Check, FailedError, NotRunError, Outcome

#: Instructions that valgrind has not.
UNKNOWN = ("x86-64-v4", "x86-64-v3-vnni")
LEVELS = ("-O2", "-O3")
#: To memcheck the image is undefined, and so is what a table gives for it: each jump that depends
#: on them is told. How many logits are undefined then is printed: all, or it lost the thread.
PROGRAM = """\
#include "check-implementation.c"
#include <stdio.h>
#include <valgrind/memcheck.h>

static uint8_t image[LENET_ROWS * LENET_COLUMNS * LENET_CHANNELS];
static lenet_workspace ws;

int main(void)
{
    logit_type logits[LENET_LOGITS], unknown[LENET_LOGITS];
    int count = 0;
    VALGRIND_MAKE_MEM_UNDEFINED(image, sizeof image);
    TABLES
    lenet_logits(&ws, image, logits);
    VALGRIND_GET_VBITS(logits, unknown, sizeof logits);
    VALGRIND_MAKE_MEM_DEFINED(unknown, sizeof unknown);
    for (int o = 0; o < LENET_LOGITS; o++) {
        count += unknown[o] != 0;
    }
    printf("%d", count);
    return 0;
}
"""
JUMP, LOOK_UP = "Conditional jump or move depends on", "Use of uninitialised value of size"


def _run(case: Case) -> Outcome:
    plan = case.plan
    if plan.dtype != "int8":
        raise NotRunError("of floats nothing is claimed: some of their functions branch")
    if plan.cpu in UNKNOWN:
        raise NotRunError(f"valgrind does not know the instructions of {plan.cpu}")
    if CPUS[plan.cpu].headers and "-I" in case.flags:
        raise NotRunError(f"the instructions of {plan.cpu} are imitated here, by other ones")
    builds, look_ups = [], 0
    for compiler in filter(shutil.which, ("gcc", "clang")):
        for level in LEVELS:
            name = f"{compiler} {level}"
            found = depending(case, compiler, level)
            if found["jumps"]:
                raise FailedError(f"{found['jumps']} jumps depend on the image: {name}")
            builds.append(name)
            look_ups = max(look_ups, found["look-ups"])
    says = f"0 jumps depend on the image, under {', '.join(builds)}"
    if look_ups:
        says += "; look-ups in an activation's table do"
    return Outcome(says, {"jumps": 0, "builds": builds, "places_of_look_ups": look_ups})


def depending(case: Case, compiler: str, *flags: str) -> Counter[str]:
    """How many places depend on the image: ``jumps``, and ``look-ups``, whose address does.

    Raises:
        FailedError: the program ends otherwise than well, or to memcheck not every logit depends on
            the image, so that it would not tell all.
    """
    tables = [f"{of.name}_table" for of in case.plan.activations if of.has_table]
    marks = " ".join(f"VALGRIND_MAKE_MEM_UNDEFINED({name}, sizeof {name});" for name in tables)
    case.compile(compiler, PROGRAM.replace("TABLES", marks), "-gdwarf-4", *flags)
    done = case.run(["valgrind", "--quiet", "--error-limit=no", "./check"])
    logits = int(done.stdout)
    if logits != case.plan.outputs:
        raise FailedError(f"by memcheck {logits} of {case.plan.outputs} logits depend on the image")
    said = done.stderr.decode(errors="replace")
    return +Counter({"jumps": said.count(JUMP), "look-ups": said.count(LOOK_UP)})


CHECK = Check(
    "lenet_logits takes the same instructions for every image",
    "Valgrind's memcheck, to which every pixel and what the tables of activations give for it are "
    "undefined, tells each jump that depends on them; so must then be all logits, or it lost the "
    "thread. Nothing is claimed of caches.",
    ("gcc", "valgrind"),
    _run,
    also=("clang",),
)
