"""What --harden tells: readings that change where a bit of the tables flips, with it and without.

    python benchmarks/harden.py                      the bundled models
    python benchmarks/harden.py mnist-uno --update   one of them; writes harden.json too
    python benchmarks/harden.py --costs              what it costs mnist, and on which core

A bit of a table is flipped in the generated plain C, and test images of MNIST are read: how many
get another class than before, and how many of these are not told as LENET_DAMAGED. Bits are drawn
from each table by itself; its mean counts as often as it has bits, as if each bit of flash flipped
as often as any other. Costs are those of the firmware on an emulated board.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import firmware
import object_sizes
from chips import CORES
from lenet_export import bundled, verify
from lenet_export.cpus.registry import lay_out
from lenet_export.evidence.check import DRAWS
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import Constant, Plan, make_plan
from material import digits

FIGURES = Path(__file__).with_name("harden.json")
#: Of each table so many bits, each with so many images; those of a dense layer are read quickly.
DRAWN = {"dense weights": (500, 250), "weights": (150, 150), "others": (150, 80), "copy": (20, 3)}
IMAGES = 50  # by which instructions are counted
#: A board, and a CPU whose kernels run there.
COSTS = [
    *(("cortex-m4", "generic"), ("cortex-m4", "cortex-m4"), ("cortex-m0", "cortex-m0")),
    *(("cortex-m55", "cortex-m55"), ("riscv32", "riscv32"), ("avr", "avr")),
]
#: Flips, reads and counts. What the rows of an image leave in the workspace is kept, so that a flip
#: in what lenet_finish alone reads needs no rows again. The headers come first, so that nothing but
#: the C is without its const.
PROGRAM = r"""
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#define const
#include "lenet.c"
#undef const

enum { IMAGES = 10000 };
static struct { uint8_t *at; unsigned size; int in_finish, flips, images; } tables[] = {
TABLES
};
static uint8_t images[IMAGES][LENET_ROWS * LENET_COLUMNS];
static lenet_workspace kept[IMAGES], ws;
static int before[IMAGES];
DRAWS
static void give_rows(int n)
{
    lenet_begin(&ws);
    for (int y = 0; y < LENET_ROWS; y++) {
        lenet_row(&ws, images[n] + LENET_COLUMNS * y);
    }
}

static lenet_reading finish(void)
{
    int32_t logits[LENET_LOGITS];
    lenet_verdict so_far = lenet_finish(&ws, logits);
    return lenet_decide(logits, so_far);
}

int main(int count, char **words)
{
    FILE *file = fopen(words[count - 1], "rb");
    if (file == NULL || fread(images, sizeof images, 1, file) != 1) {
        return 1;
    }
    for (int n = 0; n < IMAGES; n++) {
        give_rows(n);
        kept[n] = ws;
        before[n] = finish().digit;
    }
    for (unsigned t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        double changed = 0, squares = 0, missed = 0, told = 0;
        for (int flip = 0; flip < tables[t].flips; flip++) {
            unsigned long bit = drawn(8 * tables[t].size), first = drawn(IMAGES), others = 0;
            tables[t].at[bit / 8] ^= (uint8_t)(1u << bit % 8);
            for (int k = 0; k < tables[t].images; k++) {
                int n = (int)((first + (unsigned long)k) % IMAGES);
                if (tables[t].in_finish) {
                    ws = kept[n];
                } else {
                    give_rows(n);
                }
                lenet_reading reading = finish();
                others += reading.digit != before[n];
                missed += reading.digit != before[n] && reading.verdict != LENET_DAMAGED;
                told += reading.verdict == LENET_DAMAGED;
            }
            tables[t].at[bit / 8] ^= (uint8_t)(1u << bit % 8);
            changed += others;
            squares += (double)others * others;
        }
        printf("%.0f %.0f %.0f %.0f\n", changed, squares, missed, told);
    }
    return 0;
}
"""


def kinds(plan: Plan) -> dict[str, tuple[Constant, str, bool]]:
    """Of each table by name: it, its kind in ``DRAWN``, whether lenet_finish alone reads it."""
    dense = {constant.name for layer in plan.dense_layers for constant in layer.constants}
    copies = {copy.name for _, copy in plan.doubled}
    found = {}
    for table in plan.constants:
        in_finish = table.name in dense | copies
        kind = "weights" if table.is_weights else "copy" if table.name in copies else "others"
        kind = f"dense {kind}" if table.is_weights and in_finish else kind
        found[table.name] = table, kind, in_finish
    return found


def changes(plan: Plan, images: Any, more: float = 1) -> dict[str, dict[str, Any]]:
    """Of each table its bits, and per reading with one of them flipped the mean of what changes.

    Args:
        plan: hardened.
        images: uint8 ``(10000, 28, 28)``.
        more: so many times as many bits of weights are drawn as ``DRAWN`` says.
    """
    tables = kinds(plan)
    drawn = {
        kind: (math.ceil(flips * more) if "weights" in kind else flips, each)
        for kind, (flips, each) in DRAWN.items()
    }
    rows = "\n".join(
        f"{{(uint8_t *){name}, sizeof {name}, {in_finish:d}, {drawn[kind][0]}, {drawn[kind][1]}}},"
        for name, (_, kind, in_finish) in tables.items()
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, data in render_c(plan, Options()).items():
            Path(folder, name).write_bytes(data)
        Path(folder, "flips.c").write_text(PROGRAM.replace("TABLES", rows).replace("DRAWS", DRAWS))
        order = np.random.default_rng(0).permutation(len(images))
        Path(folder, "images").write_bytes(images[order].tobytes())
        command = ["gcc", "-std=c99", "-O3", "-march=native", "-w", "-o", "flips", "flips.c"]
        subprocess.run(command, cwd=folder, check=True)
        said = object_sizes.output(f"{folder}/flips", f"{folder}/images")
    found = {}
    for (name, (table, kind, _)), line in zip(tables.items(), said.splitlines(), strict=True):
        flips, each = drawn[kind]
        changed, squares, missed, told = map(float, line.split())
        spread = max(0.0, squares - changed**2 / flips) / flips**2
        found[name] = {
            "bits": 8 * table.values.nbytes,
            "kind": kind,
            "flips": flips,
            "images": each,
            "changed": changed / flips / each,
            "error": math.sqrt(spread) / each,
            "missed": missed / flips / each,
            "told": told / flips / each,
        }
    return found


def fewer(tables: dict[str, dict[str, Any]]) -> tuple[float, float]:
    """By which share readings that change and are not told become fewer, and its standard error."""
    weighed = [of["bits"] * of["changed"] for of in tables.values()]
    missed = [of["bits"] * of["missed"] for of in tables.values()]
    share = sum(missed) / sum(weighed)
    errors = [
        of["bits"] * of["error"] * ((1 if of["missed"] else 0) - share) for of in tables.values()
    ]
    return 1 - share, math.hypot(*errors) / sum(weighed)


def told_of(name: str, images: Any, more: float) -> dict[str, Any]:
    """What a model's flips do, and what its copies take."""
    plan = lay_out(make_plan(bundled.load(name), "int8", is_hardened=True), "generic", "speed")
    tables = changes(plan, images, more)
    share, error = fewer(tables)
    own = [of for of in tables.values() if of["kind"] != "copy"]
    bits = sum(of["bits"] for of in own)
    return {
        "constant_bytes": bits // 8,
        "copy_bytes": plan.constant_bytes - bits // 8,
        "changed": sum(of["bits"] * of["changed"] for of in own) / bits,
        "missed": sum(of["bits"] * of["missed"] for of in own) / bits,
        "fewer": share,
        "error": error,
        "tables": tables,
    }


