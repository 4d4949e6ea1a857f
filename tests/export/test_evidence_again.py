"""An evidence folder checked again: whatever was changed in it is told, alone and with its hash."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections import Counter

import pytest

from lenet_export import bundled, checkpoint, cli, files
from lenet_export.evidence import again, page
from lenet_export.evidence.check import NOT_RUN, PASSED
from lenet_export.evidence.registry import CHECKS
from lenet_export.plan import make_plan
from needs import require

from .test_checks import SABOTAGE as OF_THE_C


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The evidence of a small model, of two checks: one is not run."""
    require("gcc")
    folder = tmp_path_factory.mktemp("made") / "evidence"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lenet_export.packages.require", lambda *_: None)
        checks = {name: CHECKS[name] for name in ("audit", "constant_time")}
        patch.setattr("lenet_export.evidence.run.CHECKS", checks)
        known = {"gcc": "gcc", "clang": "clang"}
        patch.setattr("lenet_export.evidence.check.shutil.which", known.get)
        assert run("--model", "mnist-tiny", "--out", folder / "../c", "--evidence", folder) == 0
    return folder


def run(*words):
    """An export."""
    return cli.main(["--no-verify", "--quiet", *map(str, words)])


def check(folder, *words):
    return cli.main(["--check-evidence", *map(str, [folder, *words])])


@pytest.fixture
def evidence(made, tmp_path):
    """A copy of it."""
    return shutil.copytree(made, tmp_path / "evidence")


def told(folder, capsys, *words):
    """What is told of a folder's files, by name."""
    status = check(folder, *words)
    lines = capsys.readouterr().err.replace(f"{folder}/", "").splitlines()
    found = dict(line.strip().split(": ", 1) for line in lines[1:-1])
    assert status == bool(found)
    return found


def test_as_it_was_written_it_belongs_together(evidence, capsys):
    assert check(evidence) == 0
    count = len([*evidence.iterdir()]) - 1
    assert capsys.readouterr().out == (
        f"evidence  {count} files, as they were written, and their page\n"
        "C         printed again: the same bytes and bounds\n"
        "checks    1 passed, 1 not run, when it was written; --evidence runs them again\n"
    )
    assert check(evidence, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "files": count, "differences": [], "statuses": {PASSED: 1, NOT_RUN: 1}, "not_printed": "",
    }  # fmt: skip


def test_coreutils_check_the_record_without_us(evidence):
    done = subprocess.run(["sha256sum", "-c", again.RECORD], cwd=evidence, capture_output=True)
    assert done.returncode == 0 and done.stdout.count(b": OK\n") == len([*evidence.iterdir()]) - 1


# ---- Sabotage -----------------------------------------------------------------------------------


def edited(name, old, new):
    """A change of a file: of ``old`` the first becomes ``new``."""

    def change(folder):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return change


def recorded(change):
    """Such a change, and a record of files as they are then."""

    def also(folder):
        change(folder)
        names = [*again.recorded(folder)]
        held = {name: (folder / name).read_bytes() for name in names}
        (folder / again.RECORD).write_bytes(again.record_of(held))

    return also


def both(first, then):
    """A change after another."""

    def change(folder):
        first(folder)
        then(folder)

    return change


def of_facts(change):
    """A change of the facts, with the page, and a record, that go with it."""

    def also(folder):
        facts = json.loads((folder / "evidence.json").read_text())
        change(facts)
        for name, data in page.files_of(facts).items():
            (folder / name).write_bytes(data)

    return recorded(also)


def from_another(*names):
    """Files of another export of the same names, and their hashes wherever these are."""

    def change(folder):
        other = folder.parent / "other"
        assert run("--model", "mnist-uno", "--out", other) == 0
        for name in names:
            shutil.copy(other / name, folder / name)

    return change


def with_hashes(name, change):
    """A change of a file whose hash is changed in the facts, the page, and the record, too."""

    def also(folder):
        change(folder)
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()

        def of(facts):
            for hashes in (facts["identity"]["files"], facts["checks"]["files"]):
                hashes.update({name: found} if name in hashes else {})

        of_facts(of)(folder)

    return also


SIZE = edited("evidence.json", '"constant_bytes": 2630', '"constant_bytes": 2530')
SHOWN = edited("index.html", "2,630", "2,530")
TABLE = edited("lenet.c", "_bias[", "_bias [ ")
LOG = edited("log-audit.txt", "as stated", "as  stated")
EXPORT = "lenet.c", "lenet.h", "lenet.json"
FACTS = ("evidence.json",)


def failed(facts):
    facts["checks"]["results"][0]["status"] = "failed"
    facts["checks"]["counts"] = {"failed": 1, NOT_RUN: 1}


def gone(folder):
    (folder / "log-audit.txt").unlink()


