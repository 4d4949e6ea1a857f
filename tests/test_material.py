"""The test material is what its document says, and is that of its seed."""

from __future__ import annotations

import numpy as np
import pytest

from lenet_train import data
from material import amounts, corruptions, digits, fonts, scenes, strangers
from material.filters import blur, box_of, framed, sample

IMAGES = np.zeros((6, 28, 28), np.uint8)
IMAGES[:, 6:22, 10:18] = [[[120]], [[255]], [[80]], [[255]], [[200]], [[255]]]
SEEDED = set(corruptions.CORRUPTIONS) - {"scale", "brightness", "stripe", "canny_edges"}


def test_mnist_c_has_its_fifteen():
    assert len(corruptions.CORRUPTIONS) == 15


@pytest.mark.parametrize("name", corruptions.CORRUPTIONS)
def test_a_corruption_changes_each_image_and_is_that_of_its_seed(name):
    before = IMAGES.copy()
    made = corruptions.corrupt(IMAGES, name, 1)
    assert (made.shape, made.dtype) == (IMAGES.shape, np.uint8)
    assert (made != IMAGES).any((1, 2)).all()
    assert (before == IMAGES).all()
    assert (corruptions.corrupt(IMAGES, name, 1) == made).all()
    assert (corruptions.corrupt(IMAGES, name, 2) != made).any() == (name in SEEDED)


def test_brightness_adds_half_of_white():
    made = corruptions.corrupt(IMAGES, "brightness", 1)
    assert (made == np.minimum(np.round(IMAGES + 127.5), 255)).all()


def test_stripe_inverts_all_but_the_middle_half():
    made = corruptions.corrupt(IMAGES, "stripe", 1)
    assert (made[..., 7:21] == IMAGES[..., 7:21]).all()
    assert (made[..., :7] == 255 - IMAGES[..., :7]).all()
    assert (made[..., 21:] == 255 - IMAGES[..., 21:]).all()


def test_translate_moves_by_three_pixels_each_way():
    many = np.repeat(IMAGES[:1], 40, axis=0)
    made = corruptions.corrupt(many, "translate", 1)
    ways = {
        (down, right): np.roll(IMAGES[0], (down, right), (0, 1))
        for down in (-3, 3)
        for right in (-3, 3)
    }
    seen = {way for image in made for way, moved in ways.items() if (image == moved).all()}
    assert seen == set(ways)
    assert all(any((image == moved).all() for moved in ways.values()) for image in made)


def test_a_turn_by_nothing_keeps_and_by_a_quarter_turns():
    image = np.arange(28 * 28).reshape(1, 28, 28) / 784
    assert corruptions.rotated(image, np.zeros(1)) == pytest.approx(image)
    quarter = corruptions.rotated(image, np.array([np.pi / 2]))
    assert quarter == pytest.approx(np.rot90(image, 1, (1, 2)), abs=1e-9)


def test_scale_makes_a_bar_seven_tenths_as_long():
    made = corruptions.corrupt(IMAGES[1:2], "scale", 1)[0]
    assert int(made.sum()) == pytest.approx(0.49 * int(IMAGES[1].sum()), rel=0.07)
    assert box_of(made, 127) == (8, 11, 20, 17)  # 11.2 by 5.6 pixels


def test_impulses_hit_one_pixel_of_six():
    grey = np.full((50, 28, 28), 100, np.uint8)
    made = corruptions.corrupt(grey, "impulse_noise", 1)
    assert set(np.unique(made)) == {0, 100, 255}
    assert (made == 255).mean() == pytest.approx(0.085, abs=0.005)
    assert (made == 0).mean() == pytest.approx(0.085, abs=0.005)


def test_shot_noise_counts_three_photons():
    made = corruptions.corrupt(np.full((20, 28, 28), 255, np.uint8), "shot_noise", 1)
    assert set(np.unique(made)) == {0, 85, 170, 255}
    assert (made == 0).mean() == pytest.approx(np.exp(-3), abs=0.01)


def test_edges_are_black_and_white_around_a_bar():
    bar = IMAGES[1:2].copy()
    bar[:, 6:22, [9, 18]] = 150  # a step between two pixels is as steep on both
    made = corruptions.corrupt(bar, "canny_edges", 1)[0]
    assert set(np.unique(made)) == {0, 255}
    assert not made[9:19, 12:16].any()
    assert (made[9:19].astype(bool).sum(1) == 2).all()


