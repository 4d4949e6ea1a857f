"""The time of an epoch: the documents' ratios are those of the runs that are written down."""

from __future__ import annotations

import json
import re

import pytest

import epoch
import runs
from needs import ROOT


def spread(name):
    """The least and the largest ratio of all runs, as a document gives them."""
    ratios = [
        run["ratios"][name]
        for run in json.loads(epoch.RUNS.read_text())["runs"]
        if name in run["ratios"]
    ]
    return f"{min(ratios):.2f} to {max(ratios):.2f}"


def test_the_page_of_training_gives_the_range_of_all_runs():
    told = re.search(
        r"an epoch of MNIST takes (\S+ to \S+) of PyTorch's time\s+"
        r"\((\S+ to \S+) with channels last\)",
        (ROOT / "docs/lenet-train.md").read_text(),
    )
    assert told, "it says nothing of the time of an epoch"
    assert [*told.groups()] == [spread("PyTorch"), spread("PyTorch, channels_last")]


def test_a_run_is_added_with_its_machine(tmp_path):
    path = tmp_path / "epoch.json"
    path.write_text(epoch.RUNS.read_text())
    epoch.add_run(
        path, runs.machine(("jax", "torch")), {epoch.OURS: 2.0, "PyTorch": 2.5, "nn.Conv": 16.0}
    )
    *before, added = json.loads(path.read_text())["runs"]
    assert before == json.loads(epoch.RUNS.read_text())["runs"]
    assert added["ratios"] == {"PyTorch": 0.8, "nn.Conv": pytest.approx(0.12, abs=0.006)}
    assert re.search(r"\d+ cores, load .*jax \d", added["machine"])
