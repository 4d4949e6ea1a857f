"""The recipes of docs/extending.md, taken from the page and followed in a copy of the package."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys

import pytest

from lenet_export.cpus.registry import CPUS
from needs import ROOT, wide

#: The CPUs whose RAM holds the chain's workspace.
ROOMY = [name for name, cpu in CPUS.items() if not cpu.is_tight]
PAGE = ROOT / "docs/extending.md"
CODE = re.compile(r"^( *)```(?:python|jinja|text|c)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"[Ii]n\s+`([\w/.]+)`,\s+behind\s+`([^`]*)`:|The new file `([\w/.]+)`:")
LEAST = {
    "An activation": 4,
    "A pool": 3,
    "A CPU without vectors": 1,
    "A SIMD instruction set": 2,
    "A reader": 2,
    "An output": 2,
    "An ecosystem": 2,
    "A check of the evidence": 2,
}

#: Exports a chain for CPUs that this machine can run, and compares with JAX.
PROGRAM = """
import sys
from dataclasses import replace
from export.conftest import remember_answers
from export.networks import random_model
from export.test_parity import assert_equals_jax, can_run
from lenet_export import compiled
from lenet_export.checkpoint import Stage
from lenet_export.cpus.registry import CPUS, lay_out
from lenet_export.plan import make_plan

compiled.FLAGS = ("-std=c99", "-O0")  # It runs a few images.
remember_answers(setattr)
activation, pool, *cpus = sys.argv[1:]
assert cpus, "no CPU to export for"
stages = (
    Stage("conv1", "conv", 4, activation, (3, 3), "SAME", pool, 2),
    Stage("conv2", "conv", 3, activation, (3, 2), "SAME", pool, 5),
    Stage("fc1", "dense", 6, activation),
    Stage("last", "dense", 3),
)
model = random_model(stages, (22, 20, 1))
for cpu in filter(can_run, cpus):
    for dtype in ("int8", "float32"):
        if CPUS[cpu].ram and dtype == "float32":
            continue
        assert_equals_jax(lay_out(make_plan(model, dtype), cpu, "speed"), count=20)
        print(cpu, dtype)
"""


#: One CPU of each kind of kernel.
KINDS = ("generic", "cortex-m4", "cortex-m55", "avr", "x86-64-v3", "x86-64-v4")

#: Exports a list of arrays, and one that no reader knows.
READS = """
import tempfile
import numpy as np
from flax import linen as nn
from lenet_export import UserError, export

rng = np.random.default_rng(0)
drawn = lambda *shape: rng.normal(0, 0.5, shape).astype("f4")
flatten = lambda x: x.reshape(len(x), -1)
half = lambda x: nn.max_pool(x, (2, 2), (2, 2))
layers = [
    (drawn(3, 3, 1, 4), drawn(4)), nn.relu, half, flatten,
    (drawn(100, 8), drawn(8)), nn.tanh, (drawn(8, 3), drawn(3)),
]
images = rng.integers(0, 256, (40, 12, 12, 1)).astype("u1")
for dtype in ("int8", "float32"):
    with tempfile.TemporaryDirectory() as out:
        done = export(layers, None, (12, 12, 1), out, images=images, dtype=dtype)
        assert done.report.verified.largest_difference <= (0 if dtype == "int8" else 1e-4)
        print(dtype, *(stage.name for stage in done.plan.model.stages))
for wrong in (layers[:2] + [nn.tanh] + layers[2:], 5):
    try:
        export(wrong, None, (12, 12, 1), "out", images=images)
    except UserError as error:
        print(error.where, error.what)
