"""Frama-C's proof for the bundled models on each CPU: alarms, asserted bounds, seconds.

    python benchmarks/undefined.py                                   the table
    python benchmarks/undefined.py --update [--models A,B] [--cpus C,D]

What CI cannot afford: the check `undefined` of --evidence takes a minute of a model with 60,000
weights. --update runs it where the C has changed since (--models and --cpus: of these alone), and
writes undefined.json after each.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from lenet_export import bundled
from lenet_export.compiled import IMITATED
from lenet_export.cpus.registry import CPUS, lay_out
from lenet_export.evidence.check import Case, result_of
from lenet_export.evidence.checks.undefined import CHECK
from lenet_export.outputs.c import render_c
from lenet_export.outputs.options import Files, Options
from lenet_export.plan import Plan, make_plan
from lenet_export.verify import stress_images

RESULTS = Path(__file__).with_name("undefined.json")
#: Those whose C is all plain, or clamps by an intrinsic: for them nothing may stay open.
PROVED = ("generic", "cortex-m0", "cortex-m3", "riscv32")
Row = dict[str, Any]


def printed(model: str, cpu: str) -> tuple[Plan, Files]:
    """The plan and the C of a model for a CPU."""
    plan = lay_out(make_plan(bundled.load(model), "int8"), cpu, "speed")
    return plan, render_c(plan, Options())


def sha256_of(files: Files, cpu: str) -> str:
    """The hash of the C that a proof is of, as a compiler sees it: comments may change."""
    words = ["-U__GNUC__", f"-I{IMITATED}", *(f"-D{name}=1" for name in CPUS[cpu].requires)]
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            Path(folder, name).write_bytes(text)
        command = ["gcc", "-E", "-P", "-ffreestanding", *words, "lenet.c"]
        seen = subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout
    return hashlib.sha256(b" ".join(seen.split())).hexdigest()


def measured(plan: Plan, files: Files) -> Row:
    """What the check says of the C, and how long it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with tempfile.TemporaryDirectory() as folder:
        case = Case(plan, files, Options(), Path(folder), stress_images(plan)[:1])
        case.write()
        told, _ = result_of("undefined", CHECK, case)
    seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    figures = {key: told["figures"].get(key) for key in ("alarms", "assertions", "statements")}
    return {
        "sha256": sha256_of(files, plan.cpu),
        "status": told["status"],
        "says": told["says"],
        **figures,
        "seconds": round(seconds),
    }


def table(rows: dict[str, Row]) -> str:
    """The results as a table of a document: a line for each model, a column for each CPU."""
    lines = [("", *(f"`{cpu}`" for cpu in PROVED)), ("---",) * (1 + len(PROVED))]
    for model in sorted({name.partition(" ")[0] for name in rows}):
        lines.append((f"`{model}`", *(_cell(rows.get(f"{model} {cpu}")) for cpu in PROVED)))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(row: Row | None) -> str:
    if row is None:
        return "not run yet"
    return (
        f"{sum(row['alarms'].values())} alarms, {row['assertions']} assertions, {row['seconds']} s"
    )


def main() -> None:
    """Prints the table, or measures it anew."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--update", action="store_true", help="run the proofs, and write the table")
    parser.add_argument("--models", default=",".join(bundled.names()), help="of these (all)")
    parser.add_argument("--cpus", default=",".join(PROVED), help=f"of {', '.join(CPUS)}")
    options = parser.parse_args()
    rows: dict[str, Row] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    cases = [(m, c) for m in options.models.split(",") for c in options.cpus.split(",")]
    for model, cpu in cases if options.update else ():
        name = f"{model} {cpu}"
        plan, files = printed(model, cpu)
        if rows.get(name, {}).get("sha256") != sha256_of(files, cpu):
            rows[name] = measured(plan, files)
            RESULTS.write_text(json.dumps(dict(sorted(rows.items())), indent=2) + "\n")
    for name, row in sorted(rows.items()):
        print(f"{name:26} {row['seconds']:4} s  {row['status']}: {row['says']}")


if __name__ == "__main__":
    main()
