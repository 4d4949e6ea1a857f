"""What a run tells while it trains."""

from __future__ import annotations

import json
import struct
import sys

import pytest
from tensorboardX.proto.event_pb2 import Event

from conftest import write_idx_folder
from lenet_train import cli, loop, progress, report
from lenet_train.architectures import MLP, MLP_STAGES
from lenet_train.data import Examples
from lenet_train.model import Network
from lenet_train.recipes import TEXTBOOK

EPOCHS = [loop.Epoch(number, 2 / number, 0.5, 0.25 * number, 1.5) for number in (1, 2, 3)]


def events(folder):
    """``(name, step, value)`` of all scalars in a log: records, each with its length in front."""
    (path,) = folder.iterdir()
    data, at = path.read_bytes(), 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        event = Event.FromString(data[at + 12 : at + 12 + length])
        for value in event.summary.value:
            yield value.tag, event.step, pytest.approx(value.simple_value, rel=1e-6)
        at += 16 + length


def tell(folder, epochs):
    nothing = Examples(None, [0] * 128)
    training = loop.Training(Network(MLP), MLP_STAGES, TEXTBOOK, 0, nothing, nothing)
    with report.Report(folder, training, tensorboard=True) as told:
        for count in range(len(epochs) + 1):
            told.show(loop.Progress(count, None, tuple(epochs[:count])))
            told.show(loop.Progress(count, None, tuple(epochs[:count])))


@pytest.mark.parametrize("known", [0, 1, 3])
def test_each_epoch_that_is_new_is_a_line_of_a_log_as_soon_as_it_is_over(known, capsys):
    shown = progress.show_training(3, 10, known)
    assert isinstance(shown, progress.EpochLines)
    told = []
    for count in range(known, 4):
        for _ in range(2):
            shown.show(count * 10, EPOCHS[:count])
            told.append(capsys.readouterr().err)
    lines = [
        f"epoch {n}/3: loss {2 / n:.4f}, validation {n / 4:.2%}, 1.5 s/epoch\n" for n in range(1, 4)
    ]
    expected = [text for line in lines[known:] for text in (line, "")]
    assert told == ["", "", *expected]


def test_a_terminal_shows_a_bar(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = progress.show_training(3, 10, 0)
    shown.show(20, EPOCHS[:2])
    shown.stop()
    screen = capsys.readouterr().err
    assert "epoch 2/3" in screen and "loss 1.0000, validation 50.00%" in screen


@pytest.mark.parametrize("before", [[], EPOCHS[:2]], ids=["fresh", "again"])
def test_each_epoch_is_told_once_in_the_metrics_and_the_log(before, tmp_path):
    tell(tmp_path, before)
    tell(tmp_path, EPOCHS)
    lines = [json.loads(line) for line in (tmp_path / report.METRICS).read_text().splitlines()]
    assert [loop.Epoch(**line) for line in lines] == EPOCHS
    assert sorted(events(tmp_path / report.TENSORBOARD)) == sorted(
        (name, line["epoch"], value)
        for line in lines
        for name, value in line.items()
        if name in report.SCALARS
    )


def test_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    folder = write_idx_folder(tmp_path / "own")
    arguments = ["--dataset", str(folder), "--out", str(tmp_path / "run"), "--tensorboard"]
    assert cli.main(arguments) == 1
    assert capsys.readouterr().err == (
        "lenet-train: error: --tensorboard: the package tensorboardX is not installed\n"
        '  pip install "lenet-export[tensorboard]"\n'
    )
    assert not (tmp_path / "run").exists()
