"""The models in the package, by their names; and which one a program takes without being told."""

from __future__ import annotations

import os
from importlib.resources import as_file, files
from pathlib import Path

from lenet_export import checkpoint
from lenet_export.checkpoint import Model
from lenet_export.errors import UserError

FOLDER = files("lenet_export") / "models"
SUFFIX = ".safetensors"
#: The textbook's LeNet, which lenet-export exports.
DEFAULT = "mnist"
#: The one for paper and camera, which lenet-read reads with.
FOR_PICTURES = "mnist"


def names() -> list[str]:
    """The names of the models in the package; a file of such a name is ``./name``."""
    found = [file.name for file in FOLDER.iterdir()]
    return sorted(name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX))


def load(name: str) -> Model:
    """The bundled model of that name, or the model in a file.

    Raises:
        UserError: it is neither, or the file cannot be used.
    """
    if name in names():
        with as_file(FOLDER / f"{name}{SUFFIX}") as path:
            return checkpoint.load(path)
    path = Path(name)
    if os.sep not in name and not path.suffix and not os.path.lexists(name):
        remedy = f"bundled: {', '.join(names())}; or {checkpoint.AGAIN}"
        raise UserError(f"--model {name}", "is neither a bundled model nor a file", remedy)
    return checkpoint.load(path)