def cost(core: str, cpu: str) -> dict[str, dict[str, int]]:
    """Instructions of an image (AVR: cycles), and the bytes of ``lenet.o``, without and with it.

    Raises:
        RuntimeError: images take unequal time.
    """
    plan = make_plan(bundled.load("mnist"), "int8")
    images = verify.stress_images(plan)[: 4 if CORES[core].is_avr else IMAGES]
    found = {}
    for name, harden in (("without", "OFF"), ("with", "ON")):
        with tempfile.TemporaryDirectory() as folder:
            variables = {"CMAKE_C_FLAGS_RELEASE": CORES[core].level, "LENET_HARDEN": harden}
            built = firmware.build(core, Path(folder), cpu, None, Path("mnist"), **variables)
            counts = built.run(images, plan.outputs).counts
            (compiled,) = Path(folder).rglob("lenet.c.obj")
            text, _, _ = object_sizes.sections(compiled, CORES[core].prefix)
        if counts.min() != counts.max():
            raise RuntimeError(f"{core}, {cpu}: {counts.min()} to {counts.max()}: not constant")
        found[name] = {"instructions": int(counts[0]), "flash": text}
    return found


def percent(share: float, places: int = 1) -> str:
    """A share as documents have it."""
    return f"{100 * share:.{places}f} %"


def rows(found: dict[str, Any]) -> list[str]:
    """Of each model, in Markdown: what changes, and what is told."""
    lines = [
        "| changed readings of 10,000, where one bit has flipped | without | with `--harden` "
        "| fewer | copies, bytes |",
        "|---|---|---|---|---|",
    ]
    for name, of in found["models"].items():
        means = (f"{1e4 * of[key]:.2f}" for key in ("changed", "missed"))
        share = f"{percent(of['fewer'])} ± {100 * of['error']:.1f}"
        size = f"{of['copy_bytes']:,}, {percent(of['copy_bytes'] / of['constant_bytes'])}"
        lines.append(f"| `{name}` | {' | '.join(means)} | {share} | {size} |")
    return lines


def cost_rows(found: dict[str, Any]) -> list[str]:
    """What it costs `mnist` on each core, in Markdown."""
    lines = [
        "| `mnist` | instructions of an image | more | flash, bytes | more |",
        "|---|---|---|---|---|",
    ]
    for name, of in found["costs"].items():
        cells = []
        for key in ("instructions", "flash"):
            old, new = of["without"][key], of["with"][key]
            cells += [f"{new:,}", f"{new - old:,}, {percent((new - old) / old)}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", help="names of bundled models (default: all)")
    parser.add_argument("--costs", action="store_true", help="measure what it costs")
    parser.add_argument("--more", type=float, default=1, help="draw so many times as many weights")
    parser.add_argument("--update", action="store_true", help=f"write {FIGURES.name}")
    options = parser.parse_args(arguments)
    images = digits.load("test").images
    names = options.models or ([] if options.costs else bundled.names())
    models = {name: told_of(name, images, options.more) for name in names}
    costs = {f"{core}, `--cpu {cpu}`": cost(core, cpu) for core, cpu in COSTS if options.costs}
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {"models": {}, "costs": {}}
    known["models"] = dict(sorted((known["models"] | models).items()))
    known["costs"] |= costs
    print("\n".join([*rows(known), "", *cost_rows(known)]))
    if options.update:
        FIGURES.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
