"""Each sentence of the generated header, and the C contract behind it."""

from __future__ import annotations

import ctypes
import dataclasses
import re
import subprocess

import numpy as np
import pytest

from lenet_export.checkpoint import Stage
from lenet_export.compiled import CompiledNetwork, link_library
from lenet_export.cpus.registry import CPUS, choices, lay_out
from lenet_export.errors import UserError
from lenet_export.ink import Ink
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from needs import pairs, require, wide

from .networks import (
    ACCEPTED,
    CHAINS,
    MISCOUNTED,
    UNSURE,
    named_model,
    random_model,
    rows_given,
    write_files,
)

WARNINGS = (
    "-pedantic -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wundef -Werror"
).split()
C_WARNINGS = ["-Wstrict-prototypes", "-Wmissing-prototypes"]
LEVELS = ["-O2", *wide(["-O0", "-Os", "-O3"])]
#: The compiler of each CPU that is not this machine's, its lister of symbols, its flags.
CROSS = {
    cpu: ("arm-none-eabi-gcc", "arm-none-eabi-nm", f"-mcpu={cpu} -mthumb {more}")
    for cpu, more in {
        "cortex-m0": "",
        "cortex-m3": "",
        "cortex-m4": "-mfloat-abi=hard -mfpu=fpv4-sp-d16",
        "cortex-m55": "-mfloat-abi=hard",
    }.items()
} | {
    "riscv32": ("riscv64-unknown-elf-gcc", "riscv64-unknown-elf-nm", "-march=rv32imac -mabi=ilp32"),
    "avr": ("avr-gcc", "avr-nm", "-mmcu=atmega2560"),
    "aarch64": ("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-nm", "-march=armv8-a"),
    "aarch64-dotprod": (
        *("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-nm", "-march=armv8.2-a+dotprod"),
    ),
}


@pytest.fixture(params=CHAINS)
def chain(request):
    return request.param


@pytest.fixture(scope="module")
def network(plan):
    """The bundled model, compiled with a reject threshold, for each dtype."""
    plan = make_plan(plan.model, plan.dtype, 0.002)
    return CompiledNetwork(plan, render_c(plan, Options()))


@pytest.fixture(scope="module")
def digits():
    """A few images that are not all alike; the first is a drawn 0, the second a 1."""
    rng = np.random.default_rng(7)
    ink = rng.random((12, 28, 28, 1)) < 0.2
    images = (ink * rng.integers(100, 256, ink.shape)).astype(np.uint8)
    y, x = np.mgrid[:28, :28] - 13.5
    images[0, ..., 0] = 255 * (np.abs(np.hypot(y / 9, x / 6.5) - 1) < 0.2)
    images[1, ..., 0] = 255 * ((np.abs(x) < 1.5) & (np.abs(y) < 10))
    return images


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("compiler", "dtype"),
    [("gcc", "int8"), ("clang", "float32"), *wide([("gcc", "float32"), ("clang", "int8")])],
)
def test_it_compiles_as_c99_without_a_warning_and_needs_nothing(
    compiler, dtype, level, chain, tmp_path
):
    write_files(make_plan(named_model(chain), dtype), tmp_path)
    flags = ["-std=c99", *WARNINGS, *C_WARNINGS, level, "-ffreestanding"]
    command = [require(compiler), *flags, "-c", "lenet.c", "-o", "lenet.o"]
    subprocess.run(command, cwd=tmp_path, check=True)
    symbols = symbols_of(tmp_path / "lenet.o")
    assert [name for name, kind, _ in symbols if kind == "U"] == []
    assert [name for name, kind, _ in symbols if kind in "dDbBC"] == []
    assert {name for name, kind, _ in symbols if kind == "T"} == {
        f"lenet_{name}"
        for name in (
            "begin decide finish logits predict read row self_test self_test_begin self_test_step"
        ).split()
    }


