"""Instructions, flash, RAM and stack of the generated C on each emulated core; sizes with -Os.

    python benchmarks/chips.py             prints the table
    python benchmarks/chips.py --check     fails where a figure grew by more than 2 %
    python benchmarks/chips.py --update    writes figures.json and docs/instructions.png, on purpose

Each core runs the plain C and its own kernels, gcc -O3, with `mnist`; the latter with `mnist-uno`
too, whose weights have 2 and 4 bits, and as clang -O3 makes them, where it knows the core; a
Cortex-M4 MLPerf Tiny's keyword network, by both. An Arduino Uno runs `mnist-uno` alone, -O2.
Instructions (AVR: cycles) are those of one image; the count must be the same for every image, and
every logit that of the integer reference. Sizes with -Os are compared to the byte.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import chart
import cycles
import firmware
import keywords
import object_sizes
import stack
from lenet_export import checkpoint, reference, verify
from lenet_export.cpus.registry import choices
from lenet_export.evidence import stages
from lenet_export.plan import Plan, make_plan

FOLDER = Path(__file__).parent
FIGURES = FOLDER / "figures.json"
MODELS = FOLDER.parent / "export/lenet_export/models"
LIMIT = 1.02
FLAGS = "-gdwarf-4 -fstack-usage"
#: The bytes by which the compiler's bound of the stack may exceed what is measured.
STACK_SLACK = 128
#: How far the firmware's own count, from a timer, may be from the traced one, which is exact.
COUNT_SLACK = 4
#: MLPerf Tiny's keyword network, which is made and not in the package.
KEYWORDS = "keywords"
#: simavr takes as long for an image as QEMU for ten.
AVR_IMAGES = 16
#: Of a core without a counter, whose images are traced one by one.
TRACED_IMAGES = 3


@dataclass(frozen=True)
class Core:
    """How a core is measured.

    Attributes:
        cpu: its own ``--cpu``.
        prefix: of its tool chain.
        level: how its code is compiled.
        models: the bundled models that it runs: the first with every kernel, others with its own.
        calls: what is called for an image, in this order.
        return_bytes: that a call pushes to the stack, where a frame counts them in.
        stack_slack: the bytes by which its bound may exceed what is measured; of an AArch64 and a
            Cortex-M55, whose frames hold vectors, twice as many.
        clang: how clang is told of the core; empty: it does not know it.
        has_model: whether its cycles are estimated.
        counts: whether its board has a counter.
    """

    cpu: str
    prefix: str = "arm-none-eabi-"
    level: str = "-O3"
    models: tuple[str, ...] = ("mnist", "mnist-uno")
    calls: tuple[str, ...] = ("lenet_logits",)
    return_bytes: int = 0
    stack_slack: int = STACK_SLACK
    clang: str = ""
    has_model: bool = False
    counts: bool = True

    @property
    def is_avr(self) -> bool:
        """Whether simavr runs it, far slower than QEMU runs the others."""
        return self.prefix == "avr-"


CORES = {
    "cortex-m0": Core("cortex-m0", clang="--target=thumbv6m-none-eabi -mcpu=cortex-m0"),
    "cortex-m3": Core("cortex-m3", clang="--target=thumbv7m-none-eabi -mcpu=cortex-m3"),
    "cortex-m4": Core(
        "cortex-m4", models=("mnist", "mnist-uno", KEYWORDS), has_model=True,
        clang="--target=thumbv7em-none-eabihf -mcpu=cortex-m4 -mfpu=fpv4-sp-d16",
    ),
    "cortex-m7": Core(
        "cortex-m4", models=("mnist",),
        clang="--target=thumbv7em-none-eabihf -mcpu=cortex-m7 -mfpu=fpv5-d16",
    ),
    "cortex-m55": Core(
        "cortex-m55", stack_slack=256,
        clang="--target=thumbv8.1m.main-none-eabihf -mcpu=cortex-m55",
    ),
    "riscv32": Core(
        "riscv32", "riscv64-unknown-elf-",
        clang="--target=riscv32-none-elf -march=rv32imac -mabi=ilp32 -mcmodel=medany",
    ),
    "aarch64": Core(
        "aarch64", "aarch64-linux-gnu-", models=("mnist",), stack_slack=256,
        clang="--target=aarch64-linux-gnu -march=armv8-a",
    ),
    "aarch64-dotprod": Core(
        "aarch64-dotprod", "aarch64-linux-gnu-", models=("mnist",), stack_slack=256,
        clang="--target=aarch64-linux-gnu -march=armv8.2-a+dotprod",
    ),
    "avr": Core("avr", "avr-", models=("mnist",), return_bytes=3),
    "atmega328p": Core(
        "atmega328p", "avr-", "-O2", ("mnist-uno",),
        ("lenet_begin", "lenet_row", "lenet_finish"), return_bytes=2,
    ),
    "attiny85": Core(
        "attiny85", "avr-", "-Os", ("mnist-tiny",),
        ("lenet_begin", "lenet_row", "lenet_finish"), return_bytes=2, counts=False,
    ),
}  # fmt: skip
CHECKED = (
    "instructions", "flash", "ram", "stack", "stack_bound",
    "self_test_stack", "self_test_count", "step_count", "program_flash", "program_ram",
)  # fmt: skip

Figures = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Variant:
    """What a core runs.

    Attributes:
        cpu: ``--cpu``.
        optimize: ``--optimize``, if it is given.
        model: a bundled one.
        clang: how clang is told of the core, where it compiles ``lenet.c``.
    """

    cpu: str
    optimize: str | None
    model: str
    clang: str = ""


def variants(core: str) -> dict[str, Variant]:
    """What a core runs, by name; avr-gcc takes no array as long as plain fc1."""
    own, (first, *others), clang = CORES[core].cpu, CORES[core].models, CORES[core].clang
    found = {} if CORES[core].is_avr else {"generic": Variant("generic", None, first)}
    found |= {f"{own} {optimize}": Variant(own, optimize, first) for optimize in choices(own)}
    found |= {f"{own} {model}": Variant(own, "speed", model) for model in others}
    of_clang = {"": first} | {f"{model} ": model for model in others if model == KEYWORDS}
    return found | {
        f"{own} {name}clang": Variant(own, "speed", model, clang)
        for name, model in of_clang.items()
        if clang
    }


def compilers() -> dict[str, str]:
    """The version of each compiler."""
    gcc = [f"{prefix}gcc" for prefix in sorted({core.prefix for core in CORES.values()})]
    return {name: object_sizes.output(name, "-dumpversion").strip() for name in (*gcc, "clang")}


def trace(built: firmware.Firmware, core: Core, image: Any, calls: Iterable[str] = ()) -> Any:
    """The addresses that the calls for one image pass through, and what each instruction took.

    Args:
        built: the firmware.
        core: it was built for.
        image: the image.
        calls: functions in place of those that the core calls for an image.
    """
    listed = object_sizes.output(f"{core.prefix}nm", built.program).splitlines()
    symbols = dict(line.split()[::-2] for line in listed)
    starts = [int(symbols[function], 16) for function in calls or core.calls]
    source, record, out = (built.folder / name for name in ("image", "record", "trace"))
    source.write_bytes(image.tobytes())
    if core.is_avr:
        functions = ",".join(map(hex, starts))
        done = built.emulate(built.program, source, record, functions, str(out))
    else:
        plugin = built.folder / "trace.so"
        flags = ["-std=c99", "-O2", "-shared", "-fPIC", "-DPLUGIN_VERSION=1"]
        object_sizes.output("gcc", *flags, "-o", plugin, FOLDER / "trace.c")
        options = f"-plugin {plugin},start={starts[0]:#x},out={out}"
        done = built.emulate(built.program, source, record, QEMU_OPTIONS=options)
    if done.returncode != 0:
        raise RuntimeError(done.stdout)
    numbers = np.fromfile(out, np.uint32)
    addresses, counts = (
        numbers.reshape(-1, 2).T if core.is_avr else (numbers, np.ones_like(numbers))
    )
    # The returns are the empty function's too, which the record leaves out.
    is_return = np.append(np.isin(addresses[1:], starts), True)
    return addresses[~is_return], counts[~is_return]


def measure(
    label: str,
    name: str,
    variant: Variant,
    plan: Plan,
    images: Any,
    expected: Any,
    folder: Path,
) -> dict[str, Any]:
    """The figures of a variant, ``label`` in messages: of ``lenet.o``, and of the whole firmware.

    Raises:
        SystemExit: a logit is wrong, images take unequal time, or two ways of counting disagree.
    """
    core = CORES[name]
    flags = f"{core.level} {FLAGS}"
    model = folder / "model.safetensors"
    checkpoint.save(plan.model, model)
    built = firmware.build(
        name, folder, variant.cpu, variant.optimize, model, CMAKE_C_FLAGS_RELEASE=flags
    )
    if variant.clang:
        built.compile_again("clang", *variant.clang.split(), "-ffreestanding", *flags.split())
    record = built.run(images, plan.outputs, emulators=2 if core.is_avr else 1)
    if record.self_test != 0 or (record.logits != expected).any():
        sys.exit(f"{label}: logits differ from the reference: the figures mean nothing")
    counted, self_test_count = record.counts, record.steps_count
    if not core.counts:
        counted = np.array([trace(built, core, image)[1].sum() for image in images[:TRACED_IMAGES]])
        self_test_count = int(trace(built, core, images[0], ["lenet_self_test"])[1].sum())
    if counted.min() != counted.max():
        sys.exit(f"{label}: {counted.min()} to {counted.max()} an image: not constant")
    addresses, counts = trace(built, core, images[0])
    parts = stages.attribute(
        addresses, counts, built.program, f"{core.prefix}addr2line", plan.layers
    )
    estimate = {}
    if core.has_model:
        count = cycles.estimated(addresses, built.program, f"{core.prefix}objdump")
        estimate = {
            "cycles": count,
            "cycles_per_multiply_add": round(count / plan.multiply_adds, 2),
        }
    if abs(sum(parts.values()) - counted[0]) > COUNT_SLACK:
        sys.exit(f"{label}: traced {sum(parts.values())}, counted {counted[0]}")
    (usage,) = folder.rglob("lenet.c.su")
    edges = stack.calls(built.program, f"{core.prefix}objdump")
    frames = stack.frames(usage, core.return_bytes)
    bound = max(stack.bound(frames, edges, call, core.return_bytes) for call in core.calls)
    in_all = {}
    if core.is_avr:
        for usage in folder.rglob("*.su"):
            frames |= stack.frames(usage, core.return_bytes)
        in_all = {
            f"{name}_bound": stack.bound(frames, edges, function, core.return_bytes)
            for name, function in (("self_test", "lenet_self_test"), ("program", "main"))
        }
    (compiled,) = folder.rglob("lenet.c.obj")
    text, data, bss = object_sizes.sections(compiled, core.prefix)
    if data or bss:
        sys.exit(f"{label}: .data is {data} bytes and .bss {bss}; both must be 0")
    header = (built.generated / "lenet.h").read_text()
    ram = int(header.split("#define LENET_WORKSPACE_BYTES ")[1].split()[0])
    slack = core.stack_slack * (2 if variant.clang else 1)  # its frames share less
    if not record.stack <= bound <= record.stack + slack:
        sys.exit(f"{label}: stack measured {record.stack}, bound {bound}: they disagree")
    code, variables, zeros = object_sizes.sections(built.program, core.prefix)
    return {
        "instructions": sum(parts.values()),
        **estimate,
        "stages": parts,
        "flash": text,
        "ram": ram,
        "stack": record.stack,
        "stack_bound": bound,
        "self_test_stack": record.self_test_stack,
        "self_test_count": self_test_count,
        "step_count": record.step_count,
        "steps": record.steps,
        "program_flash": code + variables,
        "program_ram": variables + zeros,
        **in_all,
    }


def measure_all(cores: Iterable[str], count: int) -> Figures:
    """The figures of every variant of ``cores`` over ``count`` made-up images.

    Instructions are counted and not timed, so that variants may run beside each other.
    """

    @functools.cache
    def network(name: str) -> tuple[Plan, Any, Any]:
        """A model's plan, the images, and the logits that they must get."""
        is_made = name == KEYWORDS
        model = keywords.model() if is_made else checkpoint.load(MODELS / f"{name}.safetensors")
        plan = make_plan(model, "int8")
        made = verify.stress_images(plan)
        noise = np.random.default_rng(0).integers(0, 256, (count, *plan.input_shape), np.uint8)
        images = np.concatenate([made, noise])[:count]
        return plan, images, reference.run_integers(plan, images)[plan.layers[-1].name]

    def measured(name: str, core: str, variant: Variant) -> dict[str, Any]:
        plan, *of_images = network(variant.model)
        few = AVR_IMAGES if CORES[core].is_avr else count
        images, expected = (part[:few] for part in of_images)
        with tempfile.TemporaryDirectory() as folder:
            return measure(f"{core}, {name}", core, variant, plan, images, expected, Path(folder))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {
            core: {
                name: pool.submit(measured, name, core, variant)
                for name, variant in variants(core).items()
            }
            for core in cores
        }
        return {
            core: {variant: future.result() for variant, future in of_core.items()}
            for core, of_core in running.items()
        }


