"""Whether a network is given its images in the scale that it was trained on: labels tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export.checkpoint import Model
from lenet_export.gap_table import classes_of
from lenet_export.reference import Images
from lenet_export.verdict import MANY, WORSE, surely_above

TRIED = 1000  # of the images
#: Scales that are often met, as ``(bytes / 255 - mean) / std``.
SCALES = {
    "as bytes / 255": (0.0, 1.0),
    "from -1 to 1": (0.5, 0.5),
    "by MNIST's mean and deviation": (0.1307, 0.3081),
    "as bytes from 0 to 255": (0.0, 1 / 255),
    "inverted": (1.0, -1.0),
}


def doubt(
    model: Model, mean: Any, std: Any, images: Images, labels: npt.NDArray[Any]
) -> tuple[str, ...]:
    """What is told of a network that reads its images far better in another scale; or nothing.

    Args:
        model: as it was read.
        mean: of the scale that it is given them in.
        std: likewise; a number, or one for each channel.
        images: uint8, laid out as the model reads them.
        labels: their classes.
    """
    from lenet_export import float_network  # takes JAX, which is slow to import

    images, labels = images[:TRIED], labels[:TRIED]
    if len(images) < MANY:
        return ()
    mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    own = float(images.mean()) / 255, float(images.std()) / 255
    scales = {**SCALES, "by their own mean and deviation": own}
    # Bytes that give in the scale that is said what the bytes give in another one.
    lines = [(std / s, 255 * (mean - m * std / s)) for m, s in [(mean, std), *scales.values()]]
    logits = float_network.run_scaled(model, images, lines)
    right = [int((classes_of(of, model.none_output) == labels).sum()) for of in logits]
    said, tried = right[0], right[1:]
    # Of those that are as good the first, which is met more often.
    best = next(n for n, of in enumerate(tried) if of >= max(tried) - WORSE * len(images))
    chance = surely_above(1 / model.classes, len(images))
    if tried[best] <= chance or tried[best] - said <= surely_above(WORSE, len(images)):
        return ()
    name, (best_mean, best_std) = list(scales.items())[best]
    return (
        f"THE SCALE OF THE IMAGES IS ANOTHER: the network reads {said:,} of {len(images):,} images "
        f"rightly as it is given them, and {tried[best]:,} of them {name}. If it was trained on "
        f"these, give --input-mean {best_mean:.6g} --input-std {best_std:.6g}",
    )
