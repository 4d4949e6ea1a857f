"""The CPUs that the C can be printed for: the kernels of each, and what else is its own.

All kernels answer to the same plan and the same reference.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import Any

from lenet_export.cpus.blocked import Blocked, Copied
from lenet_export.cpus.dot import Dot
from lenet_export.cpus.dot_columns import DotColumns
from lenet_export.cpus.kernel import GENERIC, POOLING, Kernel
from lenet_export.cpus.kronecker import Kronecker
from lenet_export.cpus.lanes import PAIRED_LOADS, Columns, Lanes
from lenet_export.cpus.mve import Mve, MveFields, MveNormed, MveTaps
from lenet_export.cpus.smlad import Smlad, SmladBytes
from lenet_export.cpus.smlad_depthwise import SmladDepthwise
from lenet_export.cpus.smlad_places import SmladPlaces
from lenet_export.errors import UserError
from lenet_export.plan import F32, S8, S16, U8, U16, DType, Layout, Plan, check_plan

TABLE_MAX = 2**15 - 1  # bytes of an object that avr-gcc takes
OPTIMIZE = ("speed", "ram", "flash")
AUTO = "auto"  # the CPU of the machine that exports


@dataclass(frozen=True)
class Simd:
    """An instruction set of vectors.

    Attributes:
        name: of its words: ``templates/c/simd/<name>_int8.c``, ``<name>_float32.c``, and
            ``<name>.c`` for both.
        alignment: the bytes at whose multiples its tables begin; 0: anywhere.
        extends: the name of the set that it extends, whose words it takes where it has none.
    """

    name: str
    alignment: int = 0
    extends: str = ""


@dataclass(frozen=True)
class Cpu:
    """A CPU.

    Attributes:
        kernels: for ``speed``, ``ram`` and ``flash``: a layer gets the first that suits it, or the
            generic one.
        headers: the headers of its compiler's intrinsics; where another machine verifies the C, it
            takes those in ``imitated/``.
        in_order: whether gcc is told to keep the order of loads until it has chosen registers.
        anchors: whether gcc may address a table from where several begin, where code is to be fast:
            on an Arm that takes an addition more for each look-up.
        thumb1: whether compilers may make Thumb of Armv6-M of it: clang has to be told to keep
            sums in the upper registers, and gcc not to take registers for kept that are not.
        program_memory: the bytes of tables for which there is room in a memory of their own, which
            ``avr/pgmspace.h`` reads; 0: there is no such memory.
        ram: the bytes that the workspace may have; 0: any number.
        model: the bundled model that was made for it, where others do not fit.
        multiplies: whether it has an instruction to multiply. Else the C has functions for integers
            whose time depends on the model alone; that of a compiler's own depends on the image.
        saturates: whether there is ``__usat`` of ``arm_acle.h``, which clamps in one instruction.
        flags: what its compiler must be told, as gcc; of a family, as for one of its members.
        simd: its vectors, whose words its kernels speak.
        requires: the macros by which its compiler says that it was told; none where the C is plain,
            so that any compiler takes it.
        features: what a machine that verifies must have, as ``__builtin_cpu_supports`` names it.
        instruction: in assembly, one that tells a machine that has its instructions, where a
            compiler has no name for that.
        imitated_on: the CPU that a machine must be, to imitate the instructions which this one has
            beside that one's.
        is_counted: whether tests hold that every image takes the same number of instructions.
    """

    kernels: dict[str, tuple[Kernel, ...]]
    headers: tuple[str, ...] = ()
    in_order: bool = False
    anchors: bool = True
    thumb1: bool = False
    program_memory: int = 0
    ram: int = 0
    model: str = ""
    multiplies: bool = True
    saturates: bool = False
    flags: tuple[str, ...] = ()
    simd: Simd | None = None
    requires: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    instruction: str = ""
    imitated_on: str = ""
    is_counted: bool = True

    @property
    def is_generic(self) -> bool:
        """Whether it is no CPU in particular, but any: SDCC's too, which none of the others is."""
        return not any(self.kernels.values())

    @property
    def is_tight(self) -> bool:
        """Whether RAM is so scarce that a function's variables may lie there only while it runs."""
        return 0 < self.ram < 2**9