"""


@functools.cache
def recipe(title):
    """``(file, line that it goes behind or None, text)`` of each block of a section."""
    section = PAGE.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    found, start = [], 0
    for block in CODE.finditer(section):
        file, line, new = PLACE.findall(section[start : block.start()])[-1]
        text = re.sub(rf"^{block[1]}", "", block[2], flags=re.MULTILINE)
        found.append((file or new, line if file else None, text))
        start = block.end()
    return found


def follow(places, package):
    for file, line, text in places:
        path = package / file
        if line is None:
            assert not path.exists()
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        else:
            assert path.read_text().count(f"{line}\n") == 1, f"{file} has not one line {line}"
            path.write_text(path.read_text().replace(f"{line}\n", f"{line}\n{text}"))


@pytest.fixture
def package(tmp_path):
    """A copy of the package."""
    shutil.copytree(
        ROOT / "export/lenet_export",
        tmp_path / "lenet_export",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return tmp_path / "lenet_export"


def run(package, *arguments, program=PROGRAM):
    path = os.pathsep.join(map(str, (package.parent, ROOT / "tests", ROOT / "benchmarks")))
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.parametrize("title", LEAST)
def test_a_recipe_has_few_places(title):
    assert 1 <= len(recipe(title)) <= LEAST[title]


@pytest.mark.parametrize(
    ("title", "arguments"),
    [
        ("An activation", ("hard_tanh", "max", *KINDS)),
        ("A pool", ("relu", "min", *KINDS)),
        ("A CPU without vectors", ("sigmoid", "avg", "my-core")),
        ("A SIMD instruction set", ("sigmoid", "avg", "my-vectors")),
        *wide(
            [
                ("A SIMD instruction set", ("relu", "max", "my-vectors")),
                ("An activation", ("hard_tanh", "avg", *ROOMY)),
                ("A pool", ("sigmoid", "min", *ROOMY)),
            ]
        ),
    ],
)
def test_a_recipe_gives_what_jax_gives_on_every_cpu(title, arguments, package):
    follow(recipe(title), package)
    shown = run(package, *arguments)
    if len(arguments) == 3:
        cpu = arguments[2]
        assert shown == [f"{cpu} int8", f"{cpu} float32"]
    else:
        assert {"generic int8", "generic float32", "cortex-m4 int8", "avr int8"} <= set(shown)


@pytest.mark.parametrize("title", ["An activation", "A pool"])
def test_a_recipe_does_not_work_less_its_last_place(title, package):
    follow(recipe(title)[:-1], package)
    arguments = {"An activation": ("hard_tanh", "max"), "A pool": ("relu", "min")}[title]
    with pytest.raises(AssertionError, match=r"Undefined|TemplateNotFound"):
        run(package, *arguments, "generic")


def test_the_recipe_of_a_reader_exports_what_it_reads_and_refuses_the_rest(package):
    follow(recipe("A reader"), package)
    assert run(package, program=READS) == [
        "int8 conv1 fc1 fc2",
        "float32 conv1 fc1 fc2",
        "behind conv1, tanh is a second activation behind conv1",
        "the module, int is not a network that can be read",
    ]


def exported(package, *arguments):
    """The command line of the copy, in a folder beside it."""
    return subprocess.run(
        [sys.executable, "-m", "lenet_export", *arguments, "--out", package.parent / "out"],
        env=os.environ | {"PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_recipe_of_an_output_writes_it_and_touches_one_file_that_was_there(package):
    follow(recipe("An output"), package)
    assert {file for file, line, _ in recipe("An output") if line} == {"outputs/registry.py"}
    done = exported(package, "--target", "limits", "--cpu", "cortex-m4")
    assert done.returncode == 0, done.stderr
    assert "lenet_limits.txt" in done.stdout
    text = (package.parent / "out/lenet_limits.txt").read_text()
    assert text.startswith("lenet-export --target limits --cpu cortex-m4\nmodel ")
    assert re.search(r"^fc1: -?\d+ <= acc \* gain <= \d+$", text, re.MULTILINE)
    refused = exported(package, "--target", "limits", "--single-file")
    assert refused.returncode == 2
    assert "--single-file goes with --target c only" in refused.stderr
    assert "the bounds of every number" in " ".join(exported(package, "--help").stdout.split())


def test_the_recipe_of_an_ecosystem_writes_a_package_that_builds(package):
    follow(recipe("An ecosystem"), package)
    assert {file for file, line, _ in recipe("An ecosystem") if line} == {"outputs/ecosystems.py"}
    done = exported(package, "--target", "make", "--prefix", "digits", "--no-verify")
    assert done.returncode == 0, done.stderr
    folder = package.parent / "out"
    assert {path.name for path in folder.glob("digits/*")} == {"digits.mk", "digits.json", "src"}
    command = ["make", "-f", "digits/digits.mk", "digits.o"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert (folder / "digits.o").exists()


#: What the check of the recipe says of a small network's C, and of that with a call in it.
CHECKS = r"""
import tempfile
from pathlib import Path
from export.networks import named_model
from lenet_export.evidence.check import Case, result_of
from lenet_export.evidence.registry import CHECKS
from lenet_export.outputs.c import render_c
from lenet_export.outputs.options import Options
from lenet_export.plan import make_plan
from lenet_export.verify import stress_images

assert next(iter(CHECKS)) == "symbols"
plan = make_plan(named_model("deep"), "int8")
files = render_c(plan, Options())
calling = b"#include <stdlib.h>\nint absolute(int x) { return rand() + x; }\n" + files["lenet.c"]
for c in (files["lenet.c"], calling):
    with tempfile.TemporaryDirectory() as folder:
        case = Case(plan, files | {"lenet.c": c}, Options(), Path(folder), stress_images(plan))
        case.write()
        told, _ = result_of("symbols", CHECKS["symbols"], case)
        print(told["status"], told["says"], sep=": ")
"""


def test_the_recipe_of_a_check_passes_what_is_right_and_fails_what_is_broken(package):
    follow(recipe("A check of the evidence"), package)
    shown = run(package, program=CHECKS)
    assert shown == ["passed: 0 undefined symbols", "failed: the C asks for rand"]
