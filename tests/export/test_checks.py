"""The checks of the evidence: they pass what is right, and none passes what is broken."""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import subprocess
from collections import Counter

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from lenet_export import bundled, cli, packages
from lenet_export.cpus.registry import lay_out
from lenet_export.errors import UserError
from lenet_export.evidence import check, page, registry, run
from lenet_export.evidence.again import RECORD
from lenet_export.evidence.bom import bill_of
from lenet_export.evidence.check import FAILED, MEASURED, NOT_RUN, PASSED, Case, result_of
from lenet_export.evidence.checks import (
    calls,
    constant_time,
    equality,
    faults,
    instructions,
    ram_flips,
    skipped_instructions,
)
from lenet_export.evidence.kernels import EXHAUSTION, PLAIN, TESTS, kernels
from lenet_export.evidence.run import evidence_of
from lenet_export.evidence.trace import traced
from lenet_export.outputs.c import render_c
from lenet_export.outputs.options import Options
from lenet_export.plan import make_plan
from lenet_export.verdict import Verdict
from lenet_export.verify import stress_images
from needs import ROOT, require

from .networks import named_model

pytestmark = pytest.mark.usefixtures("tools")
OPTIONS = Options()
#: What needs a C that a Cortex-M0 runs.
EMULATED = ("skipped_instructions", "instructions")
#: What needs plain C of integers.
OF_INTEGERS = ("audit", "requantize", "constant_time", *EMULATED)
ARM = "arm-none-eabi-gcc"


@pytest.fixture(scope="module")
def tools():
    for tool in ("gcc", "clang", "valgrind", "gcov", "llvm-cov", "arm-none-eabi-gcc", "cppcheck"):
        require(tool)