CORTEX_M: Any = {"in_order": True, "anchors": False}
ARM: Any = {"headers": ("arm_acle.h",), "saturates": True, **CORTEX_M}
SATURATES = "__ARM_FEATURE_SAT"


AVR: Any = {
    "kernels": dict.fromkeys(
        OPTIMIZE,
        (
            Copied(),
            Blocked(sums=4, short_sums=8, rows=1, unroll=0, table_max=TABLE_MAX, word=U8),
        ),
    ),
    "headers": ("avr/pgmspace.h",),
    "requires": ("__AVR__",),
}


#: 16 registers of eight lanes.
AVX2: Any = {"lanes": 8, "window": 13, "vectors": 2}
AVX2_FLOATS = Columns(lanes=8), Lanes(sums=12, taps=1, weights=F32, codes=F32, **AVX2)
#: 32 registers, in fours of 16 lanes.
RVV: Any = {"lanes": 16, "sums": 6, "window": 6, "units": 6, "pragma": None}
#: 32 registers of four lanes; an instruction takes one of the values that a register holds.
NEON: Any = {
    "lanes": 4, "groups": 4, "sums": 16, "window": 16, "vectors": 4, "units": 10,
    "pragma": PAIRED_LOADS,
}  # fmt: skip
NEON_FLOATS = Lanes(taps=1, weights=F32, codes=F32, **NEON)


def _choices(
    small: Blocked, *fast: Kernel, flash: tuple[Kernel, ...] = ()
) -> dict[str, tuple[Kernel, ...]]:
    """The kernels for each choice; a layer that no fast one suits gets the small one.

    That needs the least RAM; with fewer sums and its loops hardly unrolled also the least flash.
    """
    smallest = replace(small, sums=min(small.sums, 4), unroll=min(small.unroll, 5))
    return {"speed": (*fast, small), "ram": (small,), "flash": (*flash, smallest)}


