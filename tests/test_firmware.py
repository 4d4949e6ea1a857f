"""The firmware on emulated cores: every logit, every count, the stack, and what a fault does."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import firmware
import shared
import stack
from export.lines import lines
from export.networks import named_model
from export.pictures import differ, found_in, pictures, scene
from lenet_export import amount, checkpoint, prepare, reference, verify
from lenet_export.compiled import CompiledNetwork
from lenet_export.cpus.registry import choices, lay_out
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from needs import ROOT, missing, require, wide

MODELS = ROOT / "export/lenet_export/models"
PRESETS = json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]
#: --cpu by preset, of the cores that have one.
CPUS = {
    preset["name"]: preset["cacheVariables"]["LENET_CPU"]
    for preset in PRESETS
    if "LENET_CPU" in preset["cacheVariables"]
}
#: The commands that each core needs.
ARM = ("arm-none-eabi-gcc", "qemu-system-arm")
TOOLS = dict.fromkeys(CPUS, ARM) | {
    "riscv32": ("riscv64-unknown-elf-gcc", "qemu-system-riscv32"),
    "aarch64": ("aarch64-linux-gnu-gcc", "qemu-system-aarch64"),
    "aarch64-dotprod": ("aarch64-linux-gnu-gcc", "qemu-system-aarch64"),
    "avr": ("avr-gcc",),
    "atmega328p": ("avr-gcc",),
    "attiny85": ("avr-gcc",),
}
#: The cores that hold no other bundled model than their own.
OWN = {"atmega328p": "mnist-uno", "attiny85": "mnist-tiny"}
#: The cores that the bundled model does not fit as plain C; by which --cpu a small one does.
SMALL = {"avr": "generic", "atmega328p": "atmega328p", "attiny85": "attiny85"}

#: Each core with the plain C, and with its own kernels. avr-gcc takes no array as long as fc1's.
VARIANTS = [(core, "generic", None) for core in CPUS if core not in SMALL] + [
    (core, cpu, optimize) for core, cpu in CPUS.items() for optimize in choices(cpu)
]
IMAGES, SOME = 1000, 30
FEW = 4  # on an AVR, whose emulator takes longer for an image than for all else
CALLERS = 128  # bytes of stack of the sketch's own functions, a row of pixels among them


@pytest.fixture(scope="session")
def images(request, int8_plan):
    """The first 1,000 MNIST test images; without MNIST those that are made to find differences."""
    if os.environ.get("LENET_DATA") or os.environ.get("CI"):
        return request.getfixturevalue("mnist")[0][:IMAGES]
    return verify.stress_images(int8_plan)


@pytest.fixture(scope="session")
def expected(images, int8_plan):
    """The logits of the JAX reference."""
    return reference.run_integers(int8_plan, images)[int8_plan.layers[-1].name]


@pytest.fixture(scope="session")
def packed():
    """The bundled model with weights of 2 and 4 bits, which fits an Arduino Uno: file and plan."""
    path = MODELS / "mnist-uno.safetensors"
    return path, make_plan(checkpoint.load(path), "int8")


@pytest.fixture(scope="session")
def built():
    """A function that builds a preset, each variant once."""

    def build(preset, cpu=None, optimize=None, model=None):
        for tool in (*TOOLS.get(preset, ()), "cmake", "make", "cc"):
            require(tool)
        board = shared.firmware_of(preset, cpu, optimize, model)
        if not (board.folder / "emulate").exists():
            missing("the emulator", "install the package libsimavr-dev")
        return board

    return build


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A chain small enough for the plain C on an AVR: its file and its plan."""
    model = named_model("deep")
    path = tmp_path_factory.mktemp("model") / "deep.safetensors"
    checkpoint.save(model, path)
    return path, make_plan(model, "int8")