def left(folder):
    (folder / "log-faults.txt").write_text("all found\n")


#: Of a program that was killed while it wrote.
LEFT = (files.LOCK, f"{files.PART}0123456789abcdef")


def killed(folder):
    for name in LEFT:
        (folder / name).write_text("")


#: By what is broken: how, and the files of which something is told.
SABOTAGE = {
    "a stale hash": (edited(again.RECORD, "0", "1"), ["bom.json"]),
    "a number on the page": (SHOWN, ["index.html"]),
    "a number on the page, recorded": (recorded(SHOWN), ["index.html"]),
    "a status on the page": (
        recorded(edited("index.html", ">not run<", ">passed<")), ["index.html"],
    ),
    "a number of the facts": (SIZE, ["evidence.json", "index.html"]),
    "a number of the facts, recorded": (recorded(SIZE), ["evidence.json", "index.html"]),
    "a number of the facts, with the page": (
        of_facts(lambda of: of["costs"].update(constant_bytes=1)), ["evidence.json"],
    ),
    "a bound": (
        of_facts(lambda of: of["stages"][0]["bounds"][0].update(most=9)), ["evidence.json"],
    ),
    "the line of a table": (
        of_facts(lambda of: of["trace"][1]["tables"][0].update(first=9)), ["evidence.json"],
    ),
    "the accuracy in training": (
        of_facts(lambda of: of["identity"]["training"].update(test_accuracy=1.0)),
        ["evidence.json"],
    ),
    "a check that is left out": (
        of_facts(lambda of: of["checks"]["results"].pop()), ["evidence.json"],
    ),
    "a check that failed": (of_facts(failed), ["evidence.json"]),
    "the command, so that nothing is printed again": (
        of_facts(lambda of: of["identity"].update(command="lenet_export.export(x)")),
        ["evidence.json"],
    ),
    "the hashes of the C": (
        recorded(both(TABLE, of_facts(lambda of: of["identity"]["files"].update(
            {"lenet.c": "0" * 64})))), ["lenet.c", "evidence.json"],
    ),
    "another exporter": (
        of_facts(lambda of: of["identity"].update(tool="lenet-export 0.0.1")), ["evidence.json"],
    ),
    "the layout of the facts": (recorded(edited("evidence.json", "\n", "\n\n")), ["evidence.json"]),
    "a table of the C": (TABLE, ["lenet.c"]),
    "a table of the C, recorded": (recorded(TABLE), ["lenet.c"]),
    "a table of the C, with all hashes": (with_hashes("lenet.c", TABLE), ["lenet.c", *FACTS]),
    "the C of another export": (recorded(from_another("lenet.c")), ["lenet.c"]),
    "all files of another export": (recorded(from_another(*EXPORT)), [*EXPORT, *FACTS, "bom.json"]),
    "the threshold of the header": (
        with_hashes("lenet.h", edited("lenet.h", "MIN_GAP 0", "MIN_GAP 9")), ["lenet.h", *FACTS],
    ),
    "the manifest": (
        with_hashes("lenet.json", edited("lenet.json", "mnist", "other")),
        ["lenet.json", "bom.json", *FACTS],
    ),
    "a log": (LOG, ["log-audit.txt"]),
    "a log, recorded": (recorded(LOG), ["log-audit.txt"]),
    "a program": (
        recorded(edited("check-audit.c", "int main", "int  main")), ["check-audit.c"],
    ),
    "the bill of materials": (
        with_hashes("bom.json", edited("bom.json", "0BSD", "MIT")), ["bom.json"],
    ),
    "a file that is gone": (gone, ["log-audit.txt"]),
    "a file that is gone, with its line": (
        recorded(both(gone, edited(again.RECORD, "log-audit.txt", "index.html"))),
        ["log-audit.txt"],
    ),
    "a file of an earlier run": (left, ["log-faults.txt"]),
    "what a program left that was killed": (killed, [*LEFT]),
    "a file of an earlier run, with a line": (
        recorded(both(left, edited(again.RECORD, "bom.json", "log-faults.txt"))),
        ["bom.json", "log-faults.txt"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("broken", SABOTAGE)
def test_what_is_changed_is_told(broken, evidence, capsys):
    change, where = SABOTAGE[broken]
    change(evidence)
    found = told(evidence, capsys)
    assert {*found} == {*where}, found


def test_there_are_thirty_ways_to_break_the_c_or_its_evidence():
    """What is broken in the C itself is in the other suite."""
    assert len(SABOTAGE) + sum(map(len, OF_THE_C.values())) >= 60


# ---- What cannot be checked ---------------------------------------------------------------------


def test_a_model_of_ones_own_is_checked_by_its_file(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("lenet_export.evidence.run.CHECKS", {})
    own, evidence = tmp_path / "own.safetensors", tmp_path / "evidence"
    checkpoint.save(bundled.load("mnist-tiny"), own)
    assert run("--model", own, "--out", tmp_path / "c", "--evidence", evidence) == 0
    moved = own.rename(tmp_path / "moved.safetensors")
    for words, what in (
        ([], "not printed again: give own.safetensors by --model"),
        (["--model", moved], "printed again: the same bytes"),
        (["--model", "mnist-uno"], f"the evidence is of {bundled_id()}: give its file by --model"),
    ):
        assert check(evidence, *words) == 0
        assert what in capsys.readouterr().out
    edited("lenet.c", "_bias[", "_bias [ ")(evidence)
    assert {*told(evidence, capsys, "--model", moved)} == {"lenet.c"}


def test_a_bundled_model_of_another_id_is_told(evidence, capsys):
    """Or whoever edits the C and that id would be told nothing but that it cannot be printed."""
    with_hashes("lenet.json", edited("lenet.json", bundled_id(), "0" * 12))(evidence)
    manifest = json.loads((evidence / "lenet.json").read_text())
    of_facts(lambda facts: facts["identity"].update(model_id=manifest["model_id"]))(evidence)
    assert {*told(evidence, capsys)} == {"evidence.json"}


@pytest.mark.parametrize("name", ["bom.json", again.RECORD])
def test_a_pipe_is_not_waited_for(name, evidence, capsys):
    (evidence / name).unlink()
    os.mkfifo(evidence / name)
    assert check(evidence) == 1
    assert name in capsys.readouterr().err


def bundled_id():
    return make_plan(bundled.load("mnist-tiny"), "int8").model_id[:12]


def names(command):
    """A change of the manifest, which names another command."""

    def change(folder):
        manifest = json.loads((folder / "lenet.json").read_text())
        (folder / "lenet.json").write_text(json.dumps(manifest | {"command": command}))

    return change


@pytest.mark.parametrize(
    "command",
    [
        "lenet-export --network evil.py:network --model x.msgpack", "lenet_export.export(model)",
        "lenet-export --help", "rm -rf x", "'", "", "lenet-export --no-such",
    ],
)  # fmt: skip
def test_nothing_that_a_folder_names_is_run(command, made, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("raise SystemExit('it ran')")
    folder = shutil.copytree(made, tmp_path / "evidence")
    with_hashes("lenet.json", names(command))(folder)
    of_facts(lambda facts: facts["identity"].update(command=command))(folder)
    assert check(folder) == 0
    captured = capsys.readouterr()
    assert "not printed again" in captured.out and not captured.err


@pytest.mark.parametrize("what", ["record", "facts", "null", "words", "file", "nothing"])
def test_what_is_no_evidence_is_refused(what, evidence, capsys):
    facts = evidence / "evidence.json"
    if what == "record":
        (evidence / again.RECORD).write_text("0" * 64 + "  ../../etc/passwd\n")
    elif what in ("null", "words"):
        facts.write_text({"null": "null", "words": '{"identity": "a", "checks": []}'}[what])
    elif what == "facts":
        facts.unlink()
    else:
        shutil.rmtree(evidence)
        evidence.write_text("") if what == "file" else None
    assert check(evidence) == 1
    message = capsys.readouterr().err
    assert message.startswith(f"lenet-export: error: {evidence}") and "\n  g" in message


# ---- What an earlier run left -------------------------------------------------------------------


def test_the_folder_has_what_this_run_wrote_and_what_is_the_users(made, tmp_path, monkeypatch):
    """An earlier run's log goes, unless somebody changed it; no file of an export does."""
    folder = shutil.copytree(made, tmp_path / "evidence")
    (folder / "notes.txt").write_text("mine")
    (folder / "log-audit.txt").write_text("mine, too")
    monkeypatch.setattr("lenet_export.evidence.run.CHECKS", {})
    words = ["--model", "mnist-tiny", "--prefix", "my", "--out", tmp_path / "c"]
    assert run(*words, "--evidence", folder) == 0
    exports = {f"{prefix}.{suffix}" for prefix in ("lenet", "my") for suffix in ("c", "h", "json")}
    kept = {"notes.txt", "log-audit.txt", *exports}
    assert {of.name for of in folder.iterdir()} == {
        "index.html", "evidence.json", "bom.json", again.RECORD, *kept
    }  # fmt: skip
    assert run(*words, "--report", folder) == 0
    assert {of.name for of in folder.iterdir()} == {*kept, "index.html", "report.json"}


def test_counts_are_those_of_the_checks(made):
    checks = json.loads((made / "evidence.json").read_text())["checks"]
    assert Counter(of["status"] for of in checks["results"]) == checks["counts"]
