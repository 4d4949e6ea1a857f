"""What classes are called: in the model's file, in the header, in lenet.json and in the npz."""

from __future__ import annotations

import io
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import lenet_export
from export import networks
from lenet_export import checkpoint, read
from lenet_export.errors import UserError
from lenet_export.outputs.c import Options, render_c
from lenet_export.outputs.npz import render_npz
from lenet_export.plan import make_plan
from lenet_export.reading import Read
from needs import require

NAMES = ("lenet_zero", 'a "quoted" \\ one', "über 9 €", "??/ */ // %s", "@names@ @pair@ @index@",
         "LENET_ROWS", "/* ---- none: */")  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return replace(networks.named_model("deep"), class_names=NAMES)


PROGRAM = """
#include <stdio.h>
#include "NAME.h"
static const char *const names[] = PREFIX_CLASS_NAMES;
int main(void)
{
    for (int c = 0; c < PREFIX_CLASSES; c++) puts(names[c]);
    return sizeof names / sizeof *names == PREFIX_CLASSES ? 0 : 1;
}
"""


@pytest.mark.parametrize(
    "options", [Options(), Options("reader", single_file=True), Options(tables="apart")], ids=str
)
def test_the_header_has_the_names_in_utf_8(options, model, tmp_path):
    files = render_c(make_plan(model, "int8"), options)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    text = PROGRAM.replace("NAME.h", f"{options.prefix}.h")
    (tmp_path / "main.c").write_text(text.replace("PREFIX", options.prefix.upper()))
    flags = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-o", tmp_path / "main"]
    subprocess.run([require("gcc"), *flags, tmp_path / "main.c"], check=True)
    done = subprocess.run([tmp_path / "main"], check=True, capture_output=True)
    assert done.stdout.decode().splitlines() == list(NAMES)
    assert json.loads(files[f"{options.prefix}.json"])["class_names"] == list(NAMES)


def test_the_index_of_the_file_tells_the_lines_where_sections_begin(model):
    files = render_c(make_plan(model, "int8"), Options("reader", single_file=True))
    lines = files["reader.h"].decode().split("\n")
    told = [line.rsplit(" line ", 1) for line in lines if line.startswith(" *     ")]
    told = {part[0][7:].strip(): int(part[1]) for part in told if len(part) == 2}
    assert len(told) > 4
    for section, number in told.items():
        assert section in lines[number - 1]


def test_where_there_are_none_nothing_tells_of_them(model):
    plan = make_plan(replace(model, class_names=()), "int8")
    files = render_c(plan, Options())
    assert not any(b"CLASS_NAMES" in data or b"class_names" in data for data in files.values())
    arrays = np.load(io.BytesIO(render_npz(plan)))
    assert "class_names" not in arrays and "class_names" not in str(arrays["README"])


def test_the_npz_has_the_names_and_tells_of_them(model):
    arrays = np.load(io.BytesIO(render_npz(make_plan(model, "int8"))))
    assert tuple(arrays["class_names"]) == NAMES
    assert "\nclass_names      what each of them is called\n" in str(arrays["README"])


def test_the_model_s_file_keeps_them(model, tmp_path):
    path = tmp_path / "model.safetensors"
    checkpoint.save(model, path)
    assert checkpoint.load(path).class_names == NAMES
    checkpoint.save(replace(model, class_names=()), path)
    assert b"class_names" not in path.read_bytes()


@pytest.mark.parametrize(
    "names",
    [NAMES[:-1], (*NAMES, "more"), (*NAMES[:-1], NAMES[0]), (*NAMES[:-1], ""),
     (*NAMES[:-1], "a\nb"), (*NAMES[:-1], 3)],
)  # fmt: skip
def test_names_that_are_none_are_told(names, model, tmp_path):
    path = tmp_path / "model.safetensors"
    checkpoint.save(replace(model, class_names=names), path)
    with pytest.raises(UserError, match="its metadata is damaged"):
        checkpoint.load(path)
    with pytest.raises(UserError, match=r"^class_names: .*\n  give 7 different texts"):
        lenet_export.export(
            replace(model, class_names=()), class_names=names, out=tmp_path, verify=False
        )


def test_what_is_no_list_of_names_is_told(model, tmp_path):
    with pytest.raises(UserError, match=r"^class_names: is 7\n  give a text for each class"):
        lenet_export.export(model, class_names=7, out=tmp_path, verify=False)


def test_export_takes_names(model, tmp_path):
    names = [f"class {n}" for n in range(7)]
    exported = lenet_export.export(model, class_names=names, out=tmp_path, verify=False)
    assert exported.plan.model.class_names == tuple(names)
    header = (tmp_path / "lenet.h").read_text()
    assert '#define LENET_CLASS_NAMES { \\\n    "class 0", \\\n    "class 1", \\' in header
    assert "class_names=class_names" in header


def test_lenet_read_tells_the_name():
    found = SimpleNamespace(is_dark=True, box=(0, 0, 9, 9), contrast=200)
    outputs = [*NAMES, "none"]
    result = Read(Path("a.png"), None, found, 2, 77, "accepted", None, outputs)
    assert read._as_text(result).startswith("a.png: über 9 €, gap 77, accepted (dark ink, ")
    assert read._as_json(result)["class"] == "über 9 €"
    assert read._as_json(replace(result, digit=-1))["class"] is None