#: By name of the CPU, one that has another's instructions behind it. A Cortex-M7 or M33 runs the
#: code for the M4, a Cortex-M0+ that for the M0. LPM reads the lower 64 KB of an AVR, of which
#: vectors and trampolines take a little; an Arduino Uno has 32 KB for tables and code, and 2 KB of
#: RAM for workspace and stack; an ATtiny85 a quarter of each.
CPUS = {
    "generic": Cpu(dict.fromkeys(OPTIMIZE, ()), thumb1=True),
    "cortex-m0": Cpu(_choices(Blocked(sums=4, reload=True)), thumb1=True, **CORTEX_M),
    "cortex-m3": Cpu(
        _choices(Blocked(reload=True)),
        flags=("-mcpu=cortex-m3", "-mthumb"),
        requires=(SATURATES,),
        **ARM,
    ),
    "cortex-m4": Cpu(
        _choices(
            Blocked(reload=True),
            Kronecker(),
            SmladPlaces(),
            SmladDepthwise(),
            Smlad(),
            SmladBytes(),
            flash=(SmladBytes(units=2),),
        ),
        flags=("-mcpu=cortex-m4", "-mthumb"),
        requires=(SATURATES, "__ARM_FEATURE_SIMD32"),
        simd=Simd("dsp", alignment=4),
        **ARM,
    ),
    "cortex-m55": Cpu(
        _choices(
            Blocked(reload=True),
            MveTaps(),
            Mve(dense_sums=6),
            MveFields(dense_sums=6),
            MveNormed(dense_sums=6),
        ),
        headers=("arm_acle.h", "arm_mve.h"),
        flags=("-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"),
        requires=(SATURATES, "__ARM_FEATURE_MVE"),
        simd=Simd("helium"),
        saturates=True,
        **CORTEX_M,
    ),
    "avr": Cpu(program_memory=2**16 - 512, flags=("-mmcu=atmega2560",), **AVR),
    "atmega328p": Cpu(
        program_memory=2**15 - 2**12,
        ram=2**11 - 2**8,
        model="mnist-uno",
        flags=("-mmcu=atmega328p",),
        **AVR,
    ),
    "attiny85": Cpu(
        dict.fromkeys(OPTIMIZE, (Dot(),)),
        headers=("avr/pgmspace.h",),
        program_memory=2**13 - 5 * 2**10,
        ram=2**9 - 2**7 - 2**4,
        model="mnist-tiny",
        multiplies=False,
        flags=("-mmcu=attiny85",),
        requires=("__AVR__",),
    ),
    "x86-64-v3": Cpu(
        dict.fromkeys(
            OPTIMIZE, (Lanes(taps=2, sums=8, weights=S16, codes=U16, **AVX2), *AVX2_FLOATS)
        ),
        headers=("immintrin.h",),
        flags=("-march=x86-64-v3",),
        simd=Simd("avx2", alignment=32),
        requires=("__AVX2__", "__FMA__"),
        features=("avx2", "bmi2", "fma"),
    ),
    "x86-64-v3-vnni": Cpu(
        dict.fromkeys(OPTIMIZE, (Lanes(sums=8, **AVX2), *AVX2_FLOATS)),
        headers=("immintrin.h",),
        flags=("-march=x86-64-v3", "-mavxvnni"),
        simd=Simd("avxvnni", alignment=32, extends="avx2"),
        requires=("__AVX2__", "__FMA__", "__AVXVNNI__"),
        features=("avx2", "bmi2", "fma"),
        instruction="{vex} vpdpbusd %ymm0, %ymm1, %ymm2",
        imitated_on="x86-64-v3",
        is_counted=False,  # valgrind knows no AVX-VNNI
    ),
    "x86-64-v4": Cpu(
        dict.fromkeys(
            OPTIMIZE,
            (Lanes(), Columns(), Lanes(sums=24, window=24, taps=1, weights=F32, codes=F32)),
        ),
        headers=("immintrin.h",),
        flags=("-march=x86-64-v4", "-mavx512vnni", "-mavx512vbmi"),
        simd=Simd("avx512", alignment=64),
        requires=("__AVX512F__", "__AVX512VNNI__", "__AVX512VBMI__"),
        features=(
            "avx512f",
            "avx512bw",
            "avx512cd",
            "avx512dq",
            "avx512vl",
            "avx512vnni",
            "avx512vbmi",
        ),
        is_counted=False,  # valgrind knows no AVX-512
    ),
    "aarch64": Cpu(
        dict.fromkeys(
            OPTIMIZE,
            (Lanes(taps=1, weights=S16, codes=U16, **NEON), NEON_FLOATS),
        ),
        headers=("arm_neon.h",),
        in_order=True,
        flags=("-march=armv8-a",),
        simd=Simd("neon", alignment=16),
        requires=("__AARCH64EL__", "__ARM_NEON"),
        instruction="smlal v0.4s, v1.4h, v2.h[0]",
    ),
    "aarch64-dotprod": Cpu(
        dict.fromkeys(
            OPTIMIZE,
            (DotColumns(), Lanes(taps=4, beside=4, codes=S8, **NEON), NEON_FLOATS),
        ),
        headers=("arm_neon.h",),
        in_order=True,
        flags=("-march=armv8.2-a+dotprod",),
        simd=Simd("dotprod", alignment=16, extends="neon"),
        requires=("__AARCH64EL__", "__ARM_FEATURE_DOTPROD"),
        instruction="sdot v0.4s, v1.16b, v2.4b[0]",
    ),
    "riscv64gcv": Cpu(
        dict.fromkeys(
            OPTIMIZE,
            (
                Lanes(taps=1, weights=S16, **RVV),
                Lanes(taps=1, weights=F32, codes=F32, **RVV),
            ),
        ),
        headers=("riscv_vector.h",),
        flags=("-march=rv64gcv",),
        simd=Simd("rvv", alignment=16),
        requires=("__riscv_v",),
        instruction="vsetivli zero, 16, e32, m4, ta, mu",
        is_counted=False,  # of two images, by one compiler
    ),
    "riscv32": Cpu(_choices(Blocked(sums=16, dense_sums=8, reload=True)), in_order=True),
}


