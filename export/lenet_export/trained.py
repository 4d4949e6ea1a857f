"""A trained model in Python: read from its file, asked in floats, exported."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export import bundled
from lenet_export.checkpoint import Float32, Model
from lenet_export.errors import UserError
from lenet_export.gap_table import classes_of
from lenet_export.images import check_bytes, without_ones


@dataclass(frozen=True, repr=False, eq=False)
class Trained(Model):
    """A trained network of a file, in floats: what :func:`load` gives and ``export`` takes.

    Attributes:
        name: of a bundled model, or its path.
    """

    name: str = ""

    def logits(self, images: Any) -> Float32:
        """The float network's logits of each image, ``(images, outputs)``, computed by JAX.

        Args:
            images: uint8 ``(images, *input_shape)``; axes of one may be missing.

        Raises:
            UserError: the images are no bytes, or of another shape.
        """
        from lenet_export import float_network  # takes JAX, which is slow to import

        given = check_bytes(without_ones(images, self.input_shape), self.input_shape)
        return float_network.run_logits(self, given)

    def predict(self, images: Any) -> npt.NDArray[np.intp]:
        """The class of each image, ``(images,)``.

        Args:
            images: see :meth:`logits`.

        Raises:
            UserError: the images are no bytes, or of another shape.
        """
        return classes_of(self.logits(images), self.none_output)


def load(model: str | os.PathLike[str]) -> Trained:
    """A trained model, to be exported or asked.

    Args:
        model: the path of a ``model.safetensors`` that lenet-train wrote, or the name of a bundled
            model.

    Returns:
        The float network: ``predict``, ``logits``, ``info`` (how it was trained), and what
        :func:`lenet_export.export` takes.

    Raises:
        UserError: there is none, or the file is none of lenet-train's.

    Example:
        >>> import lenet_export
        >>> model = lenet_export.load("mnist")
        >>> model
        Trained(28x28x1 -> conv1 -> conv2 -> fc1 -> fc2 -> fc3)
        >>> model.info["test_accuracy"]
        0.9946
    """
    if not isinstance(model, str | os.PathLike):
        raise UserError("model", f"is {model!r}", "give a file's path, or a bundled model's name")
    name = os.fspath(model)
    return Trained(**vars(bundled.load(name, "model")), name=name)
