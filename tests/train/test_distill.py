"""What a student learns from its teachers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lenet_export.checkpoint import Model, Stage
from lenet_export.flax_network import run_floats
from lenet_train import distill, loop
from lenet_train.data import Examples
from lenet_train.recipes import Augmentation, Distillation

SHIFTS = Augmentation(0, 0, 0, 2)


def teacher(seed):
    random = np.random.RandomState(seed)
    params = {"fc1/kernel": random.normal(0, 1, (784, 10)), "fc1/bias": random.normal(0, 1, 10)}
    stages = (Stage("fc1", "dense", 10),)
    return Model((28, 28, 1), stages, {k: v.astype(np.float32) for k, v in params.items()})


@pytest.fixture
def training():
    random = np.random.RandomState(0)
    images = random.randint(0, 256, (30, 28, 28)).astype(np.uint8)
    return Examples(images, random.randint(0, 10, 30).astype(np.uint8))


def says(models, images, temperature):
    z = [run_floats(model, images[..., None])["fc1"] for model in models]
    return jax.nn.softmax(sum(map(jax.nn.log_softmax, z)) / len(z) / temperature)


def test_teachers_and_student_see_the_same_bytes(training):
    how = Distillation(copies=2, weight=1.0, temperature=3.0)
    teachers = [teacher(1), teacher(2)]
    lessons = distill.lessons(teachers, training, how, SHIFTS, seed=0)
    assert lessons.images.dtype == np.uint8
    np.testing.assert_allclose(lessons.labels, says(teachers, lessons.images, 3.0), atol=1e-5)


def test_the_label_counts_what_the_teachers_leave(training):
    labels = [
        distill.lessons([teacher(1)], training, Distillation(1, weight, 2.0), SHIFTS, 0).labels
        for weight in (0.0, 0.25, 1.0)
    ]
    np.testing.assert_array_equal(labels[0], np.eye(10)[training.labels])
    np.testing.assert_allclose(labels[1], 0.75 * labels[0] + 0.25 * labels[2], atol=1e-6)


def test_each_copy_is_changed_its_own_way_and_keeps_its_labels(training):
    how = Distillation(copies=3, weight=0.0)
    lessons = distill.lessons([teacher(1)], training, how, SHIFTS, seed=0)
    copies = lessons.images.reshape(3, 30, 28, 28)
    assert not (copies[0] == copies[1]).all((1, 2)).any()
    assert not (copies[0] == training.images).all((1, 2)).any()
    np.testing.assert_array_equal(lessons.labels.argmax(1), np.tile(training.labels, 3))


def test_the_seed_tells_the_copies_and_nothing_else_does(training):
    images = [
        distill.lessons([teacher(1)], training, Distillation(), SHIFTS, seed).images
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(images[0], images[1])
    assert (images[0] != images[2]).any()


def test_without_augmentation_a_copy_is_the_images(training):
    lessons = distill.lessons([teacher(1)], training, Distillation(copies=1), None, 0)
    np.testing.assert_array_equal(lessons.images, training.images)


def test_a_certain_probability_is_a_label():
    z = jax.random.normal(jax.random.key(0), (20, 10))
    labels = jnp.arange(20, dtype=jnp.uint8) % 10
    certain = jax.nn.one_hot(labels, 10)
    np.testing.assert_allclose(
        loop.cross_entropy(z, certain), loop.cross_entropy(z, labels), rtol=1e-5
    )
    np.testing.assert_array_equal(loop.is_right(z, certain), loop.is_right(z, labels))
