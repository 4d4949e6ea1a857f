"""The benchmarks of lines: the network slid along them, and the lattice with other constants."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lattice
import slide
from lenet_export import UserError, amount
from material import amounts
from needs import ROOT

FIGURES = json.loads(slide.FIGURES.read_text())


def columns(text, sure=40):
    """What classes cost where each column is surely of one: digits, and a blank for none."""
    cheapest = [slide.NONE if one == " " else int(one) for one in text]
    return np.where(np.eye(slide.NONE + 1, dtype=bool)[cheapest], 1, sure)


def test_a_slid_network_s_text_is_the_cheapest_one():
    assert slide.text_of(columns("   333  3   77 "), 10) == "337"
    assert slide.text_of(columns("   333873   77 "), 10) == "38737"
    assert slide.text_of(columns("   333873   77 "), 30) == "37"
    assert slide.text_of(columns("   333873   77 "), 4000) == ""
    assert slide.text_of(np.zeros((0, slide.NONE + 1), int), 10) == ""


def test_a_network_is_slid_over_digits_of_mnist_s_height():
    line = np.full((50, 120), 200, np.uint8)
    line[10:40, 30:34] = line[10:40, 80:84] = 20
    images = slide.windows(line)
    assert images.shape[1:] == (28, 28)
    inked = np.flatnonzero((images[:, :, 14] > 99).sum(1) == 20)
    assert len(inked) >= 4
    assert np.flatnonzero(images[inked[0], :, 14] > 99).tolist() == list(range(4, 24))
    assert 28 < np.ptp(inked) < 40  # 50 pixels at 20 rows for 30
    assert slide.windows(np.full((50, 60), 7, np.uint8)).shape == (0, 28, 28)
    logits = np.zeros((len(images), 10), int)
    assert slide.costs(lambda _: logits, 1, line).shape == (len(images), 11)


def test_the_table_of_the_slid_network_is_that_of_the_file():
    document = (ROOT / "docs/amounts.md").read_text()
    for line in slide.rows(FIGURES["models"]):
        assert line in document, line


def test_constants_of_the_lattice_are_changed_and_changed_back():
    before = amount.PART, amount.NONE_FAR
    assert lattice.parsed("PART=40,68,NONE_FAR=90") == {"PART": (40, 68), "NONE_FAR": 90}
    with lattice.changed(lattice.parsed("NONE_FAR=90,PART=40,68")):
        assert (amount.PART, amount.NONE_FAR) == ((40, 68), 90)
    assert before == (amount.PART, amount.NONE_FAR)


@pytest.mark.parametrize("wrong", ["", "PART", "PART=4", "FOO=3", "WAYS=3,4", "NOTHING=1"])
def test_what_is_no_constant_of_the_lattice_is_told(wrong):
    with pytest.raises(UserError, match="give NAME=NUMBER"):
        lattice.parsed(wrong)


def test_each_half_of_the_writers_has_the_threshold_of_the_other(monkeypatch):
    """Sure of all: the even ones read half wrong, so that none of the odd ones is accepted."""
    made = [amounts.Line(np.zeros((1, 1)), "12", (), k % 2, True) for k in range(200)]
    texts = iter(["12" if k % 4 else "13" for k in range(200)])

    def read_amount(*_):
        return amount.Amount(next(texts), 0, 40, 400, 3)

    monkeypatch.setattr(amount, "read_amount", read_amount)
    found = lattice.judged(made, lambda images: images, 1)
    assert found == pytest.approx([0.75, 0.25, 0.25, 0.5, 1.5])
