"""What is pushed into C line by line, in memory that has some around which nothing may touch."""

from __future__ import annotations

import numpy as np

AROUND = 64


class Guarded:
    """A workspace of any bytes, and what is pushed into it.

    Args:
        network: the compiled one.
        workspace: its type in C.
        functions: that begin, take a line and finish, without the prefix.
        rng: of the bytes; without it they are 0.
    """

    def __init__(self, network, workspace, functions, rng=None):
        self.network = network
        self.functions = [network.function(name) for name in functions]
        size = network._ffi.sizeof(workspace) + 2 * AROUND
        given = np.zeros(size) if rng is None else rng.integers(0, 256, size)
        self.memory = given.astype(np.uint8)
        self.edges = self._edges()
        start = network._ffi.cast("uint8_t *", network._ffi.from_buffer(self.memory))
        self.ws = network._ffi.cast(f"{workspace} *", start + AROUND)

    def _edges(self):
        return bytes(self.memory[:AROUND]) + bytes(self.memory[-AROUND:])

    def begin(self, rows, columns):
        self.functions[0](self.ws, rows, columns)

    def give(self, lines):
        """Pushes lines, of which ``None`` is a null pointer."""
        for line in lines:
            pointer = self.network._ffi.NULL if line is None else self.network.bytes_of(line)
            self.functions[1](self.ws, pointer)

    def finish(self):
        read = self.functions[2](self.ws)
        assert self._edges() == self.edges
        return read
