"""A folder of pictures: a folder for each class, of the class's name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lenet_export import photos
from lenet_export.errors import UserError
from lenet_train.datasets.part import (
    PURPOSES,
    RESIZE,
    Part,
    Parts,
    check_size,
    listed,
    shown,
    told,
)

SUFFIXES = (".png", ".jpg", ".jpeg", ".pgm", ".bmp", ".gif", ".tif", ".tiff", ".webp")
LAYOUT = "a folder for each class, of its name, with the class's pictures in it"


def recognizes(path: Path) -> bool:
    """Whether it is a folder with pictures in it, as deep as in ``train/A``."""
    return path.is_dir() and _has_pictures(path, 2)


def _has_pictures(folder: Path, depth: int) -> bool:
    """Whether pictures are in it, or in the folders in it, down to ``depth``."""
    files = shown(folder)
    deeper = (file for file in files if depth and file.is_dir())
    return any(map(is_picture, files)) or any(_has_pictures(file, depth - 1) for file in deeper)


def is_picture(path: Path) -> bool:
    """Whether it is a file with a picture's name."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def read(folder: Path) -> Parts:
    """The data set in ``folder``: its classes' folders, or those in ``train`` and ``test`` there.

    Raises:
        UserError: the folders are laid out otherwise, or a picture cannot be used.
    """
    inner = {file.name.lower(): file for file in shown(folder) if file.is_dir()}
    given = {
        purpose: [inner[word] for word in words if word in inner]
        for purpose, words in PURPOSES.items()
    }
    is_parted = (
        given["training"]
        and sum(map(len, given.values())) == len(inner)
        and any(file.is_dir() for file in shown(given["training"][0]))
    )
    if not is_parted:
        return Parts({"training": _part(folder)})
    for purpose, folders in given.items():
        if len(folders) > 1:
            names = " and ".join(path.name for path in folders)
            raise UserError(folder, f"has {names} for {purpose}", "leave one of them")
    return Parts({purpose: _part(paths[0]) for purpose, paths in given.items() if paths})


def _part(folder: Path) -> Part:
    """The pictures of one purpose, in the natural order of their names.

    Raises:
        UserError: there is no folder of a class, one is empty, or a picture cannot be used.
    """
    loose = [file.name for file in shown(folder) if is_picture(file)]
    if loose:
        what = f"has pictures beside the folders of classes: {listed(loose)}"
        raise UserError(folder, what, f"the layout is {LAYOUT}: move them")
    files = [(file, kind.name) for kind in shown(folder) if kind.is_dir() for file in _of(kind)]
    if not files:
        raise UserError(folder, "has no folders of classes", f"the layout is {LAYOUT}")
    images = []
    for file, _ in files:
        images.append(photos.grey(file, "train"))
        check_size(file, images[-1].shape)
    sizes = Counter(image.shape for image in images)
    common, count = sizes.most_common(1)[0]
    for (file, _), image in zip(files, images, strict=True):
        if image.shape != common:
            raise UserError(
                file,
                f"is {told(image.shape)} pixels, and {count} of {len(images)} pictures are "
                f"{told(common)}",
                f"bring all pictures to one size: {RESIZE}",
            )
    return Part(folder, np.stack(images), np.array([name for _, name in files]))


def _of(kind: Path) -> Iterator[Path]:
    """The pictures in the folder of a class.

    Raises:
        UserError: there are none, or other things.
    """
    files = shown(kind)
    others = [file.name for file in files if not is_picture(file)]
    if len(others) == len(files):
        found = f"of {listed(others)}" if others else ""
        what = f"is the folder of a class and holds no picture {found}".rstrip()
        raise UserError(kind, what, f"put pictures there ({' '.join(SUFFIXES)}), or remove it")
    if others:
        other = kind / others[0]
        what = "is no picture by its name" if other.is_file() else "is no file, or a link to none"
        raise UserError(
            other,
            f"{what}, in the folder of the class {kind.name}",
            f"move it away; pictures are named {' '.join(SUFFIXES)}",
        )
    yield from files
