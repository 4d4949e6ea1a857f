"""A line of digits, an amount, to its text: the specification of ``lenet_read_amount`` in C.

The line's ink is put into cells, sheared so that digits stand upright. Paths of least ink from top
to bottom part it: those that cross none into blocks; those that cross some are cuts through a block
that is not surely one digit. The network reads what lies between two of them, and the text that
costs least wins. All numbers are integers of 32 bits, and ``//`` rounds down.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lenet_export.paper import at_pixels, ink_is_dark, least_around, mean_around, tile_means
from lenet_export.preparation import area_means, placed, shares

Array = npt.NDArray[Any]
UInt8 = npt.NDArray[np.uint8]
#: uint8 ``(n, 28, 28)`` to integer logits ``(n, outputs)``.
Read = Callable[[UInt8], Array]

SIDES = (12, 512), (12, 4096)  # least and most rows and columns of a line
DIGITS = 12  # of an amount at most
KEPT = 4096  # pixels of a line whose columns come once, of 4 bits
RATIO = 16  # of its sides, at most
CLASSES = 10

# Light
FEW = 6  # pixels of ink at least, or 1/1024 of the line's
LEAST_CONTRAST = 8

# Cells
INK = 100  # of 255: a cell of more has ink
ROWS, COLUMNS = 48, 448  # of cells at most
PAD = 12  # columns of paper at either side, for the shear too
SLANTS = (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5)  # columns in 16 rows; of equals the first

# Paths
INK_COST = 12  # of a cell of ink; a step aside costs 1
REACH = 19  # how far a path goes aside, in 64ths of the rows
CUT_REACH = 12  # and a cut
SPECK = 4  # cells of ink between two paths that part nothing
BLOCKS = 32  # at most

# Blocks; heights and widths in 64ths of the line's height
SMALL = 8  # a block with less than 1/8 of a block's median ink is no digit
COMMA = 29  # what is lower than this, and low, is a comma or a point
CUT_WIDTH = 25  # a wider block may be cut
CUTS = 13  # through a block at most
WIDTH_OF_CUT = 14  # a block has a cut for each of it
APART = 34  # cells of ink between two cuts at least
CROSSED = 4  # what a cut of a block costs for each cell of ink, beside half of its steps aside

# Readings; costs in 16ths of a nat, -16 log(probability)
NAT = 16
MOST_COST = 4000
UNLIKELY = 48  # a digit of this cost is none, if it is cut out
WAYS = 3  # that are kept at each path
SURE = 6, 38, 90  # of a block that is not cut: less cost, at least as high, at most as wide
WIDEST = 112  # of a block that is one digit
PART = 44, 80  # of a digit that was cut out: least height, most width
PAIR_WIDTH = 83  # a block at least so wide may be three digits
LOW, LOW_COST = 48, 2  # a lower digit costs, for each 64th
JOIN_COST = 16  # to take two blocks for one digit
SKIP, SKIP_HEIGHT = 192, 32  # to take a lower block, or one at either end, for no digit
BOUND = 16  # what a way may cost more than the block as one digit
NONE_FAR, NONE_PART = 160, 8  # that none costs less than this more than a digit: an 8th of it
COST_PART = 2  # of a text's cost, a half counts in its score

BOX, SIDE = 20, 28  # of an image


class Amount(NamedTuple):
    """What is read.

    Attributes:
        text: its digits; empty if there is none, or more than ``DIGITS``.
        cost: of the text, in 16ths of a nat.
        margin: how much another text costs more, at least.
        sure: how sure its least sure digit is: see :func:`sureness`.
        readings: of the network.
    """

    text: str
    cost: int
    margin: int
    sure: int
    readings: int

    @property
    def score(self) -> int:
        """The larger, the surer."""
        return max(0, self.margin + self.sure - self.cost // COST_PART)


NOTHING = Amount("", MOST_COST, 0, 0, 0)


class Way(NamedTuple):
    """A text so far, its cost, and how sure its least sure digit is."""

    cost: int
    text: str
    sure: int


def read_amount(picture: UInt8, read: Read, unit: int) -> Amount:
    """The amount in a line.

    Args:
        picture: uint8 ``(rows, columns)``, of ``SIDES``; dark or light ink.
        read: the network.
        unit: what of its logits is a 16th of a nat: see :func:`unit_of`.
    """
    cells = cells_of(picture)
    if cells is None:
        return NOTHING
    parts = blocks(cells)
    return _Lattice(cells, parts, read, unit).amount() if parts.blocks else NOTHING


def kept(picture: UInt8) -> UInt8:
    """What is kept of a line whose columns come once: ``lenet_amount_begin`` in C.

    It is shrunk until it has at most ``KEPT`` pixels, by exact means over areas, which become
    multiples of 17: :func:`read_amount` of it is what the C reads.

    Args:
        picture: uint8 ``(rows, columns)``, of ``SIDES``, one at most ``RATIO`` times the other.
    """
    rows, columns = picture.shape
    high, wide = rows, columns
    while high * wide > KEPT:
        high -= 1
        wide = (columns * high + rows // 2) // rows
    means = area_means(picture, high, wide)
    return ((means * 15 + 127) // 255 * 17).astype(np.uint8)


def unit_of(logit_scale: float) -> int:
    """How much of an integer logit is a 16th of a nat, at least 1.

    Args:
        logit_scale: what 1 stands for.
    """
    return max(1, round(1 / (NAT * logit_scale)))


# Light


class Light(NamedTuple):
    """How a line is lit.

    Attributes:
        is_dark: whether ink is darker than paper; then the picture is turned to its negative.
        paper: the level of each tile.
        base: how far the median pixel is above the paper.
        threshold: how far a pixel of ink is above the paper, at least.
        contrast: how far ink is above ``base``, its mean.
    """

    is_dark: bool
    paper: Array
    base: int
    threshold: int
    contrast: int


def light(line: UInt8) -> Light | None:
    """How a line is lit; ``None`` if nothing stands out from the paper."""
    picture = line.astype(np.int64)
    area = picture.size
    few = max(FEW, area // 1024)
    means = tile_means(picture)
    level = picture - at_pixels(mean_around(means), picture.shape)
    ordered = np.sort(level, axis=None)
    border = np.concatenate([level[0], level[-1], level[1:-1, 0], level[1:-1, -1]])
    is_dark = ink_is_dark(ordered[few - 1], ordered[-few], border)
    if is_dark:
        picture, means = 255 - picture, 255 - means
    paper = least_around(tile_means(picture, means))
    level = picture - at_pixels(paper, picture.shape)
    ordered = np.sort(level, axis=None)
    base, top = int(ordered[area // 2]), int(ordered[-few])
    if top - base < LEAST_CONTRAST:
        return None
    threshold = base + (top - base) // 2
    ink = level[level > threshold]
    return Light(is_dark, paper, base, threshold, int((ink - base).sum()) // len(ink))


# Cells


class NoInkError(Exception):
    """Nothing but ruled lines stands out from the paper."""


def cells_of(picture: UInt8) -> Cells | None:
    """The cells of a line; ``None`` if nothing but ruled lines stands out from the paper."""
    seen = light(picture)
    try:
        return Cells(picture, seen) if seen else None
    except NoInkError:
        return None


def ruled(is_ink: Array) -> Array:
    """Which rows of pixels are of a ruled line.

    They have ink in three quarters of their columns, and are at most a 16th of the rows.
    """
    rows, columns = is_ink.shape
    is_ruled = np.zeros(rows, np.bool_)
    start = 0
    for y, count in enumerate([*is_ink.sum(1), 0]):
        if 4 * count < 3 * columns:
            is_ruled[start:y] = y - start <= rows // 16
            start = y + 1
    return is_ruled


class Cells:
    """The ink of a line in cells.

    Attributes:
        ink: 0 to 255 of each cell, as it stands, with ``PAD`` columns of paper at either side.
        has_ink: the same sheared upright, bool ``(rows, columns)``.
        shift: of each row, columns to the right.
        corner: row and column of the first cell's first pixel; the column may be in front of 0.
    """

    def __init__(self, picture: UInt8, seen: Light) -> None:
        """Of a line in that light; as many cells of equal sides over its ink as can be.

        Raises:
            NoInkError: it has none but ruled lines.
        """
        if seen.is_dark:
            picture = 255 - picture
        paper = at_pixels(seen.paper, picture.shape)
        is_ink = picture - paper > seen.threshold
        is_ruled = ruled(is_ink)
        is_ink &= ~is_ruled[:, None]
        if not is_ink.any():
            raise NoInkError
        inked = [np.flatnonzero(is_ink.any(axis)) for axis in (1, 0)]
        (top, tall), (left, wide) = ((int(k[0]), int(k[-1] + 1 - k[0])) for k in inked)
        side = max(-(-tall // ROWS), -(-wide // (COLUMNS - 2 * PAD)))
        self.rows, across = -(-tall // side), -(-wide // side)
        self.columns = across + 2 * PAD
        # Each cell is the mean of its pixels; beyond the picture its border goes on.
        y = np.minimum(top + np.arange(self.rows * side), picture.shape[0] - 1)
        first = left - PAD * side
        self.corner = top, first
        x = np.clip(first + np.arange(self.columns * side), 0, picture.shape[1] - 1)
        blocks = picture[y][:, x].reshape(self.rows, side, self.columns, side)
        level = blocks.sum((1, 3), dtype=np.int64) // side**2
        level -= paper[y[side // 2 :: side]][:, x[side // 2 :: side]]
        least = seen.contrast // 5
        ink = (level - seen.base - least) * 255 // (seen.contrast - least)
        self.ink = np.clip(ink, 0, 255)
        self._is_ruled = is_ruled[y].reshape(self.rows, side).any(1)
        self._shear(self._cells())
        self._before = np.pad(np.cumsum(self.has_ink, 1), ((0, 0), (1, 0)))

    def _cells(self) -> Array:
        """Which cells have ink, as they stand; of a ruled line, where a stroke ends in it."""
        has_ink = self.ink > INK
        has_ink[:, :PAD] = has_ink[:, self.columns - PAD :] = False
        for row in np.flatnonzero(self._is_ruled):
            above = has_ink[row - 1] if row else np.zeros(self.columns, np.bool_)
            has_ink[row, 1:-1] &= above[:-2] | above[1:-1] | above[2:]
        return np.asarray(has_ink)

    def _shear(self, cells: Array) -> None:
        """Shears the cells by what makes the sum of their columns' squares largest."""
        y, x = np.nonzero(cells)
        away = np.arange(self.rows) - self.rows // 2

        def sharpness(slant: int) -> int:
            return int((np.bincount(x + ((away * slant) >> 4)[y]) ** 2).sum())

        self.shift = (away * max(SLANTS, key=sharpness)) >> 4
        self.has_ink = np.zeros((self.rows, self.columns), np.bool_)
        self.has_ink[y, x + self.shift[y]] = True
        # Beside a ruled line there is no ink but that of cells.
        padded = np.pad(self._is_ruled, 1)
        beside = padded[:-2] | padded[1:-1] | padded[2:]
        self.ink[beside] *= cells[beside]

    def between(self, left: Array, right: Array) -> int:
        """How many cells with ink lie between two paths."""
        row = np.arange(self.rows)
        counts: Array = self._before[row, right] - self._before[row, left]
        return int(np.where(right > left, counts, 0).sum())

    def box(self, left: Array, right: Array) -> tuple[int, int, int, int] | None:
        """The box of these cells, ``(top, bottom, first, last)``, less the ends."""
        column = np.arange(self.columns)
        part = self.has_ink & (column >= left[:, None]) & (column < right[:, None])
        rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
        if not len(rows):
            return None
        return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1

    def image(self, left: Array, right: Array) -> UInt8:
        """What lies between two paths, unsheared, brought to 28x28."""
        column = np.arange(self.columns)
        is_part = (column >= left[:, None]) & (column < right[:, None])
        y, x = np.nonzero(self.has_ink & is_part)
        x = x - self.shift[y]
        column = column + self.shift[:, None]
        is_part = (column >= left[:, None]) & (column < right[:, None])
        part = np.pad(np.where(is_part, self.ink, 0), 1)
        return framed(part[y.min() : y.max() + 3, x.min() : x.max() + 3])


