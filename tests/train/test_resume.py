"""A run cannot be lost: killed anywhere, the same command ends with the same bytes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from conftest import write_idx_folder
from lenet_export.errors import UserError
from lenet_train import cli, figures, loop, report, resume, run
from lenet_train.interrupt import Signals

# Starts the command once for each of several programs, as a process that is forked when all is
# imported. Many calls an epoch, and a checkpoint after each.
NURSERY = """
import json, os, signal, sys, threading
from lenet_train import cli, loop, report, resume, run
loop.CALL_SECONDS = resume.EVERY_SECONDS = 0
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
programs = json.loads(sys.argv[1])
for where, program in programs.items():
    sys.stdout.flush()
    child = os.fork()
    if not child:
        exec(program)
        os._exit(cli.main(sys.argv[2:]))
    _, status = os.waitpid(child, 0)
    folder = sys.argv[-1]
    seen = [os.listdir(folder), os.listdir(f"{folder}/{run.CHECKPOINTS}")]
    print(json.dumps([where, os.waitstatus_to_exitcode(status), *seen]))
"""

# Where the program dies, the earliest first.
DEATHS = {
    "before the first checkpoint": "resume.Checkpoints.save = die",
    "in the middle of the first checkpoint": """
save = resume.Checkpoints.save
def save_and_die(*args):
    save(*args)
    die()
resume.Checkpoints.save = save_and_die""",
    "in the middle of a later checkpoint": """
save = resume.Checkpoints.save
def save_and_die(self, progress):
    save(self, progress)
    if progress.step > 5: threading.Timer(0.015, die).start()
resume.Checkpoints.save = save_and_die""",
    "in the middle of an epoch": """
show = report.Report.show
def show_and_die(self, progress):
    show(self, progress)
    if progress.step >= 16: die()
report.Report.show = show_and_die""",
    "between two epochs": """
show = report.Report.show
def show_and_die(self, progress):
    show(self, progress)
    if len(progress.epochs) == 3: die()
report.Report.show = show_and_die""",
    "when all is trained": "run._finish = die",
    "before the model is written": """
run.checkpoint.save = die
run.figures.of_run = lambda *_: {}""",
    "when the model is written": "run.shutil.rmtree = die",
}


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    """Four epochs of ten steps, with every part of a state in use."""
    folder = write_idx_folder(tmp_path_factory.mktemp("data") / "own")
    return ["--dataset", str(folder), "--arch", "mlp", "--epochs", "4", "--set", "min_steps=10",
            "--set", "augmentation=none"]  # fmt: skip


@pytest.fixture(scope="module")
def whole(arguments, tmp_path_factory):
    """The folder of a run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole")
    assert cli.main([*arguments, "--out", str(out)]) == 0
    return out


def start_each(programs, arguments, out):
    """What each of the programs ended with, and the names in the run folder after it."""
    command = [sys.executable, "-c", NURSERY, json.dumps(programs), *arguments, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("epoch ") for line in done.stderr.splitlines())
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]


def metrics(folder):
    lines = (folder / report.METRICS).read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def names(folder):
    return {path.name for path in folder.iterdir()}


def assert_same(folder, whole, but=()):
    assert names(folder) == names(whole) == set(run.FILES)
    for name in set(run.FILES) - {report.METRICS, *but}:
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name
    assert metrics(folder) == metrics(whole)


@pytest.fixture
def stopped(arguments, tmp_path, monkeypatch):
    """The folder of a run that a signal stopped in its second epoch, and how to go on."""

    def stop_at(number):
        def show(self, progress):
            shown(self, progress)
            if progress.step == 15:
                signal.raise_signal(number)

        shown = report.Report.show
        monkeypatch.setattr(loop, "CALL_SECONDS", 0)
        monkeypatch.setattr(report.Report, "show", show)
        code = cli.main([*arguments, "--out", str(tmp_path)])
        monkeypatch.undo()
        return code

    return stop_at


