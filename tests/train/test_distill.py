"""What a student learns from its teachers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lenet_export.checkpoint import Model, Stage
from lenet_export.float_network import run_logits
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
    z = [run_logits(model, images[..., None]) / temperature for model in models]
    return np.mean([jax.nn.softmax(jnp.asarray(part)) for part in z], axis=0)


def refined(training, *, teachers=(1,), seed=0, augmentation=SHIFTS, **how):
    judges = [teacher(number) for number in teachers]
    return distill.refined_labels(judges, training, Distillation(**how), augmentation, seed)


def test_the_teachers_count_alike_and_the_temperature_divides_their_logits(training):
    found = refined(training, teachers=(1, 2), augmentation=None, weight=1.0, temperature=3.0)
    expected = says([teacher(1), teacher(2)], training.images, 3.0)
    np.testing.assert_allclose(found.labels, expected, atol=1e-5)
    assert found.labels.dtype == np.float32


def test_the_label_counts_what_the_teachers_leave(training):
    none, some, all_ = (refined(training, weight=weight).labels for weight in (0.0, 0.25, 1.0))
    np.testing.assert_array_equal(none, np.eye(10)[training.labels])
    np.testing.assert_allclose(some, 0.75 * none + 0.25 * all_, atol=1e-6)


def test_the_teachers_see_changed_copies_and_the_student_the_images(training):
    plain = refined(training, augmentation=None, copies=1)
    one, two = (refined(training, copies=copies) for copies in (1, 2))
    np.testing.assert_array_equal(two.images, training.images)
    assert (one.labels != plain.labels).any()
    assert (two.labels != one.labels).any()
    # One teacher's mean over two copies, of which the first is the one above.
    second = 2 * two.labels - one.labels
    np.testing.assert_allclose(second.sum(1), 1, atol=1e-5)
    assert second.min() > -1e-5


def test_the_seed_tells_the_copies_and_nothing_else_does(training):
    labels = [refined(training, seed=seed).labels for seed in (0, 0, 1)]
    np.testing.assert_array_equal(labels[0], labels[1])
    assert (labels[0] != labels[2]).any()


def test_a_certain_probability_is_a_label():
    z = jax.random.normal(jax.random.key(0), (20, 10))
    labels = jnp.arange(20, dtype=jnp.uint8) % 10
    certain = jax.nn.one_hot(labels, 10)
    np.testing.assert_allclose(
        loop.cross_entropy(z, certain), loop.cross_entropy(z, labels), rtol=1e-5
    )
    np.testing.assert_array_equal(loop.is_right(z, certain), loop.is_right(z, labels))
