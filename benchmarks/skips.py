"""What a Cortex-M0 reads when it leaves one instruction of an image out, now and in earlier C.

    python benchmarks/skips.py                  prints the table of skips.json
    python benchmarks/skips.py --update [ROW]   measures the rows, or those named, and writes it

`mnist` as plain C, --max-error 0.001, reads MNIST's test images, the first that are accepted, by
the check `skipped_instructions` of `--evidence`, with more draws: of the executed instructions
20,000 now, else 5,000. Earlier C is printed by the
exporter of its commit, from this repository's history; "twice" is a program that reads each image
twice and believes what is the same. `LENET_DATA` names a folder with mnist/.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from lenet_export import bundled, reference
from lenet_export.cpus.registry import lay_out
from lenet_export.evidence.check import Case
from lenet_export.evidence.checks import skipped_instructions
from lenet_export.evidence.checks.skipped_instructions import PROGRAM, Effect
from lenet_export.outputs.c import render_c
from lenet_export.outputs.options import Files, Options
from lenet_export.plan import make_plan
from lenet_export.verdict import readings
from material import digits

RESULTS = Path(__file__).with_suffix(".json")
ROOT = Path(__file__).parents[1]
MODEL, MAX_ERROR = "mnist", 0.001
DRAWN, FEWER = 20_000, 5000

#: Before there were verdicts: what is read is believed by its gap.
BY_GAP = (
    PROGRAM.replace("    lenet_verdict verdict;\n", "")
    .replace("lenet_reading reading;", "struct { lenet_reading of; uint8_t verdict; } reading;")
    .replace("reading.digit", "reading.of.digit")
    .replace("reading.accepted", "reading.of.accepted")
    .replace("verdict = lenet_finish", "lenet_finish")
    .replace("reading = lenet_decide(logits, verdict)", "reading.of = lenet_decide(logits)")
    .replace("LENET_LOGITS", "LENET_CLASSES")
)
TWICE = (
    PROGRAM.replace("void application(void)", "static void once(void)")
    + """
void application(void)
{
    lenet_reading first;
    once();
    first = reading;
    once();
    if (reading.digit != first.digit || reading.gap != first.gap) {
        reading.accepted = 0;
    }
}
"""
)


@dataclass(frozen=True)
class Row:
    """What is measured.

    Attributes:
        about: in words.
        commit: whose exporter prints the C; empty: this one.
        cpu: ``--cpu``.
        program: the application.
        drawn: how many executed instructions.
    """

    about: str
    commit: str = ""
    cpu: str = "generic"
    program: str = PROGRAM
    drawn: int = FEWER


ROWS = {
    "before": Row("without verdicts and limits of ink", "f87bb63~1", program=BY_GAP),
    "verdicts": Row("before the self-test held digit and gap", "c2e0a40"),
    "now": Row("plain C", drawn=DRAWN),
    "cortex-m0": Row("its own kernels", cpu="cortex-m0"),
    "twice": Row("plain C, each image read twice", program=TWICE),
}


def printed_by(commit: str, folder: Path) -> Files:
    """The C and its header, by the exporter of a commit."""
    command = ["git", "-C", ROOT, "archive", commit, "export"]
    packed = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    start = "import sys; from lenet_export.__main__ import main; sys.exit(main())"
    options = ["--model", MODEL, "--max-error", str(MAX_ERROR), "--no-verify", "--out", "c"]
    paths = os.environ | {"PYTHONPATH": str(folder / "export")}
    subprocess.run(
        [sys.executable, "-c", start, *options],
        cwd=folder, env=paths, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return {name: (folder / "c" / name).read_bytes() for name in ("lenet.c", "lenet.h")}


def measure(row: Row) -> dict[str, Any]:
    """What the check finds, with the row's program and draws."""
    model = bundled.load(MODEL)
    plan = lay_out(make_plan(model, "int8", MAX_ERROR), row.cpu, "speed")
    images = digits.load("test").images[:50, ..., None]
    found = readings(plan, images, reference.run_logits(plan, images))
    images = images[np.flatnonzero(found.verdicts == 0)[: skipped_instructions.IMAGES]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "c").mkdir()
        (folder / "case").mkdir()
        options = Options()
        files = printed_by(row.commit, folder) if row.commit else render_c(plan, options)
        case = Case(plan, files, options, folder / "case", images)
        case.write()
        return {"about": row.about} | skipped_instructions.measured(
            case, row.drawn, 10**15, row.program
        )


def by_function(found: dict[str, Any]) -> Counter[str]:
    """How many skips that are wrong and accepted each function has."""
    counts: Counter[str] = Counter()
    for of in found["wrong_and_accepted"]:
        counts[of["function"].partition(" in ")[0]] += of["times"]
    return counts


def lines(results: dict[str, Any]) -> list[str]:
    """The table, in Markdown."""
    head = ["| | skipped | nothing changes | other logits | crash, no end | rejected "
            "| wrong and accepted |", "|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, found in results.items():
        for part, what in {"drawn": "executed", "places": "of the program"}.items():
            effects = found[part]["effects"]
            cells = [
                effects[Effect.NONE],
                effects[Effect.LOGITS],
                effects[Effect.CRASH] + effects[Effect.ENDLESS],
                effects[Effect.REJECTED] + effects[Effect.OTHER_REJECTED],
                effects[Effect.WRONG],
            ]
            text = " | ".join(f"{cell:,}" for cell in cells)
            head.append(f"| {name}, {what} | {found[part]['skipped']:,} | {text} |")
    return head


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("rows", nargs="*", help="default: all", metavar="ROW")
    parser.add_argument("--update", action="store_true", help="measure, and write skips.json")
    options = parser.parse_args(arguments)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in (options.rows or ROWS) if options.update else ():
        results[name] = measure(ROWS[name])
        ordered = {row: results[row] for row in ROWS if row in results}
        RESULTS.write_text(json.dumps(ordered, indent=1) + "\n")
    print("\n".join(lines(results)))
    for name, found in results.items():
        print(f"{name}:", ", ".join(f"{of} {n}" for of, n in by_function(found).most_common()))


if __name__ == "__main__":
    main()
