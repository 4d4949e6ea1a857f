"""A folder of IDX files, by whichever of their customary names."""

from __future__ import annotations

import re
from pathlib import Path

from lenet_export import idx
from lenet_export.errors import UserError
from lenet_train.datasets.part import PURPOSES, Part, Parts, check_labels_given, listed, shown

IMAGES = "{}-images-idx3-ubyte"
LABELS = "{}-labels-idx1-ubyte"
FILES = {
    IMAGES.format("train"): 3,
    LABELS.format("train"): 1,
    IMAGES.format("t10k"): 3,
    LABELS.format("t10k"): 1,
}

PACKING = "lenet_export.idx.pack makes such a file's bytes of a NumPy array of bytes"

#: ``train-images-idx3-ubyte``, ``train-images.idx3-ubyte.gz``, ``emnist-letters-test-images-...``
NAME = re.compile(
    r"(?P<set>.*?)[-_.]?(?P<part>train|t10k|test|val)[-_.](?P<kind>images|labels)"
    r"[-_.]idx\d[-_.]ubyte(\.gz)?",
    re.IGNORECASE,
)
#: Of an IDX file by any name; ``class_to_idx.json`` is none.
LIKE = re.compile(r"[-_.]idx(\d([-_.][a-z]+)?)?(\.gz)?$", re.IGNORECASE)


def recognizes(path: Path) -> bool:
    """Whether it is a folder with such a file."""
    return path.is_dir() and bool(_files(path))


def _files(folder: Path) -> list[Path]:
    """The files in a folder that are IDX files by their names, MNIST's or others."""
    return [file for file in shown(folder) if LIKE.search(file.name) and file.is_file()]


def read(folder: Path) -> Parts:
    """The data set in ``folder``; a part with neither images nor labels is none.

    Raises:
        UserError: a file is missing or damaged, or there are several data sets.
    """
    found: dict[str, dict[str, Path]] = {}
    sets = set()
    # Of a file and its .gz the file comes first.
    for file in reversed(_files(folder)):
        named = NAME.fullmatch(file.name)
        if named:
            sets.add(named["set"])
            word = named["part"].lower()
            (purpose,) = (purpose for purpose, words in PURPOSES.items() if word in words)
            found.setdefault(purpose, {})[named["kind"].lower()] = file
    if len(sets) > 1:
        raise UserError(
            folder,
            f"holds IDX files of {len(sets)} data sets: "
            f"{listed([name or 'MNIST' for name in sorted(sets)])}",
            "put the files of one of them into a folder of their own",
        )
    if not found:
        others = [file.name for file in _files(folder)]
        files = f"{', '.join(FILES)}, plain or .gz"
        raise UserError(
            folder,
            f"has IDX files of other names: {listed(others)}",
            f"rename them: the folder must hold {files}",
        )
    prefix = next(iter(sets))
    parts = {
        purpose: _pair(folder, prefix, purpose, found.get(purpose, {}))
        for purpose in PURPOSES
        if purpose == "training" or purpose in found
    }
    notes = []
    if prefix.lower().startswith("emnist"):
        notes.append("EMNIST's files hold their images transposed; --transpose sets them upright")
    return Parts(parts, tuple(notes))


def _pair(folder: Path, prefix: str, purpose: str, files: dict[str, Path]) -> Part:
    """The part of these files, by kind.

    Raises:
        UserError: one is missing or damaged.
    """
    for kind, name in (("images", IMAGES), ("labels", LABELS)):
        if kind not in files:
            word = "t10k" if purpose == "test" and not prefix else PURPOSES[purpose][0]
            missing = f"{prefix}-{name.format(word)}" if prefix else name.format(word)
            raise _missing(folder, missing)
    return read_pair(files["images"], files["labels"])


def read_pair(images_file: Path, labels_file: Path) -> Part:
    """The images and labels in two IDX files.

    Raises:
        UserError: one is damaged, or they do not belong together.
    """
    images, labels = idx.read(images_file, 3), idx.read(labels_file, 1)
    check_labels_given(labels_file, len(labels), len(images), images_file)
    return Part(labels_file, images, labels)


def named_pair(folder: Path, part: str) -> Part:
    """The images and labels of ``part``, ``train`` or ``t10k``, by MNIST's own names.

    Raises:
        UserError: a file is missing or damaged.
    """
    return read_pair(*(find(folder, name.format(part)) for name in (IMAGES, LABELS)))


def find(folder: Path, name: str) -> Path:
    """The file ``name`` in ``folder``, plain or packed.

    Raises:
        UserError: it is not there.
    """
    path = idx.find(folder, name)
    if path is None:
        raise _missing(folder, name)
    return path


def _missing(folder: Path, name: str) -> UserError:
    files = f"{', '.join(FILES)}, plain or .gz"
    remedy = f"put it there; the folder must hold {files}; {PACKING}"
    return UserError(folder, f"has neither {name} nor {name}.gz", remedy)
