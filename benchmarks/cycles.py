"""Cycles of a Cortex-M4, estimated from the instructions that an image passes through.

The rules are those of Arm's Cortex-M4 Technical Reference Manual, r0p1, 3.3, for memory without
wait states. What a trace of addresses does not tell is left out: words that do not begin at a
multiple of 4, of which the kernels load few, and divisors. An estimate, and no measurement.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt

#: A branch that is taken fills the pipeline again: 1 to 3 cycles, by where its target lies.
REFILL = 2
#: The slowest division; the faster ones depend on the numbers.
DIVISION = 12

LINE = re.compile(r" *([0-9a-f]+):\t([0-9a-f ]+?) *\t(\S+)(?:\t([^;@<]*))?")
REGISTERS = {"sb": 9, "sl": 10, "fp": 11, "ip": 12, "sp": 13, "lr": 14, "pc": 15}
ONE = re.compile(r"(ldr|str)(b|h|sb|sh)?(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?(\.[nw])?$")
TWO = re.compile(r"(ldrd|strd)")
MANY = re.compile(r"(push|pop|ldmia|ldmdb|stmia|stmdb|ldm|stm)")


def estimated(addresses: npt.NDArray[np.uint32], program: Path, objdump: str) -> int:
    """The cycles of a call.

    Args:
        addresses: of its instructions, in the order in which they ran.
        program: the ELF file.
        objdump: the tool chain's.
    """
    known = _instructions(program, objdump)
    unique, places = np.unique(addresses, return_inverse=True)
    costs, pipelines, sizes = (
        np.array(column)[places]
        for column in zip(*(known[int(address)] for address in unique), strict=True)
    )
    # A load or store of one word directly behind another has its address taken already.
    behind = np.append(False, pipelines[:-1]) & pipelines
    is_taken = np.append(addresses[1:] != (addresses + sizes)[:-1], False)
    return int((costs - behind * (costs > 1)).sum() + REFILL * is_taken.sum())


def _instructions(program: Path, objdump: str) -> dict[int, tuple[int, bool, int]]:
    """Of each instruction its cycles, whether it loads or stores one word, and its bytes."""
    done = subprocess.run(
        [objdump, "--disassemble", program], capture_output=True, text=True, check=True
    )
    found = {}
    for line in done.stdout.splitlines():
        if match := LINE.match(line):
            address, code, name, operands = match.groups()
            size = len(code.replace(" ", "")) // 2
            found[int(address, 16)] = (*_cycles(name, operands or ""), size)
    return found


def _cycles(name: str, operands: str) -> tuple[int, bool]:
    """The cycles of an instruction but for the pipeline's, and whether it loads or stores one."""
    if MANY.match(name):
        return 1 + _registers(operands), False
    if TWO.match(name):
        return 3, False
    if match := ONE.match(name):
        # What is stored at a constant distance goes to a buffer.
        is_buffered = match[1] == "str" and not re.search(r"\[\w+, r\w+", operands)
        return (1 if is_buffered else 2), True
    return (DIVISION if name.startswith(("udiv", "sdiv")) else 1), False


def _registers(operands: str) -> int:
    """How many registers a list has."""
    (inside,) = re.findall(r"\{(.*)\}", operands)
    count = 0
    for part in inside.split(","):
        first, _, last = part.strip().partition("-")
        count += _number(last) - _number(first) + 1 if last else 1
    return count


def _number(register: str) -> int:
    """Of r0 to r15, by their number or another name."""
    return REGISTERS[register] if register in REGISTERS else int(register[1:])
