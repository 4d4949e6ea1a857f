"""The notebooks of docs/ run, and what is committed with them is what they print."""

from __future__ import annotations

import sys

import nbformat
import pytest

from needs import ROOT, require

sys.path.insert(0, str(ROOT / "docs/notebooks"))
import run

NOTEBOOKS = sorted(run.HERE.glob("*.ipynb"))
#: What a notebook's last cell needs.
TOOLS = {
    "arduino": ("cmake", "avr-gcc"),
    "chapter": ("cmake", "arm-none-eabi-gcc", "qemu-system-arm"),
}


def code_of(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_as_it_was_run_from_top_to_bottom(path):
    assert path.stat().st_size < 300_000
    nbformat.validate(nbformat.read(path, 4))
    cells = code_of(path)
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "display_data"}
    assert {output.get("name", "stdout") for output in outputs} == {"stdout"}  # no warning
    assert "/tmp" not in path.read_text() and "needs this repository" not in run.text_of(cells[-1])
    assert "\n0 of " in "\n" + run.text_of(cells[-1])


@pytest.mark.wide
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_prints_what_is_committed(path):
    """Of cells that train, other machines print other accuracies: these hold bounds themselves."""
    for tool in TOOLS[path.stem]:
        require(tool)
    # Below the checkout, where a reader has it, so that the last cell finds the firmware.
    ran = run.executed(path, ROOT / "build/tests/notebooks" / path.stem)
    found = [cell for cell in ran.cells if cell.cell_type == "code"]
    same = 0
    for cell, committed in zip(found, code_of(path), strict=True):
        if run.SAME in cell.metadata.get("tags", ()):
            told = "python docs/notebooks/run.py"
            assert run.text_of(cell) == run.text_of(committed), told
            same += 1
        else:
            assert bool(cell.outputs) == bool(committed.outputs)
    assert same >= 3
