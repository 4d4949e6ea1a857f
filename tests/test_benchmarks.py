"""The check of the committed figures fails where one grew, and says which and what to do."""

from __future__ import annotations

import copy
import json
import sys

import pytest

from needs import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import chips
import family
from lenet_train import architectures, cli

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
    monkeypatch.setattr(chips, "measure_all", lambda *_: scaled(1.03))
    with pytest.raises(SystemExit, match=r"chips\.py --update"):
        chips.main(["--check"])
    monkeypatch.setattr(chips, "measure_all", lambda *_: scaled(1.0))
    chips.main(["--check"])


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
