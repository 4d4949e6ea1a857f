"""SDCC: the C for 8-bit CPUs whose compiler knows neither ``struct`` results nor 32-bit ``int``."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest

from lenet_export import prepare, reference, verify
from lenet_export.checkpoint import Stage
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from needs import require

from .networks import random_model, write_files

NO_PICTURE = 6
SMALL = (
    Stage("conv1", "conv", 2, "sigmoid", (3, 3), "SAME", "avg", 2),
    Stage("conv2", "conv", 3, "relu", (2, 2), "VALID", "max", 2),
    Stage("fc1", "dense", 5, "relu"),
    Stage("fc2", "dense", 4),
)
#: By the CPU: its flags, its simulator with the memory that data are in, where results go, and the
#: order of their bytes. More optimizations would keep more in an 8051's 128 bytes of RAM than these
#: hold.
CPUS = {
    "z80": (
        ["--code-loc", "0x0200", "--data-loc", "0xC000"],
        ["sz80", "-tZ80"],
        "rom",
        0xB000,
        "<i4",
    ),
    "mcs51": (
        ["--model-large", "--nogcse", "--noinvariant", "--noinduction"],
        ["s51", "-t52"],
        "xram",
        0xB000,
        "<i4",
    ),
    "stm8": ([], ["sstm8", "-tSTM8S208"], "rom", 0x1000, ">i4"),
}
DRIVER = """\
#include "lenet.h"
#ifdef __SDCC_mcs51
#define AT(address) __xdata __at(address)
#else
#define AT(address) __at(address)
#endif
static volatile AT(PORT) uint8_t port;
static AT(PORT + 16) int32_t results[4 + LENET_LOGITS];
static lenet_workspace ws;
static lenet_reading reading;
static const uint8_t image[LENET_ROWS * LENET_COLUMNS] = { IMAGE };

void main(void)
{
    lenet_read(&ws, image, &reading);
    results[0] = reading.digit;
    results[1] = reading.gap;
    results[2] = reading.accepted;
    lenet_logits(&ws, image, results + 4);
    lenet_decide(results + 4, LENET_ACCEPTED, &reading);
    results[3] = reading.digit == results[0] ? (int32_t)lenet_self_test(&ws) : -1;
    port = 's'; /* stops the simulator */
    for (;;) {
    }
}
"""


PICTURE_DRIVER = """\
#include "lenet.h"
static volatile __at(PORT) uint8_t port;
static __at(PORT + 16) int32_t results[8];
static __at(PORT + 48) uint8_t image[LENET_ROWS * LENET_COLUMNS];
static lenet_picture ws;
static lenet_reading reading;
static const uint8_t picture[] = { PICTURE };

