"""The limits of ink are those of the training images, whatever these are."""

from __future__ import annotations

import numpy as np
import pytest

from lenet_export.errors import UserError
from lenet_export.ink import SHARES, Ink


def strokes(shape, count=3000, seed=0, border=0):
    """Images of random ink, darker ones and lighter ones, none of it in the border."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *shape)) * (rng.random((count, *shape)) < 0.3)
    mask = np.zeros(shape)
    mask[border : shape[0] - border, border : shape[1] - border] = 1
    return (images * mask).astype(np.uint8)


def test_an_image_is_within_where_each_number_is_within_its_limit():
    ink = Ink(1, least=300, most=1000, share=64, peak=200)
    image = np.zeros((5, 5, 1), np.uint8)
    image[2, 2] = 200

    def holds(*changes):
        other = image.copy()
        for row, column, value in changes:
            other[row, column] = value
        return bool(ink.holds(other[None])[0])

    assert not holds()  # 200 in all
    assert not holds((2, 1, 99))
    assert holds((2, 1, 100))
    assert not holds((2, 1, 199), (2, 2, 199))  # none is 200
    assert holds((2, 1, 255), (2, 3, 255), (3, 1, 255), (2, 2, 235))
    assert not holds((2, 1, 255), (2, 3, 255), (3, 1, 255), (2, 2, 236))  # 1001
    assert holds((2, 1, 247), (0, 0, 64))  # of 511, of which 256 count
    assert not holds((2, 1, 246), (4, 2, 65))
    assert holds((2, 1, 184), (0, 4, 128))  # of 512


def test_one_image_in_2000_may_lie_beyond_a_limit():
    images = np.zeros((8000, 16, 8, 2), np.uint8)
    images[:, 8, 4, 0] = 250
    images[:, 8, 4, 1] = np.arange(8000) % 200
    images[:3, 8, 4] = 1  # 1 in 2,000: faint
    images[3:6, 0, 0] = 255  # all else of their ink is in the border
    ink = Ink.measure(images, images[:2000])
    assert (ink.border, ink.least, ink.peak, ink.share) == (1, 250, 250, 0)
    assert ink.most <= 250 + 199
    assert (~ink.holds(images)).sum() == 6
    assert (ink.images, ink.outside) == (2000, 6)


def test_few_images_set_the_limits_themselves():
    images = strokes((8, 12, 3), count=20)
    ink = Ink.measure(images)
    assert ink.holds(images).all()
    assert (ink.border, ink.images, ink.outside) == (1, 0, 0)


@pytest.mark.parametrize(
    ("shape", "border"),
    [((28, 28, 1), 3), ((4, 5, 1), 0), ((300, 2, 1), 0), ((22, 17, 2), 2), ((1, 1, 1), 0)],
)
def test_images_of_any_shape_hold_their_own_kind(shape, border):
    ink = Ink.measure(strokes(shape), strokes(shape, 1000, seed=1))
    assert ink.border == border
    assert ink.outside <= 8
    assert ink.holds(strokes(shape, 1000, seed=2)).mean() > 0.99


def test_a_limit_that_tells_nothing_is_none():
    """Clothes reach the border, blank images are a class, faint ones too: none is refused."""
    images = np.zeros((3000, 28, 28, 1), np.uint8)
    images[1000:, :, :2] = np.arange(2000).reshape(-1, 1, 1, 1) % 256
    ink = Ink.measure(images)
    assert (ink.least, ink.share, ink.peak) == (0, SHARES, 0)
    assert ink.holds(images).mean() >= 0.9995


def test_images_without_a_border_have_no_share_of_it():
    assert Ink.measure(strokes((28, 28, 1), border=3)).share == 0
    assert Ink.measure(strokes((4, 5, 1))).share == SHARES


def test_images_whose_sum_may_exceed_32_bits_are_refused():
    wide = np.broadcast_to(np.uint8(9), (1, 2**13, 2**11 + 1, 1))
    with pytest.raises(UserError, match="of 16,777,216 bytes at most"):
        Ink.measure(wide)
    with pytest.raises(UserError, match="give one image at least"):
        Ink.measure(np.zeros((0, 28, 28, 1), np.uint8))