@pytest.fixture(scope="session")
def tiny():
    """The bundled model for an ATtiny85: its file and its plan."""
    path = MODELS / "mnist-tiny.safetensors"
    return path, lay_out(make_plan(checkpoint.load(path), "int8"), "attiny85", "speed")


@pytest.fixture(scope="session")
def usual(built, small, tiny, int8_plan):
    """A function that builds the largest model that a core holds, for that core; and its plan."""

    def build(core):
        if core == "attiny85":
            return built(core, model=tiny[0]), tiny[1]
        if core in SMALL:
            return built(core, SMALL[core], model=small[0]), small[1]
        if core == "host":
            return built(core), int8_plan
        return built(core, CPUS[core], "speed"), lay_out(int8_plan, CPUS[core], "speed")

    return build


# ---- Each core ------------------------------------------------------------------------------


OF_BUNDLED = [variant for variant in VARIANTS if variant[0] not in OWN]


def is_first(variant):
    """Whether it is among those of ``make test``: each core's own, and plain C on one."""
    core, _, optimize = variant
    return optimize == "speed" or (optimize is None and core == "cortex-m3")


@pytest.mark.parametrize(
    ("core", "cpu", "optimize", "count"),
    [
        *((*of, FEW if of[0] == "avr" else SOME) for of in OF_BUNDLED if is_first(of)),
        *wide((*variant, IMAGES) for variant in OF_BUNDLED),
    ],
)
def test_every_logit_is_that_of_jax_and_every_image_takes_as_long(
    built, images, expected, core, cpu, optimize, count
):
    board = built(core, cpu, optimize)
    record = board.run(images[:count], emulators=2 if count == IMAGES and core == "avr" else 1)
    assert (record.logits != expected[:count]).sum() == 0
    assert record.self_test == 0
    assert 50_000 < record.counts[0] < 30_000_000
    assert record.counts.min() == record.counts.max()
    assert 0 < record.stack < 2048
    assert 0 < record.self_test_stack < 2048
    check_steps(board, record)


def check_steps(board, record):
    """The self-test's steps are as the header says; the last makes the most multiply-adds."""
    header = " ".join((board.generated / "lenet.h").read_text().replace(" * ", " ").split())
    (steps,) = map(int, re.findall(r"#define LENET_SELF_TEST_STEPS (\d+)", header))
    number = r"(\d[\d ]*\d) multiply-adds"
    found = re.findall(f"{number} for an image|makes at most {number}. It returns", header)
    all_of, most = (int("".join(found[n]).replace(" ", "")) for n in (0, 1))
    assert (record.steps, record.longest_step) == (steps, steps - 1)
    share = record.step_count / record.counts[0] / (most / all_of)
    assert 0.6 < share < 1.5, share


def run_sketch(built, board, model, images):
    """A board that runs a model row by row, and its record: no logit differs from JAX."""
    path, plan = model
    board = built(board, model=path)
    record = board.run(images, emulators=2 if len(images) == IMAGES else 1)
    expected = reference.run_integers(plan, images)[plan.layers[-1].name]
    assert (record.logits != expected).sum() == 0
    assert record.self_test == 0
    return board, record


def sections(board):
    """The bytes of text, data and bss of an AVR's program."""
    sizes = subprocess.check_output([require("avr-size"), board.program], text=True)
    return map(int, sizes.splitlines()[1].split()[:3])


@pytest.mark.parametrize("count", [FEW, *wide([IMAGES])])
def test_the_whole_network_runs_on_an_arduino_uno(built, images, packed, count):
    """32,768 bytes of flash and 2,048 of RAM hold tables, code, sketch, start-up code and stack."""
    board, record = run_sketch(built, "atmega328p", packed, images[:count])
    assert record.counts.min() == record.counts.max() < 8_000_000
    check_steps(board, record)
    text, data, bss = sections(board)
    assert text + data <= 32_768
    assert data + bss + max(record.stack, record.self_test_stack) + CALLERS <= 2_048


