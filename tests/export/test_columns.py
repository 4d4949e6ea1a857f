"""``lenet_amount_begin``, ``_column``, ``_finish``: a line is read whose columns come once."""

from __future__ import annotations

import numpy as np
import pytest

from lenet_export import amount
from lenet_export.outputs.c import render_c
from lenet_export.preparation import shares
from lenet_export.verdict import Verdict
from material import amounts
from needs import ROOT, wide

from .builds import BUILDS, EMULATED, compiled
from .guarded import Guarded
from .lines import lines, read_by
from .pictures import program
from .test_amount import AMOUNT, network, plan, size_told

__all__ = ["network", "plan"]  # fixtures

LINES = 70
SOME = ("clang sanitized", "arm-linux-gnueabi-gcc -Os")
#: Prints what was read in each line; a column lies in memory of its own that ends with it.
PROGRAM = program(
    "lenet_columns",
    """\
        uint8_t *column = malloc((size_t)head[0]);
        lenet_amount_begin(&ws, head[0], head[1]);
        for (int x = 0; x < head[1]; x++) {
            for (int y = 0; y < head[0]; y++) {
                column[y] = pixels[(size_t)head[2] * (size_t)y + (size_t)x];
            }
            lenet_amount_column(&ws, column);
        }
        lenet_amount amount = lenet_amount_finish(&ws);
        printf("%s,%d,%d,%ld,%d\\n", amount.text, (int)amount.verdict, amount.readings,
               (long)amount.score, amount.accepted);
        free(column);""",
)


def pushed(count, seed):
    """Lines of which one side is at most 16 times the other; the first ones as far as can be."""
    rng = np.random.default_rng(seed)
    shapes = [(12, 192), (192, 12), (256, 4096), (512, 32), (16, 256), (256, 16), (64, 65)]
    made = [rng.integers(0, 2, shape).astype(np.uint8) * 255 for shape in shapes]
    made += [one for one in lines(count, seed) if max(one.shape) <= 16 * min(one.shape)]
    return made[:count]


def reference(network, picture):
    """What the specification reads: text, readings, score."""
    unit = amount.unit_of(network.plan.logit_scale)
    kept = amount.kept(picture)
    read = amount.read_amount(kept, lambda images: network.logits(images[..., None]), unit)
    return read.text, read.readings, read.score


def by_c(network, picture):
    """The same of the C."""
    read = network.push_amount(picture)
    return network.text(read.text), read.readings, read.score


@pytest.fixture(scope="module")
def given(network):
    """Lines, and what the reference reads in them."""
    made = pushed(LINES, 1)
    return made, [reference(network, picture) for picture in made]


@pytest.mark.parametrize(
    ("build", "count"),
    [
        *((build, 20 if build in EMULATED else LINES) for build in SOME),
        *wide((build, LINES) for build in BUILDS if build not in SOME),
        *wide((build, LINES) for build in EMULATED),
    ],
)
def test_every_compiler_reads_each_pushed_line_as_the_reference_does(
    plan, given, build, count, tmp_path
):
    made, expected = (of[-count:] for of in given)
    command = compiled(render_c(plan, AMOUNT), PROGRAM, build, tmp_path)
    read = read_by(command, made, is_big="powerpc" in build)
    assert [(text, readings, score) for text, _, readings, score, _ in read] == expected
    assert sum(len(text) for text, *_ in expected) > 1.7 * count


@pytest.mark.parametrize("spacing", wide(amounts.SPACINGS))
def test_two_thousand_pushed_lines_are_read_as_the_reference_does(network, written, spacing):
    made = amounts.lines(written, spacing, 500, 36)
    assert [by_c(network, one.picture) for one in made] == [
        reference(network, one.picture) for one in made
    ]


def test_most_amounts_are_read(network, written):
    made = amounts.lines(written, "spaced", 80, 37)
    right = [by_c(network, one.picture)[0] == one.text for one in made]
    assert np.mean(right) >= 0.88