#: Other cores, chips and boards, each by the CPU in :data:`CPUS` whose code suits it: of a core
#: the one with the same instructions, as far as kernels use them; of a chip that of its core; of a
#: board that of its chip. The generated files name that CPU, so that they have the same bytes.
ALIASES = {
    # Arm cores
    "cortex-m0plus": "cortex-m0",
    "cortex-m0+": "cortex-m0",
    "cortex-m1": "cortex-m0",
    "cortex-m23": "cortex-m0",
    "cortex-m7": "cortex-m4",
    "cortex-m33": "cortex-m4",
    "cortex-m35p": "cortex-m4",
    "cortex-m52": "cortex-m55",
    "cortex-m85": "cortex-m55",
    # Chips with one of them
    "rp2040": "cortex-m0",
    "rp2350": "cortex-m4",
    "samd21": "cortex-m0",
    "samd51": "cortex-m4",
    "nrf51": "cortex-m0",
    "nrf52": "cortex-m4",
    "nrf53": "cortex-m4",
    "stm32c0": "cortex-m0",
    "stm32f0": "cortex-m0",
    "stm32g0": "cortex-m0",
    "stm32l0": "cortex-m0",
    "stm32f1": "cortex-m3",
    "stm32f2": "cortex-m3",
    "stm32l1": "cortex-m3",
    "stm32f3": "cortex-m4",
    "stm32f4": "cortex-m4",
    "stm32g4": "cortex-m4",
    "stm32l4": "cortex-m4",
    "stm32f7": "cortex-m4",
    "stm32h7": "cortex-m4",
    "stm32l5": "cortex-m4",
    "stm32u5": "cortex-m4",
    "stm32h5": "cortex-m4",
    "stm32n6": "cortex-m55",
    # RISC-V
    "esp32-c3": "riscv32",
    "esp32-c6": "riscv32",
    "esp32-h2": "riscv32",
    "gd32vf103": "riscv32",
    "riscv64": "riscv32",
    "sifive-u74": "riscv32",
    "jh7110": "riscv32",
    "sifive-x280": "riscv64gcv",
    "spacemit-k1": "riscv64gcv",
    # AArch64: cores, boards and chips
    "cortex-a35": "aarch64",
    "cortex-a53": "aarch64",
    "cortex-a57": "aarch64",
    "cortex-a72": "aarch64",
    "cortex-a73": "aarch64",
    "cortex-a55": "aarch64-dotprod",
    "cortex-a75": "aarch64-dotprod",
    "cortex-a76": "aarch64-dotprod",
    "cortex-a78": "aarch64-dotprod",
    "cortex-a510": "aarch64-dotprod",
    "cortex-a710": "aarch64-dotprod",
    "neoverse-n1": "aarch64-dotprod",
    "neoverse-v1": "aarch64-dotprod",
    "raspberrypi3": "aarch64",
    "raspberrypi4": "aarch64",
    "raspberrypi5": "aarch64-dotprod",
    "imx8m": "aarch64",
    "imx93": "aarch64-dotprod",
    "rk3399": "aarch64",
    "rk3588": "aarch64-dotprod",
    "stm32mp2": "aarch64",
    "apple-m1": "aarch64-dotprod",
    "graviton2": "aarch64-dotprod",
    # x86-64, as compilers name them
    "haswell": "x86-64-v3",
    "skylake": "x86-64-v3",
    "znver1": "x86-64-v3",
    "znver2": "x86-64-v3",
    "znver3": "x86-64-v3",
    "alderlake": "x86-64-v3-vnni",
    "raptorlake": "x86-64-v3-vnni",
    "meteorlake": "x86-64-v3-vnni",
    "arrowlake": "x86-64-v3-vnni",
    "lunarlake": "x86-64-v3-vnni",
    "sierraforest": "x86-64-v3-vnni",
    "n100": "x86-64-v3-vnni",
    "icelake-server": "x86-64-v4",
    "tigerlake": "x86-64-v4",
    "sapphirerapids": "x86-64-v4",
    "znver4": "x86-64-v4",
    "znver5": "x86-64-v4",
    # AVR
    "atmega1280": "avr",
    "atmega2560": "avr",
    # Boards, as Arduino, PlatformIO and Zephyr name them
    "uno": "atmega328p",
    "nano": "atmega328p",
    "mega": "avr",
    "megaatmega2560": "avr",
    "zero": "cortex-m0",
    "nano33iot": "cortex-m0",
    "microbit": "cortex-m0",
    "pico": "cortex-m0",
    "rpi-pico": "cortex-m0",
    "due": "cortex-m3",
    "bluepill": "cortex-m3",
    "qemu-cortex-m3": "cortex-m3",
    "unor4minima": "cortex-m4",
    "unor4wifi": "cortex-m4",
    "nano33ble": "cortex-m4",
    "giga": "cortex-m4",
    "portenta": "cortex-m4",
    "bbc-microbit-v2": "cortex-m4",
    "pico2": "cortex-m4",
    "rpi-pico2": "cortex-m4",
    "teensy40": "cortex-m4",
    "teensy41": "cortex-m4",
    # No kernels of their own
    "esp32": "generic",
    "esp32-s2": "generic",
    "esp32-s3": "generic",
    "esp8266": "generic",
}


