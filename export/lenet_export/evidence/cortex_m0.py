"""The C on an emulated Cortex-M0, instruction by instruction.

The emulator is Unicorn, which is QEMU's without its boards; it is imported where it is needed.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lenet_export import packages
from lenet_export.evidence.check import (
    IMPLEMENTATION_FILE,
    PROGRAM_FILE,
    Case,
    FailedError,
    NotRunError,
    require_tool,
)
from lenet_export.evidence.stages import ASKED, frames_of

COMPILER = "arm-none-eabi-gcc"
LEVEL = "-O2"
LARGEST = 4_000_000  # multiply-adds, of which each is ten instructions to be remembered
#: Whose C a Cortex-M0 runs.
CPUS = ("generic", "cortex-m0")
FLASH, RAM, PAGE = 0x0800_0000, 0x2000_0000, 0x1000
STACK = PAGE  # bytes at least
FLAGS = ("-mcpu=cortex-m0", "-mthumb", "-ffreestanding", "-g1")
LINKED = (
    "-nostartfiles",
    "-nostdlib",
    f"-Wl,-Ttext={FLASH:#x},-Tbss={RAM:#x},--entry={FLASH:#x}",
    "-lgcc",
)
UNTOUCHED = 0xA5  # what the stack is painted with
LOOP = b"\xfe\xe7"  # b . : where a function returns to

Words = npt.NDArray[np.uint32]


class Instruction(NamedTuple):
    """One of the program's: its address, as it is written, and where it comes from.

    ``functions`` are those that it is in, the innermost first, since they are inlined.
    """

    address: int
    text: str
    functions: tuple[str, ...]
    line: int


class State(NamedTuple):
    """All of a machine between two instructions."""

    context: Any
    registers: tuple[int, ...]
    ram: bytes


def require(case: Case) -> None:
    """Makes sure that the emulator is there, and that a Cortex-M0 runs the C.

    Raises:
        NotRunError: it does not.
        UserError: the package of the emulator is not installed.
    """
    if case.plan.dtype != "int8":
        raise NotRunError("a Cortex-M0 has no floats: most of what runs would be a library's")
    if case.plan.cpu not in CPUS:
        raise NotRunError(
            f"an emulated Cortex-M0 does not run the kernels of {case.plan.cpu}; it runs those of "
            f"--cpu {' and '.join(CPUS)}"
        )
    if case.plan.multiply_adds > LARGEST:
        raise NotRunError(
            f"an image's {case.plan.multiply_adds:,} multiply-adds are too many to be emulated one "
            f"by one: {LARGEST:,} are not"
        )
    packages.require("evidence", "the emulator")
    require_tool(COMPILER)


class Machine:
    """A Cortex-M0 with a program: flash that cannot be written, RAM, nothing beside them."""

    def __init__(self, case: Case, program: str) -> None:
        """Compiles a program with the C, and loads it.

        Args:
            case: the C, and where to compile it.
            program: its text, as :meth:`~lenet_export.evidence.check.Case.named` takes it.

        Raises:
            FailedError: the compiler refuses it.
        """
        self.case = case
        case.put(program)
        case.run([COMPILER, "-std=c99", LEVEL, *FLAGS, "-fcallgraph-info=su", "-I..", "-o",
                  "check.elf", PROGRAM_FILE, IMPLEMENTATION_FILE, *LINKED])  # fmt: skip
        case.run(["arm-none-eabi-objcopy", "--output-target=binary", "--only-section=.text",
                  "--only-section=.rodata", "check.elf", "check.bin"])  # fmt: skip
        self.code = (case.work / "check.bin").read_bytes()
        self.symbols: dict[str, int] = {}
        end = RAM
        listed = case.run(["arm-none-eabi-nm", "--print-size", "check.elf"]).stdout.decode()
        for words in map(str.split, listed.splitlines()):
            self.symbols[words[-1]] = int(words[0], 16)
            if len(words) == 4 and int(words[0], 16) >= RAM:
                end = max(end, int(words[0], 16) + int(words[1], 16))
        self.stack_end = end
        self.ram_bytes = _pages(end + STACK - RAM)
        self.returns_to = FLASH + _pages(len(self.code))
        self.uc = self._new()

    @property
    def elf(self) -> Path:
        """The program, with its lines."""
        return self.case.work / "check.elf"

    def _new(self) -> Any:
        """A machine whose flash holds the program; RAM is 0."""
        from unicorn import (
            UC_ARCH_ARM,
            UC_MODE_MCLASS,
            UC_MODE_THUMB,
            UC_PROT_EXEC,
            UC_PROT_READ,
            Uc,
            arm_const,
        )

        uc = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M0)
        uc.mem_map(FLASH, self.returns_to + PAGE - FLASH, UC_PROT_READ | UC_PROT_EXEC)
        uc.mem_map(RAM, self.ram_bytes)
        uc.mem_write(FLASH, self.code)
        uc.mem_write(self.returns_to, LOOP)
        return uc

    # ---- Memory and registers ----

    def read(self, name: str, size: int) -> bytes:
        """The first ``size`` bytes of a variable."""
        return bytes(self.uc.mem_read(self.symbols[self.case.named(name)], size))

    def write(self, name: str, data: bytes) -> None:
        """Writes a variable, from its beginning."""
        self.uc.mem_write(self.symbols[self.case.named(name)], data)

    @property
    def place(self) -> int:
        """The address of the next instruction."""
        from unicorn import arm_const

        return int(self.uc.reg_read(arm_const.UC_ARM_REG_PC))

    def state(self) -> State:
        """All of it, to come back to."""
        return State(self.uc.context_save(), self._registers(), self._ram())

    def restore(self, state: State) -> None:
        """Goes back to a state."""
        self.uc.context_restore(state.context)
        self.uc.mem_write(RAM, state.ram)

    def is_in(self, state: State) -> bool:
        """Whether it does from now on what it did from a state on."""
        return self._registers() == state.registers and self._ram() == state.ram

    def _ram(self) -> bytes:
        return bytes(self.uc.mem_read(RAM, self.ram_bytes))

    def _registers(self) -> tuple[int, ...]:
        from unicorn import arm_const

        names = [*(f"R{n}" for n in range(13)), "SP", "LR", "PC", "XPSR"]
        numbers = [getattr(arm_const, f"UC_ARM_REG_{name}") for name in names]
        return tuple(self.uc.reg_read_batch(numbers))

    # ---- Running ----

    def prepare(self, function: str) -> None:
        """Stands in front of the first instruction of a function, as its caller leaves it."""
        _prepare(self.uc, self.symbols[self.case.named(function)], self.top, self.returns_to)

    @property
    def top(self) -> int:
        """Where the stack begins, downwards."""
        return RAM + self.ram_bytes

    def go_on(self, count: int, after: int = 0) -> None:
        """Executes instructions until the function returns.

        Args:
            count: at most so many.
            after: how many bytes of instructions are left out first.

        Raises:
            unicorn.UcError: an instruction that is none, memory that is not there, or flash that
                is written: a Cortex-M0 ends in its hard fault.
        """
        self.uc.emu_start(self.place + after | 1, self.returns_to, count=count)

    @property
    def has_returned(self) -> bool:
        """Whether the function has come to its end."""
        return self.place == self.returns_to

    def call(self, function: str, limit: int = 1 << 40) -> None:
        """Calls a function.

        Raises:
            FailedError: it crashes, or does not end.
        """
        from unicorn import UcError

        self.prepare(function)
        try:
            self.go_on(limit)
        except UcError as error:
            raise FailedError(f"{function} crashes on a Cortex-M0: {error}") from None
        if not self.has_returned:
            raise FailedError(f"{function} does not end on a Cortex-M0")

    def traced(self, function: str) -> Words:
        """The addresses of the instructions that a call of a function executes, in order.

        Raises:
            FailedError: it crashes.
        """
        from unicorn import UC_HOOK_BLOCK, UcError

        uc = self._new()
        uc.mem_write(RAM, self._ram())
        start = self.symbols[self.case.named(function)]
        _prepare(uc, start, self.top, self.returns_to)
        blocks: list[int] = []
        sizes: dict[int, int] = {}

        def enter(_uc: Any, address: int, size: int, _data: Any) -> None:
            blocks.append(address)
            sizes[address] = size

        uc.hook_add(UC_HOOK_BLOCK, enter)
        try:
            uc.emu_start(start | 1, self.returns_to)
        except UcError as error:
            raise FailedError(f"{function} crashes on a Cortex-M0: {error}") from None
        starts, numbers = np.unique(np.array(blocks, np.uint32), return_inverse=True)
        inside = [self._addresses(int(start), sizes[int(start)]) for start in starts]
        lengths = np.array([len(of) for of in inside])
        first = np.cumsum(lengths) - lengths  # of each block, among all instructions
        taken = lengths[numbers]
        places = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)
        trace: Words = np.concatenate(inside)[np.repeat(first[numbers], taken) + places]
        return trace

    def _addresses(self, start: int, size: int) -> Words:
        """The addresses of the instructions of a block."""
        found, place = [], start
        while place < start + size:
            found.append(place)
            place += self.size_at(place)
        return np.array(found, np.uint32)

    def size_at(self, address: int) -> int:
        """The bytes of an instruction: of Thumb's, the first five bits tell."""
        (half,) = struct.unpack_from("<H", self.code, address - FLASH)
        return 4 if half >> 11 >= 0b11101 else 2

    def stack_of(self, function: str) -> int:
        """The bytes of stack that a call writes, from its caller's frame down to the lowest."""
        self.uc.mem_write(self.stack_end, bytes([UNTOUCHED]) * (self.top - self.stack_end))
        self.call(function)
        stack = self._ram()[self.stack_end - RAM :]
        return len(stack.lstrip(bytes([UNTOUCHED])))

    # ---- Where an instruction comes from ----

    def instructions(self, addresses: Words) -> list[Instruction]:
        """What some instructions are, and which lines of the C they are made of."""
        listed = self.case.run(["arm-none-eabi-objdump", "--disassemble", "--no-show-raw-insn",
                                "check.elf"]).stdout.decode()  # fmt: skip
        written = {}
        for line in listed.splitlines():
            place, _, text = line.partition(":\t")
            if text:
                written[int(place, 16)] = " ".join(text.split())
        asked = "\n".join(f"{address:#x}" for address in addresses)
        said = self.case.run(
            ["arm-none-eabi-addr2line", *ASKED, "--exe=check.elf"], asked.encode()
        ).stdout.decode()
        found = []
        for address, frames in zip(map(int, addresses), frames_of(said), strict=True):
            line = frames[0][1].rpartition(":")[2].split()[0]
            found.append(
                Instruction(
                    address,
                    written.get(address, "?"),
                    tuple(function for function, _ in frames),
                    int(line) if line.isdecimal() else 0,
                )
            )
        return found


def _prepare(uc: Any, start: int, top: int, returns_to: int) -> None:
    from unicorn import arm_const

    uc.reg_write(arm_const.UC_ARM_REG_SP, top)
    uc.reg_write(arm_const.UC_ARM_REG_LR, returns_to | 1)
    uc.reg_write(arm_const.UC_ARM_REG_PC, start | 1)


def _pages(size: int) -> int:
    """A size in whole pages."""
    return -(-size // PAGE) * PAGE
