"""What the evidence measures of faults, conditions and loops, by other ways than its own."""

from __future__ import annotations

import csv
import io
import itertools
import re
from dataclasses import replace

import numpy as np
import pytest

from lenet_export import packages
from lenet_export.compiled import runs_here
from lenet_export.cpus.registry import lay_out
from lenet_export.errors import UserError
from lenet_export.evidence.check import MEASURED, NOT_RUN, Case, FailedError, NotRunError, result_of
from lenet_export.evidence.checks import conditions, loops, skipped_instructions, stack
from lenet_export.evidence.checks.conditions import Condition, Decision, decisions
from lenet_export.evidence.checks.skipped_instructions import Effect
from lenet_export.evidence.cortex_m0 import Machine
from lenet_export.evidence.registry import CHECKS
from lenet_export.outputs.c import render_c
from lenet_export.outputs.options import Options
from lenet_export.plan import make_plan
from lenet_export.verify import stress_images
from needs import missing, require, wide

from .networks import CHAINS, named_model

OPTIONS = Options()


def case_of(folder, name="deep", dtype="int8", change=None, images=60):
    plan = make_plan(named_model(name), dtype)
    files = render_c(plan, OPTIONS)
    if change:
        text, count = re.subn(*change, files["lenet.c"].decode(), count=1)
        assert count == 1
        files["lenet.c"] = text.encode()
    folder.mkdir(exist_ok=True)
    case = Case(plan, files, OPTIONS, folder, stress_images(plan)[:images])
    case.write()
    return case


# ---- Skipped instructions -----------------------------------------------------------------------

ARM = "arm-none-eabi-gcc"
#: The verdict counts no rows: of what was told as miscounted, nothing is.
UNCOUNTED = r"ws->row == 22u && ws->left == 0u \? (\(\w+\)verdict_of_ink\(ws\)) : \w+;", r"\1;"


def measured(case, monkeypatch, **how):
    require(ARM)
    monkeypatch.setattr(skipped_instructions, "IMAGES", 1)
    return skipped_instructions.measured(case, **how)


def test_what_is_skipped_is_counted_and_named(tmp_path, monkeypatch):
    found = measured(case_of(tmp_path), monkeypatch, drawn=100)
    assert found["places"]["skipped"] == found["instructions_of_the_program"] > 500
    for of in (found["calls"], found["places"], found["drawn"]):
        assert sum(of["effects"].values()) == of["skipped"]
        rejected = of["effects"][Effect.REJECTED] + of["effects"][Effect.OTHER_REJECTED]
        assert sum(of["rejected_by"].values()) == rejected
    assert found["drawn"]["skipped"] == 100
    assert found["calls"]["rejected_by"]["MISCOUNTED"] == found["calls"]["skipped"] == 23
    wrong = found["wrong_and_accepted"]
    assert sum(of["times"] for of in wrong) == sum(
        found[part]["effects"][Effect.WRONG] for part in ("places", "drawn")
    )
    lines = case_of(tmp_path / "again").files["lenet.c"].decode().splitlines()
    for of in wrong:
        if of["function"].startswith("head_layer"):
            assert "head_layer" in "".join(lines[of["line"] - 8 : of["line"] + 1])


def test_without_the_count_of_rows_each_skipped_call_is_accepted(tmp_path, monkeypatch):
    counts = {}
    for name, change in {"counted": None, "uncounted": UNCOUNTED}.items():
        case = case_of(tmp_path / name, change=change)
        calls = measured(case, monkeypatch, budget=0)["calls"]
        rejected = [Effect.REJECTED, Effect.OTHER_REJECTED]
        counts[name] = calls["skipped"] - sum(calls["effects"][of] for of in rejected)
    assert counts == {"counted": 0, "uncounted": 23}


#: Reads twice, and believes what is the same.
TWICE = (
    skipped_instructions.PROGRAM.replace(
        "void application(void)",
        "static lenet_reading first;\nstatic void once(void)",
    )
    + """
void application(void)
{
    once();
    first = reading;
    once();
    if (reading.digit != first.digit || reading.gap != first.gap) {
        reading.accepted = 0;
    }
}
"""
)


@pytest.mark.wide
def test_of_an_image_that_is_read_twice_nothing_skipped_is_wrong_and_accepted(
    tmp_path, monkeypatch
):
    once = measured(case_of(tmp_path / "once"), monkeypatch, drawn=0)
    monkeypatch.setattr(skipped_instructions, "COUNTED", ())
    twice = measured(case_of(tmp_path / "twice"), monkeypatch, drawn=0, program=TWICE)
    assert twice["places"]["effects"][Effect.WRONG] == 0
    assert once["places"]["effects"][Effect.WRONG] > 0


