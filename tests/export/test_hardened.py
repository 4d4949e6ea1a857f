"""``--harden``: what stands twice, and that damage to either copy is told, whoever compiles it."""

from __future__ import annotations

import itertools
import re
import struct
import subprocess

import numpy as np
import pytest

from few_bits import on_grids
from lenet_export import bundled, cli, reference, verify
from lenet_export.compiled import CompiledNetwork
from lenet_export.cpus.registry import CPUS, lay_out
from lenet_export.errors import UserError
from lenet_export.evidence.check import FAILED, MEASURED, PASSED
from lenet_export.evidence.checks import faults
from lenet_export.evidence.registry import CHECKS
from lenet_export.outputs.c import render_c
from lenet_export.outputs.options import Options
from lenet_export.plan import make_plan
from lenet_export.verdict import Verdict, readings
from needs import require, wide

from .networks import CHAINS, CONSTANTS, named_model, verdict_of
from .networks import PASSED as SELF_TEST_PASSED
from .test_checks import status_of
from .test_parity import can_run


def plan_of(model, cpu="generic"):
    return lay_out(make_plan(model, "int8", is_hardened=True), cpu, "speed")


def few_bits():
    return on_grids(named_model("lenet"), ("4", "2", "1", "ternary", "8"))


@pytest.fixture(scope="module")
def deep():
    return plan_of(named_model("deep"))


# ---- What stands twice --------------------------------------------------------------------------


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", ["normed", "few bits", *wide(["deep", "separable", "mnist"])])
def test_all_of_a_layer_but_its_weights_stands_twice_each_bit_inverted(name, cpu):
    model = bundled.load(name) if name == "mnist" else None
    model = few_bits() if name == "few bits" else model or named_model(name)
    try:
        plan = plan_of(model, cpu)
    except UserError:
        return  # too large for an AVR
    weights = [table.name for table in plan.own_constants if table.is_weights]
    learned = [layer for layer in plan.layers if layer.stage.learns]
    assert {re.sub(r"_weight(_\d)?$", "", name) for name in weights} == {of.name for of in learned}
    doubled = [table.name for table, _ in plan.doubled]
    tables = [f"{activation.name}_table" for activation in plan.activations]
    others = [of.name for of in plan.own_constants if of.name not in tables + weights]
    assert doubled == others and doubled
    copies = [f"{name}_inverted" for name in doubled]
    assert [of.name for of in plan.constants] == [of.name for of in plan.own_constants] + copies
    for table, copy in plan.doubled:
        assert (table.values.dtype, table.values.shape) == (copy.values.dtype, copy.values.shape)
        assert all(
            a ^ b == 255 for a, b in zip(table.values.tobytes(), copy.values.tobytes(), strict=True)
        )


def test_the_network_and_its_id_stay_and_the_header_tells_what_it_costs(deep):
    plain = make_plan(named_model("deep"), "int8")
    assert (plain.model_id, plain.doubled) == (deep.model_id, [])
    header = " ".join(render_c(deep, Options())["lenet.h"].decode().split()).replace(" * ", " ")
    more = deep.constant_bytes - plain.constant_bytes
    count = sum(table.values.size for table, _ in deep.doubled)
    assert f"of the constants {more} bytes are an inverted copy" in header
    assert f"lenet_finish compares these {count} numbers in each image" in header
    assert "LENET_DAMAGED" not in render_c(plain, Options())["lenet.h"].decode()


def test_floats_are_refused_and_the_remedy_told(capsys, tmp_path):
    assert cli.main(["--harden", "--dtype", "float32", "--out", str(tmp_path)]) == 1
    assert "--harden: would tell hardly anything in float32" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["--harden", "--target", "npz"])
    assert "--harden goes with --target c" in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []


# ---- What compilers make of it ------------------------------------------------------------------

