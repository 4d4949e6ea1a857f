"""lenet.c and lenet.h are of one export, or they do not compile."""

from __future__ import annotations

import itertools
import re
import subprocess

import pytest

from lenet_export.compiled import host_flags
from lenet_export.cpus.registry import lay_out
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from needs import require

from .networks import named_model, random_model

FOREIGN = "this lenet.h is of another export: take lenet.c and lenet.h from the same one"


def export_of(model=None, dtype="int8", max_error=None, cpu="generic", optimize="speed", **more):
    """The files of one export of a small network."""
    plan = make_plan(model or named_model("deep"), dtype, max_error)
    return render_c(lay_out(plan, cpu, optimize), Options(**more))


#: One thing at a time: whatever decides the bytes of the two files.
EXPORTS = {
    "plain": {},
    "other weights": {
        "model": random_model(named_model("deep").stages, (22, 17, 2), seed=1),
    },
    "other layers": {"model": named_model("signed")},
    "other numbers": {"dtype": "float32"},
    "threshold": {"max_error": 0.01},
    "another threshold": {"max_error": 0.005},
    "cpu": {"cpu": "cortex-m3"},
    "another cpu": {"cpu": "cortex-m0"},
    "optimize": {"cpu": "cortex-m3", "optimize": "flash"},
}


def refusal(folder, files, compiler="gcc"):
    """What the compiler's preprocessor says of ``files``; empty if they go together."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    command = [require(compiler), "-std=c99", "-E", *host_flags("cortex-m3"), "lenet.c"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert bool(done.returncode) == bool(done.stderr)
    return done.stderr


@pytest.fixture(scope="module")
def exports():
    return {name: export_of(**options) for name, options in EXPORTS.items()}


@pytest.mark.parametrize(("code", "header"), [*itertools.product(EXPORTS, EXPORTS)])
def test_lenet_c_takes_no_other_lenet_h(code, header, exports, tmp_path):
    files = {"lenet.c": exports[code]["lenet.c"], "lenet.h": exports[header]["lenet.h"]}
    said = refusal(tmp_path, files)
    assert (said == "") == (code == header)
    assert code == header or FOREIGN in said


@pytest.mark.parametrize("compiler", ["gcc", "clang", "avr-gcc"])
def test_every_preprocessor_says_it(compiler, exports, tmp_path):
    files = exports["plain"]
    assert refusal(tmp_path, files, compiler) == ""
    foreign = files | {"lenet.h": exports["threshold"]["lenet.h"]}
    assert FOREIGN in refusal(tmp_path, foreign, compiler)


def test_a_header_of_a_time_before_there_were_marks_is_foreign(exports, tmp_path):
    files = exports["plain"]
    header = re.sub(rb"#define LENET_EXPORT_.*\n", b"", files["lenet.h"])
    assert header != files["lenet.h"]
    assert FOREIGN in refusal(tmp_path, files | {"lenet.h": header})


def test_a_single_file_needs_no_mark_and_is_no_header_of_another(exports, tmp_path):
    single = export_of(single_file=True)["lenet.h"]
    assert b"LENET_EXPORT_" not in single
    assert FOREIGN in refusal(tmp_path, {"lenet.c": exports["plain"]["lenet.c"], "lenet.h": single})


def test_the_mark_is_of_64_bits_and_has_the_prefix():
    files = export_of(prefix="net")
    marks = [set(re.findall(rb"NET_EXPORT_(\w+)", files[f"net.{end}"])) for end in "ch"]
    assert marks[0] == marks[1]
    (mark,) = marks[0]
    assert re.fullmatch(rb"[0-9A-F]{16}", mark)


def test_the_same_export_has_the_same_mark(exports):
    assert export_of() == exports["plain"]