@pytest.mark.parametrize("count", [FEW, *wide([IMAGES])])
def test_the_whole_network_runs_on_an_attiny85_row_by_row(built, images, tiny, count):
    """8,192 bytes of flash and 512 of RAM hold tables, code, sketch, start-up code and stack."""
    board, record = run_sketch(built, "attiny85", tiny, images[:count])
    text, data, bss = sections(board)
    assert text + data <= 8_192
    edges, frames = stack.calls(board.program, require("avr-objdump")), {}
    for usage in board.folder.rglob("*.su"):
        frames |= stack.frames(usage, returned=2)
    bound = functools.partial(stack.bound, frames, edges, pushed=2)
    assert data + bss + bound("main") <= 512
    assert record.stack <= max(map(bound, ("lenet_begin", "lenet_row", "lenet_finish")))
    assert record.self_test_stack <= bound("lenet_self_test")


def test_every_image_takes_an_attiny85_the_same_cycles(built, images, tiny, tmp_path):
    """It has no instruction to multiply, and a compiler's functions for it take unequal time."""
    board = built("attiny85", model=tiny[0])
    listed = subprocess.check_output([require("avr-nm"), board.program], text=True)
    symbols = {name: address for address, _, name in re.findall(r"(\S+) (\w) (\S+)", listed)}
    calls = ",".join(symbols[f"lenet_{name}"] for name in ("begin", "row", "finish"))
    source, record, trace = (tmp_path / name for name in ("image", "record", "trace"))
    cycles = []
    for image in (images[0], np.zeros_like(images[0]), np.full_like(images[0], 255)):
        source.write_bytes(image.tobytes())
        assert board.emulate(board.program, source, record, calls, trace).returncode == 0
        cycles.append(int(np.fromfile(trace, np.uint32)[1::2].sum()))
    assert 500_000 < min(cycles) == max(cycles) < 8_000_000


def test_the_arduino_sketch_answers_each_image_with_its_digit(built, packed, tmp_path):
    path, plan = packed
    board = built("atmega328p", model=path)
    images = verify.stress_images(plan)[:20]
    compile_ = [require("avr-g++"), "-mmcu=atmega328p", "-Os", "-I", board.generated]
    compile_ += ["-include", ROOT / "tests/arduino/Arduino.h", "-x", "c++"]
    sketch, library = ROOT / "c_runtime/examples/uno/uno.ino", tmp_path / "lenet.o"
    subprocess.run(
        [
            *(require("avr-gcc"), "-mmcu=atmega328p", "-Os", "-std=c99", "-c", "-o", library),
            board.generated / "lenet.c",
        ],
        check=True,
    )
    program, source, answer = (tmp_path / name for name in ("sketch.elf", "images", "answer"))
    subprocess.run([*compile_, sketch, "-x", "none", library, "-o", program], check=True)
    source.write_bytes(images.tobytes())
    assert board.emulate(program, source, answer).returncode == 0
    logits = reference.run_integers(plan, images)[plan.layers[-1].name]
    expected = "".join(">" * 28 + f"{digit}\n" for digit in logits.argmax(1))
    assert answer.read_text() == expected + ">"


@pytest.mark.parametrize("core", ["cortex-m0", "avr", *wide(["cortex-m3", "cortex-m4", "riscv32"])])
def test_weights_of_few_bits_give_the_logits_of_jax_on_a_core(built, packed, core):
    path, plan = packed
    images = verify.stress_images(plan)[: 2 * FEW]
    record = built(core, model=path).run(images)
    expected = reference.run_integers(plan, images)[plan.layers[-1].name]
    assert (record.logits != expected).sum() == 0
    assert record.self_test == 0
    assert record.counts.min() == record.counts.max()


def test_an_avr_gives_the_logits_of_jax_for_a_small_network(built, small):
    path, plan = small
    images = verify.stress_images(plan)[:SOME]
    record = built("avr", "generic", model=path).run(images, plan.outputs)
    expected = reference.run_integers(plan, images)[plan.layers[-1].name]
    assert (record.logits != expected).sum() == 0
    assert record.self_test == 0
    assert 0 < record.stack < 2048


