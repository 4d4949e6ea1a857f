"""Every image takes the same instructions: no jump depends on the image, with gcc or clang.

Counted on emulated cores, and on x86-64 by valgrind's memcheck, to which the image is undefined: it
reports each jump that depends on it. What is claimed is the number of instructions, not the time of
a cache: the entry of an activation's table that is read does depend on the image.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from dataclasses import dataclass

import numpy as np
import pytest

import firmware
import shared
from lenet_export import checkpoint, reference, verify
from lenet_export.compiled import runs_here
from lenet_export.cpus.registry import CPUS, lay_out
from lenet_export.evidence.check import Case
from lenet_export.evidence.checks.constant_time import depending
from lenet_export.outputs.c import render_c
from lenet_export.outputs.options import Options
from lenet_export.plan import make_plan
from needs import ROOT, missing, require, wide

from .networks import named_model, write_files

LEVELS = ["-O2", *wide(["-O1", "-O3", "-Os"])]
BUNDLED = ("mnist", "mnist-modern", "mnist-uno")
#: All activations and pools, with a layer normalization and without.
SMALL = ("deep", "signed", "normed")


def plan_of(name, cpu="generic"):
    """A bundled model or a small chain, laid out for a CPU."""
    path = ROOT / f"export/lenet_export/models/{name}.safetensors"
    model = checkpoint.load(path) if name in BUNDLED else named_model(name)
    return lay_out(make_plan(model, "int8"), cpu, "speed")


# ---- Counted on cores ---------------------------------------------------------------------------

THUMB = "-mthumb -ffreestanding"
#: By core: what clang must be told. It has no 24-bit integers, which the C for an AVR has.
CLANG = {
    "cortex-m0": f"--target=thumbv6m-none-eabi -mcpu=cortex-m0 {THUMB}",
    "cortex-m3": f"--target=thumbv7m-none-eabi -mcpu=cortex-m3 {THUMB}",
    "cortex-m4": f"--target=thumbv7em-none-eabihf -mcpu=cortex-m4 -mfpu=fpv4-sp-d16 {THUMB}",
    "cortex-m55": f"--target=thumbv8.1m.main-none-eabihf -mcpu=cortex-m55 {THUMB}",
    "riscv32": "--target=riscv32-unknown-elf -march=rv32imac -mabi=ilp32 -mcmodel=medany"
    " -ffreestanding",
    "aarch64": "--target=aarch64-linux-gnu -march=armv8-a -ffreestanding",
    "aarch64-dotprod": "--target=aarch64-linux-gnu -march=armv8.2-a+dotprod -ffreestanding",
}


@dataclass(frozen=True)
class Board:
    """A core's firmware, built once, into which other objects of a network are linked."""

    built: firmware.Firmware

    @property
    def _commands(self):
        return json.loads((self.built.folder / "compile_commands.json").read_text())

    def command(self, ending):
        """How CMake compiles the file whose path has this ending, up to its output."""
        (found,) = [e["command"] for e in self._commands if e["file"].endswith(ending)]
        return shlex.split(found.split(" -o ")[0])

    def run(self, folder, images, classes):
        """The record of the firmware with ``lenet.o`` and ``lenet.h`` of ``folder``."""
        mine = {"libfirmware_model.a": "lenet.o"}
        for name in ("main", "record"):
            command = self.command(f"firmware/{name}.c")
            command = [f"-I{folder}" if of.endswith("firmware_model") else of for of in command]
            source = ROOT / f"c_runtime/firmware/{name}.c"
            subprocess.run([*command, "-c", source, "-o", folder / f"{name}.o"], check=True)
            mine[f"CMakeFiles/firmware.dir/{name}.c.obj"] = f"{name}.o"
        place = self.built.folder / "c_runtime/firmware"
        link = shlex.split((place / "CMakeFiles/firmware.dir/link.txt").read_text())
        assert mine.keys() < set(link)
        link = [folder / mine[part] if part in mine else part for part in link]
        link[link.index("-o") + 1] = folder / "firmware"
        subprocess.run(link, cwd=place, check=True)
        (folder / "emulate").symlink_to(self.built.folder / "emulate")
        return firmware.Firmware(folder).run(images, classes)