def test_an_instruction_is_left_out_and_no_other(tmp_path):
    """By hand: a store that is skipped leaves what was there before."""
    require(ARM)
    program = """\
#include "lenet.h"
lenet_workspace ws;
volatile int stored[3];
void stores(void)
{
    stored[0] = 1;
    stored[1] = 2;
    stored[2] = 3;
    lenet_begin(&ws);
}
"""
    machine = Machine(case_of(tmp_path), program)
    trace = machine.traced("stores")
    machine.prepare("stores")
    before = machine.state()
    written = machine.instructions(np.unique(trace[:20]))
    stores = [
        of.address for of in written if of.text.startswith("str ") and "stores" in of.functions
    ]
    assert len(stores) == 3
    for number, address in enumerate(stores):
        machine.restore(before)
        (place,) = np.flatnonzero(trace == address)
        if place:
            machine.go_on(int(place))
        assert machine.place == address
        machine.go_on(10**6, machine.size_at(address))
        assert machine.has_returned
        found = np.frombuffer(machine.read("stored", 12), np.int32)
        assert found.tolist() == [0 if n == number else n + 1 for n in range(3)]
    machine.restore(before)
    machine.go_on(len(trace))
    assert machine.has_returned


def test_what_cannot_be_emulated_is_told(tmp_path, monkeypatch):
    case = case_of(tmp_path)
    require(ARM)

    def missing(extra, where):
        raise UserError(where, "the package unicorn is not installed", packages.install(extra))

    monkeypatch.setattr(packages, "require", missing)
    for name in ("skipped_instructions", "instructions"):
        told, _ = result_of(name, CHECKS[name], case)
        assert (told["status"], told["figures"]) == (NOT_RUN, {})
        assert told["says"] == (
            "the emulator: the package unicorn is not installed; "
            'pip install "lenet-export[evidence]"'
        )
    told, files = result_of("stack", CHECKS["stack"], case)
    assert "nothing was painted: see the log" in told["says"]
    assert b"unicorn is not installed" in files["log-stack.txt"]
    monkeypatch.undo()
    large = replace(case, plan=make_plan(named_model("deep"), "int8"))
    monkeypatch.setattr("lenet_export.evidence.cortex_m0.LARGEST", 1000)
    told, _ = result_of("instructions", CHECKS["instructions"], large)
    assert told["status"] == NOT_RUN and "too many to be emulated" in told["says"]


