"""1,797 handwritten digits of 8x8 pixels: see README.md beside this file."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from lenet_export import idx

FOLDER = Path(__file__).parent


def load() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The images ``(1797, 8, 8)``, 0 background to 16 ink, and their classes ``(1797,)``."""
    images = idx.read(FOLDER / "images-idx3-ubyte.gz", 3, (8, 8))
    return images, idx.read(FOLDER / "labels-idx1-ubyte.gz", 1)
