"""MNIST and Fashion-MNIST: found in ``LENET_DATA``, in the user's cache, or fetched; checked."""

from __future__ import annotations

import gzip
import hashlib
import os
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lenet_export import idx
from lenet_export.errors import UserError
from lenet_train import download
from lenet_train.datasets import idx_files
from lenet_train.datasets.idx_files import FILES
from lenet_train.datasets.part import Array, Parts


@dataclass(frozen=True)
class Source:
    """Where a published data set lies.

    Attributes:
        mirrors: addresses of folders, tried in turn.
        packed: file name to SHA-256 of the published ``.gz``.
        unpacked: the same of the unpacked files, where it is published.
    """

    mirrors: tuple[str, ...]
    packed: dict[str, str]
    unpacked: dict[str, str]


SOURCES = {
    # LeCun, Cortes, Burges, http://yann.lecun.com/exdb/mnist; CC BY-SA 3.0.
    "mnist": Source(
        mirrors=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
        packed={
            "train-images-idx3-ubyte": (
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
            ),
            "train-labels-idx1-ubyte": (
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
            ),
            "t10k-images-idx3-ubyte": (
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
            ),
            "t10k-labels-idx1-ubyte": (
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
            ),
        },
        unpacked={
            "train-images-idx3-ubyte": (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            ),
            "train-labels-idx1-ubyte": (
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
            ),
            "t10k-images-idx3-ubyte": (
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
            ),
            "t10k-labels-idx1-ubyte": (
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
            ),
        },
    ),
    # Xiao, Rasul, Vollgraf, https://github.com/zalandoresearch/fashion-mnist; MIT.
    "fashion-mnist": Source(
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        packed={
            "train-images-idx3-ubyte": (
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
            ),
            "train-labels-idx1-ubyte": (
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
            ),
            "t10k-images-idx3-ubyte": (
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
            ),
            "t10k-labels-idx1-ubyte": (
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
            ),
        },
        unpacked={},
    ),
}

# Yadav, Bottou, "Cold Case: The Lost MNIST Digits", 2019, https://github.com/facebookresearch/qmnist;
# BSD. Its rows are MNIST's training images in their order.
WRITERS_FILE = "qmnist-train-labels-idx2-int"
WRITERS = Source(
    mirrors=(
        "https://raw.githubusercontent.com/facebookresearch/qmnist/master/",
        "https://raw.githubusercontent.com/facebookresearch/qmnist/main/",
    ),
    packed={WRITERS_FILE: "2c05dc77f6b916b38e455e97ab129a42a444f3dbef09b278a366f82904e0dd9f"},
    unpacked={WRITERS_FILE: "bb1b6e1ec7b04fd5696f1ed50b5f58f8ef195118edd5c93c81783df9740b8ac5"},
)
#: Of a row of that file: the class, the writer, and how many there are.
CLASS, WRITER, COLUMNS = 0, 2, 8


def read(name: str, with_writers: bool = False) -> Parts:
    """A data set of :data:`SOURCES`.

    Args:
        name: of it.
        with_writers: of MNIST, whether its training images have their writers for groups.

    Raises:
        UserError: a file is missing, damaged or not the published one, or no mirror gives it.
    """
    folder = _local(name) or _fetch(name, SOURCES[name])
    training, test = (idx_files.named_pair(folder, part) for part in ("train", "t10k"))
    if with_writers:
        training = training._replace(groups=_writers())
    return Parts({"training": training, "test": test})


def _writers() -> Array:
    """Who wrote each of MNIST's training images: a number for each, ``(60000,)``.

    Raises:
        UserError: the file is not the published one, or no mirror gives it.
    """
    root = os.environ.get("LENET_DATA")
    folders = [Path(root) / "qmnist", Path(root)] if root else []
    found = [path for folder in folders if (path := idx.find(folder, WRITERS_FILE))]
    path = found[0] if found else _fetch("qmnist", WRITERS) / f"{WRITERS_FILE}.gz"
    data = path.read_bytes()
    try:
        data = gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error):
        data = b""
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != WRITERS.unpacked[WRITERS_FILE]:
        what = f"is not QMNIST's file: unpacked, its SHA-256 is {sha256}"
        raise UserError(path, what, "fetch it again, or leave out --split groups")
    writers: Array = np.frombuffer(data, ">i4", offset=12).reshape(-1, COLUMNS)[:, WRITER]
    return writers


def _local(name: str) -> Path | None:
    """The folder with the published files in ``LENET_DATA``, or ``None`` if it has none of them.

    Raises:
        UserError: ``LENET_DATA`` is not a folder, or a file is missing or not the published one.
    """
    root = os.environ.get("LENET_DATA")
    if not root:
        return None
    if not Path(root).is_dir():
        raise UserError(f"LENET_DATA={root}", "is not a folder", "correct or unset the variable")
    for folder in (Path(root) / name, Path(root)):
        if any(idx.find(folder, file) for file in FILES):
            for file in FILES:
                _check_published(idx_files.find(folder, file), file, name)
            return folder
    print(f"LENET_DATA={root} has no {name}; taking it from cache or network", file=sys.stderr)
    return None


def _check_published(path: Path, file: str, name: str) -> None:
    """Checks that ``path`` holds the published bytes of ``file``, packed by whichever gzip."""
    source = SOURCES[name]
    known = {hashes[file] for hashes in (source.packed, source.unpacked) if file in hashes}
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found in known:
        return
    if file in source.unpacked:
        found = hashlib.sha256(idx.pack(idx.read(path, FILES[file]))).hexdigest()
        if found in known:
            return
    raise UserError(
        path,
        f"is not {name}'s file: its SHA-256 is {found}, expected {' or '.join(sorted(known))}",
        "fetch it again, or train on it as your own data with --dataset and its folder",
    )


def _fetch(name: str, source: Source) -> Path:
    """The folder in the user's cache with the published files, fetched if they are not there.

    Raises:
        UserError: no mirror gives a file with the published SHA-256.
    """
    folder = download.cache() / name
    for file, sha256 in source.packed.items():
        download.fetch(folder, f"{file}.gz", sha256, source.mirrors)
    return folder
