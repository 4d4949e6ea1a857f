"""IDX files: what a header claims is compared with the file before anything is made of it."""

from __future__ import annotations

import gzip
import struct
import tracemalloc

import numpy as np
import pytest

from lenet_export import idx
from lenet_export.errors import UserError

HUGE = 2**32 - 1
IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)


def claiming(*shape, content=b""):
    """A file whose header claims a shape."""
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + content


@pytest.fixture(params=["plain", "gz"])
def written(request, tmp_path):
    """A function that writes a file, packed or not, and gives its path."""

    def write(data):
        path = tmp_path / ("images" + ".gz" * (request.param == "gz"))
        path.write_bytes(gzip.compress(data) if request.param == "gz" else data)
        return path

    return write


def test_what_was_packed_is_read(written):
    path = written(idx.pack(IMAGES))
    assert (idx.read(path, 3) == IMAGES).all()
    assert (idx.read(path, 3, (4, 3)) == IMAGES).all()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "starts with nothing"),
        (claiming(5, 4, 3)[:15], "ends in its header, after 15 bytes"),
        (claiming(5), "starts with 00 00 08 01, expected 00 00 08 03.*\n.*give the images"),
        (b"P5 28 28 255", "starts with 50 35 20 32.*\n  give an IDX file"),
        (claiming(5, 4), "starts with 00 00 08 02, expected 00 00 08 03"),
        (claiming(0, HUGE, HUGE), r"is empty: the shape in its header is \(0, 4294967295, "),
        (claiming(HUGE, HUGE, 0), "is empty"),
        (claiming(0, 4, 3), "is empty"),
        (claiming(HUGE, HUGE, HUGE), "has .* bytes, expected 79228162458924105385300197391"),
        (claiming(1, 2**20, 2**20, content=b"x" * 99), "expected 1099511627792 for the shape"),
        (claiming(5, 4, 3, content=b"x" * 59), "has 75 bytes, expected 76 for"),
        (claiming(5, 4, 3, content=b"x" * 61), "has (77|more) bytes, expected 76 for"),
    ],
)
def test_a_header_that_does_not_fit_the_file_is_told(data, says, written):
    with pytest.raises(UserError, match=says):
        idx.read(written(data), 3)


def test_a_file_that_unpacks_to_much_more_than_it_claims_is_told_at_once(tmp_path):
    path = tmp_path / "images.GZ"
    path.write_bytes(gzip.compress(claiming(5, 4, 3) + bytes(300_000_000), compresslevel=9))
    assert path.stat().st_size < 300_000
    tracemalloc.start()
    with pytest.raises(UserError, match="has more bytes, expected 76"):
        idx.read(path, 3)
    assert tracemalloc.get_traced_memory()[1] < 3_000_000
    tracemalloc.stop()


def test_images_of_another_size_are_told_before_they_are_unpacked(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(claiming(1, 10_000, 20_000) + bytes(200_000_000)))
    tracemalloc.start()
    with pytest.raises(UserError, match="has images of 10000x20000, expected 28x28"):
        idx.read(path, 3, (28, 28))
    assert tracemalloc.get_traced_memory()[1] < 3_000_000
    tracemalloc.stop()


def test_the_densest_file_that_gzip_makes_is_read(tmp_path):
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(claiming(20_000_000) + bytes(20_000_000), compresslevel=9))
    assert path.stat().st_size > 20_000_000 / idx.LARGEST_RATIO
    assert idx.read(path, 1).shape == (20_000_000,)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-4], lambda data: data[:30], lambda data: data[:-8] + bytes(8)]
)
def test_a_damaged_packed_file_is_told(damage, tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(damage(gzip.compress(idx.pack(IMAGES))))
    with pytest.raises(UserError, match="cannot be read"):
        idx.read(path, 3)
