"""What an export gave: its files, what is told of them, and its numbers in Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lenet_export import reference
from lenet_export.errors import UserError
from lenet_export.gap_table import classes_of
from lenet_export.images import check_bytes, without_ones
from lenet_export.outputs.options import Files
from lenet_export.plan import Plan
from lenet_export.reference import Images
from lenet_export.report import Report
from lenet_export.verdict import Readings, readings

if TYPE_CHECKING:
    from lenet_export.compiled import CompiledNetwork


def as_they_are(images: Images) -> Images:
    """Images that the network reads as they lie."""
    return images


@dataclass(frozen=True, repr=False, eq=False)
class Exported:
    """What an export wrote, and its network, to be asked in Python.

    What it computes are the integers of the C, or the floats of ``dtype="float32"``. As text it is
    one screen, that of the command line.

    Attributes:
        plan: the network as the C computes it; ``plan.model`` is the float one.
        report: what the screen says, in numbers: sizes, bounds, what the comparison with JAX
            found, notes.
        input_shape: of an image, as the network that was exported reads it.

    Example:
        >>> import numpy as np
        >>> import lenet_export
        >>> model = lenet_export.load("mnist")
        >>> exported = lenet_export.export(model, out="digits", max_error=0.002, verify=False)
        >>> [path.name for path in exported.files]
        ['lenet.h', 'lenet.c', 'lenet.json']
        >>> image = np.zeros((1, 28, 28), np.uint8)
        >>> image[:, 4:24, 13:15] = 255  # a stroke
        >>> exported.predict(image)
        array([1])
        >>> exported.report.workspace_bytes
        1112
    """

    plan: Plan
    report: Report
    input_shape: tuple[int, ...]
    _rendered: Files
    _prefix: str
    #: Makes of images of ``input_shape`` those that the C reads.
    _laid_out: Callable[[Images], Images] = as_they_are

    def __repr__(self) -> str:
        """One screen: what was exported, how well it reads, what it costs, where it is."""
        return str(self.report)

    @property
    def files(self) -> tuple[Path, ...]:
        """The paths of what was written."""
        return self.report.files

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of how the network was read, in sentences."""
        return self.report.notes

    @property
    def computed_by(self) -> str:
        """What computes the logits: the compiled C, or the reference and why not the C."""
        return self._computer[1]

    def logits(self, images: Any) -> npt.NDArray[Any]:
        """The logits of each image, as the exported C gives them.

        Args:
            images: uint8 ``(images, *input_shape)``; axes of one may be missing.

        Returns:
            ``(images, outputs)``: int32, or float32 of ``dtype="float32"``. Times
            ``plan.logit_scale`` they are those of the float network.

        Raises:
            UserError: the images are no bytes, or of another shape.
        """
        network, given = self._computer[0], self._checked(images)
        if network:
            return network.logits(given)
        found: npt.NDArray[Any] = reference.run_logits(self.plan, given)
        return found.astype(self.plan.logit_dtype)

    def predict(self, images: Any) -> npt.NDArray[np.intp]:
        """The class of each image, ``(images,)``, as ``lenet_predict`` of the C gives it.

        Args:
            images: see :meth:`logits`.

        Raises:
            UserError: the images are no bytes, or of another shape.
        """
        return classes_of(self.logits(images), self.plan.none_output)

    def read(self, images: Any) -> Readings:
        """The class of each image, how sure it is, and whether it is accepted: ``lenet_read``.

        Args:
            images: see :meth:`logits`.

        Raises:
            UserError: the images are no bytes, or of another shape.
        """
        return readings(self.plan, self._checked(images), self.logits(images))

    def _checked(self, images: Any) -> Images:
        """The images laid out as the C reads them."""
        return self._laid_out(check_bytes(without_ones(images, self.input_shape), self.input_shape))

    @cached_property
    def _computer(self) -> tuple[CompiledNetwork | None, str]:
        """The C, compiled when it is first asked; or why there is none."""
        if not any(name.endswith(".h") for name in self._rendered):
            return None, "the reference in NumPy: no C was exported"
        try:
            from lenet_export.compiled import CompiledNetwork, compiler

            network = CompiledNetwork(self.plan, self._rendered, self._prefix)
            return network, f"the C, compiled by {' '.join(compiler())}"
        except (ImportError, UserError) as error:
            why = f"{error.where} {error.what}" if isinstance(error, UserError) else str(error)
            return None, f"the reference in NumPy, which gives what the C gives: {why}"