def test_motion_blur_keeps_the_ink_of_what_is_far_from_the_border():
    dot = np.zeros((1, 28, 28), np.uint8)
    dot[0, 14, 20] = 255
    made = corruptions.corrupt(dot, "motion_blur", 1)
    assert int(made.sum()) == pytest.approx(255, abs=12)
    assert 3 < (made > 0).sum() < 15


def test_a_sample_between_four_pixels_is_their_mean_and_outside_is_nothing():
    image = np.arange(4.0).reshape(1, 2, 2)
    assert sample(image, np.array([[[0.5]]]), np.array([[[0.5]]])) == 1.5
    assert sample(image, np.array([[[9.0]]]), np.array([[[0.0]]])) == 0


def test_a_blur_along_the_columns_alone_keeps_what_each_of_them_has_throughout():
    columns = np.tile(np.random.default_rng(1).random(28), (1, 28, 1))
    assert blur(columns, 0.7, axes=(-2,)) == pytest.approx(columns)
    spread = blur(np.eye(9)[None, 4:5].repeat(9, 1), 1.0)
    assert spread.sum(2) == pytest.approx(np.ones((1, 9)), abs=1e-3)
    assert spread[0, 0, 3] / spread[0, 0, 4] == pytest.approx(np.exp(-0.5))


def test_what_is_framed_has_the_box_the_centre_and_the_strength_of_mnist():
    ink = np.zeros((90, 120), np.uint8)
    ink[10:70, 50:70] = 90
    image = framed(ink)
    top, left, bottom, right = box_of(image)
    assert (bottom - top, image.max()) == (20, 255)
    assert ((top + bottom) / 2, (left + right) / 2) == pytest.approx((14, 14), abs=0.5)
    assert not framed(np.zeros((9, 9), np.uint8)).any()


def test_the_fonts_are_not_those_of_training_and_can_draw_what_is_drawn():
    assert not [font for font in fonts.FONTS if "DejaVu" in font]
    letters = strangers.LIKE_DIGITS + strangers.UNLIKE_DIGITS + "0123456789"
    for font in fonts.FONTS:
        unknown = fonts.drawn("\ufffe", font, 40)
        seen = [fonts.drawn(letter, font, 40) for letter in letters]
        assert all(ink.any() for ink in seen)
        assert not [ink for ink in seen if np.array_equal(ink, unknown)]
    assert not set(strangers.LIKE_DIGITS) & set(strangers.UNLIKE_DIGITS)


def test_the_writers_of_test_and_validation_are_others_and_the_digits_lenet_trains(written):
    held = digits.load("validation")
    assert not set(written.writers) & set(held.writers)
    assert (held.images == data.load("mnist").validation.images).all()
    assert (held.labels == data.load("mnist").validation.labels).all()


def test_an_amount_is_by_one_writer_and_follows_benford(written):
    made = amounts.cut(written, 2000, 1)
    assert all(len(set(written.writers[places])) == 1 for places in made)
    assert {len(places) for places in made} == {3, 4, 5, 6, 7}
    first = np.bincount([written.labels[places[0]] for places in made], minlength=10) / len(made)
    assert first[0] == 0
    assert first[1:] == pytest.approx(np.log10(1 + 1 / np.arange(1, 10)), abs=0.04)
    assert amounts.cut(written, 50, 1) == made[:50] != amounts.cut(written, 50, 2)


def test_a_zip_code_is_by_one_writer_and_has_all_digits_as_often(written):
    made = amounts.zip_codes(written, 1000, 1)
    assert all(len(set(written.writers[places])) == 1 for places in made)
    assert np.shape(made) == (1000, 5)
    share = np.bincount(written.labels[np.array(made).ravel()], minlength=10) / 5000
    assert share == pytest.approx(np.full(10, 0.1), abs=0.02)
    assert amounts.zip_codes(written, 1000, 1) == made != amounts.zip_codes(written, 1000, 2)


def test_students_and_employees_are_others_and_half_of_the_digits_each(written):
    is_student = written.series == digits.STUDENTS
    assert is_student.sum() == 5001
    assert not set(written.writers[is_student]) & set(written.writers[~is_student])


