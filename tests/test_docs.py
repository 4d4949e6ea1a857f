"""What the documents say is so: their programs run, their figures are measured."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lenet_export import reference, verify
from lenet_export.plan import make_plan
from needs import ROOT, require

README = (ROOT / "README.md").read_text()
DESIGN = (ROOT / "DESIGN.md").read_text()
KERNELS = (ROOT / "docs/kernels.md").read_text()
NUMERICS = (ROOT / "docs/numerics.md").read_text()
FIGURES = json.loads((ROOT / "benchmarks/figures.json").read_text())["figures"]


def blocks(text, kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_programs_of_the_readme_compile_run_and_print_what_it_says(tmp_path):
    """Its shell blocks, one after the other, in an empty folder with its C program as main.c."""
    require("cc")
    (program,) = blocks(README, "c")
    (tmp_path / "main.c").write_text(program)
    shutil.copytree(ROOT / "c_runtime/examples", tmp_path / "c_runtime/examples")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-ex"],
        input="\n".join(blocks(README, "sh")),
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (promised,) = re.findall(r"^prints `(.*?)`", README, re.MULTILINE)
    assert promised in done.stdout.splitlines()
    assert (tmp_path / "digits/lenet.c").exists()
    assert (tmp_path / "numbers/lenet.npz").exists()
    assert (tmp_path / "summary/network.png").stat().st_size > 10_000


def test_the_python_of_the_readme_exports(tmp_path):
    (program,) = blocks(README, "python")
    done = subprocess.run([sys.executable, "-"], input=program, cwd=tmp_path, text=True)
    assert done.returncode == 0
    assert "--cpu cortex-m4" in (tmp_path / "own/lenet.c").read_text()


def test_the_program_of_the_readme_has_no_warning(tmp_path):
    (program,) = blocks(README, "c")
    (tmp_path / "main.c").write_text(program)
    flags = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    folder = ROOT / "c_runtime/generated"
    subprocess.run([require("gcc"), *flags, f"-I{folder}", tmp_path / "main.c"], check=True)


def test_the_figures_of_the_readme_are_measured(bundled, mnist):
    images, labels = mnist
    plans = {dtype: make_plan(bundled, dtype) for dtype in ("int8", "float32")}
    guesses = reference.run_integers(plans["int8"], images)["fc3"].argmax(1)
    floats = bundled.info["test_accuracy"]
    for figure in (
        f"| MNIST, 10,000 test images | {(guesses == labels).mean():.2%} | {floats:.2%}".replace(
            "%", " %"
        ),
        "| constants in flash "
        + "".join(f"| {plan.constant_bytes:,} bytes " for plan in plans.values()),
        "| workspace in RAM "
        + "".join(f"| {plan.workspace_bytes:,} bytes " for plan in plans.values()),
        f"{sum(value.size for value in bundled.params.values()):,} parameters",
        f"{sum(layer.multiply_adds for layer in plans['int8'].layers):,} multiply-adds",
        f"0 of {10 * (len(images) + len(verify.stress_images(plans['int8']))):,}",
    ):
        assert figure in README, figure


@pytest.mark.parametrize(
    "document",
    ["README.md", "DESIGN.md", "c_runtime/firmware/README.md"]
    + [f"docs/{file.name}" for file in sorted((ROOT / "docs").glob("*.md"))],
)
def test_every_file_that_a_document_names_exists(document):
    path = ROOT / document
    named = re.findall(r"\]\(((?!http)[^)#]+)\)", path.read_text())
    for name in named:
        assert (path.parent / name).exists(), name


def test_the_figures_of_design_and_numerics_are_those_of_the_plan(int8_plan):
    conv1, _, fc1, *_ = (layer.integers.requantize for layer in int8_plan.layers[:-1])
    assert f"{conv1.gain.max():,} in conv1, {fc1.gain.max():,} in fc1" in NUMERICS
    assert f"{int8_plan.workspace_bytes:,} bytes" in DESIGN


@pytest.mark.parametrize("text", [DESIGN, KERNELS], ids=["DESIGN", "kernels"])
def test_the_cpus_of_the_documents_take_what_was_measured(text):
    rows = re.findall(r"^\| `([\w-]+)` \|[^|]*\| ([\d,]+) k(?: cycles)? \|", text, re.M)
    assert {cpu for cpu, _ in rows} == FIGURES.keys() - {"cortex-m7"}  # that of the M4
    for cpu, thousands in rows:
        instructions = FIGURES[cpu][f"{cpu} speed"]["instructions"]
        assert f"{instructions / 1000:,.0f}" == thousands, cpu


def test_the_design_tells_every_module():
    for package in ("export/lenet_export", "train/lenet_train", "benchmarks"):
        for file in (ROOT / package).rglob("[a-z]*.py"):
            assert file.name in DESIGN, file.name
