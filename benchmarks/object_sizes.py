"""Bytes and undefined symbols of the bundled model in plain C, compiled for size; chips.py asks."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from lenet_export import checkpoint
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan

MODEL = Path(__file__).parents[1] / "export/lenet_export/models/mnist.safetensors"
PREFIX = "arm-none-eabi-"
FLAGS = ("-std=c99", "-Os", "-mthumb")
#: By name: ``--dtype``, and the flags of the core.
OBJECTS = {
    "int8, Cortex-M0": ("int8", ["-mcpu=cortex-m0"]),
    "int8, Cortex-M4": ("int8", ["-mcpu=cortex-m4"]),
    "float32, Cortex-M4, soft floats": ("float32", ["-mcpu=cortex-m4"]),
    "float32, Cortex-M4, hard floats": (
        "float32",
        ["-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
    ),
}

Sizes = dict[str, dict[str, int]]


def output(*command: str | Path) -> str:
    """What a command that must succeed prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def sections(compiled: Path, prefix: str = PREFIX) -> tuple[int, int, int]:
    """The bytes of constants and code, of ``.data`` and of ``.bss``, of an object or a program."""
    text, data, bss = map(int, output(f"{prefix}size", compiled).splitlines()[1].split()[:3])
    return text, data, bss


def measure() -> Sizes:
    """For each of ``OBJECTS`` the bytes of ``lenet.o`` and the number of its undefined symbols.

    Raises:
        ValueError: it has ``.data`` or ``.bss``.
    """
    model, found = checkpoint.load(MODEL), {}
    for name, (dtype, flags) in OBJECTS.items():
        with tempfile.TemporaryDirectory() as folder:
            for file, content in render_c(make_plan(model, dtype), Options()).items():
                Path(folder, file).write_bytes(content)
            source, compiled = Path(folder, "lenet.c"), Path(folder, "lenet.o")
            output(f"{PREFIX}gcc", *FLAGS, *flags, "-c", "-o", compiled, source)
            text, data, bss = sections(compiled)
            undefined = output(f"{PREFIX}nm", "--undefined-only", compiled).splitlines()
        if data or bss:
            raise ValueError(f"{name}: .data is {data} bytes and .bss {bss}; both must be 0")
        found[name] = {"bytes": text, "undefined": len(undefined)}
    return found


def changed(old: Sizes, new: Sizes) -> list[str]:
    """What is not as it was, a line each; documents quote these to the byte."""
    return [
        f"{name}, -Os: {old.get(name)} before, {size} now"
        for name, size in new.items()
        if size != old.get(name)
    ]
