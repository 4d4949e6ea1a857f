"""Each sentence of the header is in the table of promises, and what it names is there."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lenet_export import bundled
from lenet_export.cpus.registry import lay_out
from lenet_export.evidence.promises import key_of, promised, sentences, table
from lenet_export.evidence.registry import CHECKS
from lenet_export.outputs.c import render_c
from lenet_export.outputs.options import PARTS, Options
from lenet_export.plan import make_plan
from needs import ROOT

from .networks import named_model

#: Exports whose headers have all that a header may say: model, its plan's arguments, CPU, options.
EXPORTS = [
    ("mnist-uno", {}, "generic", Options()),
    ("mnist-uno", {"max_error": 0.002}, "generic", Options(prefix="my", tables="apart")),
    ("mnist-field", {}, "generic", Options(single_file=True)),
    ("mnist-field", {"max_error": 0.01}, "generic", Options(parts=PARTS, max_amount_error=0.1)),
    ("mnist", {"max_error": 0.01}, "generic", Options(parts=PARTS)),
    ("mnist", {"dtype": "float32"}, "generic", Options()),
    ("mnist-uno", {}, "avr", Options()),
    ("mnist", {}, "cortex-m4", Options()),
    ("mlp", {}, "generic", Options()),
    ("mnist", {"is_hardened": True}, "generic", Options(parts=PARTS)),
    ("mnist", {"max_error": 0.01}, "generic", Options(tables="blob", parts=PARTS)),
]


#: Checks of what no sentence of a header promises, and why none does.
UNPROMISED = {
    "misra": "by which rules the C is written is told by docs/misra.md, not to its caller"
}


def files_of(name, plan, cpu, options):
    """The files of an export."""
    model = bundled.load(name) if name in bundled.names() else named_model(name)
    if name == "mlp":
        model = replace(model, class_names=tuple(f"class {of}" for of in range(model.classes)))
    return render_c(lay_out(make_plan(model, **{"dtype": "int8"} | plan), cpu, "speed"), options)


@pytest.fixture(scope="module")
def used():
    """The lines of the table that a header has; and sentences that none has."""
    found, missing = set(), []
    for export in EXPORTS:
        files = files_of(*export)
        for text in (data.decode() for name, data in files.items() if name.endswith(".h")):
            for sentence in sentences(text):
                key = key_of(sentence.text, export[-1].prefix)
                found.add(key)
                missing += [] if key else [sentence.text]
    return found, missing


def test_each_sentence_of_each_header_has_its_line(used):
    assert used[1] == []


def test_each_line_of_the_table_is_of_a_sentence(used):
    assert table().keys() - used[0] == set()


def test_what_holds_a_promise_is_there():
    manual = (ROOT / "docs/safety-manual.md").read_text()
    names = {
        f"{file.stem}::{name}"
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    names |= {f"check::{name}" for name in CHECKS}
    names |= {f"you::{name}" for name in re.findall(r"^\| (A\d+) \|", manual, re.MULTILINE)}
    held = [of for line in table().values() for of in line]
    assert [of for of in held if of not in names] == []


def test_each_check_holds_a_promise_or_it_is_said_why_not():
    named = {of.removeprefix("check::") for line in table().values() for of in line}
    assert sorted(CHECKS.keys() - named) == sorted(UNPROMISED)


def test_a_promise_is_traced_to_its_lines():
    """To functions of that name, whatever the prefix."""
    files = files_of(*EXPORTS[1])
    promises = promised(files)
    assert len(promises) > 40
    for of in promises:
        lines = files[of["file"]].decode().splitlines()[of["line"] - 1 :]
        assert of["says"].split()[0] in lines[0]
        for place in of["places"]:
            text = files[place["file"]].decode().splitlines()
            assert f"{place['name']}(" in text[place["first"] - 1]
    row = next(of for of in promises if of["says"].startswith("Rows beyond the last"))
    assert [place["name"] for place in row["places"]] == ["my_begin", "my_row", "my_finish"]
    assert "test_contract::test_rows_beyond_the_last_are_ignored" in row["tests"]
    assert promised({"lenet.npz": b""}) == []
