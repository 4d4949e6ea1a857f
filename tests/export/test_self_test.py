"""The self-test: what it finds, what of the code it runs, and that its steps do the same."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest

from lenet_export.compiled import CompiledNetwork
from lenet_export.crc import crc32c
from lenet_export.evidence.check import Case
from lenet_export.evidence.registry import CHECKS
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from needs import require, wide

from .networks import (
    ANSWERS,
    CHAINS,
    CONSTANTS,
    MISCOUNTED,
    PASSED,
    RUNNING,
    named_model,
    new_test,
    results_of,
    steps_of,
    verdict_of,
    write_files,
)

DTYPES = ["int8", "float32"]


def compiled(model, dtype, change=None, declared=""):
    """The network, its C changed, with declarations more in its header."""
    plan = make_plan(model, dtype)
    files = render_c(plan, Options())
    if change:
        files["lenet.c"] = change(files["lenet.c"].decode()).encode()
    before, last = b"lenet_self_test(lenet_workspace *ws);\n", declared.encode() + b"\n"
    return CompiledNetwork(
        plan, files | {"lenet.h": files["lenet.h"].replace(before, before + last)}
    )


@pytest.fixture(params=DTYPES)
def network(request):
    return compiled(named_model("deep"), request.param)


def noise(network, count, seed=0):
    shape = count, *network.plan.input_shape
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


# ---- What it finds ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("model", ["deep", *wide(["signed", "normed", "separable", "lenet"])])
def test_a_bit_of_any_byte_of_any_table_is_found_at_once_and_in_steps(model, dtype):
    """Of 10,000 bytes and more some are tried: to try all would take their number squared."""
    model = named_model(model)
    names = [constant.name for constant in make_plan(model, dtype).constants]

    def writable(text):
        tables = "|".join(names)
        text, count = re.subn(
            rf"^static const (\w+ (?:{tables})\[)", r"static \1", text, flags=re.M
        )
        assert count == len(names)
        return text + "".join(f"void *lenet_{name}(void) {{ return {name}; }}\n" for name in names)

    network = compiled(model, dtype, writable, "".join(f"void *lenet_{n}(void);" for n in names))
    whole, test = network.function("self_test"), new_test(network)
    assert whole(network.workspace) == PASSED
    apart = 1 if network.plan.constant_bytes < 10_000 else 997
    for constant in network.plan.constants:
        size = constant.values.nbytes
        table = network._ffi.buffer(network.function(constant.name)(), size)
        for place in {*range(0, size, apart), size - 1}:
            table[place] = bytes([table[place][0] ^ 1 << place % 8])
            assert whole(network.workspace) == CONSTANTS, (constant.name, place)
            network.function("self_test_begin")(test)
            slices = results_of(network, test)
            assert slices == [*(len(slices) - 1) * [RUNNING], CONSTANTS], (constant.name, place)
            table[place] = bytes([table[place][0] ^ 1 << place % 8])
    assert whole(network.workspace) == PASSED


DAMAGE = {
    "digit": ("logits[o] > logits[best]", "logits[o] < logits[best]"),
    "second": ("o != except && ", ""),
    "gap": ("reading.gap = gap_of", "reading.gap = 1 + 2 * gap_of"),
    "accepted": ("reading.accepted = reading.verdict ==", "reading.accepted = reading.verdict !="),
    "verdict": ("ws->row == 22u && ws->left == 0u", "ws->row == 22u"),
    "rows that do not come": ("(row != NULL ? row[k] : 0u)", "(row != NULL ? row[k] : 255u)"),
    "their count": ("        ws->left = 2;", "        ws->left = 1;"),
    "row": ("    ws->left = (uint16_t)(ws->left - 1u);\n", ""),
    "ink": ("(lenet_verdict)verdict_of_ink(ws)", "LENET_ACCEPTED"),
}


@pytest.mark.parametrize("dtype", ["int8", *wide(["float32"])])
def test_damaged_code_is_found(dtype):
    """Each of these passed once, for a self-test that looks at logits alone."""
    of_floats = {"digit": ("!(logits[o] <= logits[best])", "logits[o] < logits[best]")}
    for name, (old, new) in (DAMAGE | (of_floats if dtype == "float32" else {})).items():

        def damaged(text, old=old, new=new, name=name):
            assert old in text, name
            return text.replace(old, new)

        network = compiled(named_model("deep"), dtype, damaged)
        assert results_of(network, new_test(network))[-1] != PASSED, name
        assert network.function("self_test")(network.workspace) == ANSWERS, name


#: What failed, and what is none of the four images: a digit 0, a gap too small, a row too many.
NEVER_RUN = {
    "best = 1;",
    "return LENET_SELF_TEST_CONSTANTS;",
    "return LENET_SELF_TEST_ANSWERS;",
    "return LENET_SELF_TEST_ANSWERS; /* the workspace does not keep its rows */",
    "reading.verdict = LENET_UNSURE;",
    "ws->left = 1; /* one too many */",
}


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_runs_all_code_but_whole_images_and_what_failed(dtype, tmp_path):
    """A whole image needs memory that small CPUs have not: its functions call those of rows."""
    require("gcc"), require("gcov")
    plan = make_plan(named_model("deep"), dtype, 0.002)
    case = Case(plan, render_c(plan, Options()), Options(), tmp_path, None)
    case.write()
    found = CHECKS["coverage"].run(case).figures
    assert found["never_run"] == ["lenet_logits", "lenet_predict", "lenet_read"]
    lines = {line.partition(": ")[2] for line in found["lines_never_run"]}
    assert lines == NEVER_RUN


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_workspace_that_does_not_keep_what_is_written_ends_the_test(dtype):
    network = compiled(
        named_model("deep"),
        dtype,
        lambda text: text.replace(*DAMAGE["row"]),
    )
    assert network.function("self_test")(network.workspace) == ANSWERS


def test_the_crc_is_that_of_castagnoli():
    """The check value of Koopman's tables and RFC 3720; and bit by bit."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    for size in (0, 1, 255, 256, 257, 5000):
        data = np.random.default_rng(size).bytes(size)
        register = 0xFFFFFFFF
        for byte in data:
            register ^= byte
            for _ in range(8):
                register = register >> 1 ^ 0x82F63B78 * (register & 1)
        assert crc32c(data) == register ^ 0xFFFFFFFF
        assert crc32c(data[size // 3 :], crc32c(data[: size // 3])) == crc32c(data)


# ---- In steps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("chain", CHAINS)
def test_the_header_says_how_many_steps_there_are_and_the_last_one_begins_anew(chain):
    network = compiled(named_model(chain), "int8")
    header = render_c(network.plan, Options())["lenet.h"].decode()
    (steps,) = map(int, re.findall(r"#define LENET_SELF_TEST_STEPS (\d+)", header))
    test = new_test(network)
    for _ in range(2):
        assert results_of(network, test) == [*(steps - 1) * [RUNNING], PASSED]
    assert steps == steps_of(network)


def test_images_read_between_steps_and_the_test_do_not_disturb_each_other(network):
    test, steps, rows = new_test(network), steps_of(network), network.plan.input_shape[0]
    images = noise(network, 5)
    expected, rng = network.logits(images), np.random.default_rng(1)

    def read():
        at = rng.integers(len(images))
        assert (network.logits(images[at : at + 1]) == expected[at]).all()

    for place in range(steps):
        assert results_of(network, test, {place: read})[-1] == PASSED
    often = dict.fromkeys(range(0, 4 * steps, rows + 2), read)
    results = results_of(network, test, often)
    assert results[-1] == PASSED
    assert len(results) <= steps + (rows + 1) * len([at for at in often if at < len(results)])
    # Without rows + 1 steps in a row an image is never whole; in a workspace of its own it is.
    always = dict.fromkeys(range(4 * steps), read)
    assert results_of(network, test, always)[-1] == RUNNING
    network.function("self_test_begin")(test)
    own = network.new_workspace()
    assert results_of(network, test, always, own) == [*(steps - 1) * [RUNNING], PASSED]


def test_a_step_between_two_rows_spoils_the_image_and_this_is_told(network):
    test, steps, rows = new_test(network), steps_of(network), network.plan.input_shape[0]
    image, step = noise(network, 1)[0], network.function("self_test_step")
    images = steps - 4 * (rows + 1) + 1  # steps before the first made-up image

    network.function("begin")(network.workspace)
    for row in image[:3]:
        network.function("row")(network.workspace, network.bytes_of(row))
    for _ in range(images):  # these read constants
        assert step(test, network.workspace) == RUNNING
    assert verdict_of(network, image[3:], begun=False) != MISCOUNTED
    for given in range(rows + 1):  # rows of the image before the steps
        for count in (1, 2, given, rows, rows + 1):
            network.function("self_test_begin")(test)
            for _ in range(images):
                assert step(test, network.workspace) == RUNNING
            network.function("begin")(network.workspace)
            for row in image[:given]:
                network.function("row")(network.workspace, network.bytes_of(row))
            for _ in range(count):
                step(test, network.workspace)
            verdict = verdict_of(network, image[given:], begun=False)
            assert (verdict == MISCOUNTED) == (count > 0), (given, count)
            assert results_of(network, test)[-1] == PASSED, (given, count)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("chain", sorted(CHAINS.keys() - {"normed"}))
def test_no_step_and_no_row_makes_more_multiply_adds_than_the_header_says(chain, dtype):
    def counting(text):
        text = text.replace('#include "lenet.h"\n', '#include "lenet.h"\nstatic int made;\n')
        text = re.sub(r"^( +)(?=acc \+= )", r"\1made++; ", text, flags=re.M)
        return text + "int lenet_made(void) { int n = made; made = 0; return n; }\n"

    network = compiled(named_model(chain), dtype, counting, "int lenet_made(void);")
    header = " ".join(render_c(network.plan, Options())["lenet.h"].decode().split()).replace(
        " * ", " "
    )
    made, image = network.function("made"), noise(network, 1)[0]
    network.function("begin")(network.workspace)
    rows = []
    for row in image:
        network.function("row")(network.workspace, network.bytes_of(row))
        rows.append(made())
    network.function("finish")(network.workspace, network.numbers_of(network.new_logits()))
    finish = made()
    assert sum(rows) + finish == network.plan.multiply_adds
    counts, test = [], new_test(network)
    for _ in range(steps_of(network)):
        network.function("self_test_step")(test, network.workspace)
        counts.append(made())
    row, end, step = (f"{count:,}".replace(",", " ") for count in (max(rows), finish, max(counts)))
    unequal = f"none makes more than {row} of the multiply-adds, lenet_finish {end}, and those of"
    assert (unequal if max(rows) else "All multiply-adds are in lenet_finish.") in header
    assert f"makes at most {step} multiply-adds. It returns" in header
    assert counts[-1] == finish + rows[-1]  # the row that does not come, and the end


@pytest.mark.parametrize("dtype", ["int8", *wide(["float32"])])
def test_a_test_of_any_bytes_writes_nothing_outside_and_reads_nothing_there(dtype, tmp_path):
    """Never begun, or its memory changed: by the sanitizers of addresses and the undefined."""
    write_files(make_plan(named_model("deep"), dtype), tmp_path)
    program = """
        #include "lenet.h"
        static uint32_t state = 1;
        static void fill(void *memory, unsigned count) {
            for (unsigned k = 0; k < count; k++) {
                state = state * 1664525u + 1013904223u;
                ((uint8_t *)memory)[k] = (uint8_t)(state >> 24);
            }
        }
        int main(void) {
            for (int turn = 0; turn < 3000; turn++) {
                lenet_self_test_state test;
                lenet_workspace ws;
                fill(&test, sizeof test);
                fill(&ws, sizeof ws);
                if (turn % 2) test.image %= 7;
                if (turn % 3) test.row = (uint16_t)-ws.left;
                for (int n = 0; n < 3; n++) lenet_self_test_step(&test, &ws);
            }
            return 0;
        }"""
    (tmp_path / "main.c").write_text(program)
    flags = ["-std=c99", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command = [require("gcc"), *flags, "lenet.c", "main.c", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    subprocess.run(["./main"], cwd=tmp_path, check=True)