#: Finds each table as it was linked, in the memory of the running program, flips each of its bits,
#: and reads an image without rows. Writes how often the table is there, how many bits are told,
#: whether one of them changes a logit, and what is told of none.
FLIPS = r"""
#define _GNU_SOURCE
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "LENET"

static unsigned char table[4096], *found;
static unsigned size, places;
static int32_t logits[LENET_LOGITS], right[LENET_LOGITS];
static lenet_workspace ws;

static int find(struct dl_phdr_info *info, size_t unused, void *none)
{
    (void)unused;
    (void)none;
    for (int n = 0; n < info->dlpi_phnum; n++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[n];
        unsigned char *from = (unsigned char *)(info->dlpi_addr + part->p_vaddr);
        if (part->p_type == PT_LOAD && (part->p_flags & PF_W) == 0) {
            for (size_t at = 0; at + size <= part->p_filesz; at++) {
                if (memcmp(from + at, table, size) == 0) {
                    found = from + at;
                    places++;
                }
            }
        }
    }
    return 1; /* the program alone, no library */
}

static lenet_verdict read_image(void)
{
    lenet_begin(&ws);
    return lenet_finish(&ws, logits);
}

int main(void)
{
    while (fread(&size, sizeof size, 1, stdin) == 1 && fread(table, size, 1, stdin) == 1) {
        unsigned told = 0;
        int changed = 0;
        read_image();
        memcpy(right, logits, sizeof right);
        places = 0;
        dl_iterate_phdr(find, NULL);
        if (places != 0) {
            size_t page = (size_t)found & ~(size_t)4095;
            mprotect((void *)page, (size_t)found + size - page, PROT_READ | PROT_WRITE | PROT_EXEC);
        }
        for (unsigned bit = 0; bit < 8 * size && places != 0; bit++) {
            *(volatile unsigned char *)&found[bit / 8] ^= (unsigned char)(1u << bit % 8);
            told += read_image() == LENET_DAMAGED;
            changed |= memcmp(logits, right, sizeof right) != 0;
            *(volatile unsigned char *)&found[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        printf("%u %u %d %d\n", places, told, changed, (int)read_image());
    }
    return 0;
}
"""
SEPARATE, WHOLE = "lenet.h", "lenet.c"  # what the program includes: then the compiler sees all
BUILDS = [
    ("gcc -O3", SEPARATE),
    ("gcc -O3 -flto", SEPARATE),
    ("clang -O3", WHOLE),
    *wide(
        [
            *((f"{cc} {level}", SEPARATE) for cc in ("gcc", "clang") for level in
              ("-O0", "-O1", "-O2", "-Os", "-Og")),
            ("clang -O3", SEPARATE), ("gcc -O3", WHOLE),
            ("gcc -Ofast -fmerge-all-constants", WHOLE),
            ("gcc -O3 -march=native", WHOLE), ("clang -O3 -march=native", WHOLE),
            ("clang -Oz -fmerge-all-constants", WHOLE),
        ]
    ),
]  # fmt: skip


@pytest.mark.parametrize(("command", "included"), BUILDS)
def test_every_bit_of_either_copy_is_told_whatever_the_compiler_knows(
    command, included, deep, tmp_path
):
    """The tables are constants to it, and it may not conclude that they are what they were.

    Nor does it put them into instructions: an image is read with the table that is compared.
    """
    compiler, *flags = command.split()
    for name, data in render_c(deep, Options()).items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "main.c").write_text(FLIPS.replace('LENET"', f'{included}"'))
    files = ["main.c", *(["lenet.c"] if included == SEPARATE else [])]
    words = [require(compiler), "-std=c99", *flags, *files, "-o", "main"]
    subprocess.run(words, cwd=tmp_path, check=True)
    tables = [of.values.tobytes() for of in itertools.chain(*zip(*deep.doubled, strict=True))]
    given = b"".join(struct.pack("<I", len(table)) + table for table in tables)
    done = subprocess.run(["./main"], cwd=tmp_path, check=True, input=given, capture_output=True)
    said = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert said == [
        (1, 8 * len(table), place < len(tables) / 2, Verdict.MISCOUNTED)
        for place, table in enumerate(tables)
    ]


# ---- It is the same network ---------------------------------------------------------------------

NETWORKS = {name: (lambda name=name: named_model(name)) for name in CHAINS} | {"few bits": few_bits}
PARITY = [("avr", "deep"), ("cortex-m4", "few bits"), ("cortex-m55", "normed")]
OTHERS = [(cpu, [*NETWORKS][place % len(NETWORKS)]) for place, cpu in enumerate(CPUS)]


@pytest.mark.parametrize(
    ("cpu", "name"), [*PARITY, *wide(case for case in OTHERS if case not in PARITY)]
)
def test_it_reads_as_the_reference_does_and_passes_its_self_test(cpu, name):
    if not can_run(cpu):
        return
    try:
        plan = plan_of(NETWORKS[name](), cpu)
    except UserError:
        return  # too large for an AVR
    network = CompiledNetwork(plan, render_c(plan, Options()))
    images = verify.stress_images(plan, random=20)
    expected = reference.run_integers(plan, images)[plan.layers[-1].name]
    assert (network.logits(images) == expected).all()
    assert network.function("self_test")(network.workspace) == SELF_TEST_PASSED
    read = readings(plan, images, expected)
    assert (network.read(images)[1].verdicts == read.verdicts).all()
    assert network.workspace_bytes == plan.workspace_bytes


