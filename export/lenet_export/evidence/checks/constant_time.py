"""No jump depends on the image."""

from __future__ import annotations

import shutil

from lenet_export.cpus.registry import CPUS
from lenet_export.evidence.check import Case, Check, FailedError, NotRunError, Outcome

#: Instructions that valgrind has not.
UNKNOWN = ("x86-64-v4", "x86-64-v3-vnni")
LEVELS = ("-O2", "-O3")
#: To memcheck the image is undefined, and so is what a table gives for it: each jump that depends
#: on them is told. CONTROL is one.
PROGRAM = """\
#include "check-implementation.c"
#include <valgrind/memcheck.h>

static uint8_t image[LENET_ROWS * LENET_COLUMNS * LENET_CHANNELS];
static lenet_workspace ws;

int main(void)
{
    logit_type logits[LENET_LOGITS];
    VALGRIND_MAKE_MEM_UNDEFINED(image, sizeof image);
    TABLES
    lenet_logits(&ws, image, logits);
#ifdef CONTROL
    if (logits[0] > logits[1]) {
        ws.row = 1;
    }
#endif
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
    tables = [f"{of.name}_table" for of in plan.activations if of.table is not None]
    marks = " ".join(f"VALGRIND_MAKE_MEM_UNDEFINED({name}, sizeof {name});" for name in tables)
    program = PROGRAM.replace("TABLES", marks)
    builds, look_ups = [], 0
    for compiler in filter(shutil.which, ("gcc", "clang")):
        for level in LEVELS:
            name = f"{compiler} {level}"
            if not _told(case, compiler, program, level, "-DCONTROL").count(JUMP):
                raise FailedError(f"a jump that was put there is not found: {name}")
            said = _told(case, compiler, program, level)
            if said.count(JUMP):
                raise FailedError(f"{said.count(JUMP)} jumps depend on the image: {name}")
            builds.append(name)
            look_ups = max(look_ups, said.count(LOOK_UP))
    says = f"0 jumps depend on the image, under {', '.join(builds)}"
    if look_ups:
        says += "; look-ups in an activation's table do"
    return Outcome(says, {"jumps": 0, "builds": builds, "places_of_look_ups": look_ups})


def _told(case: Case, compiler: str, program: str, *flags: str) -> str:
    """What memcheck tells of the program.

    Raises:
        FailedError: it ends otherwise than well.
    """
    case.compile(compiler, program, "-gdwarf-4", *flags)
    command = ["valgrind", "--quiet", "--error-limit=no", "./check"]
    return case.run(command).stderr.decode(errors="replace")


CHECK = Check(
    "lenet_logits takes the same instructions for every image",
    "Valgrind's memcheck, to which every pixel and what the tables of activations give for it are "
    "undefined, tells each jump that depends on them; one that is put behind the inference is "
    "found. Nothing is claimed of caches.",
    ("gcc", "valgrind"),
    _run,
    also=("clang",),
)
