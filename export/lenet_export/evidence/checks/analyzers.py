"""Compilers that look for mistakes find none."""

from __future__ import annotations

import shutil

from lenet_export.cpus.registry import CPUS
from lenet_export.evidence.check import IMPLEMENTATION_FILE, Case, Check, FailedError, Outcome

GCC = (
    "-O2 -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wcast-qual "
    "-Wcast-align -Wshadow -Wundef -Wstrict-prototypes -Wmissing-prototypes -Wdouble-promotion"
)
#: At -O2 it does not end on code of vectors.
ANALYZER = "-O1 -fanalyzer"
#: Less what is of C90, of casts to an enum, of padding in a struct, and of headers not ours.
CLANG = (
    "-O1 -Weverything -Wno-declaration-after-statement -Wno-bad-function-cast -Wno-padded "
    "-Wno-reserved-identifier -Wno-reserved-macro-identifier -Wno-unsafe-buffer-usage "
    "-Wno-unknown-warning-option"
)


def _run(case: Case) -> Outcome:
    # Of the words that a CPU's kernels load clang tells each cast, whatever the words' alignment.
    casts = ["-Wno-cast-align"] if CPUS[case.plan.cpu].headers else []
    commands = [["gcc", *GCC.split()], ["gcc", *ANALYZER.split()]]
    if shutil.which("clang"):
        commands.append(["clang", *CLANG.split(), *casts])
        commands.append(["clang", "--analyze", "--analyzer-output", "text"])
    # Of the headers that imitate another CPU's nothing is told.
    flags = ["-isystem" if flag == "-I" else flag for flag in case.flags]
    told = 0
    for command in commands:
        made = ["-c", "-o", "check.o"] if "--analyze" not in command else []
        before = len(case.log)
        case.run([*command, "-std=c99", *flags, "-I..", *made, IMPLEMENTATION_FILE])
        told += sum("warning:" in line for line in case.log[before:])
    if told:
        raise FailedError(f"{told} warnings: see the log")
    names = sorted({command[0] for command in commands})
    return Outcome(f"0 warnings of {' and '.join(names)}", {"warnings": 0, "compilers": names})


CHECK = Check(
    "Analyzers find nothing",
    "gcc with warnings on conversions, gcc -fanalyzer, clang -Weverything, and clang --analyze.",
    ("gcc",),
    _run,
    runs_the_c=False,
    also=("clang",),
)