@pytest.mark.parametrize("spacing", amounts.SPACINGS)
def test_a_line_is_its_amount_and_its_boxes_stand_from_left_to_right(by_five, spacing):
    made = amounts.lines(by_five, spacing, 20, 1)
    again = amounts.lines(by_five, spacing, 20, 1)
    for line, same in zip(made, again, strict=True):
        assert (line.picture == same.picture).all()
        assert len(line.text) == len(line.boxes)
        assert line.picture.shape[0] == amounts.ROWS
        lefts = [box[1] for box in line.boxes]
        assert lefts == sorted(lefts)
        assert line.writer in by_five.writers


def test_spaced_digits_have_paper_between_them_and_touching_ones_do_not(by_five):
    def gaps(spacing):
        rng = np.random.default_rng(1)
        return [amounts._gap(spacing, rng) for _ in range(1000)]

    assert (min(gaps("spaced")), max(gaps("spaced"))) == (3, 9)
    assert (min(gaps("near")), max(gaps("near"))) == (0, 4)
    assert (min(gaps("touching")), max(gaps("touching"))) == (-4, 2)
    assert np.mean(np.array(gaps("mix")) > 3) == pytest.approx(0.82 * 6 / 7, abs=0.04)
    widths = [
        np.mean(
            [line.picture.shape[1] / len(line.text) for line in amounts.lines(by_five, kind, 40, 3)]
        )
        for kind in ("touching", "near", "spaced")
    ]
    assert widths == sorted(widths)


def test_a_ruled_line_crosses_the_whole_picture(by_five):
    (plain,) = amounts.lines(by_five, "spaced", 1, 1)
    (ruled,) = amounts.lines(by_five, "spaced", 1, 1, ruled=1.0)
    assert len(ruled.text) == len(plain.text)
    paper = np.median(ruled.picture)
    assert (np.abs(ruled.picture[52].astype(int) - paper) > 10).all()
    assert not (np.abs(plain.picture[52].astype(int) - np.median(plain.picture)) > 10).all()


@pytest.mark.parametrize("kind", scenes.LIGHTS)
def test_scenes_have_their_sizes_and_are_those_of_their_seed(by_five, kind):
    made, again = (scenes.make(by_five, kind, 25, 1) for _ in range(2))
    for scene, same in zip(made, again, strict=True):
        assert (scene.picture == same.picture).all()
        rows, columns = scene.picture.shape
        assert 64 <= rows <= 240
        assert 64 <= columns <= 320
    assert {scene.is_dark for scene in made} == {False, True}
    other = scenes.make(by_five, kind, 25, 2)
    assert [scene.box for scene in made] != [scene.box for scene in other]


def test_the_box_of_a_flat_scene_holds_its_ink(by_five):
    for scene in (
        scenes.make(by_five, "flat", 60, 1) + scenes.printed(1, (24,)) + scenes.eights()[:60]
    ):
        top, left, bottom, right = scene.box
        ground = np.median(scene.picture) if scene.picture.shape[0] > 12 else 0
        far = np.abs(scene.picture.astype(int) - ground)
        inside = far[top:bottom, left:right].max()
        far[top:bottom, left:right] = 0
        assert far.max() < 0.4 * inside
        is_ink_dark = scene.picture[top:bottom, left:right].mean() < ground
        assert is_ink_dark == scene.is_dark


def test_strangers_are_what_their_kind_says_and_are_those_of_their_seed(by_five):
    made, again = (strangers.make(by_five, 5, 1) for _ in range(2))
    for kind, images in made.items():
        assert images.shape[1:] == (28, 28)
        assert images.dtype == np.uint8
        assert (images == again[kind]).all()
    assert not made["the empty image"].any()
    assert len(made["flat greys"]) == 255
    assert (made["flat greys"] == made["flat greys"][:, :1, :1]).all()
    for kind in ("letters unlike digits", "letters like digits", "two digits", "scribbles"):
        for image in made[kind]:
            top, left, bottom, right = box_of(image)
            assert max(bottom - top, right - left) == 20


def test_an_amount_that_no_writer_can_write_is_told(by_five):
    zeros = by_five[by_five.labels == 0]
    with pytest.raises(ValueError, match="no writer has all digits of"):
        amounts.cut(zeros, 1, 1)
