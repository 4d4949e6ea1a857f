"""Frama-C's proof that nothing is undefined: it proves what is so, and nothing that is broken."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

import undefined
from few_bits import on_grids
from lenet_export.checkpoint import Stage
from lenet_export.cpus.registry import lay_out
from lenet_export.evidence.check import FAILED, NOT_RUN, PASSED, Case, result_of
from lenet_export.evidence.checks.undefined import MACHINES
from lenet_export.evidence.registry import CHECKS
from lenet_export.outputs.bounds import bounds_of
from lenet_export.outputs.c import render_c
from lenet_export.outputs.options import Options
from lenet_export.plan import make_plan
from needs import ROOT, require, wide

from .networks import random_model

#: So small that each proof takes a second: a border, a pool, a table, few rows.
SMALL = (
    Stage("conv", "conv", 2, "sigmoid", (3, 3), "SAME", "max", 2),
    Stage("fc", "dense", 3, "relu"),
    Stage("last", "dense", 3),
)


@pytest.fixture(scope="module")
def small():
    require("frama-c")
    return make_plan(random_model(SMALL, (6, 5, 1)), "int8")


def told_of(plan, files, folder):
    case = Case(plan, files, Options(), folder, None)
    case.write()
    return result_of("undefined", CHECKS["undefined"], case)[0]


@pytest.mark.parametrize("cpu", ["generic", *wide(["cortex-m0", "cortex-m3", "riscv32"])])
def test_nothing_is_undefined(cpu, small, tmp_path):
    plan = lay_out(small, cpu, "speed")
    told = told_of(plan, render_c(plan, Options()), tmp_path)
    assert told["status"] == PASSED, told
    assert told["figures"]["alarms"] == {"memory": 0, "overflow": 0}
    assert told["figures"]["assertions"] >= 2 + len(plan.layers)


@pytest.mark.wide
@pytest.mark.parametrize("cpu", ["generic", "cortex-m3"])
def test_nothing_is_undefined_where_weights_have_few_bits(cpu, tmp_path):
    """A sum of codes and fields is repaid: no range is known of the difference but its type's."""
    require("frama-c")
    model = on_grids(random_model(SMALL, (6, 5, 1)), ("4", "2", "8"))
    plan = lay_out(make_plan(model, "int8"), cpu, "speed")
    told = told_of(plan, render_c(plan, Options()), tmp_path)
    assert told["status"] == PASSED, told
    assert told["figures"]["alarms"] == {"memory": 0, "overflow": 0}


@pytest.mark.parametrize("left", ["ws->left - 1u", *wide(["(int)ws->left - 1"])])
def test_an_int_of_16_bits_holds_what_the_plain_c_computes(left, small, tmp_path, monkeypatch):
    """Also of a workspace of any bytes, as of 32,768 rows to come."""
    monkeypatch.setitem(MACHINES, "generic", "x86_16")
    files = render_c(small, Options())
    assert files["lenet.c"].count(b"ws->left - 1u") == 1
    broken = files["lenet.c"].replace(b"ws->left - 1u", left.encode())
    told = told_of(small, files | {"lenet.c": broken}, tmp_path)
    assert told["status"] == (PASSED if left.endswith("u") else FAILED), told


@pytest.mark.wide
def test_it_is_the_same_each_time(small, tmp_path):
    files, told = render_c(small, Options()), []
    for name in "ab":
        folder = tmp_path / name
        folder.mkdir()
        case = Case(small, files, Options(), folder, None)
        case.write()
        told.append(result_of("undefined", CHECKS["undefined"], case))
    assert told[0] == told[1]


def test_the_table_is_of_proofs_without_an_alarm():
    """benchmarks/undefined.json, which the document has: what a test run cannot afford."""
    rows = json.loads(undefined.RESULTS.read_text())
    document = (ROOT / "docs/soundness.md").read_text()
    assert rows and f"\n\n{undefined.table(rows)}\n" in document
    for name, row in rows.items():
        assert row["status"] == PASSED and row["alarms"] == {"memory": 0, "overflow": 0}, name
        assert row["assertions"] > 2 and row["seconds"] < 300, name


#: What is broken, by a pattern in the C and what is put in its place.
SABOTAGE = {
    "a row's end": (r"conv_sum\(ws, i, 2 \* x \+ j, c\)", "conv_sum(ws, i + 3, 2 * x + j, c)"),
    "a sum without a bound": (r"acc = fc_bias\[o\];", "acc = fc_bias[o] * 65536;"),
    "a bound too small": (r"(acc = conv_bias\[c\]);", r"\1 + 99999;"),
    "a number that was never set": (r"int32_t acc = last_bias\[o\];", "int32_t acc;"),
    "a logit that stays": (r"o < 3(; o\+\+\) \{\s+int32_t acc = last)", r"o < 2\1"),
    "a shift by too much": (r"(\(positive \* gain\) >> )shift", r"\1(shift + gain)"),
    "a null row": (r"row != NULL \? row\[k\] : 0u", "row[k]"),
    "a table's end": (r"(sigmoid_table\[requantize\(acc, gain, shift, \d+\))", r"\1 + 400"),
    "a counter that is not looked at": (r"if \(ws->row < 6u\)", "if (ws->row < 999u)"),
}


@pytest.mark.parametrize("broken", [*[*SABOTAGE][:4], *wide([*SABOTAGE][4:])])
def test_what_is_broken_is_not_proved(broken, small, tmp_path):
    files = render_c(small, Options())
    pattern, instead = SABOTAGE[broken]
    text, count = re.subn(pattern, instead, files["lenet.c"].decode(), count=1)
    assert count == 1
    told = told_of(small, files | {"lenet.c": text.encode()}, tmp_path)
    assert told["status"] == FAILED, told
    assert "not proved" in told["says"]


def test_a_bound_that_is_too_small_is_not_proved(small, tmp_path, monkeypatch):
    def of(plan):
        return [replace(of, most=of.most - (of.layer == "conv")) for of in bounds_of(plan)]

    monkeypatch.setattr("lenet_export.evidence.checks.undefined.bounds_of", of)
    told = told_of(small, render_c(small, Options()), tmp_path)
    assert told["status"] == FAILED and "conv_sum: user assertion" in told["says"], told


def test_without_frama_c_it_is_not_run(small, tmp_path, monkeypatch):
    monkeypatch.setattr("lenet_export.evidence.check.shutil.which", lambda _: None)
    told = told_of(small, render_c(small, Options()), tmp_path)
    assert told["status"] == NOT_RUN
    assert told["says"] == "frama-c is not installed (Debian: apt-get install frama-c-base)"
