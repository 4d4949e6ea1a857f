"""The self-test runs the network's functions."""

from __future__ import annotations

import json
from typing import Any

from lenet_export.evidence.check import (
    IMPLEMENTATION_FILE,
    Case,
    Check,
    FailedError,
    NotRunError,
    Outcome,
    functions_of_parts,
)

#: Whole images need memory that small CPUs have not: the self-test gives theirs row by row.
WHOLE = ("lenet_logits", "lenet_read", "lenet_predict")
PROGRAM = """\
#include "lenet.h"

int main(void)
{
    static lenet_workspace ws;
    return lenet_self_test(&ws) != LENET_SELF_TEST_PASSED;
}
"""


def _run(case: Case) -> Outcome:
    case.compile("gcc", PROGRAM, "--coverage", "-O0", IMPLEMENTATION_FILE)
    case.run(["./check"])
    done = case.run(["gcov", "--json-format", "--stdout", "check-check-implementation.gcda"])
    try:
        files = json.loads(done.stdout)["files"]
        (file,) = (of for of in files if of["file"].endswith(f"/{case.main_file}"))
    except (ValueError, KeyError):
        raise NotRunError("gcov tells of the C in a way that is not known here") from None
    functions = {of["name"]: of["execution_count"] > 0 for of in file["functions"]}
    never = sorted(name for name, is_run in functions.items() if not is_run)
    network = [of for of in file["lines"] if of.get("function_name") not in never]
    missed = sorted({of["line_number"] for of in network if of["count"] == 0})
    text = case.files[case.main_file].decode().splitlines()
    lines = [f"{number}: {text[number - 1].strip()}" for number in missed]
    case.log.extend([f"never run: {name}" for name in never] + lines)
    figures: dict[str, Any] = {
        "functions": len(functions),
        "run": len(functions) - len(never),
        "lines": len(network),
        "lines_run": len(network) - len(missed),
        "never_run": never,
        "lines_never_run": lines,
    }
    missing = sorted(set(never) - set(map(case.named, WHOLE)) - functions_of_parts(case))
    if missing:
        raise FailedError(f"the self-test never runs {', '.join(missing)}")
    says = (
        f"the self-test runs {figures['run']} of {len(functions)} functions, and in these "
        f"{figures['lines_run']:,} of {len(network):,} lines; the log has the others"
    )
    return Outcome(says, figures)


CHECK = Check(
    "The self-test runs the network's code",
    "Counted by gcov. What it need not run: functions of whole images, which call those of rows, "
    "and what --with adds.",
    ("gcc", "gcov"),
    _run,
)