#: What the names of chips begin with that go on with letters of their own.
FAMILIES = ("stm32", "nrf", "samd")


def cpu_named(name: str) -> str | None:
    """The CPU in :data:`CPUS` that ``name`` stands for, or ``AUTO``; ``None``: it is not known.

    Args:
        name: of a CPU, core, chip or board; of one chip of a family, as ``stm32f407vg``; without
            hyphens, as ``esp32c3``; of a board and its chip, as ``nrf52840dk/nrf52840``.
    """
    plain = name.lower().replace("_", "-")
    if plain in (*CPUS, AUTO):
        return plain
    words = [word.replace("-", "") for word in (plain, *plain.split("/"))]
    known = {alias.replace("-", ""): cpu for alias, cpu in ALIASES.items()}
    exact = [known[word] for word in words if word in known]
    if exact:
        return exact[0]
    families = [alias for alias in known if alias.startswith(FAMILIES)]
    near = [alias for alias in families for word in words if word.startswith(alias)]
    return known[max(near, key=len)] if near else None


def cpus_like(name: str) -> str:
    """What may stand in place of ``name``, which is not known: those near, then the CPUs."""
    near = difflib.get_close_matches(name.lower(), [*CPUS, *ALIASES], 3, 0.7)
    question = f"{' or '.join(near)}? " if near else ""
    known = ", ".join([*CPUS, AUTO])
    return f"{question}one of {known}, or a core, chip or board that lenet-export --help lists"


def choices(cpu: str) -> list[str]:
    """What ``--optimize`` may be for ``cpu``, less those that print the same kernels as another."""
    kernels = CPUS[cpu].kernels
    return [
        optimize
        for place, optimize in enumerate(OPTIMIZE)
        if kernels[optimize] not in [kernels[other] for other in OPTIMIZE[:place]]
    ]


