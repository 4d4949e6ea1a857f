"""Light, lines, noise and pens on training images."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lenet_train.augment import augment
from lenet_train.dirt import CHANGES, dirty
from lenet_train.recipes import PAPER, Augmentation, Dirt

ALL = dataclasses.replace(PAPER, share=1.0)


@pytest.fixture(scope="module")
def crosses():
    """Sixty images of two strokes, three pixels wide."""
    x = np.zeros((60, 28, 28, 1), np.float32)
    x[:, 13:16, 6:22] = x[:, 6:22, 13:16] = 1
    return jnp.asarray(x)


def changed(x, **amounts):
    return np.asarray(dirty(jax.random.key(0), x, Dirt(**{"share": 1.0} | amounts)))[..., 0]


@pytest.mark.parametrize("most", [Dirt(), Dirt(share=1.0), dataclasses.replace(ALL, share=0.0)])
def test_no_dirt_leaves_the_images_alone(most, crosses):
    np.testing.assert_array_equal(dirty(jax.random.key(0), crosses, most), crosses)


@pytest.mark.parametrize("name", CHANGES)
def test_each_kind_changes_each_image_its_own_way_between_paper_and_ink(name, crosses):
    y = changed(crosses, **{name: getattr(ALL, name)})
    assert y.shape == (60, 28, 28)
    assert np.isfinite(y).all() and y.min() >= 0 and y.max() <= 1
    # Next to nothing of a kind, such as a band beside the image, changes none.
    assert (np.abs(y - crosses[..., 0]).max((1, 2)) > 1e-3).mean() > 0.75
    assert len(np.unique(y.reshape(60, -1), axis=0)) > 45


def test_so_many_images_get_any(crosses):
    y = changed(crosses.repeat(10, 0), share=0.3, contrast=1.0)
    assert np.mean((y != crosses[0, ..., 0]).any((1, 2))) == pytest.approx(0.3, abs=0.06)


def test_an_image_gets_two_kinds_at_most():
    grey = jnp.full((400, 28, 28, 1), 0.5)
    y = changed(grey, contrast=1.0, noise=1e-6, specks=0.5)
    darker, noisy, specked = (
        np.median(y, (1, 2)) < 0.499,
        np.ptp(np.sort(y.reshape(400, -1), 1)[:, 400:420], 1) > 0,
        ((y == 0) | (y == 1)).any((1, 2)),
    )
    kinds = darker.astype(int) + noisy + specked
    assert kinds.max() == 2
    assert (kinds == 1).mean() > 0.2 and (kinds == 2).mean() > 0.2


def test_pens_are_wider_or_narrower(crosses):
    ink = changed(crosses, thickness=1.0).sum((1, 2)) / np.asarray(crosses[0]).sum()
    assert ink.min() < 0.7 and ink.max() > 1.4


def test_an_outline_is_around_the_stroke_and_not_in_it(crosses):
    y = changed(crosses, outline=1.0)
    strongest = y[np.argmin(y[:, 14, 14])]
    assert strongest[14, 14] < 0.1
    assert strongest[12, 7:12].min() > 0.9


def test_contrast_and_background_keep_the_stroke_lighter_than_the_paper(crosses):
    for name, most in (("contrast", 0.8), ("background", 0.65)):
        y = changed(crosses, **{name: most})
        assert (y[:, 14, 8:20].min(1) - y[:, 3:6, 3:6].max((1, 2)) > 0.1).all()


def test_a_band_wider_than_the_image_inverts_it(crosses):
    y = changed(crosses.repeat(5, 0), inversion=2.0)
    x = np.asarray(crosses[0, ..., 0])
    whole = (y == 1 - x).all((1, 2))
    part = (y == np.where(y == x, x, 1 - x)).all((1, 2)) & ~whole & (y != x).any((1, 2))
    assert whole.mean() > 0.05 and part.mean() > 0.2
    assert (whole | part | (y == x).all((1, 2))).all()


def test_augmentation_makes_images_dirty_and_less_of_it_fewer(crosses):
    most = Augmentation(dirt=dataclasses.replace(Dirt(share=0.8), contrast=1.0))
    assert most.times(0.5).dirt == Dirt(share=0.4, contrast=1.0)
    x = crosses.repeat(5, 0)
    for share, augmentation in ((0.8, most), (0.4, most.times(0.5))):
        y = np.asarray(augment(jax.random.key(0), x, augmentation))
        assert np.mean(y.max((1, 2, 3)) < 0.999) == pytest.approx(share, abs=0.08)
