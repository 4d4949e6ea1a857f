"""Pictures of one digit, and of none, made by seed; and a program that prepares them in C."""

from __future__ import annotations

import subprocess

import numpy as np

from lenet_export.preparation import Prepared

SEGMENTS = "abcdefg"
#: The ends of each, (row, column) of a digit 2 high and 1 wide.
ENDS = dict(
    zip(
        SEGMENTS,
        [
            ((0, 0), (0, 1)), ((0, 1), (1, 1)), ((1, 1), (2, 1)), ((2, 0), (2, 1)),
            ((1, 0), (2, 0)), ((0, 0), (1, 0)), ((1, 0), (1, 1)),
        ],
        strict=True,
    )
)  # fmt: skip
DIGITS = "abcdef bc abged abgcd fgbc afgcd afgedc abc abcdefg abcdfg".split()


def drawn(digit, side, slant, rng):
    """A digit of seven strokes, ``side`` rows high: floats of 0..1 with some rows around."""
    y, x = np.mgrid[0:side, 0:side] / side * 2.4 - 0.2
    x = x - 0.5 + slant * (y - 1)
    away = np.full(y.shape, 9.0)
    for stroke in DIGITS[digit]:
        (top, left), (bottom, right) = ENDS[stroke]
        along = (y - top) * (bottom - top) + (x - left) * (right - left)
        away = np.minimum(
            away,
            np.hypot(
                y - top - np.clip(along, 0, 1) * (bottom - top),
                x - left - np.clip(along, 0, 1) * (right - left),
            ),
        )
    thick = rng.uniform(0.08, 0.25)
    return np.clip((thick - away) * side / 3 + 0.5, 0, 1)


def scene(rng, most=160):
    """A digit at any place, dark or light, in some light, with noise and specks."""
    rows, columns = (int(size) for size in rng.integers(12, most, 2))
    side = int(rng.integers(11, min(rows, columns)))
    top, left = int(rng.integers(rows - side)), int(rng.integers(columns - side))
    ink = np.zeros((rows, columns))
    ink[top : top + side, left : left + side] = drawn(
        int(rng.integers(10)), side, rng.uniform(-0.3, 0.3), rng
    )
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    light = rng.uniform(0, 60) * (x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1))
    picture = rng.uniform(40, 90) + rng.uniform(20, 140) * ink + light
    picture += rng.normal(0, rng.choice([0, 1, 5, 20]), ink.shape)
    picture[rng.random(ink.shape) < rng.choice([0, 0, 0.01])] = 255
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    return 255 - picture if rng.random() < 0.5 else picture


def strange(rng):
    """What has no digit, or hardly a picture: noise, dots, slopes, blocks, stripes, one grey."""
    most = int(rng.choice([40, 200, 1025], p=[0.5, 0.45, 0.05]))
    rows, columns = (int(size) for size in rng.integers(12, most, 2))
    y, x = np.mgrid[0:rows, 0:columns]
    block = (y > rows // 3) & (x > columns // 4) & (y < rows - rows // 5)
    kinds = [
        rng.integers(0, 256, (rows, columns)),
        rng.normal(128, rng.uniform(1, 40), (rows, columns)),
        255 * (rng.random((rows, columns)) < rng.uniform(0, 0.1)),
        (x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1)) % 256,
        200 - 180 * block + rng.normal(0, 9, (rows, columns)),
        255 * ((x // int(rng.integers(1, 9))) % 2),
        255 * (((x // 3) % 2 == 0) | ((y // 3) % 2 == 0)),
        np.full((rows, columns), rng.integers(0, 256)),
        255 * (np.arange(rows * columns).reshape(rows, columns) == rng.integers(rows * columns)),
    ]
    return np.clip(kinds[rng.integers(len(kinds))], 0, 255).astype(np.uint8)


def pictures(count, seed):
    """Two of three with a digit; the first ones are as small, as large and as long as can be."""
    rng = np.random.default_rng(seed)
    shapes = [(12, 12), (12, 1024), (1024, 12), (1024, 700), (342, 343), (48, 47), (47, 47)]
    made = [rng.integers(0, 2, shape).astype(np.uint8) * 255 for shape in shapes]
    while len(made) < count:
        made.append(strange(rng) if len(made) % 3 == 0 else scene(rng))
    return made[:count]


def program(workspace, body):
    """A program in C that reads what :func:`records` gives, and does ``body`` with each picture.

    A picture is the bytes ``pixels``, rows, columns and stride the numbers ``head``; it lies in
    memory of its own that ends with it. The workspace ``ws`` is of the type ``workspace``.
    """
    return f"""
#include "lenet.h"
#include <stdio.h>
#include <stdlib.h>
static {workspace} ws;
int main(void)
{{
    int32_t head[3];
    while (fread(head, sizeof head, 1, stdin) == 1) {{
        size_t size = (size_t)head[2] * (size_t)(head[0] - 1) + (size_t)head[1];
        uint8_t *pixels = malloc(size);
        if (fread(pixels, size, 1, stdin) != 1) {{
            return 2;
        }}
{body}
        free(pixels);
    }}
    return 0;
}}
"""


def records(given, stride=0, is_big=False):
    """The bytes of pictures, for a :func:`program`: of each rows, columns, stride, and its pixels.

    Args:
        given: the pictures.
        stride: how many bytes longer each row is.
        is_big: whether the program takes numbers with their highest byte first.
    """
    rng = np.random.default_rng(0)
    data = b""
    for picture in given:
        rows, columns = picture.shape
        padded = rng.integers(0, 256, (rows, columns + stride)).astype(np.uint8)
        padded[:, :columns] = picture
        pixels = padded.tobytes()[: (columns + stride) * (rows - 1) + columns]
        head = np.array([rows, columns, columns + stride], ">i4" if is_big else "<i4")
        data += head.tobytes() + pixels
    return data


#: Prints what was found in each picture.
PROGRAM = program(
    "lenet_picture",
    """\
        lenet_prepared *found = &ws.prepared;
        lenet_verdict verdict = lenet_prepare(&ws.shared.preparation, pixels, head[0], head[1],
                                              head[2], ws.image, found);
        int32_t numbers[] = {(int32_t)verdict, found->is_dark, found->top, found->left,
                             found->bottom, found->right, found->contrast};
        fwrite(numbers, sizeof numbers, 1, stdout);
        fwrite(ws.image, sizeof ws.image, 1, stdout);""",
)


def prepared_by(program, given, stride=0, side=28):
    """What the compiled ``PROGRAM`` finds in each picture; each row ``stride`` bytes longer."""
    data = records(given, stride)
    done = subprocess.run([program], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    size = 28 + side * side
    return [found_in(done.stdout[at : at + size]) for at in range(0, len(done.stdout), size)]


def found_in(record):
    """What a record says: seven numbers of 32 bits, and the image."""
    verdict, is_dark, *box, contrast = (int(number) for number in np.frombuffer(record[:28], "<i4"))
    side = round((len(record) - 28) ** 0.5)
    image = np.frombuffer(record[28:], np.uint8).reshape(side, side)
    return Prepared(image, verdict == 0, bool(is_dark), tuple(box), contrast)


def differ(found, expected):
    """The places where two lists of :class:`Prepared` are not the same."""
    return [
        at
        for at, (one, other) in enumerate(zip(found, expected, strict=True))
        if (one.has_ink, one.is_dark, one.box, one.contrast)
        != (other.has_ink, other.is_dark, other.box, other.contrast)
        or not np.array_equal(one.image, other.image)
    ]


def written(files, folder):
    """The generated files and the program's text, in ``folder``."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "program.c").write_text(PROGRAM)
    return folder
