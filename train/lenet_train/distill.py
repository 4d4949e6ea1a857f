"""Learning from teachers: what larger networks say of an image, beside its label.

Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015. A wide teacher
takes three times as long for an image as the student's whole step, so that it is not asked at each
step. It looks once at a few augmented copies of each training image, and what it says of them on
average is the image's label from then on (Bagherinezhad, Horton, Rastegari, Farhadi, "Label
Refinery: Improving ImageNet Classification through Label Progression", 2018).
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from lenet_export.checkpoint import Float32, Model
from lenet_export.float_network import run_logits
from lenet_train.augment import copy
from lenet_train.data import Examples, UInt8
from lenet_train.recipes import Augmentation, Distillation


def refined_labels(
    teachers: Sequence[Model],
    training: Examples,
    how: Distillation,
    augmentation: Augmentation | None,
    seed: int,
) -> Examples:
    """The training images with probabilities for labels, float32 ``(images, classes)``.

    Args:
        teachers: who count alike.
        training: the images and their labels.
        how: to mix labels and teachers, and how many copies to show them.
        augmentation: of each copy; ``None`` leaves the images alone.
        seed: of the augmentation.
    """
    key = jax.random.fold_in(jax.random.key(seed), 1)
    said = [
        probabilities(teacher, changed, how.temperature)
        for number in range(how.copies)
        for changed in [copy(jax.random.fold_in(key, number), training.images, augmentation)]
        for teacher in teachers
    ]
    soft = np.mean(said, axis=0)
    hard = np.eye(soft.shape[1], dtype=np.float32)[training.labels]
    return Examples(training.images, how.weight * soft + (1 - how.weight) * hard)


def probabilities(model: Model, images: UInt8, temperature: float) -> Float32:
    """What ``model`` says of uint8 ``(n, rows, columns)``, of its classes: ``(n, classes)``."""
    logits = run_logits(model, images[..., None])[:, : model.classes]
    return np.asarray(jax.nn.softmax(jnp.asarray(logits) / temperature))
