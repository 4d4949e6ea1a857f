"""Learning from teachers: what larger networks say of an image, beside its label.

Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015. Teacher and
student have to see the same pixels (Beyer et al., "Knowledge Distillation: A Good Teacher is
Patient and Consistent", CVPR 2022). So the teachers look once at a few augmented copies of the
training images, and the student learns from these copies alone: a wide teacher takes longer for an
image than the student's whole step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from lenet_export.checkpoint import Model
from lenet_export.flax_network import run_floats
from lenet_train.augment import augment
from lenet_train.data import Examples, UInt8
from lenet_train.loop import EVALUATION_BATCH, to_input
from lenet_train.recipes import Augmentation, Distillation


def lessons(
    teachers: Sequence[Model],
    training: Examples,
    how: Distillation,
    augmentation: Augmentation | None,
    seed: int,
) -> Examples:
    """What a student learns from.

    Args:
        teachers: whose log probabilities are averaged.
        training: the images and their labels.
        how: to mix labels and teachers, and how many copies to make.
        augmentation: of each copy; ``None`` leaves the images alone.
        seed: of the augmentation.

    Returns:
        ``how.copies`` times the images, changed, one copy of all after the other; for labels the
        probability of each class, float32 ``(images, classes)``.
    """
    key = jax.random.fold_in(jax.random.key(seed), 1)
    images = np.concatenate(list(_changed(key, training.images, how.copies, augmentation)))
    said = sum(log_probabilities(teacher, images) for teacher in teachers) / len(teachers)
    soft = np.asarray(jax.nn.softmax(said / how.temperature))
    hard = np.eye(soft.shape[1], dtype=np.float32)[np.tile(training.labels, how.copies)]
    return Examples(images, how.weight * soft + (1 - how.weight) * hard)


def log_probabilities(model: Model, images: UInt8) -> jax.Array:
    """What ``model`` says of images uint8 ``(n, 28, 28)``, float32 ``(n, classes)``."""
    logits = run_floats(model, images[..., None])[model.stages[-1].name]
    return jax.nn.log_softmax(jnp.asarray(logits))


def _changed(
    key: jax.Array, images: UInt8, copies: int, augmentation: Augmentation | None
) -> Iterator[UInt8]:
    """Batch after batch of the copies, in bytes, as a camera would give them."""

    @jax.jit
    def change(key: jax.Array, batch: jax.Array) -> jax.Array:
        x = augment(key, to_input(batch), augmentation) if augmentation else to_input(batch)
        return jnp.round(x[..., 0] * 255).astype(jnp.uint8)

    for copy in range(copies):
        for first in range(0, len(images), EVALUATION_BATCH):
            batch_key = jax.random.fold_in(key, copy * len(images) + first)
            yield np.asarray(change(batch_key, images[first : first + EVALUATION_BATCH]))