def grown(old: Figures, new: Figures) -> list[str]:
    """What grew by more than 2 %, or is not in the old figures, a line each."""
    lines = []
    for core, of_core in new.items():
        for variant, figures in of_core.items():
            before = old.get(core, {}).get(variant)
            if before is None:
                lines.append(f"{core}, {variant}: is not in {FIGURES.name}")
                continue
            lines += [
                f"{core}, {variant}: {key} grew from {before[key]:,} to {figures[key]:,}"
                f" ({figures[key] / before[key] - 1:+.1%})"
                for key in CHECKED
                if figures[key] > LIMIT * before[key]
            ]
    return lines


def show(figures: Figures, objects: object_sizes.Sizes) -> None:
    """Prints the tables."""
    names = list(next(iter(next(iter(figures.values())).values()))["stages"])
    table = Table(title="One image: instructions (AVR: cycles), thousands; bytes")
    for head in ("core", "--cpu"):
        table.add_column(head)
    for head in ("total", *names, "flash", "RAM", "stack", "bound"):
        table.add_column(head, justify="right")
    for core, of_core in figures.items():
        for variant, row in of_core.items():
            counts = [row["instructions"], *(row["stages"].get(name, 0) for name in names)]
            sizes = [row["flash"], row["ram"], row["stack"], row["stack_bound"]]
            table.add_row(
                core, variant, *(f"{n / 1000:,.0f}" for n in counts), *(f"{n:,}" for n in sizes)
            )
    console = Console(width=160)
    console.print(table)
    for name, size in objects.items():
        console.print(
            f"{name}, -Os: {size['bytes']:,} bytes, {size['undefined']} undefined symbols"
        )


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="fail where a figure grew")
    parser.add_argument("--update", action="store_true", help=f"write {FIGURES.name}")
    parser.add_argument("--images", type=int, default=1000, help="default: 1000")
    parser.add_argument("--cores", nargs="+", choices=CORES, default=list(CORES))
    options = parser.parse_args(arguments)
    committed = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    if options.check and committed["compilers"] != compilers():
        sys.exit(f"the figures are those of {committed['compilers']}, not of {compilers()}")
    objects, figures = object_sizes.measure(), measure_all(options.cores, options.images)
    show(figures, objects)
    if options.check and (
        lines := grown(committed["figures"], figures)
        + object_sizes.changed(committed["sizes"], objects)
    ):
        remedy = "if that is meant: python benchmarks/chips.py --update, and commit figures.json"
        sys.exit("\n".join([*lines, remedy]))
    if options.update:
        merged = committed.get("figures", {}) | figures
        whole = {"compilers": compilers(), "figures": merged, "sizes": objects}
        FIGURES.write_text(json.dumps(whole, indent=2, sort_keys=True) + "\n")
        chart.main()


if __name__ == "__main__":
    main()
