"""What is printed for an AVR: tables in program memory, sums of 24 bits, no table too large."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from lenet_export.checkpoint import Stage
from lenet_export.errors import UserError
from lenet_export.plan import make_plan
from lenet_export.render import Options, render_c
from lenet_export.targets import TABLE_MAX, lay_out
from needs import require

from .networks import CHAINS, named_model, random_model

WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror".split()


@pytest.mark.parametrize("chain", CHAINS)
def test_avr_gcc_takes_a_chain_without_a_warning_and_puts_nothing_into_ram(chain, tmp_path):
    plan = lay_out(make_plan(named_model(chain), "int8"), "avr", "speed")
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
        assert (
            re.search(r"static void conv1_sums\(.*?\n    (\w+) a00 =", text, re.DOTALL)[1] == kind
        )


def test_constants_beyond_the_program_memory_are_refused():
    with pytest.raises(UserError, match=r"constants have 246,824 bytes.*room for 65,024"):
        lay_out(make_plan(named_model("lenet"), "float32"), "avr", "speed")


def test_a_table_beyond_what_avr_gcc_takes_is_refused():
    model = random_model((Stage("fc1", "dense", 4),), (100, 100, 1))
    with pytest.raises(UserError, match=r"table fc1_weight: has 40,000 bytes.*32,767"):
        lay_out(make_plan(model, "int8"), "avr", "speed")
