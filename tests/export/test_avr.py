"""What is printed for an AVR: tables in program memory, sums of 24 bits, no table too large."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from few_bits import FEW_BITS, on_grids
from lenet_export import bundled
from lenet_export.checkpoint import GRIDS, Stage
from lenet_export.cpus.registry import TABLE_MAX, lay_out
from lenet_export.errors import UserError
from lenet_export.ink import Ink
from lenet_export.outputs.c import Options, render_c
from lenet_export.outputs.options import parts_of
from lenet_export.plan import make_plan
from needs import require, wide

from .networks import CHAINS, named_model, random_model
from .test_parity import assert_equals_jax

WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror".split()


#: Chains of every kind of layer of 8 bits, and one of fewer too.
CASES = [(chain, bits) for bits in ("8", *GRIDS) for chain in CHAINS]
OF_8 = ("lenet", "normed", "signed", "strided")
FIRST = [case for case in CASES if case[0] == "signed" or (case[1] == "8" and case[0] in OF_8)]


@pytest.mark.parametrize(
    ("chain", "bits"), [*FIRST, *wide(case for case in CASES if case not in FIRST)]
)
def test_avr_gcc_takes_a_chain_without_a_warning_and_puts_nothing_into_ram(chain, bits, tmp_path):
    few = [bits if stage.norm == "none" else "8" for stage in CHAINS[chain]]
    model = on_grids(named_model(chain), few)
    plan = lay_out(make_plan(model, "int8"), "avr", "speed")
    for name, data in render_c(plan, Options()).items():
        (tmp_path / name).write_bytes(data)
    library = tmp_path / "lenet.o"
    command = [require("avr-gcc"), "-mmcu=atmega2560", "-O3", "-std=c99", *WARNINGS]
    done = subprocess.run(
        [*command, "-c", tmp_path / "lenet.c", "-o", library], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    sizes = subprocess.check_output([require("avr-size"), "-A", library], text=True)
    found = dict(re.findall(r"^(\.\S+) +(\d+)", sizes, re.MULTILINE))
    assert int(found[".progmem.data"]) == plan.constant_bytes
    assert [section for section in found if section.startswith(".rodata")] == []
    assert (found[".data"], found[".bss"]) == ("0", "0")


def test_weights_are_spread_over_tables_that_avr_gcc_takes(int8_plan):
    plan = lay_out(int8_plan, "avr", "speed")
    assert max(constant.values.nbytes for constant in plan.constants) <= TABLE_MAX
    assert plan.constant_bytes == int8_plan.constant_bytes
    tables = [c.values for c in plan.constants if c.name.startswith("fc1_weight")]
    blocks = np.concatenate(tables).reshape(30, 400, 4)
    assert len(tables) == 2
    assert (blocks.transpose(0, 2, 1).reshape(120, 400) == int8_plan.layers[2].weight).all()


def test_sums_that_need_more_than_24_bits_get_32(int8_plan):
    plan = lay_out(int8_plan, "avr", "speed")
    first = plan.layers[0]
    wide = replace(first.integers, acc_max=np.full_like(first.integers.acc_max, 2**23))
    wide = replace(plan, layers=(replace(first, integers=wide), *plan.layers[1:]))
    for changed, kind in ((plan, "int24"), (wide, "int32_t")):
        text = render_c(changed, Options())["lenet.c"].decode()
        found = re.search(r"static void conv1_sums\(.*?\n    (\w+) acc0_00 =", text, re.DOTALL)
        assert found[1] == kind


def test_constants_beyond_the_program_memory_are_refused():
    with pytest.raises(UserError, match=r"(?s)constants have 246,824 bytes.*65,024.*--dtype int8"):
        lay_out(make_plan(named_model("lenet"), "float32"), "avr", "speed")


def test_what_cannot_fit_an_arduino_uno_is_refused_with_a_remedy(bundled):
    with pytest.raises(UserError, match=r"(?s)constants have 63,378 bytes.*28,672.*fewer bits"):
        lay_out(make_plan(bundled, "int8"), "atmega328p", "speed")
    wide = random_model((Stage("fc1", "dense", 4),), (60, 60, 1))
    with pytest.raises(UserError, match=r"(?s)workspace has 3,604 bytes.*room for 1,792"):
        lay_out(make_plan(wide, "int8"), "atmega328p", "speed")


@pytest.mark.parametrize(("name", "size"), [*zip(FEW_BITS, (20_658, 21_378, 27_378), strict=True)])
def test_the_tables_of_few_bits_are_as_small_as_their_bits(name, size, bundled):
    plan = lay_out(make_plan(on_grids(bundled, FEW_BITS[name]), "int8"), "atmega328p", "speed")
    assert plan.constant_bytes == size
    bits = [GRIDS[b].bits if b in GRIDS else 8 for b in FEW_BITS[name]]
    exact = sum(layer.weight.size * b for layer, b in zip(plan.layers, bits, strict=True)) / 8
    tables = [c.values for c in plan.constants if "_weight" in c.name]
    assert exact <= sum(table.nbytes for table in tables) <= exact + 16  # conv1's rows of 5 weights


#: What an ATtiny85 has room for: means whose windows are no power of 2, maxima, few bits, tables.
FOR_TINY = {
    "means": (
        Stage("conv1", "conv", 3, "relu", (3, 3), "SAME", "avg", 3),
        Stage("fc1", "dense", 7, "relu"),
        Stage("fc2", "dense", 5),
    ),
    "maxima": (
        Stage("conv1", "conv", 4, "relu", (3, 2), "VALID", "max", 2),
        Stage("conv2", "conv", 5, "tanh", (2, 3), "VALID", stride=2, column_stride=1),
        Stage("fc1", "dense", 6),
    ),
    "depthwise": (
        Stage("conv1", "conv", 3, "relu", (3, 3), "VALID", stride=2),
        Stage("conv2", "depthwise", 6, "relu", (2, 2), "VALID"),
        Stage("pool", "pool", 6, "none", (2, 2), "VALID", "avg"),
        Stage("fc1", "dense", 4),
    ),
}


@pytest.mark.parametrize("bits", ["8", *GRIDS])
@pytest.mark.parametrize("chain", FOR_TINY)
def test_sums_in_place_of_products_give_every_layer_of_jax(chain, bits):
    ink = Ink(1, least=3000, most=30_000, share=90, peak=200)
    model = replace(random_model(FOR_TINY[chain], (11, 12, 1)), ink=ink)
    few = [bits if stage.learns else "8" for stage in model.stages]
    plan = lay_out(make_plan(on_grids(model, few), "int8"), "attiny85", "speed")
    text = render_c(plan, Options())["lenet.c"].decode()
    assert "weighted(" in text and "multiplied(" in text
    assert_equals_jax(plan, count=20)


def test_what_an_attiny85_has_no_room_or_no_product_for_is_refused_with_a_remedy():
    large = random_model((Stage("fc1", "dense", 10),), (18, 19, 1))
    with pytest.raises(UserError, match=r"(?s)have 3,460 bytes.*3,072.*--model mnist-tiny or"):
        lay_out(make_plan(large, "int8"), "attiny85", "speed")
    wide = random_model((Stage("fc1", "dense", 4),), (20, 20, 1))
    with pytest.raises(UserError, match=r"(?s)workspace has 404 bytes.*room for 368"):
        lay_out(make_plan(wide, "int8"), "attiny85", "speed")
    normed = random_model(
        (Stage("fc1", "dense", 4, "relu", norm="layer"), Stage("fc2", "dense", 3)), (5, 5, 1)
    )
    with pytest.raises(UserError, match=r"(?s)fc1 has layer normalization.*--norm batch"):
        lay_out(make_plan(normed, "int8"), "attiny85", "speed")


@pytest.mark.parametrize("part", ["picture", "amount"])
def test_pictures_for_which_a_chip_has_no_ram_are_refused_with_a_remedy(part):
    plans = [make_plan(bundled.load(name), "int8") for name in ("mnist-uno", "mnist-tiny")]
    for plan, cpu in zip(plans, ("atmega328p", "attiny85"), strict=True):
        with pytest.raises(
            UserError, match=rf"(?s)--with {part}.*bytes of RAM; --cpu {cpu}.*leave"
        ):
            render_c(lay_out(plan, cpu, "speed"), Options(parts=parts_of([part])))


def test_a_table_beyond_what_avr_gcc_takes_is_refused():
    model = random_model((Stage("fc1", "dense", 4),), (100, 100, 1))
    with pytest.raises(UserError, match=r"table fc1_weight: has 40,000 bytes.*32,767"):
        lay_out(make_plan(model, "int8"), "avr", "speed")
