"""Trains LeNet in Flax and writes ``model.safetensors``."""