def test_a_stack_beyond_the_graph_of_calls_is_found(tmp_path, monkeypatch):
    require(ARM)
    real = stack.bounds
    monkeypatch.setattr(
        stack, "bounds", lambda graph: {name: size // 2 for name, size in real(graph).items()}
    )
    with pytest.raises(
        FailedError, match=r"bytes of a Cortex-M0's stack, where the graph of calls"
    ):
        CHECKS["stack"].run(case_of(tmp_path))


# ---- The workspace ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["deep", *wide(["mlp", "normed", "separable"])])
def test_each_byte_of_the_workspace_is_of_a_member_that_is_flipped(name, tmp_path):
    require("gcc")
    case = case_of(tmp_path, name, images=444)
    told, _ = result_of("ram_flips", CHECKS["ram_flips"], case)
    assert told["status"] == MEASURED
    members = told["figures"]["members"]
    padding = case.plan.workspace_bytes - sum(of["bytes"] for of in members.values())
    assert 0 <= padding < 8
    for of in members.values():
        assert sum(count for what, count in of.items() if what not in ("bytes", "flips")) == 1000


# ---- Conditions ---------------------------------------------------------------------------------


def outcomes(expression, vectors):
    """Of each vector of conditions which were asked, with what they were, and the decision."""
    found = []
    for vector in vectors:
        asked = {}

        def ask(n, vector=vector, asked=asked):
            asked[n] = vector[n]
            return vector[n]

        found.append((asked, bool(eval(expression, {"ask": ask}))))
    return found


def is_mcdc(count, found):
    """Whether each condition has two cases that differ in it alone, of those asked, and decide."""
    return all(
        any(
            one[n] != other[n]
            and a != b
            and all(one[k] == other[k] for k in one.keys() & other.keys() - {n})
            for (one, a), (other, b) in itertools.combinations(found, 2)
            if n in one and n in other
        )
        for n in range(count)
    )


@pytest.mark.parametrize("operator", ["and", "or"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_of_a_chain_outcomes_of_conditions_are_mcdc(operator, count):
    """Of all sets of cases: those in which each condition was true and false, and no others."""
    expression = f" {operator} ".join(f"ask({n})" for n in range(count))
    every = [*itertools.product([False, True], repeat=count)]
    for chosen in itertools.product([False, True], repeat=len(every)):
        found = outcomes(expression, itertools.compress(every, chosen))
        seen = all({asked[n] for asked, _ in found if n in asked} == {True, False}
                   for n in range(count))  # fmt: skip
        assert seen == is_mcdc(count, found)


def test_of_a_mixture_they_are_not():
    expression = "ask(0) and ask(1) or ask(2)"
    found = outcomes(expression, [(1, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1)])
    assert all(len({asked[n] for asked, _ in found if n in asked}) == 2 for n in range(3))
    found = outcomes(expression, [(1, 1, 0), (0, 0, 1), (1, 0, 0)])
    assert not is_mcdc(3, found)


def test_conditions_are_joined_to_decisions():
    text = "if (a && /* || */ b\n    && !(c)) {\n    x = d || (e && f);\n} while (g) {\n"

    def at(name):
        line = next(n for n, of in enumerate(text.split("\n")) if f"{name}" in of.split("*/")[-1])
        column = text.split("\n")[line].rindex(name)
        return Condition(line + 1, column + 1, line + 1, column + 2, 1, 1)

    named = {name: at(name) for name in "bcdefg"} | {"a": Condition(1, 5, 1, 6, 1, 1)}
    found = [*decisions(text, [*named.values()])]
    assert [len(of.conditions) for of in found] == [3, 3, 1]
    assert [of.operators for of in found] == [("&&", "&&"), ("||", "&&"), ()]
    assert [of.is_chain for of in found] == [True, False, True]


def test_a_decision_that_mixes_is_not_claimed(tmp_path):
    require("llvm-cov")
    mixed = "if ((row[0] > 1 && row[1] > 1) || row[2] > 1) {\n        ws->row += 0u;\n    }\n"
    change = r"(void lenet_row\([^;]*?\n\{\n)", rf"\1    {mixed}"
    told, _ = result_of("conditions", CHECKS["conditions"], case_of(tmp_path, change=change))
    assert "of 1 decisions that mix && and || nothing is claimed" in told["says"]
    assert told["figures"]["with_images"]["mixed"] == 1


@pytest.mark.parametrize("dtype", ["int8", *wide(["float32"])])
@pytest.mark.parametrize("name", ["deep", *wide(name for name in CHAINS if name != "deep")])
def test_no_decision_mixes_and_most_outcomes_are_seen(name, dtype, tmp_path):
    require("llvm-cov")
    case = case_of(tmp_path, name, dtype, images=444)
    found = conditions.CHECK.run(case).figures["with_images"]
    assert found["mixed"] == 0
    unseen = [of for of in found["never_run"] + found["one_sided"] if not of["why"]]
    if name == "deep" and dtype == "int8":
        assert unseen == []
    assert found["functions_never_run"] == [] and 2 * len(unseen) < found["outcomes"]


# ---- Loops --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["deep", *wide(name for name in CHAINS if name != "deep")])
def test_each_loop_of_the_c_is_in_the_table_with_its_bound(name, tmp_path):
    require("gcc")
    case = case_of(tmp_path, name)
    text = re.sub(r"/\*.*?\*/", "", case.files["lenet.c"].decode(), flags=re.DOTALL)
    heads = re.findall(r"^ *(?:for|while) \(.*\) \{$|^ *do \{$", text, re.MULTILINE)
    table = loops.CHECK.run(case).files["loops.csv"].decode()
    rows = [*csv.DictReader(io.StringIO(table))]
    assert [row["loop"] + " {" for row in rows] == [" ".join(head.split()) for head in heads]
    assert len(rows) == len(re.findall(r"\b(?:for|while|do)\b", text))
    for row in rows:
        assert row["function"] in text
        assert 0 <= int(row["least"]) <= int(row["most"])
        simple = re.fullmatch(r"for \(\w+ (\w) = 0; \1 < (\d+)u?; \1\+\+\)", row["loop"])
        if simple:
            assert row["least"] == row["most"] == simple[2]


@pytest.mark.parametrize("cpu", ["cortex-m0", *wide(["cortex-m4", "cortex-m55", "x86-64-v3"])])
def test_loops_of_a_cpus_kernels_are_counted(cpu, tmp_path):
    require("gcc")
    if not runs_here(cpu):
        missing(cpu, "take a machine that has its instructions")
    plan = lay_out(make_plan(named_model("deep"), "int8"), cpu, "speed")
    case = Case(plan, render_c(plan, OPTIONS), OPTIONS, tmp_path, stress_images(plan)[:20])
    case.write()
    assert loops.CHECK.run(case).figures["not_run"] == 0


def test_a_loop_is_known_in_each_form_or_refused():
    text = """\
void f(int n)
{
    do { /* while (0) for */
        g("for (;;) {");
    } while (n-- > 0);
    for (int k = 3; k <= 9; k += 3) {
        while (h(n) && (n > 1)) {
        }
    }
}
"""
    found = loops.loops_of("a.c", text)
    assert [(of.function, of.line, of.head, of.stated) for of in found] == [
        ("f", 3, "do", None),
        ("f", 6, "for (int k = 3; k <= 9; k += 3)", 3),
        ("f", 7, "while (h(n) && (n > 1))", None),
    ]
    counted = loops.counted(text, found)
    assert counted.count("begin_loop(1); for (int k = 3; k <= 9; k += 3) { turn_loop(1);") == 1
    assert re.sub(r"begin_loop\(\d\); | turn_loop\(\d\);", "", counted) == text
    with pytest.raises(NotRunError, match="line 1: a loop without braces"):
        loops.loops_of("a.c", "void f(int n) { while (n > 0) n--; }\n")


def test_a_chain_is_one_operator():
    one = Condition(1, 1, 1, 2, 1, 1)
    assert Decision((one, one), ("&&",)).is_chain
    assert not Decision((one, one, one), ("&&", "||")).is_chain
