"""Runs the notebooks of this folder, and keeps what they print and draw.

``python docs/notebooks/run.py``; names of notebooks may be given. Each runs in a folder
of its own below ``build``.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: Of a cell whose text must be the same on every machine.
SAME = "same"


def executed(path: Path, folder: Path) -> NotebookNode:
    """A notebook as it is after a run of all its cells in ``folder``.

    Raises:
        CellExecutionError: a cell of it ended with an error.
    """
    notebook = nbformat.read(path, as_version=4)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    client = NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}})
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def text_of(cell: NotebookNode) -> str:
    """What a cell printed."""
    return "".join(output.get("text", "") for output in cell.get("outputs", ()))


def main(names: list[str]) -> None:
    """Runs the notebooks of these names, or all."""
    for path in sorted(HERE.glob("*.ipynb")):
        if not names or path.stem in names:
            nbformat.write(executed(path, ROOT / "build/notebooks" / path.stem), path)
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