void main(void)
{
    lenet_read_picture(&ws, picture, 24, 20, 20, &reading);
    results[0] = reading.verdict;
    results[1] = ws.prepared.is_dark;
    results[2] = ws.prepared.top;
    results[3] = ws.prepared.left;
    results[4] = ws.prepared.bottom;
    results[5] = ws.prepared.right;
    results[6] = ws.prepared.contrast;
    lenet_read_picture(&ws, picture, 24, 20, 19, &reading);
    results[7] = reading.verdict;
    lenet_prepare(&ws.shared.preparation, picture, 24, 20, 20, image, &ws.prepared);
    port = 's'; /* stops the simulator */
    for (;;) {
    }
}
"""


@pytest.fixture(scope="module")
def plan():
    return make_plan(random_model(SMALL, (7, 8, 1)), "int8", 0.01)


@pytest.mark.parametrize("cpu", CPUS)
def test_a_small_network_runs_and_equals_the_reference(cpu, plan, tmp_path):
    image = verify.stress_images(plan, random=4)[-1]
    write_files(plan, tmp_path)
    (tmp_path / "main.c").write_text(DRIVER.replace("IMAGE", ", ".join(map(str, image.ravel()))))
    digit, gap, accepted, passed, *logits = run(cpu, 4 * (4 + plan.classes), tmp_path)
    expected = reference.network(plan, image[None])["fc2"][0]
    assert logits == expected.tolist()
    best = np.sort(expected)[::-1]
    assert (digit, gap, passed) == (int(expected.argmax()), int(best[0] - best[1]), 0)
    assert accepted == int(gap >= plan.threshold)


@pytest.mark.wide
def test_a_picture_is_prepared_where_an_int_has_16_bits(tmp_path):
    """Of light ink on paper around 128, 256 times which are more than 16 bits."""
    plan = make_plan(random_model(SMALL[3:], (7, 8, 1)), "int8")
    picture = np.full((24, 20), np.linspace(110, 150, 20), np.uint8)
    picture[5:18, 8:11], picture[5:8, 8:16] = 250, 240
    for name, data in render_c(plan, Options(parts=("picture",))).items():
        (tmp_path / name).write_bytes(data)
    pixels = ", ".join(map(str, picture.ravel()))
    (tmp_path / "main.c").write_text(PICTURE_DRIVER.replace("PICTURE };", f"{pixels} }};"))
    said = np.array(run("z80", 4 * 8 + 7 * 8, tmp_path), "<i4")
    found = prepare(picture, (7, 8))
    assert said[:8].tolist() == [0, found.is_dark, *found.box, found.contrast, NO_PICTURE]
    assert said[8:].tobytes() == found.image.tobytes()


def run(cpu, size, folder):
    """The int32 of `size` bytes that main.c and lenet.c leave when they have run."""
    flags, simulator, memory, port, order = CPUS[cpu]
    sdcc = [require("sdcc"), f"-m{cpu}", "--std-c99", f"-DPORT={port}", *flags]
    for name in ("main", "lenet"):
        subprocess.run([*sdcc, "-c", f"{name}.c", "-o", f"{name}.rel"], cwd=folder, check=True)
    subprocess.run([*sdcc, "main.rel", "lenet.rel", "-o", "main.ihx"], cwd=folder, check=True)
    command = [require(simulator[0]), *simulator[1:], "-I", f"if={memory}[{port}]", "main.ihx"]
    dump = f"dump {memory} {port + 16} {port + 16 + size - 1}"
    return simulated(command, dump, order, folder)


def simulated(command, dump, order, folder):
    """The int32 that ``dump`` shows when the program has stopped the simulator."""
    with subprocess.Popen(
        command, cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout
        print("run", file=process.stdin, flush=True)
        for line in process.stdout:
            if line.startswith("Stop at"):
                break
        assert "stopped itself" in line
        said, _ = process.communicate(f"{dump}\nquit\n", timeout=60)
    rows = re.findall(r"^0x[0-9a-f]+ +((?:[0-9a-f]{2} )+)", said, re.MULTILINE)
    return np.frombuffer(bytes.fromhex("".join(rows)), order).tolist()


def test_with_sdcc_alone_a_reading_goes_through_a_pointer(plan, tmp_path):
    header = render_c(plan, Options())["lenet.h"].decode()
    (tmp_path / "stdint.h").write_text("")
    (tmp_path / "lenet.h").write_text(header)
    found = {}
    for compiler, flags in [(require("gcc"), []), (require("gcc"), ["-D__SDCC"])]:
        command = [compiler, "-E", "-P", "-nostdinc", "-I.", *flags, "lenet.h"]
        text = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
        found[bool(flags)] = re.findall(r"(\w+) lenet_(?:read|decide)\((.*?)\);", text.stdout)
    assert [of for of, _ in found[False]] == ["lenet_reading", "lenet_reading"]
    assert [of for of, _ in found[True]] == ["void", "void"]
    assert all(arguments.endswith(", lenet_reading *reading") for _, arguments in found[True])
    assert not any("lenet_reading" in arguments for _, arguments in found[False])
