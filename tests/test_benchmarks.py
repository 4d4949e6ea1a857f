"""The check of the committed figures fails where one grew, and says which and what to do."""

from __future__ import annotations

import copy
import json
import sys

import pytest

from needs import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import chips

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
