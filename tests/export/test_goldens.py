"""The exports have the bytes that ``goldens.json`` says."""

from __future__ import annotations

import json

import pytest

import goldens
from needs import ROOT

COMMITTED = json.loads(goldens.GOLDENS.read_text())


@pytest.mark.parametrize("model", goldens.MODELS)
def test_the_exports_have_the_bytes_of_the_goldens(model):
    found = goldens.hashes_of(model)
    expected = {name: COMMITTED.get(name) for name in found}
    changed = [name for name, value in found.items() if value != expected[name]]
    assert not changed, "if that is meant: python tests/goldens.py"


def test_the_goldens_are_of_the_models_that_there_are():
    assert {name.rsplit(" int8", 1)[0].rsplit(" float32", 1)[0] for name in COMMITTED} == {
        *goldens.MODELS
    }


def test_the_document_counts_them():
    count = sum(value != "refused" for value in COMMITTED.values())
    assert f"hashes of {count} exports" in (ROOT / "docs/soundness.md").read_text()