@pytest.fixture(scope="module")
def board():
    """A function that builds a core's firmware, each once."""

    def build(core):
        for tool in ("cmake", "make", "cc", "clang"):
            require(tool)
        built = shared.firmware_of(core, core, "speed", None)
        if not (built.folder / "emulate").exists():
            missing("the emulator", "install qemu-system-arm, qemu-system-misc, libsimavr-dev")
        return Board(built)

    return build


def record_of(board, core, command, plan, folder, count=40):
    """The record of a network that ``command`` compiles for a core, less its self-test.

    Raises:
        AssertionError: a logit is not that of JAX.
    """
    write_files(plan, folder)
    lenet = [folder / "lenet.c", "-o", folder / "lenet.o"]
    subprocess.run([*command, "-std=c99", "-c", *lenet], check=True)
    images = images_of(plan)[:count]
    record = board(core).run(folder, images, plan.outputs)
    assert (record.logits == reference.run_integers(plan, images)[plan.layers[-1].name]).all()
    return record


def images_of(plan):
    """The made-up images, and noise, of any share of ink: 1,000 in all."""
    made, rng = verify.stress_images(plan), np.random.default_rng(4)
    more = 1000 - len(made)
    is_ink = rng.random((more, *plan.input_shape)) < rng.random((more, 1, 1, 1))
    return np.concatenate([made, (is_ink * rng.integers(0, 256, is_ink.shape)).astype(np.uint8)])


def by_gcc(board, core, level):
    """The command of a core's preset at another level."""
    command = board(core).command("firmware_model/lenet.c")
    return [level if part.startswith("-O") else part for part in command]


def by_clang(core, level):
    """The command of clang for a core."""
    return [require("clang"), *CLANG[core].split(), level]


#: The plain C, and the core's own kernels, with every activation, pool, and normalization.
NETWORKS = [("normed", False), ("deep", True), ("signed", True)]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "core",
    [
        *("cortex-m0", "riscv32", "aarch64-dotprod"),
        *wide(["cortex-m3", "cortex-m4", "cortex-m55", "aarch64"]),
    ],
)
def test_with_clang_every_image_takes_the_same_count(board, core, level, tmp_path):
    for model, is_own in NETWORKS:
        folder = tmp_path / model
        folder.mkdir()
        plan = plan_of(model, core if is_own else "generic")
        counts = record_of(board, core, by_clang(core, level), plan, folder).counts
        assert 5_000 < counts.min() == counts.max(), model


@pytest.mark.parametrize("model", wide(BUNDLED))
@pytest.mark.parametrize("core", CLANG)
def test_with_clang_every_image_takes_a_bundled_model_the_same_count(board, core, model, tmp_path):
    plan = plan_of(model, core)
    counts = record_of(board, core, by_clang(core, "-O2"), plan, tmp_path, 1000).counts
    assert len(counts) == 1000
    assert 40_000 < counts.min() == counts.max()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("core", ["cortex-m0", "avr", *wide(list(CLANG)[1:])])
def test_with_gcc_every_image_takes_the_same_count(board, core, level, tmp_path):
    for model, is_own in NETWORKS:
        folder = tmp_path / model
        folder.mkdir()
        plan = plan_of(model, core if is_own or core == "avr" else "generic")
        counts = record_of(board, core, by_gcc(board, core, level), plan, folder).counts
        assert 5_000 < counts.min() == counts.max(), model


def test_without_the_asm_statements_clang_branches_and_the_count_tells(board, tmp_path):
    plan = plan_of("deep", "cortex-m0")
    command = [*by_clang("cortex-m0", "-O2"), "-D__asm__(...)="]
    counts = record_of(board, "cortex-m0", command, plan, tmp_path).counts
    assert counts.min() < counts.max()


# ---- Proven on x86-64 ---------------------------------------------------------------------------


def unchanged(text):
    return text


