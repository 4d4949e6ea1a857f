"""IDX files: the format of MNIST (http://yann.lecun.com/exdb/mnist, "the IDX file format")."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lenet_export.errors import UserError

UInt8 = npt.NDArray[np.uint8]


class Kind(NamedTuple):
    """A kind of numbers in a file: that of its header, and what they are."""

    number: int
    name: str
    dtype: np.dtype[Any]


BYTES = Kind(8, "unsigned bytes", np.dtype("u1"))
INT32 = Kind(12, "whole numbers of 32 bits", np.dtype(">i4"))
AGAIN = "fetch or make the file again"
KINDS = bytes([8, 9, 11, 12, 13, 14])  # unsigned bytes, bytes, int16, int32, float32, float64
LARGEST_RATIO = 1032  # of gzip: the longest match, 258 bytes, takes 2 bits at least


def find(folder: Path, name: str) -> Path | None:
    """The file ``name`` in ``folder``, plain or else with ``.gz``, or ``None``.

    Some have it with a dot: ``train-images.idx3-ubyte``.
    """
    names = (name, name.replace("-idx", ".idx"))
    paths = [folder / f"{spelt}{suffix}" for spelt in names for suffix in ("", ".gz")]
    return next((path for path in paths if path.is_file()), None)


def read(
    path: Path, dims: int, item: tuple[int, ...] | None = None, kind: Kind = BYTES
) -> npt.NDArray[Any]:
    """Reads an IDX file with ``dims`` dimensions, gzipped if it is named ``.gz``.

    Its size is compared with its header before it is read, and no more is unpacked than that.

    Args:
        path: of the file.
        dims: how many dimensions it has.
        item: the shape of each image, e.g. ``(28, 28)``, where only such are of use.
        kind: of its numbers, unsigned bytes or others.

    Raises:
        UserError: the file cannot be read, is truncated, is empty, is not such a file, or has
            items of another shape.
    """
    if path.exists() and not path.is_file():
        raise UserError(path, "is not a file", "give a file")
    is_packed = path.suffix.lower() == ".gz"
    try:
        with path.open("rb") as file, gzip.open(file) if is_packed else file as stream:
            shape = _shape(path, stream.read(_header(dims)), dims, kind)
            if item is not None and shape[1:] != item:
                here, there = ("x".join(map(str, sizes)) for sizes in (shape[1:], item))
                raise UserError(
                    path, f"has images of {here}, expected {there}", f"bring them to {there}"
                )
            expected = math.prod(shape) * kind.dtype.itemsize
            size = os.fstat(file.fileno()).st_size
            # A header may claim any size: only what the file can hold is asked for.
            if is_packed and size * LARGEST_RATIO < expected:
                raise _wrong_size(path, f"at most {size * LARGEST_RATIO}", shape, expected)
            if not is_packed and size != _header(dims) + expected:
                raise _wrong_size(path, str(size), shape, expected)
            data = stream.read(expected + 1)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None)
        remedy = "check the path and its permissions" if reason else AGAIN
        reason = (reason or str(error)).lower()
        raise UserError(path, f"cannot be read: {reason}", remedy) from None
    if len(data) != expected:
        found = "more" if len(data) > expected else str(_header(dims) + len(data))
        raise _wrong_size(path, found, shape, expected)
    return np.frombuffer(data, kind.dtype).reshape(shape)


def _wrong_size(path: Path, found: str, shape: tuple[int, ...], numbers: int) -> UserError:
    expected = _header(len(shape)) + numbers
    return UserError(
        path, f"has {found} bytes, expected {expected} for the shape {shape} in its header", AGAIN
    )


def _header(dims: int) -> int:
    """The bytes of a header."""
    return 4 + 4 * dims


def _shape(path: Path, head: bytes, dims: int, kind: Kind) -> tuple[int, ...]:
    """The shape that a header tells.

    Raises:
        UserError: it is no header of this kind, or one of an empty file.
    """
    if head[:4] != bytes([0, 0, kind.number, dims]):
        raise UserError(
            path,
            f"starts with {head[:4].hex(' ') or 'nothing'}, expected 00 00 {kind.number:02x} "
            f"{dims:02x} (IDX, {kind.name}, {dims} dimensions)",
            _way_there(head[:4], dims),
        )
    if len(head) < _header(dims):
        raise UserError(path, f"ends in its header, after {len(head)} bytes", AGAIN)
    shape: tuple[int, ...] = struct.unpack(f">{dims}I", head[4:])
    if 0 in shape:
        raise UserError(path, f"is empty: the shape in its header is {shape}", AGAIN)
    return shape


def _way_there(magic: bytes, dims: int) -> str:
    """What makes a file that starts with ``magic`` one of unsigned bytes, if that is known."""
    if magic[:2] == b"\x1f\x8b":
        return "it is packed by gzip: add .gz to its name"
    if magic[:2] == b"\0\0" and magic[2:3] in KINDS and len(magic) == 4:
        if magic[2] != KINDS[0]:
            return "store each pixel or label as one byte: pixels 0 to 255, 0 is background"
        if (dims, magic[3]) == (3, 4):
            return "give grey images, one byte a pixel"
        if (dims, magic[3]) in ((3, 1), (4, 1)):
            return "it holds labels: give the images"
        if (dims, magic[3]) in ((1, 3), (1, 4)):
            return "it holds images: give the labels"
    if magic:
        return "give an IDX file; lenet_export.idx.pack makes its bytes of a NumPy array of bytes"
    return AGAIN


def pack(values: UInt8) -> bytes:
    """The bytes of an IDX file that holds ``values``."""
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.tobytes()
