"""What --tables blob costs on emulated cores, beside constant tables.

    python benchmarks/blob.py            prints the table
    python benchmarks/blob.py --update   writes blob.json too

The firmware is built twice for a core. The second time functions of the names that it calls pass
the tables on, so that the same program measures both; their few instructions count in.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import firmware
import object_sizes
from chips import CORES
from lenet_export import bundled, reference, verify
from lenet_export.cpus.registry import lay_out
from lenet_export.outputs.c import KNOWN_IMAGES, Options, render_c
from lenet_export.plan import Plan, make_plan

FIGURES = Path(__file__).with_name("blob.json")
IMAGES = {False: 20, True: 3}  # of an AVR fewer: simavr takes its time
#: A model, a board, and a CPU whose kernels run there.
CASES = [
    *(("mnist", "cortex-m0", "generic"), ("mnist", "cortex-m0", "cortex-m0")),
    *(("mnist", "cortex-m4", "generic"), ("mnist", "cortex-m4", "cortex-m4")),
    *(("mnist", "cortex-m55", "cortex-m55"), ("mnist", "riscv32", "riscv32")),
    ("mnist-uno", "avr", "avr"),
]
#: What the firmware calls, with what follows the tables.
CALLS = {
    "lenet_verdict lenet_logits": "lenet_workspace *ws, const uint8_t *image, int32_t *logits",
    "lenet_self_test_result lenet_self_test": "lenet_workspace *ws",
    "void lenet_self_test_begin": "lenet_self_test_state *test",
    "lenet_self_test_result lenet_self_test_step": (
        "lenet_self_test_state *test, lenet_workspace *ws"
    ),
}
#: volatile: to a compiler that sees what is bound, its numbers would be constants again.
PASSED = """\
#include "lenet.h"
#include "bound.c"
#ifndef PROGMEM
#define PROGMEM
#endif

static const uint8_t blob[{size}] PROGMEM __attribute__((aligned(64))) = {{ {numbers} }};
static const bound_tables *volatile const tables = (const bound_tables *)blob;

{functions}"""


def passed(plan: Plan) -> dict[str, bytes]:
    """A ``lenet.c`` and ``lenet.h`` as the firmware calls them, of ``plan`` with a blob."""
    files = render_c(plan, Options("bound", tables="blob"))
    header = files["bound.h"].decode()
    names = re.findall(r"^#define BOUND_(?!H\b|EXPORT)(\w+)", header, re.MULTILINE)
    names += re.findall(r"^    BOUND_(\w+) = ", header, re.MULTILINE)
    types = re.findall(r"^\} bound_(\w+);", header, re.MULTILINE)
    lines = [f"#define LENET_{name} BOUND_{name}" for name in names]
    lines += [f"typedef bound_{name} lenet_{name};" for name in types]
    lines += [f"{function}({arguments});" for function, arguments in CALLS.items()]
    functions = []
    for function, arguments in CALLS.items():
        given = ", ".join(re.findall(r"(\w+)(?:,|$)", arguments))
        name = function.split()[-1].replace("lenet", "bound")
        functions.append(f"{function}({arguments})\n{{\n    return {name}(tables, {given});\n}}\n")
    numbers = ", ".join(map(str, files["bound_tables.bin"]))
    text = PASSED.format(
        size=len(files["bound_tables.bin"]), numbers=numbers, functions="\n".join(functions)
    ).replace("    return bound_self_test_begin", "    bound_self_test_begin")
    own = '#ifndef LENET_H\n#define LENET_H\n#include "bound.h"\n' + "\n".join(lines) + "\n#endif\n"
    return files | {"lenet.h": own.encode(), "lenet.c": text.encode()}


def named(model: str, core: str, cpu: str) -> str:
    """A case as documents have it."""
    return f"`{model}`, {core}, `--cpu {cpu}`"


def percent(new: int, old: int) -> str:
    """By how much ``new`` is more than ``old``, as documents have it."""
    return f"{100 * (new - old) / old:.1f} %"


def rows(found: dict[str, Any]) -> list[str]:
    """What it costs on each core, in Markdown."""
    lines = [
        "| | instructions of an image (AVR: cycles) "
        "| with a blob | more | of `lenet_bind` | bytes of "
        "code and tables | with a blob |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, of in found.items():
        old, new = of["constants"], of["blob"]
        more = percent(new["instructions"], old["instructions"])
        cells = [f"{old['instructions']:,}", f"{new['instructions']:,}", more, f"{new['crc']:,}"]
        cells += [f"{old['flash']:,}", f"{new['flash']:,}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--update", action="store_true", help=f"write {FIGURES.name}")
    options = parser.parse_args(arguments)
    found = {named(*case): cost(*case) for case in CASES}
    print("\n".join(rows(found)))
    if options.update:
        FIGURES.write_text(json.dumps(found, indent=1) + "\n")


def cost(model: str, core: str, cpu: str) -> dict[str, Any]:
    """Instructions of an image and of a CRC, and bytes of ``lenet.o``, of constants and of a blob.

    Raises:
        RuntimeError: a logit is not the reference's, or images take unequal time.
    """
    plan = lay_out(make_plan(bundled.load(model), "int8"), cpu, "speed")
    images = verify.stress_images(plan)[: IMAGES[CORES[core].is_avr]]
    expected = reference.run_logits(plan, images)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        level = {"CMAKE_C_FLAGS_RELEASE": CORES[core].level}
        built = firmware.build(core, Path(folder), cpu, None, Path(model), **level)
        for name in ("constants", "blob"):
            if name == "blob":
                for file, data in passed(plan).items():
                    (built.generated / file).write_bytes(data)
                object_sizes.output("cmake", "--build", folder)
            run = built.run(images, plan.outputs)
            (compiled,) = Path(folder).rglob("lenet.c.obj")
            text, _, _ = object_sizes.sections(compiled, CORES[core].prefix)
            if (run.logits != expected).any() or np.ptp(run.counts) or run.self_test:
                raise RuntimeError(f"{core}, {cpu}, {name}: not the same logits, or unequal time")
            count = int(run.counts[0])
            crc = run.steps_count - KNOWN_IMAGES * count  # all else of a self-test, nearly
            found[name] = {"instructions": count, "crc": crc, "flash": text}
    return found


if __name__ == "__main__":
    main()
