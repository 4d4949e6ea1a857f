"""Lines of digits, and of none, made by seed; and a program that reads them in C."""

from __future__ import annotations

import subprocess

import numpy as np

from .pictures import drawn, pictures, program, records


def line(rng):
    """Digits beside each other, apart or touching, dark or light, some on a ruled line."""
    high, many = int(rng.integers(14, 80)), int(rng.integers(1, 10))
    side = int(high * rng.uniform(0.5, 0.95))
    ink = np.zeros((high, many * 2 * side + 30))
    slant, gap, end = rng.uniform(-0.3, 0.3), rng.uniform(-0.25, 0.3), 5
    for _ in range(many):
        digit = drawn(int(rng.integers(10)), side, slant, rng)
        digit = digit[:, np.flatnonzero(digit.any(0))]
        top, wide = int(rng.integers(high - side + 1)), digit.shape[1]
        place = ink[top : top + side, end : end + wide]
        np.maximum(place, digit, out=place)
        end += max(2, wide + round(gap * side))
    if rng.random() < 0.2:
        ink[high - 3 : high - 2] = 0.8
    ink = ink[:, : max(12, end + int(rng.integers(0, 20)))]
    picture = rng.uniform(20, 90) + rng.uniform(60, 150) * ink
    picture += np.linspace(0, rng.uniform(0, 50), ink.shape[1])
    picture += rng.normal(0, rng.choice([0, 0, 5, 15]), ink.shape)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    return 255 - picture if rng.random() < 0.5 else picture


def lines(count, seed):
    """Nine of ten with digits; the others are strange, the first ones as large as can be."""
    rng = np.random.default_rng(seed)
    shapes = [(12, 12), (12, 4096), (512, 12), (300, 400)]
    made = [rng.integers(0, 2, shape).astype(np.uint8) * 255 for shape in shapes]
    made += [one for one in pictures(count // 10 + 7, seed)[7:] if len(one) <= 512]
    return [*made, *(line(rng) for _ in range(count - len(made)))]


#: Prints what was read in each line.
PROGRAM = program(
    "lenet_line",
    """\
        lenet_amount amount = lenet_read_amount(&ws, pixels, head[0], head[1], head[2]);
        printf("%s,%d,%d,%ld,%d\\n", amount.text, (int)amount.verdict, amount.readings,
               (long)amount.score, amount.accepted);""",
)


def read_by(command, given, stride=0, is_big=False):
    """What the compiled ``PROGRAM`` reads in each line: text, verdict, readings, score, accepted.

    Args:
        command: that runs it.
        given: the lines.
        stride: how many bytes longer each row is.
        is_big: whether the program takes numbers with their highest byte first.
    """
    data = records(given, stride, is_big)
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    lines = [record.split(",") for record in done.stdout.decode().splitlines()]
    return [(text, *map(int, numbers)) for text, *numbers in lines]
