"""The check of the committed figures fails where one grew, and says which and what to do."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import numpy as np
import pytest

from needs import ROOT, missing, require

sys.path.insert(0, str(ROOT / "benchmarks"))
import blob
import chips
import cycles
import family
import harden
import lenet_train
import object_sizes
import sizes
import skips
import stack
from lenet_export import bundled
from lenet_export.cpus.registry import lay_out
from lenet_export.plan import make_plan
from lenet_train import architectures, cli

ARM_GCC = "arm-none-eabi-gcc"
FIGURES = json.loads(chips.FIGURES.read_text())


def scaled(factor):
    figures = copy.deepcopy(FIGURES["figures"])
    figures["cortex-m3"]["generic"]["instructions"] *= factor
    return figures


def test_a_figure_that_grows_by_more_than_two_percent_is_named():
    (line,) = chips.grown(FIGURES["figures"], scaled(1.03))
    assert "cortex-m3, generic: instructions grew" in line
    assert "+3.0%" in line
    assert chips.grown(FIGURES["figures"], scaled(1.01)) == []
    assert chips.grown({}, {"cortex-m3": {"generic": {}}}) != []


def test_the_command_fails_and_tells_the_remedy(monkeypatch):
    monkeypatch.setattr(chips, "compilers", lambda: FIGURES["compilers"])
    monkeypatch.setattr(object_sizes, "measure", lambda: FIGURES["sizes"])
    monkeypatch.setattr(chips, "measure_all", lambda *_: scaled(1.03))
    with pytest.raises(SystemExit, match=r"chips\.py --update"):
        chips.main(["--check"])
    monkeypatch.setattr(chips, "measure_all", lambda *_: scaled(1.0))
    chips.main(["--check"])


def test_the_sizes_are_those_of_objects_compiled_now():
    require(ARM_GCC)
    if object_sizes.output(ARM_GCC, "-dumpversion").strip() != FIGURES["compilers"][ARM_GCC]:
        missing("the compiler of figures.json", f"it was {ARM_GCC} {FIGURES['compilers'][ARM_GCC]}")
    assert object_sizes.changed(FIGURES["sizes"], object_sizes.measure()) == []


def test_a_size_that_changed_is_named_by_the_check(monkeypatch):
    larger = copy.deepcopy(FIGURES["sizes"])
    larger["int8, Cortex-M4"]["bytes"] += 1
    larger["int8, Cortex-M0"]["undefined"] += 1
    m0, m4 = object_sizes.changed(FIGURES["sizes"], larger)
    assert m0.startswith("int8, Cortex-M0, -Os: ")
    assert m4.startswith("int8, Cortex-M4, -Os: ")
    monkeypatch.setattr(chips, "compilers", lambda: FIGURES["compilers"])
    monkeypatch.setattr(chips, "measure_all", lambda *_: FIGURES["figures"])
    monkeypatch.setattr(object_sizes, "measure", lambda: larger)
    with pytest.raises(SystemExit, match=r"int8, Cortex-M4, -Os"):
        chips.main(["--check"])


def test_every_core_has_the_figures_of_each_variant():
    """Those of few bits, too; an Arduino Uno runs nothing else."""
    assert {core: set(rows) for core, rows in FIGURES["figures"].items()} == {
        core: set(chips.variants(core)) for core in chips.CORES
    }
    few = {core for core, rows in FIGURES["figures"].items() if f"{core} mnist-uno" in rows}
    assert few == {"cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55", "riscv32"}


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m3", "riscv32"])
def test_clang_spills_no_more_of_blocks_than_gcc_does(core):
    """It would: what keeps gcc from it, clang does not know."""
    rows = FIGURES["figures"][core]
    by_gcc, by_clang = (rows[f"{core} {of}"]["instructions"] for of in ("speed", "clang"))
    assert by_clang <= 1.15 * by_gcc


def test_the_curve_of_sizes_is_that_of_the_models_in_the_package():
    """Of the others, whose files are not here, the document has what the file says."""
    results = json.loads(sizes.RESULTS.read_text())
    for name, result in results.items():
        called = name if name in bundled.names() else f"mnist-{name}"
        if called in bundled.names():
            model = bundled.load(called)
            plan = lay_out(make_plan(model, "int8"), "generic", "speed")
            assert result["constants"] == plan.constant_bytes
            assert abs(result["right"][0] / result["images"] - model.info["test_accuracy"]) < 2e-4
    document = (ROOT / "docs/training.md").read_text()
    table = "\n".join(sizes.rows(results))
    assert f"---|\n{table}\n\n" in document


def test_what_the_documents_say_of_tables_that_stand_twice_is_measured():
    """And it is what was asked: nine of ten readings that change are told."""
    found = json.loads(harden.FIGURES.read_text())
    document = (ROOT / "docs/soundness.md").read_text()
    for table in (harden.rows(found), harden.cost_rows(found)):
        assert "\n\n" + "\n".join(table) + "\n\n" in document
    assert list(found["models"]) == bundled.names()
    for name, of in found["models"].items():
        plan = make_plan(bundled.load(name), "int8", is_hardened=True)
        plan = lay_out(plan, "generic", "speed")
        assert of["constant_bytes"] + of["copy_bytes"] == plan.constant_bytes
        assert of["fewer"] > 0.9 and of["error"] < 0.015, name
        assert (of["fewer"], of["error"]) == harden.fewer(of["tables"])
    assert [*found["costs"]] == [f"{core}, `--cpu {cpu}`" for core, cpu in harden.COSTS]


def test_what_the_documents_say_of_a_blob_is_measured():
    found = json.loads(blob.FIGURES.read_text())
    document = (ROOT / "docs/update.md").read_text()
    assert "\n\n" + "\n".join(blob.rows(found)) + "\n\n" in document
    assert [*found] == [blob.named(*case) for case in blob.CASES]


@pytest.mark.wide
def test_a_blob_costs_what_is_said():
    case = "mnist", "cortex-m4", "cortex-m4"
    known = json.loads(blob.FIGURES.read_text())[blob.named(*case)]
    for name, of in blob.cost(*case).items():
        assert abs(of["instructions"] / known[name]["instructions"] - 1) < 0.02
        assert abs(of["flash"] / known[name]["flash"] - 1) < 0.02


@pytest.mark.wide
def test_flips_are_counted_by_table():
    """Of random images: those that are told are all of what stands twice, and no others."""
    require("gcc")
    plan = make_plan(bundled.load("mnist-tiny"), "int8", is_hardened=True)
    plan = lay_out(plan, "generic", "speed")
    images = np.random.default_rng(0).integers(0, 256, (10000, 28, 28)).astype(np.uint8)
    found = harden.changes(plan, images, more=0.05)
    twice = {of.name for pair in plan.doubled for of in pair}
    assert [*found] == [of.name for of in plan.constants]
    for name, of in found.items():
        assert of["told"] == (name in twice), name
        assert of["missed"] == (0 if name in twice else of["changed"]), name
        assert of["changed"] == 0 or not name.endswith("_inverted"), name
    assert found["fc2_bias"]["changed"] > 0.1
    assert 0 < harden.fewer(found)[0] < 1


def test_what_the_curve_trains_are_commands_of_lenet_train(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(cli, "run_of", lambda options: seen.append(options) or "result")
    for arguments in sizes.NETWORKS.values():
        lenet_train.train("mnist", **arguments, out=tmp_path)
    assert len(seen) == len(sizes.NETWORKS)


def test_a_run_on_x86_is_written_with_its_machine(tmp_path):
    """In a process of its own, for it sets how many threads JAX has."""
    path = tmp_path / "x86.json"
    path.write_text((chips.FOLDER / "x86.json").read_text())
    program = f"""