@pytest.fixture(autouse=True, scope="module")
def few_skips():
    """Of an image's instructions so many are skipped as take a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(skipped_instructions, "BUDGET", 10**8)
        patch.setattr(skipped_instructions, "IMAGES", 1)
        patch.setattr(instructions, "IMAGES", 2)
        patch.setattr(ram_flips, "FLIPS", 100)
        yield


@pytest.fixture
def few_draws(monkeypatch):
    """What takes longest of a network that is no small one is done a few times.

    Each check at its full length is run on the smallest bundled model, each compiler and level on
    the others in test_parity.py and test_constant_time.py.
    """
    monkeypatch.setattr(equality, "LEVELS", ("-O2",))
    monkeypatch.setattr(constant_time, "LEVELS", ("-O2",))
    monkeypatch.setattr(faults, "DRAWN", 1000)
    monkeypatch.setattr(calls, "IMAGES", 4)


#: Frama-C takes a minute of a large model; in test_undefined.py it has a small one.
CHECKS = {name: of for name, of in registry.CHECKS.items() if name != "undefined"}


@pytest.fixture(autouse=True, scope="module")
def without_proofs():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "CHECKS", CHECKS)
        yield


def files_of(plan, options=OPTIONS):
    return render_c(plan, options)


@pytest.fixture(scope="module")
def deep():
    """A small chain of all kinds of layers, and its C."""
    plan = make_plan(named_model("deep"), "int8")
    return plan, files_of(plan)


def status_of(name, plan, files, folder, options=OPTIONS):
    """What a check says of some files."""
    case = Case(plan, files, options, folder, stress_images(plan)[:60])
    case.write()
    return result_of(name, CHECKS[name], case)[0]


def export(folder, *words):
    """An export with its evidence."""
    command = [*words, "--quiet", "--out", folder / "c", "--evidence", folder / "evidence"]
    assert cli.main([*map(str, command)]) == 0
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """That of the smallest bundled model, of which each check is run at its full length."""
    return export(tmp_path_factory.mktemp("tiny"), "--model", "mnist-tiny")


def assert_complete(folder, not_run=()):
    """All checks pass, or are not run as is expected, and all that they write is there."""
    told = json.loads((folder / "evidence/evidence.json").read_text())["checks"]
    assert [of["name"] for of in told["results"]] == [*CHECKS]
    statuses = {of["name"]: of["status"] for of in told["results"]}
    assert statuses == {
        name: NOT_RUN if name in not_run else MEASURED if of.measures else PASSED
        for name, of in CHECKS.items()
    }
    assert told["counts"] == dict(Counter(statuses.values()))
    logs = {f"log-{name}.txt" for name in CHECKS}
    programs = {f"check-{name}.c" for name in CHECKS if name not in ("analyzers", "misra")}
    painted = ["stack"] if EMULATED[0] in not_run else []  # Its bound alone needs no program.
    missing = {f"check-{name}.c" for name in [*not_run, *painted]}
    exported = {of.name for of in (folder / "c").iterdir()}
    files = {*page.EVIDENCE, "bom.json", "loops.csv", RECORD, *exported, *logs, *programs - missing}
    assert {path.name for path in (folder / "evidence").iterdir()} == files
    text = html.unescape((folder / "evidence/index.html").read_text())
    assert all(of["says"].split(",")[0] in text for of in told["results"])
    assert cli.main(["--check-evidence", str(folder / "evidence"), "--quiet"]) == 0


def test_all_of_an_export_pass(tiny, capsys):
    assert_complete(tiny)
    assert not capsys.readouterr().err


@pytest.mark.wide
@pytest.mark.parametrize(
    ("words", "not_run"),
    [
        (["--model", "mnist"], []),
        (["--model", "mnist-modern", "--tables", "apart", "--with", "amount"], []),
        (["--model", "mnist-uno", "--single-file", "--prefix", "my"], []),
        (["--model", "mnist-tiny", "--dtype", "float32"], OF_INTEGERS),
        (["--model", "mnist-uno", "--cpu", "cortex-m4"], OF_INTEGERS),
    ],
)
@pytest.mark.usefixtures("few_draws")
def test_all_of_any_export_pass_or_say_why_they_are_not_run(words, not_run, tmp_path, capsys):
    assert_complete(export(tmp_path, "--no-verify", *words), not_run)
    assert not capsys.readouterr().err


def test_the_audit_is_built_by_its_readers(deep, tmp_path):
    """The file in the folder, beside the C, by the command that it tells."""
    plan, files = deep
    case = Case(plan, files, OPTIONS, tmp_path, None)
    case.write()
    told, beside = result_of("audit", CHECKS["audit"], case)
    assert told["figures"]["bounds"] >= 2 * len(plan.layers)
    (tmp_path / "check-audit.c").write_bytes(beside["check-audit.c"])
    assert "cc check-audit.c" in told["how"]
    subprocess.run(["cc", "check-audit.c", "-o", "audit"], cwd=tmp_path, check=True)
    done = subprocess.run(["./audit"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.count("as stated") == told["figures"]["bounds"]


@pytest.mark.wide
def test_they_are_the_same_each_time_with_jax_and_without(tiny, monkeypatch):
    """JAX compared the C before; the checks compare it with the reference, which needs none."""
    require_ = packages.require

    def without_jax(extra, where):
        if extra == "verify":
            raise UserError(where, "the package jax is not installed", "install it")
        require_(extra, where)

    monkeypatch.setattr(packages, "require", without_jax)
    plan = lay_out(make_plan(bundled.load("mnist-tiny"), "int8"), "generic", "speed")
    options = Options(model="mnist-tiny")
    again, beside = evidence_of(
        "the bundled mnist-tiny", plan, render_c(plan, options), options, None
    )
    first = json.loads((tiny / "evidence/evidence.json").read_text())["checks"]
    assert again["results"] == first["results"]
    for name, data in beside.items():
        if name != "bom.json":  # It has the hash of what tells of JAX.
            assert (tiny / "evidence" / name).read_bytes() == data, name


def test_a_tool_that_is_missing_is_told_with_its_package(deep, tmp_path, monkeypatch):
    plan, files = deep
    monkeypatch.setattr(check.shutil, "which", lambda tool: None if tool == "valgrind" else tool)
    told = status_of("constant_time", plan, files, tmp_path)
    assert (told["status"], told["figures"]) == (NOT_RUN, {})
    assert told["says"] == "valgrind is not installed (Debian: apt-get install valgrind)"
    assert [*told["tools"]] == ["gcc", "clang"]


def test_the_bill_of_materials_is_one(deep):
    """By the schema of CycloneDX, in its own library."""
    plan, files = deep
    data = bill_of(plan, files, "deep")
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(data.decode()) is None
    found = json.loads(data)
    component = found["metadata"]["component"]
    told = {of["name"]: of["hashes"][0]["content"] for of in component["components"]}
    assert told == {name: hashlib.sha256(of).hexdigest() for name, of in files.items()}
    assert found["components"][0]["properties"][0]["value"] == plan.model_id
    assert data == bill_of(plan, files, "deep") != bill_of(plan, files | {"lenet.c": b""}, "deep")


def test_the_bill_tells_the_licence_of_what_is_ours():
    for name, licences in (
        ("the bundled mnist-uno", [{"license": {"id": "MIT"}}]),
        ("mnist-uno", None), ("the bundled other", None),
    ):  # fmt: skip
        data = bill_of(make_plan(bundled.load("mnist-uno"), "int8"), {"lenet.c": b""}, name)
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None
        assert json.loads(data)["components"][0].get("licenses") == licences


def test_the_bill_tells_data_and_accuracy(bundled):
    plan = make_plan(bundled, "int8")
    data = bill_of(plan, {"lenet.c": b""}, "mnist")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None
    card = json.loads(data)["components"][0]["modelCard"]
    assert card["modelParameters"]["datasets"][0]["name"] == "mnist"
    metrics = card["quantitativeAnalysis"]["performanceMetrics"]
    assert {of["slice"]: of["value"] for of in metrics}["test images"] == "0.9946"


@pytest.mark.parametrize("chain", ["deep", "pooled"])
@pytest.mark.parametrize("tables", ["inside", "apart"])
def test_each_layer_is_traced_to_its_lines(tables, chain):
    plan = make_plan(named_model(chain), "int8")
    files = files_of(plan, Options(tables=tables))
    text = {name: data.decode().splitlines() for name, data in files.items()}
    layers = traced(plan, files)
    assert [of["layer"] for of in layers] == [layer.name for layer in plan.layers]
    for layer, found in zip(plan.layers, layers, strict=True):
        assert [of["name"] for of in found["tables"]] == [c.name for c in layer.constants]
        assert found["functions"]
        for of in found["tables"] + found["functions"]:
            lines = text[of["file"]][of["first"] - 1 : of["last"]]
            assert of["name"] in lines[0] and lines[-1].endswith(("};", "}"))
            assert sum(line.count("{") - line.count("}") for line in lines) == 0
    for layer in layers:
        longer = [other["layer"] for other in layers if other["layer"].startswith(layer["layer"])]
        for of in layer["functions"]:
            assert not any(of["name"].startswith(f"{name}_") for name in longer[1:])


def test_each_kernel_is_told_with_what_holds_it(bundled):
    """For all images, or by tests; of a norm and of hardened tables by tests alone."""
    plan = make_plan(bundled, "int8")
    assert {of["held"] for of in kernels(plan)} == {PLAIN}
    tuned = {of["layer"]: of for of in kernels(lay_out(plan, "cortex-m4", "speed"))}
    assert (tuned["conv2"]["kernel"], tuned["conv2"]["held"]) == ("kronecker", TESTS)
    assert (tuned["fc1"]["kernel"], tuned["fc1"]["held"]) == ("smlad_bytes", EXHAUSTION)
    hardened = lay_out(make_plan(bundled, "int8", is_hardened=True), "cortex-m4", "speed")
    assert {of["held"] for of in kernels(hardened)} == {TESTS}
    normed = lay_out(make_plan(named_model("normed"), "int8"), "cortex-m3", "speed")
    held = {of["layer"]: of["held"] for of in kernels(normed)}
    assert not [layer.name for layer in normed.layers if layer.norm and held[layer.name] != TESTS]


# ---- Sabotage -----------------------------------------------------------------------------------


def within(function, *lines):
    """A pattern, and what is put in its place, that gives a function more lines at its start."""
    added = "".join(f"    {line}\n" for line in lines)
    return rf"({function}\([^;]*?\n\{{\n)", rf"\1{added}"


WEIGHT = r"(stem_weight[^;]*?\{\s*\{\s*\{ *)(-?\d+)", r"\g<1>99"
BIAS = r"(conv3_bias\[\d+\][ \w]* = \{)(-?\d+)", r"\g<1>99999"
SCALED = r"\(positive \* gain\) >> shift"
#: By check: what is broken, by a pattern in the C and what is put in its place.
SABOTAGE = {
    "equality": {
        "a weight": WEIGHT,
        "a bias": BIAS,
        "where a kernel's columns begin": (r"int j = 0; j < 6", "int j = 1; j < 6"),
        "the floor of requantize": (SCALED, "((positive * gain) >> shift) + 1u"),
        "a row that stays": (r"&image\[34 \* y\]", "&image[34 * (y / 2)]"),
        "an array's end": within("lenet_logits", "logits[image[0] / 16 + 7] = 1;"),
        "a shift that is too far": within("lenet_logits", "logits[0] = 1 << (image[0] / 2);"),
        "what a workspace held before": within("lenet_begin", "ws->row = ws->row / 22;", "return;"),
        "a self-test that fails": (r"(return LENET_SELF_TEST_)PASSED", r"\1ANSWERS"),
        "one image of many": within("lenet_logits", "if (image[0] == 255 && image[1] == 255) {",
                                    "    logits[0] = 1;", "    return LENET_ACCEPTED;", "}"),
    },
    "audit": {
        "a weight": (WEIGHT[0], r"\g<1>127"),
        "a bias": BIAS,
        "a gain": (r"(stem_gain\[\d+\][ \w]* = \{)(\d+)", r"\g<1>65535"),
        "the last bias": (r"(head_bias\[\d+\][ \w]* = \{)(-?\d+)", r"\g<1>-999999"),
        "a stated bound": (r"(\n \*     conv2 +acc +)-74 087", r"\g<1>-74 086"),
        "a stated product": (r"(\n \*     conv2 +acc \* gain +\S[^\n]*?)\d(  int32_t)", r"\1x\2"),
        "a layer that is not stated": (r"\n \*     conv3 +acc  [^\n]*", ""),
    },
    "requantize": {
        "the floor": (SCALED, "((positive * gain) + 77u) >> shift"),
        "the top": (r"\(uint32_t\)filled\) & top", "0u) & top"),
        "negative ones": (r"\(uint32_t\)kept", "0xFFFFFFFFu"),
        "one value": (r"(uint32_t index = )", r"positive ^= (acc == 1000) * 4096u;\n    \1"),
    },
    "faults": {
        "a table that is left out": (r"\n    test = hash\(test, [^\n]*stem_gain, [^\n]*", ""),
        "a bit that no CRC sees": (r"crc_byte\(test->crc, table\[\(uint32_t\)test->place \^ flip\]",
                                   "crc_byte(test->crc, table[test->place ^ flip] & 0x7Fu"),
    },
    "calls": {
        "a verdict that does not count": (r"ws->row == 22u && ws->left == 0u \?", "ws->row >= 1 ?"),
        "a counter of two": (r"ws->row == 22u && ws->left == 0u \?", "ws->row == 22 ?"),
        "a count that is put right": within("lenet_finish", "ws->left = 0;"),
    },
    "constant_time": {
        "a logit of no image": (
            r"return lenet_finish\(ws, logits\);\n\}(?=\n\n/\* The class)",
            "lenet_verdict of = lenet_finish(ws, logits);\n    logits[0] = 0;\n    return of;\n}",
        ),
        "a pixel that is looked at": within(
            "lenet_logits", "if (image[3] > 7) {", "    ws->row = 1;", "}"
        ),
        "a loop that ends by a pixel": within(
            "lenet_row", "for (volatile int n = row[0]; n > 0; n--) {", "}"
        ),
    },
    "ram_flips": {
        "a counter of two": (r"ws->row == 22u && ws->left == 0u \?", "ws->row == 22 ?"),
        "a count that is put right": within("lenet_finish", "ws->left = 0;"),
    },
    "skipped_instructions": {
        "a counter of two": (r"ws->row == 22u && ws->left == 0u \?", "ws->row == 22 ?"),
        "another class": (r"(reading\.digit = largest\(logits, -1\))", r"\1 ^ 1"),
    },
    "instructions": {
        "a loop that ends by a pixel": within(
            "lenet_row", "for (volatile int n = row[0]; n > 0; n--) {", "}"
        ),
        "a crash": within("lenet_finish", "logits[0] = *(const volatile int *)0x60000000;"),
    },
    "conditions": {
        "a function that nothing calls": (
            r"(\n/\* ---- Self-test)", r"\nint lenet_never(void)\n{\n    return 1;\n}\n\1"
        ),
        "a self-test that passes what is damaged": (
            r"\(test->crc \^ 0xFFFFFFFFu\) != 0x\w+\) \{\n *return LENET_SELF_TEST_CONSTANTS",
            "test->crc == 0) {\n            return LENET_SELF_TEST_CONSTANTS",
        ),
    },
    "loops": {
        "a loop beyond its head": (
            r"(int j = 0; j < 12; j\+\+\) \{)", r"\1 static int turn; j -= turn++ == 5;"
        ),
        "a loop that ends by a pixel": within(
            "lenet_row", "for (volatile int n = row[0]; n > 0; n--) {", "}"
        ),
        "a loop that is never run": within(
            "lenet_row", "if (ws->row == 999) {", "    while (ws->row > 0) {", "    }", "}"
        ),
    },
    "coverage": {
        "a function that nothing calls": (
            r"(\n/\* ---- Self-test)", r"\nint lenet_never(void)\n{\n    return 1;\n}\n\1"
        ),
    },
    "stack": {
        "a function that calls itself": within(
            "lenet_row", "if (ws->row == 999) {", "    lenet_row(ws, row);", "    ws->row++;", "}"
        ),
        "an array of a size unknown": within(
            "lenet_finish", "volatile char more[ws->row + 1];", "more[0] = 0;"
        ),
        "a call by a pointer": within(
            "lenet_finish", "void (*volatile by)(lenet_workspace *) = lenet_begin;",
            "if (ws->row == 999) {", "    by(ws);", "}",
        ),
    },
    "analyzers": {
        "a number that is cut": within("lenet_logits", "int8_t cut = ws->row;", "(void)cut;"),
        "a number that was never set": within("lenet_logits", "int never;", "logits[0] = never;"),
        "a sign that is lost": within("lenet_logits", "ws->row = (uint16_t)-1 > logits[0];"),
    },
    "misra": {
        "a result that is dropped": within("lenet_predict", "lenet_logits(ws, image, 0);"),
        "a number to the base of 8": within("lenet_logits", "ws->row = 014;"),
        "a sum that is cast": within("lenet_row", "int n = 3;", "ws->row = (uint16_t)(n + 2 * n);"),
        "a count as a condition": within("lenet_row", "if (ws->row) {", "    ws->row = 0;", "}"),
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "broken"), [(name, what) for name, ways in SABOTAGE.items() for what in ways]
)
def test_what_is_broken_fails(name, broken, deep, tmp_path):
    plan, files = deep
    pattern, instead = SABOTAGE[name][broken]
    text, count = re.subn(pattern, instead, files["lenet.c"].decode(), count=1, flags=re.DOTALL)
    assert count == 1
    told = status_of(name, plan, files | {"lenet.c": text.encode()}, tmp_path)
    assert told["status"] == FAILED, told
    assert told["says"] and told["figures"] == {}


def test_a_condition_on_any_verdict_is_decided(deep, tmp_path):
    """Whatever a program may give, that of another export's included."""
    plan, files = deep
    asked = [f"seen += so_far == {of.value} ? 1 : 0;" for of in Verdict]
    pattern, instead = within("lenet_decide", "volatile int seen = 0;", *asked)
    text = re.sub(pattern, instead, files["lenet.c"].decode(), count=1, flags=re.DOTALL)
    assert asked[-1] in text
    told = status_of("conditions", plan, files | {"lenet.c": text.encode()}, tmp_path)
    one_sided = told["figures"]["with_images"]["one_sided"]
    assert not [of for of in one_sided if "so_far == " in of["what"]]