def test_what_is_kept_is_of_16_levels_and_as_large_as_fits():
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows = int(rng.integers(12, 513))
        columns = int(rng.integers(max(12, -(-rows // 16)), min(16 * rows, 4096) + 1))
        picture = rng.integers(0, 256, (rows, columns)).astype(np.uint8)
        kept = amount.kept(picture)
        high, wide_ = kept.shape
        assert kept.size <= amount.KEPT and max(kept.shape) <= 256 and min(kept.shape) >= 12
        assert not (kept % 17).any()
        if rows * columns <= amount.KEPT:
            assert kept.shape == picture.shape
            assert np.abs(kept.astype(int) - picture).max() <= 9
        else:
            assert (high + 1) * ((columns * (high + 1) + rows // 2) // rows) > amount.KEPT
            means = shares(rows, high) @ picture @ shares(columns, wide_).T / picture.size
            assert np.abs(kept - means).max() <= 9


def test_the_cells_of_what_is_kept_have_room(plan):
    """Whatever the sides of the ink's box: 24 columns of paper are beside it."""
    words = max(
        high * -(-(min(256, amount.KEPT // high) + 2 * amount.PAD) // 32)
        for high in range(1, amount.ROWS + 1)
    )
    header = render_c(plan, AMOUNT)["lenet.h"].decode()
    assert f"LENET_KEPT_WORDS = {words}," in header


def test_the_memory_of_a_pushed_line_is_what_the_header_tells(plan, network):
    """That of LeNet in int8 included, and no more than 8 KB."""
    size = network._ffi.sizeof("lenet_columns")
    assert size <= 8192
    assert size_told(plan, "lenet_columns") == size
    for page in ("CHANGELOG.md", "docs/amounts.md"):
        assert f"{size:,}" in (ROOT / page).read_text(), page


class Columns(Guarded):
    """A line that is pushed, in memory of any bytes."""

    def __init__(self, network, rng=None):
        functions = "amount_begin", "amount_column", "amount_finish"
        super().__init__(network, "lenet_columns", functions, rng)

    def verdict(self):
        """Of a reading that is none."""
        read = self.finish()
        assert (read.accepted, read.digits, read.readings, read.score) == (0, 0, 0, 0)
        assert not any(bytes(self.network._ffi.buffer(read.text)))
        return read.verdict


def test_columns_too_few_or_too_many_or_null_are_miscounted(network, written):
    picture = amounts.lines(written, "spaced", 1, 38)[0].picture
    expected = by_c(network, picture)
    line, columns = Columns(network), list(picture.T)
    for wrong in (
        [], columns[:-1], [*columns, columns[0]], [*columns[:5], None, *columns[6:]],
        [*columns, None],
    ):  # fmt: skip
        line.begin(*picture.shape)
        line.give(wrong)
        assert line.verdict() == Verdict.MISCOUNTED
        line.begin(*picture.shape)
        line.give(columns)
        read = line.finish()
        assert (network.text(read.text), read.readings, read.score) == expected
        assert line.verdict() == Verdict.MISCOUNTED
        line.give(columns)
        assert line.verdict() == Verdict.MISCOUNTED


def test_memory_of_any_bytes_is_never_accepted_without_a_beginning(network):
    rng = np.random.default_rng(3)
    column = rng.integers(0, 256, 512).astype(np.uint8)
    for k in range(300):
        line = Columns(network, rng if k else None)
        if k:
            arrival = line.ws.arrival
            arrival.lines, arrival.size = rng.integers(12, 300, 2).tolist()
            arrival.given, arrival.left = rng.integers(-5, 200, 2).tolist()
        line.give([column] * 3)
        assert line.verdict() in (Verdict.MISCOUNTED, Verdict.NO_PICTURE)


@pytest.mark.parametrize(
    "size",
    [(0, 0), (11, 28), (28, 11), (-28, 28), (28, -28), (513, 100), (300, 4097), (12, 193),
     (512, 31), (2**31 - 1, 2**31 - 1), (1, 30_000)],
)  # fmt: skip
def test_sizes_that_are_no_lines_are_told(network, size):
    line = Columns(network)
    line.begin(*size)
    line.give([np.zeros(12, np.uint8)] * 5)
    assert line.verdict() == Verdict.NO_PICTURE
