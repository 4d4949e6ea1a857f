"""What a test needs: tools that a machine may lack, or more time than ``make test`` has."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).parents[1]
#: The Debian package of each command whose name differs from it.
PACKAGES = {
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "aarch64-linux-gnu-nm": "binutils-aarch64-linux-gnu",
    "arm-linux-gnueabi-gcc": "gcc-arm-linux-gnueabi",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "arm-none-eabi-nm": "binutils-arm-none-eabi",
    "arm-none-eabi-objdump": "binutils-arm-none-eabi",
    "avr-g++": "gcc-avr, and avr-libc",
    "avr-gcc": "gcc-avr, and avr-libc",
    "avr-nm": "binutils-avr",
    "clang++": "clang",
    "frama-c": "frama-c-base",
    "ld64.lld": "lld",
    "lld-link": "lld",
    "llvm-nm": "llvm",
    "llvm-readobj": "llvm",
    "nm": "binutils",
    "powerpc-linux-gnu-gcc": "gcc-powerpc-linux-gnu",
    "qemu-aarch64": "qemu-user",
    "qemu-arm": "qemu-user",
    "qemu-ppc": "qemu-user",
    "qemu-riscv64": "qemu-user",
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-system-riscv32": "qemu-system-misc",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf",
    "riscv64-unknown-elf-nm": "binutils-riscv64-unknown-elf",
    "s51": "sdcc-ucsim",
    "sstm8": "sdcc-ucsim",
    "sz80": "sdcc-ucsim",
    "wasm-ld": "lld",
    "x86_64-w64-mingw32-gcc": "gcc-mingw-w64-x86-64-win32",
}


def missing(what: str, remedy: str) -> NoReturn:
    """Skips the test on a user's machine; in CI nothing may be skipped."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing; {remedy}")
    pytest.skip(f"{what} is missing; {remedy}")


def wide(cases: Iterable[Any]) -> list[Any]:
    """Cases of ``parametrize`` that ``make test-all`` adds to those of ``make test``."""
    values = (case if isinstance(case, tuple) else (case,) for case in cases)
    return [pytest.param(*value, marks=pytest.mark.wide) for value in values]


def pairs(*axes: Iterable[Any]) -> list[Any]:
    """The cases of a matrix; ``make test`` has so many of them that each two values meet."""
    values = list(map(list, axes))
    cases = list(itertools.product(*(range(len(axis)) for axis in values)))
    meetings = {case: set(itertools.combinations(enumerate(case), 2)) for case in cases}
    unmet, first = set().union(*meetings.values()), set()
    while unmet:
        first.add(best := max(cases, key=lambda case: len(meetings[case] & unmet)))
        unmet -= meetings[best]
    return [
        pytest.param(
            *(axis[place] for axis, place in zip(values, case, strict=True)),
            marks=[] if case in first else [pytest.mark.wide],
        )
        for case in cases
    ]


def blocks(text: str, kind: str) -> list[str]:
    """The code in a document's blocks of a kind: ``c``, ``sh``, ``python``, ``ld``."""
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def formats(section: str) -> set[str]:
    """The names in the first column of a section of docs/formats.md."""
    page = (ROOT / "docs/formats.md").read_text()
    text = page.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def require(tool: str) -> str:
    """The path of a command, e.g. ``clang``."""
    path = shutil.which(tool)
    if path is None:
        missing(tool, f"install the package {PACKAGES.get(tool, tool)}")
    return path