@pytest.mark.parametrize("core", [core for core in CPUS if core != "attiny85"])  # it has none
def test_the_counter_of_a_core_is_exact(usual, core):
    board, _ = usual(core)
    done = board.emulate(board.folder / "check_count")
    assert done.returncode == 0, done.stdout
    counted = re.findall(r"^(\d+) loops of 8: counted (\d+)$", done.stdout, re.MULTILINE)
    assert {"1000", "100000", "7000001"} <= {loops for loops, _ in counted}
    assert all(int(count) == 8 * int(loops) for loops, count in counted)


@pytest.mark.parametrize("core", CPUS)
def test_the_tests_of_a_preset_pass(usual, core):
    """With the committed export where it fits, and so with the picture of a digit."""
    folder = usual(core)[0].folder
    done = subprocess.run(
        ["ctest", "--test-dir", folder, "--output-on-failure"],
        env=os.environ | {"CI": "true"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    count = 1 if core == "attiny85" else 2 if core in SMALL else 3
    assert f"100% tests passed, 0 tests failed out of {count}" in done.stdout


def test_the_trace_of_an_avr_has_the_cycles_of_the_record(built, small, tmp_path):
    """The count leaves out what an empty function takes too: five cycles to return, two for 0."""
    path, plan = small
    board = built("avr", "generic", model=path)
    image = verify.stress_images(plan)[:1]
    symbols = subprocess.check_output([require("avr-nm"), board.program], text=True)
    (start,) = re.findall(r"^(\S+) T lenet_logits$", symbols, re.MULTILINE)
    source, record, trace = (tmp_path / name for name in ("image", "record", "trace"))
    source.write_bytes(image.tobytes())
    assert board.emulate(board.program, source, record, start, trace).returncode == 0
    addresses, cycles = np.fromfile(trace, np.uint32).reshape(-1, 2).T
    assert (addresses[0], cycles[-1]) == (int(start, 16), 5)
    assert cycles.sum() == board.run(image, plan.outputs).counts[0] + 5 + 2


# ---- Another byte order, another word -----------------------------------------------------------


@pytest.mark.parametrize(
    ("compiler", "emulator", "order"),
    [
        ("powerpc-linux-gnu-gcc", "qemu-ppc", "big"),
        ("arm-linux-gnueabi-gcc", "qemu-arm", "little"),
    ],
)
def test_a_host_of_32_bits_of_either_byte_order_gives_the_logits_of_jax(
    tmp_path, images, expected, compiler, emulator, order
):
    require(emulator)
    host = firmware.build(
        "host",
        tmp_path,
        target="firmware",
        CMAKE_SYSTEM_NAME="Linux",
        CMAKE_C_COMPILER=require(compiler),
        CMAKE_CROSSCOMPILING_EMULATOR=emulator,
        CMAKE_EXE_LINKER_FLAGS="-static",
    )
    head = host.program.read_bytes()[:6]
    assert head == b"\x7fELF" + bytes([1, {"little": 1, "big": 2}[order]])
    record = host.run(images[:200])
    assert (record.logits != expected[:200]).sum() == 0
    assert record.self_test == 0


def test_the_host_runs_it_as_an_ordinary_program(usual, images, expected):
    record = usual("host")[0].run(images)
    assert (record.logits != expected).sum() == 0
    assert (record.self_test, record.stack, record.counts.max()) == (0, 0, 0)


# ---- What goes wrong -----------------------------------------------------------------------------


def program_with_a_broken_weight(board, plan, folder):
    """The firmware with one bit of its largest table turned over."""
    table = max((table.values.tobytes() for table in plan.constants), key=len)
    data = bytearray(board.program.read_bytes())
    assert data.count(table) == 1
    data[data.index(table) + len(table) // 2] ^= 1
    path = folder / "broken"
    path.write_bytes(data)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("core", [*CPUS, "host"])
def test_the_self_test_finds_one_broken_bit_of_the_weights(usual, tmp_path, core):
    board, plan = usual(core)
    broken = program_with_a_broken_weight(board, plan, tmp_path)
    whole, done = board.emulate(board.program), board.emulate(broken)
    assert (whole.returncode, whole.stdout.strip()) == (0, "self-test passed")
    assert done.returncode == 1
    assert done.stdout.startswith("self-test failed: the constants are not those of the model")

    source, record = tmp_path / "images", tmp_path / "record"
    size = int(np.prod(plan.input_shape))
    source.write_bytes(bytes(size))
    assert board.emulate(broken, source, record).returncode == 1
    assert record.read_bytes()[-4:] == b"\1\0\0\0"


@pytest.mark.parametrize("core", ["cortex-m3", "riscv32", "avr", *OWN, "host"])
def test_an_input_that_ends_within_an_image_is_told(usual, tmp_path, core):
    board, plan = usual(core)
    size = int(np.prod(plan.input_shape))
    for length, status in ((2 * size, 0), (2 * size - 1, 2), (2 * size + 1, 2), (0, 0)):
        (tmp_path / "images").write_bytes(bytes(length))
        done = board.emulate(board.program, tmp_path / "images", tmp_path / "record")
        assert done.returncode == status, (length, done.stdout)
        record = (tmp_path / "record").read_bytes()
        assert len(record) == 4 * (length // size * (plan.outputs + 1) + firmware.AT_THE_END)


@pytest.mark.parametrize("core", ["cortex-m3", "host"])
def test_files_may_have_blanks_in_their_paths(usual, tmp_path, core):
    board, _ = usual(core)
    source, record = tmp_path / "an image, or two", tmp_path / "a record"
    source.write_bytes(b"")
    assert board.emulate(board.program, source, record).returncode == 0
    assert len(record.read_bytes()) == 4 * firmware.AT_THE_END


NOWHERE = [
    f"-DCMAKE_FIND_USE_{place}=OFF"
    for place in ("SYSTEM_ENVIRONMENT_PATH", "CMAKE_SYSTEM_PATH", "CMAKE_ENVIRONMENT_PATH")
]


def configure(preset, folder, *options):
    """Configures a preset on a machine where nothing is found but what the options name."""
    return subprocess.run(
        [
            *(require("cmake"), "--preset", preset, "-B", folder, *NOWHERE, *options),
            f"-DCMAKE_MAKE_PROGRAM={require('make')}",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        ("cortex-m0", "arm-none-eabi-gcc is not found in PATH install it; Debian's packages are "
         "gcc-arm-none-eabi"),
        ("riscv32", "riscv64-unknown-elf-gcc is not found in PATH install it; Debian's packages "
         "are gcc-riscv64-unknown-elf"),
        ("avr", "avr-gcc is not found in PATH install it; Debian's packages are gcc-avr and "
         "avr-libc"),
    ],
)  # fmt: skip
def test_a_missing_compiler_is_named_with_its_package(tmp_path, preset, words):
    done = configure(preset, tmp_path)
    assert done.returncode != 0
    assert words in " ".join(done.stdout.split())


@pytest.mark.parametrize(("ci", "status"), [("", "***Skipped"), ("true", "***Failed")])
def test_without_the_emulator_tests_are_skipped_but_in_ci_fail(tmp_path, ci, status):
    export = Path(sys.executable).parent / "lenet-export"
    compiler = f"-DLENET_CROSS_COMPILER={require('arm-none-eabi-gcc')}"
    done = configure("cortex-m3", tmp_path, compiler, f"-DLENET_EXPORT_EXECUTABLE={export}")
    assert done.returncode == 0, done.stdout
    tests = subprocess.run(
        ["ctest", "--test-dir", tmp_path, "-V"],
        env=os.environ | {"CI": ci},
        capture_output=True,
        text=True,
    ).stdout
    assert tests.count(status) == 2
    assert "qemu-system-arm is not found in PATH: install Debian's qemu-system-arm" in tests


def sent(made):
    """The bytes of pictures, as c_runtime/firmware/given.h says."""
    return b"".join(np.array(one.shape, "<u2").tobytes() + one.tobytes() for one in made)


@pytest.mark.parametrize("core", ["riscv32", *wide(["cortex-m3", "cortex-m4", "cortex-m7"])])
def test_pictures_are_prepared_as_the_reference_does_and_quicker_than_they_are_read(core, tmp_path):
    """One of 64x64 takes less than an image in plain C, at most 2,140 thousand instructions."""
    for tool in (*TOOLS[core], "cmake", "make"):
        require(tool)
    board = firmware.build(core, tmp_path, target="picture", LENET_WITH="picture")
    rng = np.random.default_rng(5)
    square = [scene(rng, most=65) for _ in range(30)]
    square = [
        np.pad(picture, [(0, 64 - size) for size in picture.shape], "edge") for picture in square
    ]
    made = square[:30] + [picture for picture in pictures(120, 6) if picture.size <= 6144]
    given = tmp_path / "pictures", tmp_path / "found"
    given[0].write_bytes(sent(made))
    done = board.emulate(board.folder / "picture", *given)
    assert done.returncode == 0, done.stdout
    size = 28 + 28 * 28
    records = np.frombuffer(given[1].read_bytes(), np.uint8).reshape(len(made), size + 8)
    found = [found_in(record[:size].tobytes()) for record in records]
    assert differ(found, [prepare(picture) for picture in made]) == []
    digits = np.ascontiguousarray(records[:, size : size + 4]).view("<i4").ravel()
    assert all((digit >= 0) == one.has_ink for digit, one in zip(digits, found, strict=True))
    counts = np.ascontiguousarray(records[:, size + 4 :]).view("<u4").ravel()
    assert 200_000 < counts[:30].max() < 2_140_000


@pytest.mark.parametrize(
    ("core", "many"),
    [
        ("cortex-m4", 4),
        *wide([(core, 80) for core in ("cortex-m3", "cortex-m4", "cortex-m7", "riscv32")]),
    ],
)
def test_amounts_are_read_as_the_reference_does(core, many, tmp_path):
    """Lines of no digits among them."""
    for tool in (*TOOLS[core], "cmake", "make"):
        require(tool)
    plan = make_plan(checkpoint.load(MODELS / "mnist-field.safetensors"), "int8")
    board = firmware.build(
        core, tmp_path, model=Path("mnist-field"), target="amount", LENET_WITH="amount"
    )
    made = [one for one in lines(2 * many + 10, 7)[4:] if one.size <= 28672][-many:]
    given = tmp_path / "lines", tmp_path / "found"
    given[0].write_bytes(sent(made))
    done = board.emulate(board.folder / "amount", *given)
    assert done.returncode == 0, done.stdout
    record = np.dtype([("text", "S16"), ("numbers", "<i4", 3)])
    found = np.fromfile(given[1], record)
    network, unit = (
        CompiledNetwork(plan, render_c(plan, Options())),
        amount.unit_of(plan.logit_scale),
    )
    expected = [
        amount.read_amount(one, lambda images: network.logits(images[..., None]), unit)
        for one in made
    ]
    assert [text.decode() for text in found["text"]] == [one.text for one in expected]
    verdict, readings, score = found["numbers"].T
    assert list(zip(readings, score, strict=True)) == [
        (one.readings, one.score) for one in expected
    ]
    assert [is_text == 0 for is_text in verdict] == [bool(one.text) for one in expected]
    assert sum(len(one.text) for one in expected) > 2 * many