def test_damage_is_told_before_all_else_and_by_every_reading():
    """Of an image, rows and an amount; the digit is that of the damaged network."""
    plan = plan_of(bundled.load("mnist-uno"))
    files = render_c(plan, Options(parts=("picture", "amount")))
    text, count = re.subn(
        r"static const int32_t fc3_bias\[10\][ \w]* = \{\s*(-?\d+)",
        lambda match: match[0].replace(match[1], str(int(match[1]) + 2**20)),
        files["lenet.c"].decode(),
    )
    assert count == 1
    damaged = CompiledNetwork(plan, files | {"lenet.c": text.encode()})
    image = np.full(plan.input_shape, 255, np.uint8)
    reading = damaged.function("read")(damaged.workspace, damaged.bytes_of(image))
    assert (reading.digit, reading.accepted, reading.verdict) == (0, 0, Verdict.DAMAGED)
    assert damaged.verdict_name(reading.verdict) == "damaged"
    assert verdict_of(damaged, image[:3]) == Verdict.DAMAGED
    line = np.zeros((40, 60), np.uint8)
    line[8:32, 20:26] = line[8:32, 40:46] = 255
    amount = damaged.read_amount(line)
    assert (amount.accepted, amount.verdict) == (0, Verdict.DAMAGED)
    assert damaged.function("self_test")(damaged.workspace) == CONSTANTS


# ---- Evidence -----------------------------------------------------------------------------------

#: What is broken, by a pattern in the C and what is put in its place.
SABOTAGE = {
    "a comparison that is left out": (r"tables_differ\(\) != 0u", "tables_differ() == 1u"),
    "a table that is left out": (r"\n    alike \|= alike_u16\(stem_gain, [^\n]*", ""),
    "an end that is not reached": (r"(alike_s32\(conv2_bias, conv2_bias_inverted, )4", r"\g<1>3"),
    "a table that is compared with itself": (
        r"alike_u16\(stem_gain, stem_gain_inverted", "alike_u16(stem_gain, stem_gain"
    ),
    "a bit that is not looked at": (r"other \^ 0xFFFFu", "other ^ 0x7FFFu"),
    "a copy of other numbers": (r"(head_bias_inverted\[\d+\][ \w]* = \{)(-?\d+)", r"\g<1>1"),
    "a verdict of rows that comes first": (
        r"(if \(tables_differ)",
        r"if (ws->left == 0u) {\n        return LENET_ACCEPTED;\n    }\n    \1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("broken", [None, *SABOTAGE])
def test_the_evidence_tells_a_comparison_that_is_broken(broken, deep, tmp_path, monkeypatch):
    monkeypatch.setattr(faults, "DRAWN", 200)  # of flips that the self-test is to find
    files = render_c(deep, Options())
    text = files["lenet.c"].decode()
    if broken:
        text, count = re.subn(*SABOTAGE[broken], text, count=1)
        assert count == 1
    told = status_of("faults", deep, files | {"lenet.c": text.encode()}, tmp_path)
    assert told["status"] == (FAILED if broken else PASSED), told
    if not broken:
        bits = sum(8 * of.values.nbytes for pair in deep.doubled for of in pair)
        assert (told["figures"]["twice"], told["figures"]["told"]) == (bits, bits)
        assert f"{bits:,} of {bits:,} are told by the next image" in told["says"]


@pytest.mark.parametrize(
    ("check", "cpu"),
    [
        ("coverage", "generic"),
        *wide(
            [
                *((check, "generic") for check in ("equality", "audit", "calls", "constant_time")),
                *((check, "generic") for check in ("stack", "analyzers", "conditions", "loops")),
                *((check, cpu) for check in ("faults", "analyzers")
                  for cpu in ("avr", "cortex-m55", "x86-64-v3")),
            ]
        ),
    ],
)  # fmt: skip
def test_the_other_checks_pass_too(check, cpu, tmp_path):
    if not can_run(cpu):
        return
    plan = plan_of(named_model("deep"), cpu)
    told = status_of(check, plan, render_c(plan, Options()), tmp_path)
    assert told["status"] == (MEASURED if CHECKS[check].measures else PASSED), told