import pathlib, numpy, runs, x86
found = [x86.Contestant("LiteRT", "float32", print), x86.Contestant("ours", "int8", print)]
took = numpy.array([[4e-6, 1e-6], [8e-6, 2e-6], [8e-6, 1.8e-6]])
runs.add(pathlib.Path({str(path)!r}), x86.summary(found, took, "12.2.0"))
"""
    subprocess.run([sys.executable, "-c", program], cwd=chips.FOLDER, check=True)
    *before, added = json.loads(path.read_text())["runs"]
    assert before == json.loads((chips.FOLDER / "x86.json").read_text())["runs"]
    assert added["images"] == {
        "LiteRT, float32": {"us": 8.0, "ratio": 1.0},
        "ours, int8": {"us": 1.8, "ratio": 0.25},
    }
    assert added["compiler"] == "gcc 12.2.0 -O3"
    assert "cores, load" in added["machine"]


def test_a_jump_to_another_function_gives_up_the_frame():
    """Of few bits on a Cortex-M3 the bound was 212 bytes above what was measured."""
    frames = {"start": 24, "step": 152, "row": 392}
    called = {"start": [("step", True)], "step": [("row", True)]}
    jumped = called | {"step": [("row", False)]}
    assert stack.bound(frames, called, "start", pushed=2) == 2 + 24 + 2 + 152 + 2 + 392
    assert stack.bound(frames, jumped, "start", pushed=2) == 2 + 24 + 2 + 392
    assert stack.bound(frames | {"step": 500}, jumped, "start", pushed=2) == 2 + 24 + 2 + 500


def test_avr_gcc_counts_the_return_address_in_a_frame(tmp_path):
    """Where nothing is taken off, a call counts it twice."""
    usage = tmp_path / "lenet.c.su"
    usage.write_text("lenet.c:1:6:row\t24\tstatic\nlenet.c:2:6:leaf\t2\tstatic\n")
    frames, edges = stack.frames(usage, returned=2), {"row": [("leaf", True)]}
    assert frames == {"row": 22, "leaf": 0}
    assert stack.bound(frames, edges, "row", pushed=2) == 24 + 2


def test_the_stages_add_up():
    for core in FIGURES["figures"].values():
        for figures in core.values():
            assert sum(figures["stages"].values()) == figures["instructions"]


def test_the_familys_networks_are_lenet_trains_and_each_is_a_line_of_the_table(
    monkeypatch, tmp_path
):
    trained = []
    run = family.run
    monkeypatch.setattr(run, "run", lambda network, *_, **__: trained.append(network.title))
    for arguments in family.NETWORKS.values():
        assert cli.main(arguments.split()) == 0
    assert len(set(trained)) == len(family.NETWORKS)
    parts = set(" ".join(trained).split())
    assert parts >= {"tanh", "relu", "gelu", "max", "stride", "batch", "he", "gap", "lenet5-1998"}
    assert trained[0] == architectures.lenet().title

    labels = family.idx.pack(family.np.zeros(10_000, family.np.uint8))
    (tmp_path / run.TEST_LABELS).write_bytes(run._gzip(labels))
    figures = 0.991, 0.9905, 61_706, 71_208, 1_820, 531_000
    monkeypatch.setattr(
        family, "measure", lambda name, parts, *_: family.Line(name, parts, *figures)
    )
    family.main(["--epochs", "3", "--runs", str(tmp_path), "--out", str(tmp_path / "family.md")])
    text = (tmp_path / "family.md").read_text()
    assert "3 epochs, seed 0, 10,000 test images" in text
    assert "0.27 points apart" in text
    for name, arguments in family.NETWORKS.items():
        code = f"`{arguments}`" if arguments else ""
        assert f"| {name} | {code} | 99.10 % | 99.05 % | 61,706 | 71,208 | 1,820 | 531 k |" in text


#: Instructions of a Cortex-M4 and their cycles, as its manual counts them.
CYCLES = [
    ("ldr r0, [r1]", 2),
    ("ldr r2, [r1, #4]", 1),  # behind a load
    ("add r0, r2", 1),
    ("ldrb r3, [r1, r0]", 2),
    ("str r0, [r1, #8]", 1),
    ("mul r0, r2", 1),
    ("str r0, [r1, r2]", 2),
    ("ldrd r4, r5, [r1]", 3),
    ("smlal r4, r5, r0, r2", 1),
    ("push {r4-r6, r8, lr}", 6),
    ("ldmia r1!, {r4, r5}", 3),
    ("cmp r0, r2", 1),
    ("bne 1f", 1 + cycles.REFILL),
    ("1: udiv r0, r1, r2", cycles.DIVISION),
    ("bx lr", 1),
]


def test_cycles_are_those_of_the_manual(tmp_path):
    source, program = tmp_path / "all.s", tmp_path / "all.o"
    lines = [text if text != "1: udiv r0, r1, r2" else f"nop\n{text}" for text, _ in CYCLES]
    source.write_text(".syntax unified\n.thumb\n.cpu cortex-m4\n" + "\n".join(lines) + "\n")
    subprocess.run([require("arm-none-eabi-as"), "-o", program, source], check=True)
    known = cycles._instructions(program, require("arm-none-eabi-objdump"))
    places = np.array(sorted(known), np.uint32)
    places = np.delete(places, len(CYCLES) - 2)  # the nop, which the branch passes over
    assert len(places) == len(CYCLES)
    objdump = require("arm-none-eabi-objdump")
    for count in range(1, len(CYCLES) + 1):
        expected = sum(cost for _, cost in CYCLES[:count])
        if CYCLES[count - 1][0].startswith("bne"):
            expected -= cycles.REFILL  # what it goes to is not seen
        assert cycles.estimated(places[:count], program, objdump) == expected, CYCLES[count - 1]


def test_the_manuals_table_of_skipped_instructions_is_that_of_the_measurement():
    results = json.loads(skips.RESULTS.read_text())
    assert results["now"]["drawn"]["skipped"] == skips.DRAWN
    table = "\n".join(skips.lines(results))
    assert table in (ROOT / "docs/safety-manual.md").read_text()