def test_the_page_of_soundness_has_a_row_of_each_check_in_their_order():
    page = (ROOT / "docs/soundness.md").read_text().partition("\n## Evidence with the file\n")[2]
    table = page.partition("\n\nThe page")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \| .* \| .* \|$", table, re.MULTILINE)) == registry.NAMES


def test_every_check_is_broken_somewhere():
    assert SABOTAGE.keys() == CHECKS.keys()


def test_a_check_that_fails_leaves_the_page_and_no_c(tmp_path, capsys, monkeypatch):
    outcome = check.Check("It is so", "By hand.", (), fails_always)
    monkeypatch.setattr(run, "CHECKS", {"equality": outcome})
    words = ["--no-verify", "--out", tmp_path / "c", "--evidence", tmp_path / "evidence"]
    assert cli.main([*map(str, words)]) == 1
    error = capsys.readouterr().err
    assert "evidence/index.html: a check failed: It is so" in error
    assert "the C was not written; this is a bug of lenet-export" in error
    assert not (tmp_path / "c").exists()
    text = (tmp_path / "evidence/index.html").read_text()
    assert text.index("it is not") < text.index("<h2>Stages</h2>")
    assert "1 failed" in text


def fails_always(_):
    raise check.FailedError("it is not")


def test_a_compiler_that_makes_no_program_is_not_the_cs_fault(deep, tmp_path, monkeypatch):
    """A clang without the sanitizers' runtime, a gcov that fails, a compiler that hangs."""
    plan, files = deep
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool, text in {
        "clang": 'case "$*" in *sanitize*) exit 1;; esac\nexec gcc "$@"\n',
        "gcov": "exit 1\n",
    }.items():
        (tools / tool).write_text(f"#!/bin/sh\n{text}")
        (tools / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    for name, what in {
        "equality": "clang makes no program with -O1 -g1 -fsanitize=address,undefined",
        "coverage": "gcov ended with status 1",
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        told = status_of(name, plan, files, folder)
        assert told["says"].startswith(what)
        assert told["status"] == (NOT_RUN if name == "equality" else FAILED)
    monkeypatch.setattr(check, "LIMIT", 0.001)
    folder = tmp_path / "slow"
    folder.mkdir()
    told = status_of("faults", plan, files, folder)
    assert (told["status"], told["says"][:30]) == (NOT_RUN, "gcc had not ended after 0.001 ")


@pytest.mark.parametrize("prefix", ["lenet5", "check", "implementation", "work"])
def test_any_prefix_has_evidence(prefix, tmp_path):
    plan = make_plan(named_model("deep"), "int8")
    options = Options(prefix=prefix)
    files = files_of(plan, options)
    for name in ("audit", "calls", "instructions", "loops", "stack"):
        folder = tmp_path / name
        folder.mkdir()
        assert status_of(name, plan, files, folder, options)["status"] == PASSED, name


def test_functions_that_with_adds_need_no_self_test(tmp_path):
    """But those of the network do, and what calls a pointer of the user's is told."""
    plan = make_plan(named_model("mlp"), "int8")
    options = Options(parts=("picture",))
    files = files_of(plan, options) if plan.input_shape[2] == 1 else None
    if files is None:
        plan = make_plan(bundled.load("mnist-uno"), "int8")
        files = files_of(plan, options)
    for name in ("coverage", "stack"):
        folder = tmp_path / name
        folder.mkdir()
        told = status_of(name, plan, files, folder, options)
        assert told["status"] == PASSED, told
    # It asks a function for the rows of a picture, by its pointer.
    assert "lenet_read_picture" in told["figures"]["by_pointer"]
    text = files["lenet.c"].decode()
    never = "\nint lenet_never(void)\n{\n    return 1;\n}\n"
    text = text.replace("\n/* ---- Self-test", f"{never}\n/* ---- Self-test", 1)
    folder = tmp_path / "broken"
    folder.mkdir()
    broken = files | {"lenet.c": text.encode()}
    assert status_of("coverage", plan, broken, folder, options)["status"] == FAILED


def test_no_file_of_the_page_takes_an_exports_place(tmp_path, capsys):
    for prefix, name in (("bom", "bom.json"), ("evidence", "evidence.json")):
        words = ["--no-verify", "--prefix", prefix, "--out", tmp_path, "--evidence", tmp_path]
        assert cli.main([*map(str, words)]) == 1
        assert f"{name} would be a file of the page and of the export" in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []


def test_a_page_that_cannot_be_written_leaves_no_c(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere/at/all")
    words = ["--no-verify", "--out", tmp_path / "c", "--report", tmp_path / "link"]
    assert cli.main([*map(str, words)]) == 1
    assert not (tmp_path / "c").exists()


def test_what_does_not_go_together_is_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--report", "a", "--evidence", "b"])
    with pytest.raises(SystemExit):
        cli.main(["--target", "npz", "--evidence", "b"])
    assert "--evidence goes with --target c" in capsys.readouterr().err


def test_another_cpus_tables_are_not_audited(tmp_path):
    plan = lay_out(make_plan(named_model("deep"), "int8"), "cortex-m4", "speed")
    told = status_of("audit", plan, files_of(plan), tmp_path)
    assert told["status"] == NOT_RUN and "--cpu generic" in told["says"]
