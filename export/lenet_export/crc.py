"""CRC-32C, by which the self-test of the C knows its constants.

Castagnoli's polynomial (IEEE Transactions on Communications 41, 1993; RFC 3720): at the length of
the tables every change of up to three bits is found, where that of zip misses some of three.
"""

from __future__ import annotations

import functools

POLYNOMIAL = 0x82F63B78
ONES = 0xFFFFFFFF


def crc32c(data: bytes, value: int = 0) -> int:
    """The CRC of ``data``, or of it behind what has the CRC ``value``, as ``zlib.crc32`` does."""
    register, after = value ^ ONES, _table()
    for byte in data:
        register = after[(register ^ byte) & 255] ^ register >> 8
    return register ^ ONES


@functools.cache
def _table() -> list[int]:
    """What each byte does to a register of 0."""
    registers = list(range(256))
    for _ in range(8):
        registers = [of >> 1 ^ (POLYNOMIAL if of & 1 else 0) for of in registers]
    return registers
