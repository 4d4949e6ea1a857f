"""Quantizes a trained network and exports it as C that equals its JAX reference."""

__version__ = "0.1.0"

from lenet_export.api import Exported, export
from lenet_export.errors import UserError

__all__ = ["Exported", "UserError", "export"]