def framed(ink: Array) -> UInt8:
    """Ink as MNIST has it: its longer side 20, its strongest 255, its centre of mass in the middle.

    Args:
        ink: 0 to 255, with a cell around it that is only interpolated with.
    """
    high, wide = (size - 2 for size in ink.shape)
    side = max(high, wide)
    parts = -(-2 * BOX // side) if side < 2 * BOX else 1
    rows, columns = (max(1, (size * BOX + side // 2) // side) for size in (high, wide))
    fine = _interpolated(ink, parts)
    down, along = (shares(size * parts, goal) for size, goal in ((high, rows), (wide, columns)))
    return placed(down @ fine @ along.T, high * wide * parts**2, (SIDE, SIDE))


def _interpolated(ink: Array, parts: int) -> Array:
    """Each cell but those around as ``parts`` x ``parts``."""
    y, x = (np.arange((size - 2) * parts) * 2 + 1 + parts for size in ink.shape)
    down, low = y // (2 * parts), (y % (2 * parts))[:, None]
    along, right = x // (2 * parts), x % (2 * parts)
    upper = ink[down][:, along] * (2 * parts - right) + ink[down][:, along + 1] * right
    lower = ink[down + 1][:, along] * (2 * parts - right) + ink[down + 1][:, along + 1] * right
    return np.asarray((upper * (2 * parts - low) + lower * low) // (4 * parts**2))


# Paths


class Paths:
    """For each column of cells the path of least ink about it, from top to bottom.

    Attributes:
        columns: of each path, in each row: the path is left of that cell.
        cost: ``INK_COST`` a cell of ink, and a step aside 1, as at its ends each column aside.
        crossed: cells of ink.
    """

    def __init__(self, cells: Cells, reach: int) -> None:
        """Through ``cells``, at most ``reach`` 64ths of their rows aside."""
        reach = max(2, cells.rows * reach // 64)
        aside = np.arange(-reach, reach + 1)
        middle = np.arange(cells.columns)
        column = middle[:, None] + aside
        far = 1 << 14
        outside = np.where((column >= 0) & (column < cells.columns), 0, far)
        ink = np.pad(INK_COST * cells.has_ink.astype(np.int64), ((0, 0), (reach, reach)))
        best = np.abs(aside) + outside + ink[0][column + reach]
        edge = np.full((len(middle), 1), 1 << 30)
        steps = []
        for row in ink[1:]:
            left = np.concatenate([edge, best[:, :-1]], 1) + 1
            right = np.concatenate([best[:, 1:], edge], 1) + 1
            step = np.where(left < best, -1, 0)
            best = np.minimum(best, left)
            steps.append(np.where(right < best, 1, step))
            best = np.minimum(best, right) + outside + row[column + reach]
        best = best + np.abs(aside)
        at = best.argmin(1)
        self.cost = best[middle, at]
        places = [at]
        for step in steps[::-1]:
            at = at + step[middle, at]
            places.append(at)
        self.columns = np.stack(places[::-1], 1) + middle[:, None] - reach
        self.crossed = cells.has_ink[np.arange(cells.rows), self.columns].sum(1)


def free(cells: Cells, paths: Paths) -> list[int]:
    """The paths that part blocks: of those that cross no ink and have none between them, one.

    It is the middle one of the cheapest, where that is as cheap, else the first of them.
    """
    found: list[int] = []
    group: list[int] = []

    def best() -> int:
        cheapest = min(paths.cost[i] for i in group)
        own = [i for i in group if paths.cost[i] == cheapest]
        middle = (own[0] + own[-1]) // 2
        return middle if paths.cost[middle] == cheapest else own[0]

    for i in np.flatnonzero(paths.crossed == 0).tolist():
        if group and cells.between(paths.columns[group[0]], paths.columns[i]) > SPECK:
            found.append(best())
            group = []
        group.append(i)
    return [*found, best()]


# Blocks


class Block(NamedTuple):
    """What lies between two free paths.

    Attributes:
        edges: its paths from left to right, the cuts among them, each ``(rows,)``.
        crossed: cells of ink that each crosses.
        width: of its ink, in 64ths of the line's height.
        height: likewise.
    """

    edges: list[Array]
    crossed: list[int]
    width: int
    height: int


class Parts(NamedTuple):
    """The blocks that may be digits, from left to right, and the line's height in cells."""

    blocks: list[Block]
    height: int


def blocks(cells: Cells) -> Parts:
    """The blocks of a line."""
    paths, closer = Paths(cells, REACH), Paths(cells, CUT_REACH)
    edges = [paths.columns[i] for i in free(cells, paths)][: BLOCKS + 1]
    _in_order(edges)
    parts = list(itertools.pairwise(edges))
    boxes = [cells.box(*part) for part in parts]
    masses = [cells.between(*part) for part in parts]
    height = median([box[1] - box[0] for box in boxes if box], 2)
    mass = median(masses, SMALL)
    found = []
    for (left, right), box, own in zip(parts, boxes, masses, strict=True):
        if box is None or own * SMALL < mass:
            continue
        top, bottom, first, last = box
        tall, wide = 64 * (bottom - top) // height, 64 * (last - first) // height
        if tall < COMMA and 2 * top > cells.rows:
            continue
        cuts = cuts_of(cells, closer, (left, right), (first, last), height)
        own_edges = [left, *(cut.path for cut in cuts), right]
        _in_order(own_edges)
        found.append(Block(own_edges, [0, *(cut.crossed for cut in cuts), 0], wide, tall))
    return Parts(found, height)


def _in_order(edges: list[Array]) -> None:
    """No path is left of the one before it."""
    for i in range(1, len(edges)):
        edges[i] = np.maximum(edges[i - 1], edges[i])


def median(sizes: list[int], part: int) -> int:
    """The median, the lower of two, of those that are more than that part of the largest."""
    most = max(sizes, default=0)
    kept = sorted((size for size in sizes if part * size > most), reverse=True)
    return kept[len(kept) // 2] if kept else 0


class Cut(NamedTuple):
    """A path through a block: its cost, the ink left of it and on it, its columns."""

    cost: int
    before: int
    crossed: int
    path: Array


def cuts_of(
    cells: Cells, paths: Paths, block: tuple[Array, Array], ends: tuple[int, int], height: int
) -> list[Cut]:
    """The best paths through a block, from left to right.

    Args:
        cells: of the line.
        paths: that keep close.
        block: the paths about it.
        ends: columns at which its ink begins and ends.
        height: of the line.
    """
    left, right = block
    wide = 64 * (ends[1] - ends[0]) // height
    if wide <= CUT_WIDTH:
        return []
    most, apart = min(CUTS, wide // WIDTH_OF_CUT), APART * height // 64
    ink, row = cells.between(left, right), np.arange(cells.rows)
    kept: list[Cut] = []
    for i in range(ends[0], ends[1]):
        path = np.clip(paths.columns[i], left, right)
        before = cells.between(left, path)
        if min(before, ink - before) < apart:
            continue
        column = np.minimum(path, cells.columns - 1)
        crossed = int((cells.has_ink[row, column] & (path < right)).sum())
        aside = int(paths.cost[i] - INK_COST * paths.crossed[i])
        cost = CROSSED * crossed + aside // 2
        near = [cut for cut in kept if abs(cut.before - before) < apart]
        if all(cost < cut.cost for cut in near):
            kept = [cut for cut in kept if cut not in near]
            kept.append(Cut(cost, before, crossed, path))
            if len(kept) > most:
                kept.remove(max(kept, key=lambda cut: cut.cost))
    return sorted(kept, key=lambda cut: cut.before)


# Readings


class Arc(NamedTuple):
    """What lies between two paths: what each output costs, its width and height."""

    costs: list[int]
    width: int
    height: int


#: Of the gap between the two largest logits, in 16ths of a nat: what both together are more likely.
SOFT = tuple(round(NAT * float(np.log1p(np.exp(-gap / NAT)))) for gap in range(64))


def costs_of(logits: Array, unit: int) -> list[int]:
    """What each output costs, by the two largest logits: about -16 log of its probability.

    Where the network has an output for none, a digit that looks like none too is dearer: two digits
    that are taken for one do.
    """
    ordered = np.sort(logits)
    top = int(ordered[-1])
    soft = SOFT[min((top - int(ordered[-2])) // unit, len(SOFT) - 1)]
    costs = [min((top - int(logit)) // unit, MOST_COST) + soft for logit in logits]
    digits, none = costs[:CLASSES], costs[CLASSES:]
    near = [sum(max(0, NONE_FAR - (far - cost)) // NONE_PART for far in none) for cost in digits]
    return [*(cost + more for cost, more in zip(digits, near, strict=True)), *none]


def sureness(costs: list[int], digit: int) -> int:
    """How sure a digit is: what any other one costs more, and half of what none does."""
    own = costs[digit]
    rival = min(costs[:digit] + costs[digit + 1 : CLASSES])
    return max(0, rival - own + sum(max(0, none - own) // 2 for none in costs[CLASSES:]))


def put(ways: list[Way], new: Way) -> None:
    """Keeps the cheapest ``WAYS``, of each text the cheapest; of equals that which came first."""
    same = next((way for way in ways if way.text == new.text), None)
    if same is not None and same.cost <= new.cost:
        return
    if same is not None:
        ways.remove(same)
    ways.insert(sum(way.cost <= new.cost for way in ways), new)
    del ways[WAYS:]


class _Lattice:
    """The ways from the first path of a line to its last."""

    def __init__(self, cells: Cells, parts: Parts, read: Read, unit: int) -> None:
        self.cells, self.blocks, self.height = cells, parts.blocks, parts.height
        self.read, self.unit = read, unit
        self.readings = 0

    def amount(self) -> Amount:
        """The cheapest text."""
        # To the left edge of the block, to its right one, and to that of the next.
        ways: list[list[Way]] = [[Way(0, "", MOST_COST)], [], []]
        following = self._arc(self.blocks[0].edges[0], self.blocks[0].edges[-1], 0, WIDEST)
        for k, block in enumerate(self.blocks):
            whole, is_last = following, k == len(self.blocks) - 1
            may_skip = (k == 0) != is_last or block.height < SKIP_HEIGHT
            self._go(ways[0], ways[1], whole, 0, may_skip)
            if not is_sure(whole):
                self._cut(block, ways[0], ways[1])
            if not is_last:
                after = self.blocks[k + 1]
                following = self._arc(after.edges[0], after.edges[-1], 0, WIDEST)
                if ways[0] and not (is_sure(whole) and is_sure(following)):
                    both = self._arc(block.edges[0], after.edges[-1], 0, WIDEST)
                    self._go(ways[0], ways[2], both, JOIN_COST, False)
            ways = [ways[1], ways[2], []]
        if not ways[0] or not 0 < len(ways[0][0].text) <= DIGITS:
            return NOTHING._replace(readings=self.readings)
        best, *others = ways[0]
        margin = min([MOST_COST, *(way.cost - best.cost for way in others)])
        return Amount(best.text, best.cost, margin, best.sure, self.readings)

    def _cut(self, block: Block, start: list[Way], end: list[Way]) -> None:
        """The ways through a block by its cuts."""
        last, edges = len(block.edges) - 1, block.edges
        ways = [start, *([] for _ in edges[2:]), end]
        is_pair = block.width < PAIR_WIDTH
        for i in range(last):
            for j in range(i + 1, last + 1):
                if j - i == last or (is_pair and i > 0 and j < last) or not ways[i]:
                    continue
                if end and ways[i][0].cost > end[0].cost + BOUND:
                    continue
                # What lies behind one of two digits is the other one, of a digit's size too.
                if is_pair and i == 0 and self._size(edges[j], edges[last], *PART) is None:
                    continue
                arc = self._arc(edges[i], edges[j], *PART)
                crossed = (block.crossed[i] + block.crossed[j]) // 2
                self._go(ways[i], ways[j], arc, crossed, False, UNLIKELY)

    def _arc(self, left: Array, right: Array, least: int, widest: int) -> Arc | None:
        """Reads what lies between two paths, if it is as high and no wider."""
        size = self._size(left, right, least, widest)
        if size is None:
            return None
        self.readings += 1
        logits = self.read(self.cells.image(left, right)[None])[0]
        return Arc(costs_of(logits, self.unit), *size)

    def _size(self, left: Array, right: Array, least: int, widest: int) -> tuple[int, int] | None:
        """Width and height of what lies between two paths, if it is as high and no wider."""
        box = self.cells.box(left, right)
        if box is None:
            return None
        tall, wide = 64 * (box[1] - box[0]) // self.height, 64 * (box[3] - box[2]) // self.height
        return (wide, tall) if tall >= least and wide <= widest else None

    def _go(
        self,
        start: list[Way],
        end: list[Way],
        arc: Arc | None,
        extra: int,
        may_skip: bool,
        most: int = 2 * MOST_COST,
    ) -> None:
        """Takes an arc for its three likeliest digits, or for none."""
        if arc is None:
            return
        extra += LOW_COST * max(0, LOW - arc.height)
        best = sorted(range(CLASSES), key=lambda digit: arc.costs[digit])[:3]
        steps = [
            Way(cost + extra, str(digit), sureness(arc.costs, digit))
            for digit in best
            if (cost := arc.costs[digit]) < most
        ]
        if may_skip:
            steps.append(Way(SKIP + sum(arc.costs[CLASSES:]), "", MOST_COST))
        for step in steps:
            for way in start:
                # One digit too many tells that there are more than an amount has.
                text = (way.text + step.text)[: DIGITS + 1]
                put(end, Way(way.cost + step.cost, text, min(way.sure, step.sure)))


def is_sure(arc: Arc | None) -> bool:
    """Whether an arc is a digit that need not be cut, nor joined to another one."""
    least, height, width = SURE
    return (
        arc is not None
        and min(arc.costs[:CLASSES]) < least
        and arc.height >= height
        and arc.width <= width
    )
