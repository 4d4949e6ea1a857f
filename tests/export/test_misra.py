"""MISRA C:2012: no finding of a required rule, for any CPU, that is no written deviation."""

from __future__ import annotations

import os
import re

import pytest

from lenet_export import bundled
from lenet_export.cpus.registry import CPUS, choices, lay_out
from lenet_export.evidence.check import NOT_RUN, Case, result_of
from lenet_export.evidence.checks.misra import findings_of
from lenet_export.evidence.deviations import (
    ADVISORY,
    DEVIATIONS,
    MANDATORY,
    Category,
    category,
    deviation_of,
    table,
)
from lenet_export.evidence.registry import CHECKS
from lenet_export.outputs.c import render_c
from lenet_export.outputs.options import Options
from lenet_export.plan import make_plan
from needs import ROOT, require

from .networks import named_model

PAGE = ROOT / "docs/misra.md"


def case_of(plan, folder, options=None):
    options = options or Options()
    case = Case(plan, render_c(plan, options), options, folder, None)
    case.write()
    return case


def exports():
    """Plans and options: of each CPU and vocabulary, of few bits and floats, and all parts.

    A form of a CPU's kernels that is not for speed is looked at in a small network.
    """
    mnist, uno = bundled.load("mnist"), bundled.load("mnist-uno")
    integers, tiny = make_plan(mnist, "int8"), make_plan(bundled.load("mnist-tiny"), "int8")
    small = {"atmega328p": make_plan(uno, "int8"), "attiny85": tiny}
    for cpu in CPUS:
        for optimize in choices(cpu):
            plan = small.get(cpu, integers if optimize == "speed" else tiny)
            yield lay_out(plan, cpu, optimize), Options()
    yield lay_out(tiny, "avr", "speed"), Options()
    few, floats = make_plan(uno, "int8", 0.01), make_plan(mnist, "float32")
    for cpu in ("generic", "cortex-m0", "cortex-m4", "riscv32"):
        yield lay_out(few, cpu, "speed"), Options()
    for cpu in ("generic", "cortex-m55", "aarch64", "x86-64-v3", "riscv64gcv"):
        yield lay_out(floats, cpu, "speed"), Options()
    yield few, Options(parts=("picture", "amount"))
    yield make_plan(uno, "int8", is_hardened=True), Options()
    for name, cpu in (
        ("separable", "avr"),
        ("separable", "cortex-m55"),
        ("signed", "aarch64-dotprod"),
    ):
        yield lay_out(make_plan(named_model(name), "int8"), cpu, "speed"), Options()
    for name in ("normed", "pooled", "one"):
        yield make_plan(named_model(name), "int8"), Options()
    yield make_plan(named_model("normed"), "float32"), Options("my", single_file=True)


@pytest.mark.wide
def test_every_required_finding_is_a_deviation_and_each_deviation_is_met(tmp_path):
    """In this one test, so that one run of cppcheck on each export serves both."""
    require("cppcheck")
    met, advised = set(), set()
    for number, (plan, options) in enumerate(exports()):
        folder = tmp_path / str(number)
        folder.mkdir()
        for of in findings_of(case_of(plan, folder, options)):
            if category(of.rule) is Category.ADVISORY:
                advised.add(of.rule)
            else:
                deviation = deviation_of(of.rule, of.text, plan.cpu)
                assert deviation, (plan.cpu, plan.optimize, options.parts, of)
                met.add(deviation)
    assert [of for of in DEVIATIONS if of not in met] == []
    assert advised == {rule for rule, why in ADVISORY.items() if why}


def test_the_document_has_the_deviations():
    assert table() in PAGE.read_text(), "print(deviations.table())"


def test_deviations_are_of_required_rules_and_of_cpus_that_there_are():
    assert not MANDATORY & ADVISORY.keys()
    for of in DEVIATIONS:
        assert category(of.rule) is Category.REQUIRED
        assert set(of.cpus) <= CPUS.keys()
        assert re.compile(of.pattern).search("return 0;") is None
    assert deviation_of("11.3", "quad codes = *(const quad *)(in + k);", "cortex-m4")
    assert deviation_of("11.3", "quad codes = *(const quad *)(in + k);", "generic") is None
    assert deviation_of("17.7", "lenet_finish(ws, logits);", "generic") is None
    assert deviation_of("10.3", "uint16_t narrow = wide << 1;", "generic") is None
    assert deviation_of("10.1", "if (a && -b) {", "generic") is None


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("10.3", "uint8_t cut = wide;"),
        ("10.3", "uint8_t cut = wide > 3 ? wide : other;"),
        ("10.3", "for (uint8_t k = wide; k < count; k++) {"),
        ("10.3", "if (a == b && (cut = wide)) {"),
        ("10.3", "acc = wide;"),
        ("10.4", "if (left < wide) {"),
        ("10.4", "path[y] = last + wide;"),
        ("10.4", "word = number + wide;"),
        ("10.4", "if ((word & 15) + wide) {"),
        ("10.4", "out[k] = (uint8_t)(wide - 128);"),
        ("10.4", "acc += wide;"),
        ("10.8", "uint8_t cut = (uint8_t)(left + right);"),
        ("10.8", "ws->row = (uint16_t)(ws->row + 1u);"),
        ("10.8", "out[k] = (uint8_t)(acc / 4);"),
        ("14.2", "for (int k = 0; k != end; k--) {"),
        ("14.2", "for (; *text; text++) {"),
        ("14.2", "copy_bytes(to, from, size);"),
        ("14.4", "if (count) {"),
        ("14.4", "while (left - 1) {"),
        ("14.4", "if (is_row + count) {"),
        ("14.4", "} else if (island) {"),
        ("14.4", "if (is_one(a) | count) {"),
    ],
)
def test_another_finding_of_a_rule_is_no_deviation(rule, line):
    """Whatever the CPU, and though a deviation of this rule has words in common with it."""
    assert any(of.rule == rule for of in DEVIATIONS)
    assert not [cpu for cpu in CPUS if deviation_of(rule, line, cpu)]


def test_rules_of_a_files_text_are_looked_for_in_each_file(tmp_path):
    """As 3.1, of a comment within one, which no included file is looked through for."""
    require("cppcheck")
    case = case_of(make_plan(named_model("mlp"), "int8"), tmp_path, Options(tables="apart"))
    planted, lines = "/* one /* in one */", {}
    for file in ("lenet.c", "lenet.h", "lenet_tables.h"):
        text = case.files[file].decode()
        lines[file] = text.count("\n", 0, text.index("*/")) + 2
        case.files[file] = text.replace("*/", f"*/\n{planted}", 1).encode()
    found = {of.file: (of.line, of.text) for of in findings_of(case) if of.rule == "3.1"}
    assert found == {file: (line, planted) for file, line in lines.items()}


@pytest.mark.parametrize("script", ["exit 1", "echo lenet.c:1: misra-c2012-15.5 >&2", "exit 0"])
def test_a_cppcheck_that_does_not_look_is_no_peace(script, tmp_path, monkeypatch):
    """One without its addon, and one that stops in the file, say little or nothing."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "cppcheck").write_text(f"#!/bin/sh\n{script}\n")
    (tools / "cppcheck").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    folder = tmp_path / "c"
    folder.mkdir()
    case = case_of(make_plan(named_model("mlp"), "int8"), folder)
    told = result_of("misra", CHECKS["misra"], case)[0]
    assert (told["status"], told["figures"]) == (NOT_RUN, {})
    assert told["says"] == "cppcheck did not read the C to its end: see the log"
