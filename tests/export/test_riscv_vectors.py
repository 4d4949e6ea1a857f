"""RISC-V's vectors by their own instructions, as clang makes them, in QEMU's user mode."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest

from lenet_export import float_network, reference, verify
from lenet_export.cpus.registry import CPUS, lay_out
from lenet_export.plan import make_plan
from needs import ROOT, require

from .networks import named_model, write_files

CPU = "riscv64gcv"
CLANG = ["--target=riscv64-none-elf", "-mabi=lp64d", "-mcmodel=medany", "-ffreestanding"]
#: Logits of the images that come in, without a C library: calls of Linux, by number.
PROGRAM = """
#include "lenet.h"
enum { READ = 63, WRITE = 64, EXIT = 93 };
static long call(long number, long first, const void *data, long size)
{
    register long a0 __asm__("a0") = first, a2 __asm__("a2") = size, a7 __asm__("a7") = number;
    register const void *a1 __asm__("a1") = data;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
    return a0;
}
void _start(void)
{
    static lenet_workspace ws;
    static uint8_t image[LENET_ROWS * LENET_COLUMNS * LENET_CHANNELS];
    LOGIT logits[LENET_CLASSES];
    while (call(READ, 0, image, sizeof image) == sizeof image) {
        lenet_logits(&ws, image, logits);
        call(WRITE, 1, logits, sizeof logits);
    }
    call(EXIT, lenet_self_test(&ws) != 0, 0, 0);
}
"""


def compiled(plan, folder, level="-O3"):
    """The program for ``plan``: lenet.c by clang, the rest by gcc, which knows no vectors."""
    write_files(plan, folder)
    logit = "float" if plan.dtype == "float32" else "int32_t"
    (folder / "program.c").write_text(PROGRAM.replace("LOGIT", logit))
    flags = [*CLANG, *(CPUS[CPU].flags if plan.cpu == CPU else ["-march=rv64gc"]), "-std=c99"]
    command = [require("clang"), *flags, "-Wall", "-Wextra", "-Werror", level, "-c", "lenet.c"]
    subprocess.run(command, cwd=folder, check=True)
    gcc = [require("riscv64-unknown-elf-gcc"), "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany"]
    link = [
        *gcc,
        "-O2",
        "-ffreestanding",
        "-nostdlib",
        "-static",
        "-Wl,--no-relax",
        "program.c",
        "lenet.o",
        "-o",
        "program",
    ]
    subprocess.run(link, cwd=folder, check=True)
    return folder / "program"


def run(program, images, bits, *options, logit=np.int32):
    """The logits that the program writes on a CPU whose vector registers have so many bits."""
    cpu = f"rv64,v=true,vext_spec=v1.0,vlen={bits}"
    command = [require("qemu-riscv64"), "-cpu", cpu, *options, program]
    done = subprocess.run(command, input=images.tobytes(), capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return np.frombuffer(done.stdout, logit).reshape(len(images), -1)


@pytest.mark.parametrize("name", ["lenet", "signed"])
def test_the_instructions_give_the_integers_of_the_reference(name, tmp_path):
    plan = lay_out(make_plan(named_model(name), "int8"), CPU, "speed")
    images = verify.stress_images(plan, random=20)
    expected = reference.run_integers(plan, images)[plan.layers[-1].name]
    program = compiled(plan, tmp_path)
    for bits in (128, 256):
        assert (run(program, images, bits) != expected).sum() == 0, bits


def test_vectors_of_fewer_than_128_bits_are_refused(tmp_path):
    """Those for embedded cores (Zve64x) may have 64: half of the lanes would not be computed."""
    write_files(lay_out(make_plan(named_model("one"), "int8"), CPU, "speed"), tmp_path)
    command = [require("clang"), *CLANG, "-march=rv64gc_zve64x", "-fsyntax-only", "lenet.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "this file is for riscv64gcv" in done.stderr


def test_the_instructions_give_the_floats_of_flax(tmp_path):
    plan = lay_out(make_plan(named_model("lenet"), "float32"), CPU, "speed")
    images = verify.stress_images(plan, random=20)
    logits = run(compiled(plan, tmp_path), images, 128, logit=np.float32)
    assert np.abs(logits - float_network.run_logits(plan.model, images)).max() <= 1e-4


def instructions(plan, folder, images):
    """The instructions of each image, as a plugin of QEMU's sees them."""
    folder.mkdir()
    program = compiled(plan, folder)
    plugin = folder / "trace.so"
    flags = ["-std=c99", "-O2", "-shared", "-fPIC", "-DPLUGIN_VERSION=1", "-o", plugin]
    subprocess.run([require("gcc"), *flags, ROOT / "benchmarks/trace.c"], check=True)
    listed = subprocess.run(
        [require("riscv64-unknown-elf-nm"), program], check=True, capture_output=True, text=True
    )
    start = re.search(r"(\w+) T lenet_logits$", listed.stdout, re.M)[1]
    out = folder / "trace"
    options = ["-plugin", f"{plugin},start=0x{start},out={out}"]
    counts = []
    for image in images:
        run(program, image[None], 128, *options)
        counts.append(out.stat().st_size // 4)
    return counts


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_an_image_takes_the_instructions_that_the_page_says(dtype, bundled, tmp_path):
    plan = make_plan(bundled, dtype)
    images = verify.stress_images(plan)[[0, -1]]
    first, second = instructions(lay_out(plan, CPU, "speed"), tmp_path / CPU, images)
    assert first == second
    plain = max(instructions(lay_out(plan, "generic", "speed"), tmp_path / "generic", images[:1]))
    assert 4 * first <= plain
    row = f"| {dtype} | {first / 1000:,.0f} k | {plain / 1000:,.0f} k |"
    assert row in (ROOT / "docs/kernels.md").read_text()