@pytest.mark.parametrize(
    ("compiler", "dtype"),
    [("g++", "float32"), ("clang++", "int8"), *wide([("g++", "int8"), ("clang++", "float32")])],
)
def test_it_compiles_as_cpp17_without_a_warning(compiler, dtype, chain, tmp_path):
    compiler = require(compiler)
    write_files(make_plan(named_model(chain), dtype), tmp_path)
    command = [compiler, "-std=c++17", *WARNINGS, "-x", "c++", "-c", "lenet.c", "-o", "lenet.o"]
    subprocess.run(command, cwd=tmp_path, check=True)


@pytest.mark.parametrize("cpu", ["generic", "cortex-m0", "riscv32"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_layer_that_reads_one_row_compiles_without_a_warning(compiler, cpu, tmp_path):
    stages = (
        Stage("conv1", "conv", 2, "relu", (3, 3), "SAME"),
        Stage("conv2", "conv", 3, "relu", (1, 1), "SAME"),
        Stage("conv3", "conv", 2, "sigmoid", (1, 1), "SAME", "max", 2),
        Stage("fc", "dense", 3),
    )
    plan = lay_out(make_plan(random_model(stages, (8, 8, 1)), "int8"), cpu, "speed")
    write_files(plan, tmp_path)
    command = [require(compiler), "-std=c99", *WARNINGS, "-c", "lenet.c", "-o", "lenet.o"]
    subprocess.run(command, cwd=tmp_path, check=True)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("cpu", CROSS)
def test_on_a_chip_it_needs_the_compilers_own_runtime_alone(cpu, level, int8_plan, tmp_path):
    compiler, nm, flags = CROSS[cpu]
    for optimize in choices(cpu):
        write_files(lay_out(int8_plan, cpu, optimize), tmp_path)
        command = [require(compiler), "-std=c99", *flags.split(), level, "-ffreestanding"]
        subprocess.run([*command, "-c", "lenet.c", "-o", "lenet.o"], cwd=tmp_path, check=True)
        symbols = symbols_of(tmp_path / "lenet.o", nm)
        needed = [name for name, kind, _ in symbols if kind == "U"]
        assert [name for name in needed if not name.startswith("__")] == [], optimize


#: Once wrong: functions for vectors in a file whose vectors have no activation.
ONE_CONV = {
    f"one convolution, {activation}": (
        Stage("conv1", "conv", 6, activation, (5, 5), "SAME", pool, 2),
        Stage("fc", "dense", 3),
    )
    for activation, pool in [("gelu", "max"), ("relu", "max"), ("sigmoid", "avg")]
}
CHAINS_OF_VECTORS = ["signed", "normed", *ONE_CONV]
ARM64 = "aarch64-linux-gnu-gcc"
COMPILERS_OF_VECTORS = [
    ("x86-64-v3", "gcc"),
    ("x86-64-v3-vnni", "gcc"),
    ("x86-64-v4", "clang"),
    ("aarch64-dotprod", ARM64),
]
MORE_OF_VECTORS = [
    ("x86-64-v3", "clang"),
    ("x86-64-v3-vnni", "clang"),
    ("x86-64-v4", "gcc"),
    ("aarch64", ARM64),
]
VECTORS = [*MORE_OF_VECTORS, *COMPILERS_OF_VECTORS]


@pytest.mark.parametrize(
    ("name", "dtype", "by"),
    [
        *pairs(CHAINS_OF_VECTORS, ["int8", "float32"], COMPILERS_OF_VECTORS),
        *wide(
            (name, dtype, by)
            for name in (*CHAINS, *ONE_CONV)
            for dtype in ("int8", "float32")
            for by in VECTORS
            if by not in COMPILERS_OF_VECTORS or name not in CHAINS_OF_VECTORS
        ),
    ],
)
def test_vectors_compile_without_a_warning(name, dtype, by, tmp_path):
    cpu, compiler = by
    model = random_model(ONE_CONV[name], (14, 14, 1)) if name in ONE_CONV else named_model(name)
    write_files(lay_out(make_plan(model, dtype), cpu, "speed"), tmp_path)
    flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Werror", *CPUS[cpu].flags]
    command = [require(compiler), *flags, "-c", "lenet.c", "-o", "lenet.o"]
    subprocess.run(command, cwd=tmp_path, check=True)


#: The implementation of a single header.
SINGLE = ["-DLENET_IMPLEMENTATION", "-x", "c", "lenet.h"]
#: Compilers that were not told of a CPU, or of another one.
UNTOLD = {
    "gcc": ("gcc", "-march=x86-64"),
    "clang": ("clang", "-march=x86-64"),
    "cortex-m0": ("arm-none-eabi-gcc", "-mcpu=cortex-m0", "-mthumb"),
    "clang for cortex-m0": ("clang", "--target=thumbv6m-none-eabi", "-mcpu=cortex-m0"),
    "riscv32": ("riscv64-unknown-elf-gcc", "-march=rv32imac", "-mabi=ilp32"),
}


@pytest.mark.parametrize("compiler", ["gcc", "clang", *wide(list(UNTOLD)[2:])])
@pytest.mark.parametrize("cpu", [name for name, cpu in CPUS.items() if cpu.requires])
def test_c_that_is_compiled_without_its_flags_names_them_and_says_nothing_else(
    cpu, compiler, tmp_path
):
    command, *flags = UNTOLD[compiler]
    plan = lay_out(make_plan(named_model("signed"), "int8"), cpu, "speed")
    for options, names in ((Options(), ["lenet.c"]), (Options(single_file=True), SINGLE)):
        write_files(plan, tmp_path, options)
        given = [require(command), *flags, "-std=c99", "-ffreestanding", *WARNINGS, *names]
        done = subprocess.run(
            [*given, "-c", "-o", "x.o"], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode != 0
        (line,) = re.findall(r".*(?:error|warning):.*", done.stderr)
        assert f"is for {cpu}: compile it with its flags, as {' '.join(CPUS[cpu].flags)}," in line


@pytest.mark.parametrize(
    "compiler", ["clang for cortex-m0", *wide(name for name in UNTOLD if "clang f" not in name)]
)
@pytest.mark.parametrize("cpu", [name for name, cpu in CPUS.items() if not cpu.requires])
def test_plain_c_is_taken_by_any_compiler_without_a_flag_or_a_warning(cpu, compiler, tmp_path):
    command, *flags = UNTOLD[compiler]
    write_files(lay_out(make_plan(named_model("deep"), "int8"), cpu, "speed"), tmp_path)
    given = [require(command), *flags, "-std=c99", "-ffreestanding", "-O2", *WARNINGS]
    subprocess.run([*given, "-c", "-o", "x.o", "lenet.c"], cwd=tmp_path, check=True)
    assert "with every C99 compiler, on every CPU." in header(tmp_path)


def symbols_of(path, nm="nm"):
    """``(name, kind, size)`` of every symbol of an object file."""
    lines = subprocess.run(
        [require(nm), "-S", path], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    found = []
    for line in lines:
        *numbers, kind, name = line.split()
        found.append((name, kind, int(numbers[1], 16) if len(numbers) > 1 else 0))
    return found


@pytest.mark.parametrize("cpu", CPUS)
def test_the_header_says_which_compilers_it_needs(cpu):
    plan = make_plan(named_model("signed"), "int8")
    header = render_c(lay_out(plan, cpu, "speed"), Options())["lenet.h"].decode()
    needed = CPUS[cpu].headers
    assert ("with every C99 compiler, on every CPU." in header) == (not needed)
    assert not needed or f"a compiler for {cpu}, with {' and '.join(needed)}." in header
    assert not needed or f"flags, as gcc's: {' '.join(CPUS[cpu].flags)}.\n" in header
    assert ("UNALIGN_TRP" in header) == (cpu == "cortex-m4")


def test_constant_bytes_is_the_size_of_the_tables(plan, tmp_path):
    gcc = require("gcc")
    write_files(plan, tmp_path)
    subprocess.run([gcc, "-std=c99", "-O0", "-c", "lenet.c"], cwd=tmp_path, check=True)
    names = {constant.name for constant in plan.constants}
    tables = {name: size for name, _, size in symbols_of(tmp_path / "lenet.o") if name in names}
    assert tables.keys() == names
    assert sum(tables.values()) == plan.constant_bytes
    assert f"#define LENET_CONSTANT_BYTES {plan.constant_bytes}\n" in header(tmp_path)


def header(folder):
    return (folder / "lenet.h").read_text()


def test_lenet_int8_fits_in_65500_bytes_of_flash_and_1152_of_ram(int8_plan):
    assert int8_plan.constant_bytes <= 65_500
    assert int8_plan.workspace_bytes <= 1_152


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_workspace_bytes_is_its_size(chain, dtype):
    plan = make_plan(named_model(chain), dtype)
    files = render_c(plan, Options())
    assert CompiledNetwork(plan, files).workspace_bytes == plan.workspace_bytes
    assert f"#define LENET_WORKSPACE_BYTES {plan.workspace_bytes}\n" in files["lenet.h"].decode()


def test_predict_returns_the_class_of_the_largest_logit(network, digits):
    for image, logits in zip(digits, network.logits(digits), strict=True):
        digit = network.function("predict")(network.workspace, network.bytes_of(image))
        assert digit == int(logits.argmax())
    drawn = [network.logits(digits[n : n + 1]).argmax() for n in (0, 1)]
    assert drawn == [0, 1]


@pytest.mark.parametrize("equal", [(0, 1), (3, 7), (8, 9), tuple(range(10))])
def test_of_equal_logits_the_smallest_class_is_read_and_the_gap_is_zero(network, equal):
    logits = network.new_logits()
    logits[:] = -5
    logits[list(equal)] = 12
    reading = network.function("decide")(network.numbers_of(logits), ACCEPTED)
    assert (reading.digit, reading.gap) == (equal[0], 0)


@pytest.mark.parametrize("first", range(10))
def test_the_gap_is_the_largest_logit_minus_the_second(network, first):
    logits = network.new_logits()
    logits[:] = np.arange(10) * -10
    logits[first] = 1000
    reading = network.function("decide")(network.numbers_of(logits), ACCEPTED)
    assert (reading.digit, reading.gap) == (first, 1010 if first == 0 else 1000)


def test_a_reading_is_accepted_if_its_gap_is_at_least_the_threshold(network):
    least = network.plan.threshold
    assert least > 0
    logits = network.new_logits()
    for gap, accepted in [(least, 1), (least * 1.5, 1), (least * 0.75, 0), (0, 0)]:
        logits[:] = 0
        logits[4] = gap
        reading = network.function("decide")(network.numbers_of(logits), ACCEPTED)
        assert (reading.digit, reading.accepted) == (4 if gap else 0, accepted)
        assert reading.verdict == (ACCEPTED if accepted else UNSURE)
        # What is miscounted is never accepted, and that is the reason given.
        reading = network.function("decide")(network.numbers_of(logits), MISCOUNTED)
        assert (reading.accepted, reading.verdict) == (0, MISCOUNTED)


def test_without_max_error_every_reading_is_accepted(plan):
    files = render_c(plan, Options())
    network = CompiledNetwork(plan, files)
    logits = network.new_logits()
    logits[:] = 0
    assert network.function("decide")(network.numbers_of(logits), ACCEPTED).accepted == 1
    assert b"#define LENET_MIN_GAP 0" in files["lenet.h"]


def test_read_is_decide_of_the_logits(network, digits):
    for image in [*digits, digits[0] * 0, 255 - digits[0]]:
        logits = network.numbers_of(network.new_logits())
        read = network.function("read")(network.workspace, network.bytes_of(image))
        verdict = network.function("logits")(network.workspace, network.bytes_of(image), logits)
        decided = network.function("decide")(logits, verdict)
        for field in ("digit", "gap", "accepted", "verdict"):
            assert getattr(read, field) == getattr(decided, field)


def test_rows_one_by_one_give_the_logits_of_the_image(network, digits):
    for image, logits in zip(digits, network.logits(digits), strict=True):
        assert (rows_given(network, image) == logits).all()


def test_rows_beyond_the_last_are_ignored(network, digits):
    longer = np.concatenate([digits[0], digits[1]])
    assert (rows_given(network, longer) == network.logits(digits[:1])[0]).all()


@pytest.mark.parametrize("given", [0, 1, 5, 6, 20, 27])
def test_rows_not_given_are_background(network, digits, given):
    cut = digits[2].copy()
    cut[given:] = 0
    assert (rows_given(network, digits[2][:given]) == network.logits(cut[None])[0]).all()


def test_begin_gives_up_an_image_that_was_not_finished(network, digits):
    for given in (1, 7, 28):
        network.function("begin")(network.workspace)
        for row in digits[3][:given]:
            network.function("row")(network.workspace, network.bytes_of(row))
        assert (rows_given(network, digits[4]) == network.logits(digits[4:5])[0]).all()


@pytest.mark.parametrize("row", [0, 5, 28, 65535])
@pytest.mark.parametrize("garbage", [0x00, 0x55, 0xFF])
def test_the_workspace_holds_nothing_between_two_images(network, digits, garbage, row):
    memory = np.empty(network.workspace_bytes, np.uint8)
    ours = network.workspace_in(memory)
    for image, expected in zip(digits, network.logits(digits), strict=True):
        memory[:] = garbage
        ours.row = row
        logits = network.new_logits()
        network.function("logits")(ours, network.bytes_of(image), network.numbers_of(logits))
        assert (logits == expected).all()


@pytest.mark.parametrize("garbage", [0x1B, 0x1C, 0x1D, 0x1E, 0x7F, 0xFF])
def test_a_workspace_that_was_never_begun_is_not_written_beyond(network, garbage):
    """Row and finish on any garbage: nothing outside the workspace changes."""
    size = network.workspace_bytes
    memory = np.full(3 * size, garbage, np.uint8)
    inside = network.workspace_in(memory, size)
    row = np.full(28, garbage, np.uint8)
    for _ in range(40):
        network.function("row")(inside, network.bytes_of(row))
    network.function("finish")(inside, network.numbers_of(network.new_logits()))
    assert (memory[:size] == garbage).all()
    assert (memory[2 * size :] == garbage).all()


def test_two_workspaces_do_not_disturb_each_other(network, digits):
    first, second = network.workspace, network.new_workspace()
    logits = [network.new_logits(), network.new_logits()]
    network.function("begin")(first)
    network.function("begin")(second)
    for one, two in zip(digits[5], digits[6], strict=True):
        network.function("row")(first, network.bytes_of(one))
        network.function("row")(second, network.bytes_of(two))
    network.function("finish")(second, network.numbers_of(logits[1]))
    network.function("finish")(first, network.numbers_of(logits[0]))
    assert (np.stack(logits) == network.logits(digits[5:7])).all()


PASSED, CONSTANTS, ANSWERS = 0, 1, 2


def self_test_of(plan, text):
    files = render_c(plan, Options()) | {"lenet.c": text.encode()}
    network = CompiledNetwork(plan, files)
    return network.function("self_test")(network.workspace)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_the_self_test_finds_one_wrong_number_in_any_table(dtype):
    plan = make_plan(named_model("deep"), dtype)
    text = render_c(plan, Options())["lenet.c"].decode()
    assert self_test_of(plan, text) == PASSED
    for constant in plan.constants:
        # The first digit of the table's last number becomes another one.
        table = re.search(rf" {constant.name}\[.*?\}};", text, re.DOTALL)
        assert table
        last = list(re.finditer(r"(?<![\w.])\d", table.group()))[-1]
        at = table.start() + last.start()
        broken = text[:at] + str((int(text[at]) + 1) % 10 or 1) + text[at + 1 :]
        assert self_test_of(plan, broken) == CONSTANTS, constant.name


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_the_self_test_tells_wrong_code_from_wrong_tables(dtype):
    plan = make_plan(named_model("deep"), dtype)
    text = render_c(plan, Options())["lenet.c"].decode()
    value = "(int32_t)in[k]" if dtype == "int8" else "in[k]"
    wrong = text.replace(f"acc += {value} *", f"acc -= {value} *")
    assert wrong != text
    assert self_test_of(plan, wrong) == ANSWERS


def test_the_float_self_test_compares_every_known_answer():
    plan = make_plan(named_model("deep"), "float32")
    text = render_c(plan, Options())["lenet.c"].decode()
    start = text.index("known_answers[4]")
    answers = list(re.finditer(r"-?[\d.e-]+f", text[start : text.index("};", start)]))
    assert len(answers) == 4 * (plan.classes + 2)
    for answer in answers:
        at = start + answer.start()
        off = float(answer.group()[:-1]) + 100
        broken = f"{text[:at]}{off}f{text[start + answer.end() :]}"
        assert self_test_of(plan, broken) == ANSWERS


@pytest.mark.parametrize(
    ("cpu", "dtype", "count"),
    [("generic", "int8", 1), ("cortex-m4", "int8", 2), ("generic", "float32", 2)],
)
def test_the_file_does_not_compile_where_an_assumption_fails(cpu, dtype, count):
    plan = lay_out(make_plan(named_model("deep"), dtype), cpu, "speed")
    files = render_c(plan, Options())
    text = files["lenet.c"].decode()
    assumed = re.findall(r"^LENET_ASSUME\(\w+, (.*)\);$", text, re.MULTILINE)
    assert len(assumed) == count
    for condition in assumed:
        broken = text.replace(f"{condition});", f"!({condition}));")
        with pytest.raises(UserError, match="refuses the generated C"):
            CompiledNetwork(plan, files | {"lenet.c": broken.encode()})


def float_function(plan, folder, flags, *names):
    """The last of the float functions ``names`` of the C, compiled with nothing else."""
    text = render_c(plan, Options())["lenet.c"].decode()
    found = [
        re.search(rf"static float {name}\(float z\)\n\{{.*?\n\}}\n", text, re.DOTALL).group()
        for name in names
    ]
    source = folder / f"f{'-'.join(flags)}.c"
    source.write_text("".join(found).replace(f"static float {names[-1]}", f"float {names[-1]}"))
    library = link_library(source, [require("gcc"), "-std=c99", *flags])
    function = ctypes.CDLL(str(library))[names[-1]]
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return function


def test_the_float_sigmoid_is_right_to_1e_6_everywhere(tmp_path):
    plan = make_plan(named_model("lenet"), "float32")
    for flags in (["-O0"], ["-O3", "-ffast-math"]):
        sigmoid = float_function(plan, tmp_path, flags, "sigmoid")
        z = np.concatenate([np.linspace(-30, 30, 20_001), [-1e30, 1e30, 0]]).astype(np.float32)
        ours = np.array([sigmoid(v) for v in z])
        exact = 0.5 + 0.5 * np.tanh(z.astype(np.float64) / 2)
        assert np.abs(ours - exact).max() < 1e-6


def test_the_float_gelu_is_right_to_2e_6_left_of_its_minimum(tmp_path):
    stages = (Stage("fc1", "dense", 2, "gelu"), Stage("fc2", "dense", 2))
    plan = make_plan(random_model(stages, (2, 2, 1)), "float32")
    gelu = float_function(plan, tmp_path, ["-O2"], "sigmoid", "gelu")
    for z in [-1e30, -1e6, -300, -16, *np.linspace(-12, 0, 500)]:
        s = np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)
        assert abs(gelu(z) - 0.5 * z * (1 + np.tanh(s))) < 2e-6


def test_no_public_name_is_without_the_prefix_and_two_models_link(int8_plan, tmp_path):
    gcc = require("gcc")
    for prefix in ("lenet", "amount"):
        for name, data in render_c(int8_plan, Options(prefix=prefix)).items():
            (tmp_path / name).write_bytes(data)
    (tmp_path / "main.c").write_text(
        '#include "lenet.h"\n#include "amount.h"\n'
        "int main(void) { static lenet_workspace a; static amount_workspace b;\n"
        "return lenet_self_test(&a) || amount_self_test(&b) || AMOUNT_MIN_GAP; }\n"
    )
    assert "lenet_" not in (tmp_path / "amount.c").read_text() + (tmp_path / "amount.h").read_text()
    command = [gcc, "-std=c99", *WARNINGS, "-o", "both", "main.c", "lenet.c", "amount.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "both"]).returncode == 0


@pytest.mark.parametrize("prefix", ["lenet", "zip_code"])
def test_the_single_file_is_the_same_network(plan, digits, prefix):
    options = Options(prefix=prefix, single_file=True)
    files = render_c(plan, options)
    assert sorted(files) == [f"{prefix}.h", f"{prefix}.json"]
    network = CompiledNetwork(plan, files, prefix)
    two = CompiledNetwork(plan, render_c(plan, Options()))
    assert (network.logits(digits) == two.logits(digits)).all()


def test_the_single_file_can_be_included_twice_and_compiles_without_a_warning(plan, tmp_path):
    gcc = require("gcc")
    write_files(plan, tmp_path, Options(single_file=True))
    (tmp_path / "main.c").write_text(
        '#include "lenet.h"\n#define LENET_IMPLEMENTATION\n#include "lenet.h"\n#include "lenet.h"\n'
        "int main(void) { static lenet_workspace ws; return lenet_self_test(&ws); }\n"
    )
    command = [gcc, "-std=c99", *WARNINGS, *C_WARNINGS, "-o", "main", "main.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "main"]).returncode == 0


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_line_is_not_wider_than_100_columns(dtype, chain):
    for name, data in render_c(make_plan(named_model(chain), dtype), Options()).items():
        if not name.endswith(".json"):
            wide = [line for line in data.decode().splitlines() if len(line) > 100]
            assert wide == [], name


def test_the_example_in_the_header_is_a_program(plan, tmp_path):
    gcc = require("gcc")
    write_files(plan, tmp_path)
    example = re.findall(r"^ \*     (.*;)$", header(tmp_path), re.MULTILINE)
    assert len(example) == 2
    (tmp_path / "main.c").write_text(
        '#include "lenet.h"\nint main(void) { static const uint8_t image[28 * 28] = {0};\n'
        + "\n".join(example)
        + "\nreturn digit; }\n"
    )
    command = [gcc, "-std=c99", *WARNINGS, "-o", "main", "main.c", "lenet.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert 0 <= subprocess.run([tmp_path / "main"]).returncode <= 9


def named(*names):
    """A plan whose layers have these names: dense ones, behind a convolution if there are three."""
    stages = [Stage(name, "dense", 3, "relu") for name in names[:-1]]
    if len(names) > 2:
        stages[0] = Stage(names[0], "conv", 2, "relu", (2, 2), "SAME", "max", 2)
    stages.append(Stage(names[-1], "dense", 3))
    return make_plan(random_model(stages, (6, 6, 1)), "int8")


@pytest.mark.parametrize("name", ["conv 1", "1st", "für", "int", "linux", "INT32_MAX", ""])
def test_a_name_that_c_cannot_use_is_refused(name):
    with pytest.raises(UserError, match=r"cannot be used in C|its name is none"):
        render_c(named("fc1", name), Options())


@pytest.mark.parametrize(
    "names",
    [
        ("a", "a_bias", "b"),
        ("conv1", "pool1", "fc"),
        ("image", "fc"),
        ("conv", "pool_row", "pool"),
        ("conv1", "conv1_step", "fc"),
        ("conv1", "lenet", "fc"),
    ],
)
def test_names_that_would_be_the_same_in_c_are_refused(names):
    with pytest.raises(UserError, match="would give the C the name"):
        render_c(named(*names), Options())


@pytest.mark.parametrize("name", ["row", "left", "tables", "ink", "inside", "dark"])
def test_a_layer_called_as_a_counter_of_the_workspace_is_refused(name):
    plan = named(name, "fc")
    ink = Ink(1, least=0, most=5_000, share=100, peak=0)
    counted = dataclasses.replace(plan, model=dataclasses.replace(plan.model, ink=ink))
    with pytest.raises(UserError, match=f"the name {name}, which is that of a counter"):
        render_c(counted, Options(tables="blob"))


@pytest.mark.parametrize(
    "names",
    [
        ("sigmoid", "relu", "requantize"),
        ("conv1", "conv1_2", "Dense_0"),
        ("row", "rows", "units"),
        ("acc", "x", "c"),
        ("lenets", "sigmoid_table", "logits"),
        ("crc", "largest", "push"),
    ],
)
def test_every_other_name_compiles(names, tmp_path):
    try:
        files = render_c(named(*names), Options())
    except UserError as error:
        pytest.fail(str(error))
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    flags = ["-std=gnu99", *WARNINGS, *C_WARNINGS, "-c", "lenet.c"]
    subprocess.run([require("gcc"), *flags], cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("prefix", "cpu", "parts"),
    [
        ("put", "cortex-m4", ()),
        ("store", "x86-64-v3", ()),
        ("find", "generic", ("picture",)),
        ("prepare", "generic", ("picture",)),
    ],
)
def test_a_prefix_that_makes_a_static_name_public_is_refused(int8_plan, prefix, cpu, parts):
    plan = lay_out(int8_plan, cpu, "speed")
    with pytest.raises(UserError, match=f"two meanings of {prefix}_"):
        render_c(plan, Options(prefix=prefix, parts=parts))
    render_c(plan, Options(prefix=f"{prefix}_", parts=parts))


def test_a_prefix_that_is_a_layer_is_refused(int8_plan):
    for prefix in ("pool1", "conv1"):
        with pytest.raises(UserError, match="take another --prefix"):
            render_c(int8_plan, Options(prefix=prefix))


@pytest.mark.parametrize("single_file", [False, True])
@pytest.mark.parametrize(
    ("cpu", "dtype"), [("generic", "int8"), ("cortex-m4", "int8"), ("x86-64-v4", "float32")]
)
def test_the_index_names_every_section_and_its_line(cpu, dtype, single_file):
    plan = lay_out(make_plan(named_model("deep"), dtype), cpu, "speed")
    files = render_c(plan, Options(single_file=single_file))
    lines = files["lenet.h" if single_file else "lenet.c"].decode().split("\n")
    found = [re.match(r" \*     (\S[\w -]*?) +line +(\d+)$", line) for line in lines]
    index = {match[1]: int(match[2]) for match in found if match}
    for name, line in index.items():
        assert lines[line - 1].startswith(f"/* ---- {name}"), name
    sections = [line for line in lines if line.startswith("/* ----")]
    assert len(index) == len(sections) >= 6
    assert list(index.values()) == sorted(index.values())


def test_more_steps_than_an_int_of_16_bits_counts_compile_without_a_warning(tmp_path):
    stages = (
        Stage("conv1", "conv", 2, "relu", (16, 1), "VALID", stride=16, column_stride=1),
        Stage("conv2", "conv", 2, "relu", (16, 1), "VALID", stride=16, column_stride=1),
        Stage("fc", "dense", 3),
    )
    write_files(make_plan(random_model(stages, (16_384, 1, 1)), "int8"), tmp_path)
    (steps,) = re.findall(r"SELF_TEST_STEPS (\d+)", header(tmp_path))
    assert int(steps) > 2 * 2**15
    command = [require("avr-gcc"), "-std=c99", "-O1", *WARNINGS, *C_WARNINGS, "-c", "lenet.c"]
    subprocess.run(command, cwd=tmp_path, check=True)


@pytest.mark.parametrize("compiler", ["avr-gcc", "gcc"])
def test_an_image_larger_than_an_int_of_16_bits_compiles_without_a_warning(compiler, tmp_path):
    stages = (
        Stage("conv1", "conv", 2, "relu", (3, 3), "SAME", "avg", 8),
        Stage("fc", "dense", 3),
    )
    write_files(make_plan(random_model(stages, (200, 200, 1)), "int8"), tmp_path)
    assert "uint8_t image[]);" in header(tmp_path)
    command = [require(compiler), "-std=c99", "-O1", *WARNINGS, *C_WARNINGS, "-c", "lenet.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
