"""Quantizes a trained network and exports it as C that equals its JAX reference."""

__version__ = "0.1.0"
