"""The lattice with other constants: benchmarks/lattice.py."""

from __future__ import annotations

import numpy as np
import pytest

import lattice
from lenet_export import UserError, amount
from material import amounts


def test_constants_of_the_lattice_are_changed_and_changed_back():
    before = amount.PART, amount.NONE_PART
    assert lattice.parsed("PART=40,68,NONE_PART=2") == {"PART": (40, 68), "NONE_PART": 2}
    with lattice.changed(lattice.parsed("NONE_PART=2,PART=40,68")):
        assert (amount.PART, amount.NONE_PART) == ((40, 68), 2)
    assert before == (amount.PART, amount.NONE_PART)


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