def lay_out(plan: Plan, cpu: str, optimize: str) -> Plan:
    """``plan`` with the layouts of a CPU's kernels.

    Args:
        plan: as made, with the generic layout.
        cpu: a name in :data:`CPUS`.
        optimize: ``speed``, ``ram`` or ``flash``.

    Raises:
        UserError: the CPU has no such choice, or cannot hold the tables.
    """
    if optimize != "speed" and len(choices(cpu)) == 1:
        several = [name for name in CPUS if len(choices(name)) > 1]
        raise UserError(
            f"--optimize {optimize}",
            f"--cpu {cpu} has one form only",
            f"leave it out, or take a --cpu of {', '.join(several)}",
        )
    of_cpu = CPUS[cpu].kernels[optimize]
    # What plain C does beside vectors reads the same codes as they do, but not less 128.
    is_float = plan.dtype == "float32"
    in_vectors = [kernel.codes for kernel in of_cpu if kernel.in_vectors and kernel.codes != S8]
    codes = next((codes for codes in in_vectors if (codes == F32) == is_float), U8)
    kernels = *of_cpu, replace(GENERIC, codes=codes), replace(POOLING, codes=codes)
    chosen = [next(kernel for kernel in kernels if kernel.suits(layer)) for layer in plan.layers]
    far = bool(CPUS[cpu].program_memory)
    layouts = [
        replace(kernel.layout(layer), in_program_memory=far, is_hardened=plan.is_hardened)
        for kernel, layer in zip(chosen, plan.layers, strict=True)
    ]
    layers = [
        replace(
            layer,
            layout=layout,
            source_dtype=_codes(kernel, layer.source_dtype),
            output_dtype=_codes(following, layer.output_dtype),
            output_pair_bits=behind.pair_bits,
        )
        for kernel, following, layout, behind, layer in zip(
            chosen,
            [*chosen[1:], GENERIC],
            layouts,
            [*layouts[1:], Layout()],
            plan.layers,
            strict=True,
        )
    ]
    laid_out = replace(plan, layers=tuple(layers), cpu=cpu, optimize=optimize)
    check_plan(laid_out)
    if CPUS[cpu].program_memory:
        _check_program_memory(laid_out)
    if not CPUS[cpu].multiplies:
        _check_products(laid_out)
    return laid_out


def _check_products(plan: Plan) -> None:
    """Checks that no product of ``plan`` is of two numbers that both depend on the image.

    Raises:
        UserError: a layer normalization has such products.
    """
    for layer in plan.layers:
        if plan.dtype == "int8" and layer.norm:
            raise UserError(
                f"--cpu {plan.cpu}",
                f"{layer.name} has layer normalization, whose products would take unequal time: "
                "this CPU has no instruction to multiply",
                "train with batch normalization (lenet-train --norm batch), or take another --cpu",
            )


def _check_program_memory(plan: Plan) -> None:
    """Checks that an AVR can hold and read the tables of ``plan``, and hold its workspace.

    Raises:
        UserError: a table is too large for avr-gcc, or all are for the program memory in reach, or
            the workspace is for the RAM.
    """
    cpu = CPUS[plan.cpu]
    smaller = "train with fewer bits (lenet-train --bits)"
    if plan.dtype == "float32":
        smaller = "take --dtype int8"
    own = f"--model {cpu.model} or " if cpu.model else ""
    remedy = f"{smaller} or a smaller network, or take {own}another --cpu"
    for constant in plan.constants:
        if constant.values.nbytes > TABLE_MAX:
            what = f"has {constant.values.nbytes:,} bytes; avr-gcc takes {TABLE_MAX:,} at most"
            raise UserError(f"table {constant.name}", what, remedy)
    for what, size, room in (
        ("constants have", plan.constant_bytes, cpu.program_memory),
        ("workspace has", plan.workspace_bytes, cpu.ram or plan.workspace_bytes),
    ):
        if size > room:
            raise UserError(
                f"--cpu {plan.cpu}",
                f"the {what} {size:,} bytes; there is room for {room:,}",
                remedy,
            )


def _codes(reader: Kernel, dtype: DType) -> DType:
    """The type of values that ``reader`` reads; floats and logits stay what they are."""
    return reader.codes if dtype == U8 else dtype