def errors_of(plan, command, folder, change=unchanged):
    """What the evidence's check finds in the C as it is, or changed: jumps, and look-ups."""
    files = render_c(plan, Options())
    files["lenet.c"] = change(files["lenet.c"].decode()).encode()
    case = Case(plan, files, Options(), folder, None)
    case.write()
    require("valgrind")
    return depending(case, *command)


#: Of compilers it was clang that made branches.
GCC = ["mnist-modern", "normed"]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("compiler", "model"),
    [
        *(("gcc", model) for model in GCC),
        *(("clang", model) for model in ("mnist-modern", *SMALL)),
        *wide(("gcc", model) for model in SMALL if model not in GCC),
        *wide((by, model) for by in ("gcc", "clang") for model in ("mnist", "mnist-uno")),
    ],
)
def test_on_x86_64_no_jump_depends_on_the_image(model, compiler, level, tmp_path):
    plan = plan_of(model)
    errors = errors_of(plan, [require(compiler), level], tmp_path)
    has_table = any(activation.has_table for activation in plan.activations)
    assert errors.keys() == ({"look-ups"} if has_table else set())


# Valgrind knows no AVX-512. SIMDe in its place computes many of its instructions lane by lane: what
# memcheck would say of that C, it would not say of the instructions.
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("model", ["mnist", *wide(["mnist-modern", "mnist-uno", *SMALL])])
def test_by_avx2_no_jump_depends_on_the_image(model, compiler, level, tmp_path):
    if not runs_here("x86-64-v3"):
        missing("AVX2", "take a machine that has it")
    command = [require(compiler), level]
    errors = errors_of(plan_of(model, "x86-64-v3"), command, tmp_path)
    # An address that depends on the image is that of an activation's table; sigmoid's has none.
    assert errors.keys() <= ({"look-ups"} if model in SMALL else set())


def test_memcheck_finds_a_jump_on_a_vector(tmp_path):
    def branches(text):
        line = "    vector index = shift_right(multiply(acc, gain), shift);"
        assert text.count(line) == 1
        jump = "    if (_mm256_movemask_epi8(acc) == 0) { return acc; }"
        return text.replace(line, f"{jump}\n{line}")

    if not runs_here("x86-64-v3"):
        missing("AVX2", "take a machine that has it")
    command = [require("gcc"), "-O2"]
    errors = errors_of(plan_of("mnist", "x86-64-v3"), command, tmp_path, branches)
    assert errors["jumps"] > 0


# That a test counts is said in the header: the CPUs of the tests above.
@pytest.mark.parametrize("cpu", CPUS)
def test_the_header_says_so_of_the_cpus_that_are_counted(cpu, tmp_path):
    counted = cpu in {"generic", "x86-64-v3", "avr", "atmega328p", "attiny85", *CLANG}
    write_files(plan_of("signed", cpu), tmp_path)
    header = (tmp_path / "lenet.h").read_text()
    assert ("takes the same number of instructions for every image" in header) == counted
    assert ("A cache may take unequal time" in header) == counted


def test_the_header_tells_of_caches_where_there_are_tables(tmp_path):
    """Of a model of ReLU alone memcheck finds no address that depends on the image, above."""
    for name, has_table in (("mnist", True), ("mnist-modern", False)):
        write_files(plan_of(name), tmp_path)
        assert ("A cache may take" in (tmp_path / "lenet.h").read_text()) == has_table, name


def without_asm(text):
    """The C as a compiler without the asm statements sees it."""
    changed, places = re.subn(r" *__asm__\(.*\);\n", "", text)
    assert places == 2
    return changed


def test_without_the_asm_statements_clang_branches_and_memcheck_finds_it(tmp_path):
    plan = plan_of("mnist-modern")
    errors = errors_of(plan, [require("clang"), "-O2"], tmp_path, without_asm)
    assert errors["jumps"] > 0


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_memcheck_finds_a_branch_on_an_accumulator(compiler, tmp_path):
    def branches(text):
        line = "    uint32_t positive ="
        assert text.count(line) == 1
        return text.replace(line, f"    if (acc < 0) {{ return 0; }}\n{line}")

    errors = errors_of(plan_of("deep"), [require(compiler), "-O1"], tmp_path, branches)
    assert errors["jumps"] > 0
