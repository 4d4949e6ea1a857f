"""What is learned beside the data set: strangers, and digits printed, of other hands, cut out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lenet_export.errors import UserError
from lenet_train import beside, cli, data, glyphs, optdigits, pieces
from lenet_train.data import Examples
from lenet_train.recipes import FIELD, TEXTBOOK

BOTH = dataclasses.replace(TEXTBOOK, strangers=1.0, more_digits=2.0)


@pytest.fixture(scope="module")
def digits():
    """Written ones: UCI's, framed as MNIST's are."""
    small, labels = optdigits.load()
    large = small[:200].repeat(4, 1).repeat(4, 2) * (255 / 16)
    images = np.stack([glyphs.framed(ink) for ink in large.astype(np.uint8)])
    return Examples(images, labels[:200])


@pytest.fixture(scope="module")
def blanks():
    return Examples(np.zeros((3, 28, 28), np.uint8), np.arange(3, dtype=np.uint8))


def test_they_stand_behind_the_examples_strangers_as_a_class_of_their_own(digits):
    few = Examples(digits.images[:3], digits.labels[:3])
    hard = beside.beside(few, BOTH, 0)
    np.testing.assert_array_equal(hard.images[:3], few.images)
    np.testing.assert_array_equal(hard.labels[:6], [*few.labels, 10, 10, 10])
    assert hard.images.shape == (12, 28, 28) and hard.labels[6:].max() < 10
    said = np.full((3, 10), 0.1, np.float32)
    said[[0, 1, 2], few.labels] += 0.1
    soft = beside.beside(Examples(few.images, said), BOTH, 0)
    np.testing.assert_array_equal(soft.images, hard.images)
    np.testing.assert_array_equal(soft.labels[:3], np.pad(said, ((0, 0), (0, 1))))
    np.testing.assert_array_equal(soft.labels[3:], np.eye(11)[hard.labels[3:]])


def test_digits_alone_need_no_output_for_none(digits):
    recipe = dataclasses.replace(BOTH, strangers=0.0)
    soft = Examples(digits.images[:3], np.eye(10, dtype=np.float32)[digits.labels[:3]])
    for given, shape in ((Examples(digits.images[:3], digits.labels[:3]), (9,)), (soft, (9, 10))):
        assert beside.beside(given, recipe, 0).labels.shape == shape


def test_the_same_seed_draws_the_same(digits):
    made = [beside.make(np.random.RandomState(seed), 30, digits) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(made[0].images, made[1].images)
    np.testing.assert_array_equal(made[0].labels, made[1].labels)
    assert (made[0].images != made[2].images).any()


@pytest.mark.parametrize("kind", [beside._printed, beside._written])
def test_each_digit_is_drawn_many_ways_and_framed_as_mnist_s(kind, digits):
    random = np.random.RandomState(0)
    drawn = [kind(random, digits) for _ in range(150)]
    assert {label for _, label in drawn} == set(range(10))
    images = np.stack([image for image, _ in drawn])
    assert len(np.unique(images.reshape(150, -1), axis=0)) > 145
    rows, columns = (images.any(axis).sum(1) for axis in (2, 1))
    assert (np.maximum(rows, columns) <= 20).all() and (images.max((1, 2)) == 255).all()


def test_every_table_of_strokes_is_of_points_in_its_grid():
    assert sorted(beside.STROKES) == list(range(10))
    for strokes in beside.STROKES.values():
        for at in " ".join(strokes).replace("|", " ").split():
            assert len(at) == 2 and set(at) <= set("012345678")


def test_a_digit_that_is_cut_out_of_a_line_is_that_digit(digits):
    """Nearly: its image is most like one of the line's digits with its label."""
    random = np.random.RandomState(1)
    cut = [pieces.draw(random, digits, of_digit=True) for _ in range(25)]
    known = digits.images.reshape(200, -1).astype(float)
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    same = 0
    for image, label in cut:
        like = known @ (image.reshape(-1) / np.linalg.norm(image.astype(float)))
        same += digits.labels[like.argmax()] == label
    assert same >= 23


def test_what_is_no_digit_has_parts_of_two_or_a_part_of_one(digits):
    random = np.random.RandomState(2)
    drawn = [pieces.draw(random, digits, of_digit=False) for _ in range(25)]
    assert {piece.label for piece in drawn} == {10}
    assert all(piece.image.shape == (28, 28) and piece.image.any() for piece in drawn)


def test_of_images_without_ink_there_are_no_pieces_but_there_is_an_end(blanks):
    random = np.random.RandomState(0)
    assert pieces.draw(random, blanks, of_digit=True) is None
    assert pieces.draw(random, blanks, of_digit=False) is None
    made = beside.beside(blanks, BOTH, 0)
    assert len(made.labels) == 12


def test_clothes_are_not_learned_beside_digits(tmp_path, capsys):
    assert "fashion-mnist" in data.SOURCES
    command = ["--dataset", "fashion-mnist", "--recipe", "field", "--out", str(tmp_path / "out")]
    assert cli.main(command) == 1
    told = capsys.readouterr().err
    assert "--dataset fashion-mnist" in told and "--set more_digits=0" in told
    assert not (tmp_path / "out").exists()


def test_letters_and_larger_digits_get_no_digits_beside_them():
    part = data.Examples(np.zeros((2, 28, 28), np.uint8), np.zeros(2, np.uint8))
    wide = data.Examples(np.zeros((2, 28, 32), np.uint8), np.zeros(2, np.uint8))
    data.check_beside(FIELD, "own", data.Dataset("own", part, part, part))
    for images in (
        data.Dataset("own", wide, wide, wide),
        data.Dataset("own", part, part, part, tuple("ABCDEFGHIJ")),
        data.Dataset("own", part, part, part, tuple("0123456")),
    ):
        with pytest.raises(UserError, match="more_digits=0 --set strangers=0"):
            data.check_beside(FIELD, "own", images)
