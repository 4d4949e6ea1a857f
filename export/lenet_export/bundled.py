"""The models in the package, by their names; and which one a program takes without being told."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from lenet_export import checkpoint
from lenet_export.checkpoint import Model
from lenet_export.errors import UserError

FOLDER = files("lenet_export") / "models"
SUFFIX = ".safetensors"
BUNDLED = "the bundled "
#: The textbook's LeNet, which lenet-export exports.
DEFAULT = "mnist"
#: The one for paper and camera, which lenet-read reads with.
FOR_PICTURES = "mnist-field"


def names() -> list[str]:
    """The names of the models in the package; a file of such a name is ``./name``."""
    found = [file.name for file in FOLDER.iterdir()]
    return sorted(name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX))


def told(name: str) -> str | None:
    """A model that is named, as a printed command names it: less its path; the default not at all.

    Args:
        name: of a bundled model, or a path.
    """
    if name in names():
        return None if name == DEFAULT else name
    file = Path(name).resolve().name
    return f"./{file}" if file in names() else file


def title(name: str) -> str:
    """What a network is called where it is told of: a bundled model as one, others as they are."""
    return f"{BUNDLED}{name}" if name in names() else name


def titled(text: str) -> str | None:
    """The bundled model that has this title, if one has."""
    name = text.removeprefix(BUNDLED)
    return name if text == title(name) and name in names() else None


def field_tables(name: str) -> dict[str, Any] | None:
    """What benchmarks/field.py measured of a bundled model on material that is no clean digit.

    Returns:
        ``split``, ``seed`` and ``count`` of the material, and ``tables``, of which each has names
        and shares; ``None`` where nothing was measured.
    """
    found: dict[str, Any] = json.loads((FOLDER / "field.json").read_text("utf-8"))
    tables = found.pop("models").get(name)
    return found | {"tables": tables} if tables else None


def about(name: str) -> str:
    """What the bundled model of that name is: the first sentence of its card, without marks."""
    card = (FOLDER / f"{name}.md").read_text("utf-8")
    text = re.split(r"^# .*\n+", card, maxsplit=1, flags=re.MULTILINE)[1]
    sentence = re.split(r"(?<=\.)\s", text, maxsplit=1)[0]
    return " ".join(re.sub(r"\[([^]]*)\]\([^)]*\)|`", r"\1", sentence).split())


@contextlib.contextmanager
def located(name: str, option: str = "--model") -> Iterator[Path]:
    """The file that is meant: the bundled model's of that name, or the one at that path.

    Args:
        name: of a bundled model, or a path.
        option: that gives it, for messages.

    Raises:
        UserError: it is neither.
    """
    if name in names():
        with as_file(FOLDER / f"{name}{SUFFIX}") as path:
            yield path
        return
    path = Path(name)
    if not {"/", os.sep} & set(name) and not path.suffix and not os.path.lexists(name):
        remedy = f"bundled: {', '.join(names())}; or {checkpoint.AGAIN}"
        raise UserError(f"{option} {name}", "is neither a bundled model nor a file", remedy)
    yield path


def load(name: str, option: str = "--model") -> Model:
    """The model in the file that is meant: see :func:`located`.

    Raises:
        UserError: there is none, or the file cannot be used.
    """
    with located(name, option) as path:
        return checkpoint.load(path)
