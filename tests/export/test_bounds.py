"""The section Bounds of the C: true of the tables as compiled, and of no others."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from few_bits import on_grids
from lenet_export.cpus.registry import CPUS, choices, lay_out
from lenet_export.outputs.bounds import Bound, bounds_of
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from needs import wide

from . import audit
from .networks import CHAINS, named_model
from .test_parity import can_run

#: Every kernel reads tables of its own: those of 8 bits, of norms, of few bits.
MODELS = {
    "lenet": named_model("lenet"),
    "normed": named_model("normed"),
    "few bits": on_grids(named_model("lenet"), ("4", "2", "1", "ternary", "8")),
}
CASES = [
    (cpu, optimize, model)
    for cpu in filter(can_run, CPUS)
    for optimize in choices(cpu)
    for model in (MODELS if optimize == "speed" else ["few bits"])
    if not (CPUS[cpu].program_memory and model == "lenet")  # which is too large for an AVR
    if CPUS[cpu].multiplies  # what does not has plain C's tables, and no room for these
]


def export_of(model, cpu="generic", optimize="speed"):
    """The plan with the generic layout, and the files for a CPU."""
    base = make_plan(model, "int8")
    return base, render_c(lay_out(base, cpu, optimize), Options())


@pytest.mark.parametrize(("cpu", "optimize", "model"), CASES)
def test_the_printed_bounds_follow_from_the_tables_as_compiled(cpu, optimize, model):
    base, files = export_of(MODELS[model], cpu, optimize)
    assert audit.differences(base, cpu, optimize, files) == []
    said = audit.stated(files["lenet.c"].decode())
    assert len(said) >= 2 * len(base.layers)


@pytest.mark.parametrize("name", CHAINS)
def test_the_bounds_of_every_chain_follow_from_its_tables(name):
    base, files = export_of(named_model(name))
    assert audit.differences(base, "generic", "speed", files) == []


def with_entry(text, table, change):
    """``text`` with a number of a table changed: that which ``change`` gives for all of them."""
    found = re.search(rf"\b{table}\[.*?\}};", text, re.DOTALL)
    body = found.group().index("=")
    numbers = list(re.finditer(r"-?\d+", found.group()[body:]))
    place, value = change([int(number.group()) for number in numbers])
    start, end = (found.start() + body + at for at in numbers[place].span())
    return text[:start] + str(value) + text[end:]


@pytest.mark.parametrize(
    "cpu",
    [
        *filter(can_run, ["generic", "cortex-m55", "x86-64-v4"]),
        *wide(["cortex-m3", "cortex-m4"]),
    ],
)
def test_one_changed_entry_of_any_table_is_found(cpu):
    base, files = export_of(MODELS["normed"], cpu)
    text = files["lenet.c"].decode()
    rng = np.random.default_rng(0)
    for constant in lay_out(base, cpu, "speed").constants:

        def change(numbers):
            place = int(rng.integers(len(numbers)))
            return place, numbers[place] - 1 if numbers[place] > 0 else numbers[place] + 1

        broken = files | {"lenet.c": with_entry(text, constant.name, change).encode()}
        try:
            assert "CRC" in audit.differences(base, cpu, "speed", broken), constant.name
        except AssertionError as found:  # Copies of a weight that differ are found while reading.
            assert constant.name.removesuffix("_weight") in str(found)


def test_a_table_that_leaves_its_bounds_is_found_by_them():
    """Once such a file compiled in silence: literals were compared with literals."""
    base, files = export_of(MODELS["lenet"])
    text = files["lenet.c"].decode()
    for layer in base.layers:
        worst = int(layer.integers.acc_max.argmax())
        size = layer.weight[0].size

        def change(numbers, worst=worst, size=size):
            channel = numbers[worst * size : (worst + 1) * size]
            place = int(np.argmin(channel))
            return worst * size + place, 127

        broken = files | {"lenet.c": with_entry(text, f"{layer.name}_weight", change).encode()}
        assert (layer.name, "acc") in audit.differences(base, "generic", "speed", broken)


def test_a_plan_whose_numbers_do_not_fit_is_not_printed():
    plan = make_plan(named_model("deep"), "int8")
    layer = plan.layers[1]
    for part in ({"product_min": -(2**31) - 1}, {"product_max": 2**31}):
        requantize = dataclasses.replace(layer.integers.requantize, **part)
        integers = dataclasses.replace(layer.integers, requantize=requantize)
        layers = (*plan.layers[:1], dataclasses.replace(layer, integers=integers), *plan.layers[2:])
        with pytest.raises(AssertionError, match=r"acc \* gain"):
            render_c(dataclasses.replace(plan, layers=layers), Options())


@pytest.mark.parametrize(
    ("least", "most", "c_type", "fits"),
    [
        (-(2**31), 2**31 - 1, "int32_t", True),
        (-(2**31) - 1, 0, "int32_t", False),
        (0, 2**31, "int32_t", False),
        (0, 2**32 - 1, "uint32_t", True),
        (-1, 0, "uint32_t", False),
        (-(2**23), 2**23 - 1, "int24", True),
        (0, 2**23, "int24", False),
        (0, 2**16, "uint16_t", False),
    ],
)
def test_a_bound_knows_whether_its_type_holds_it(least, most, c_type, fits):
    assert Bound("fc", "acc", least, most, c_type).fits == fits


def test_floats_have_no_bounds():
    plan = make_plan(named_model("deep"), "float32")
    assert bounds_of(plan) == []
    assert "Bounds" not in render_c(plan, Options())["lenet.c"].decode()