def test_a_run_that_is_killed_at_every_point_ends_with_the_bytes_of_one_that_is_not(
    arguments, whole, tmp_path
):
    for where, status, files, checkpoints in start_each(DEATHS, arguments, tmp_path):
        assert status == -signal.SIGKILL, where
        assert (run.MODEL in files) == (where == "when the model is written")
        if where == "in the middle of the first checkpoint":
            (name,) = checkpoints
            assert "tmp" in name, "the checkpoint was whole already"
    assert cli.main([*arguments, "--out", str(tmp_path)]) == 0
    assert_same(tmp_path, whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_after_its_step_with_a_checkpoint(number, stopped, tmp_path, capsys):
    assert stopped(number) == 128 + number
    *lines, told = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["epoch 1/4"]
    assert told == "lenet-train: interrupted after 15 of 40 steps; the same command goes on"
    assert names(tmp_path) == {run.CHECKPOINTS, report.METRICS}
    assert len(metrics(tmp_path)) == 1


def test_a_stopped_run_goes_on_and_ends_with_the_bytes_of_one_that_was_not(
    stopped, arguments, whole, tmp_path, monkeypatch, capsys
):
    stopped(signal.SIGINT)
    # It takes longest to draw; where a run is killed at every point the pictures are compared too.
    monkeypatch.setattr(figures, "of_run", lambda *_: dict.fromkeys(figures.NAMES, b""))
    # What a crash may leave, of an epoch that no checkpoint knows.
    with (tmp_path / report.METRICS).open("a") as lines:
        lines.write('{"epoch": 2, "lo')
    assert cli.main([*arguments, "--out", str(tmp_path)]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("going on with epoch 2 of 4\n")
    # Those that were told before are not told again.
    lines = [line.partition(":")[0] for line in told.err.splitlines()]
    assert lines == ["epoch 1/4", "lenet-train", "epoch 2/4", "epoch 3/4", "epoch 4/4"]
    assert_same(tmp_path, whole, but=figures.NAMES)


def test_signals_are_given_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Signals() as signals:
        signal.raise_signal(signal.SIGINT)
        assert signals.noted == signal.SIGINT
        # The first is noted; the second is the program's own affair.
        assert signal.getsignal(signal.SIGINT) == before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def contents(folder):
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def test_a_checkpoint_of_other_settings_is_left_alone(stopped, arguments, tmp_path, capsys):
    stopped(signal.SIGINT)
    before = contents(tmp_path)
    capsys.readouterr()
    other = ["--set", "lr=0.5", "--seed", "3", "--out", str(tmp_path)]
    assert cli.main([*arguments, *other]) == 1
    assert capsys.readouterr().err == (
        f"lenet-train: error: {tmp_path / run.CHECKPOINTS}: is of a run with other settings: "
        "recipe.lr 0.004 there, 0.5 now; seed 0 there, 3 now\n"
        "  give another --out, or --anew to remove that run and train this one\n"
    )
    assert contents(tmp_path) == before


def test_anew_removes_a_run_and_begins_at_the_beginning(
    whole, arguments, tmp_path, monkeypatch, capsys
):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    (tmp_path / "mine.txt").write_text("no file of a run")

    def train(*_):
        assert names(tmp_path) == {"mine.txt"}
        raise UserError("here", "it would train", "")

    monkeypatch.setattr(run, "_train", train)
    assert cli.main([*arguments, "--anew", "--out", str(tmp_path)]) == 1
    assert "it would train" in capsys.readouterr().err


def test_a_finished_run_is_left_alone(arguments, whole, capsys):
    before = contents(whole)
    assert cli.main([*arguments, "--out", str(whole)]) == 0
    first, accuracy, *_ = capsys.readouterr().out.splitlines()
    assert first.endswith("seed 0: trained before; --anew trains it again")
    assert accuracy.startswith("test accuracy: ")
    assert cli.main([*arguments, "--epochs", "5", "--out", str(whole)]) == 1
    told = capsys.readouterr().err
    assert f"{whole / run.MODEL}: is of a run with other settings: recipe.epochs 4 there, 5" in told
    assert contents(whole) == before


def test_a_damaged_checkpoint_is_told(stopped, arguments, tmp_path, capsys):
    stopped(signal.SIGINT)
    capsys.readouterr()
    for path in (tmp_path / run.CHECKPOINTS).rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:20])
    assert cli.main([*arguments, "--out", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert f"{run.CHECKPOINTS}: holds a checkpoint that cannot be read: " in told
    assert "--anew" in told.splitlines()[-1]


def test_a_checkpoint_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    checkpoints = resume.Checkpoints(tmp_path / "here", {})

    def full(*_, **__):
        # As TensorStore tells it.
        raise ValueError('RESOURCE_EXHAUSTED: Error writing "loss/0": No space left on device')

    monkeypatch.setattr(checkpoints._manager, "save", full)
    with pytest.raises(UserError) as caught:
        checkpoints.save(loop.Progress(1, {"value": np.ones(3)}))
    checkpoints.close()
    assert caught.value.where == str(tmp_path / "here")
    assert caught.value.what == "a checkpoint cannot be written: No space left on device"


def test_two_runs_cannot_share_a_folder(arguments, tmp_path, capsys):
    with run._locked(tmp_path):
        assert cli.main([*arguments, "--out", str(tmp_path)]) == 1
    assert "another lenet-train is at work there" in capsys.readouterr().err
    assert names(tmp_path) == set()


def test_checkpoints_are_written_by_the_clock(monkeypatch, tmp_path):
    written = []
    checkpoints = resume.Checkpoints(tmp_path / "here", {})
    monkeypatch.setattr(checkpoints, "save", written.append)
    checkpoints.save_if_due("early")
    now = time.monotonic() + resume.EVERY_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: now)
    checkpoints.save_if_due("due")
    checkpoints.close()
    assert written == ["due"]
