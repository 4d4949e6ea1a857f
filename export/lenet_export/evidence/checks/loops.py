"""How often each loop turns: the bounds that a worst-case analysis of time asks for."""

from __future__ import annotations

import bisect
import csv
import io
import re
from itertools import accumulate, pairwise
from typing import NamedTuple

from lenet_export.evidence.check import (
    Case,
    Check,
    FailedError,
    NotRunError,
    Outcome,
    functions_of_parts,
)
from lenet_export.evidence.trace import code_alone, places

#: Counts the turns of loops, whose heads tell it of their beginning and of each turn: over the
#: self-test, images, no rows, one row, a row too many and decisions. The turns of a whole image
#: must be the same for each.
PROGRAM = """\
#include <stdio.h>
#include <string.h>

enum { LOOPS = COUNT };

static struct { unsigned long begun, now, least, most; } loops[LOOPS + 1];
static unsigned long turns[LOOPS + 1];

static void end_loop(int n)
{
    if (loops[n].begun > 0) {
        loops[n].least = loops[n].now < loops[n].least ? loops[n].now : loops[n].least;
        loops[n].most = loops[n].now > loops[n].most ? loops[n].now : loops[n].most;
    } else {
        loops[n].least = (unsigned long)-1;
    }
}

static void begin_loop(int n)
{
    end_loop(n);
    loops[n].begun++;
    loops[n].now = 0;
}

static void turn_loop(int n)
{
    loops[n].now++;
    turns[n]++;
}

#include "check-implementation.c"

static uint8_t image[LENET_ROWS * LENET_COLUMNS * LENET_CHANNELS];
static lenet_workspace ws;

int main(void)
{
    static unsigned long of_first[LOOPS + 1];
    logit_type logits[LENET_LOGITS];
    lenet_self_test(&ws);
    for (long n = 0; fread(image, sizeof image, 1, stdin) == 1; n++) {
        memset(turns, 0, sizeof turns);
        lenet_logits(&ws, image, logits);
        if (n == 0) {
            memcpy(of_first, turns, sizeof turns);
        }
        for (int loop = 0; loop < LOOPS; loop++) {
            if (turns[loop] != of_first[loop]) {
                printf("%d differs\\n", loop);
                return 0;
            }
        }
        lenet_read(&ws, image);
    }
    lenet_begin(&ws);
    lenet_finish(&ws, logits);
    lenet_begin(&ws);
    lenet_row(&ws, image);
    lenet_finish(&ws, logits);
    lenet_row(&ws, image);
    for (int loop = 0; loop < LOOPS; loop++) {
        end_loop(loop);
        printf("%lu %lu %lu\\n", loops[loop].begun, loops[loop].least, loops[loop].most);
    }
    return 0;
}
"""
#: A head that counts between two constants.
COUNTING = re.compile(
    r"for \([\w ]*?(\w+) = (\d+)u?; \1 (<|<=|!=) (\d+)u?; (?:\1\+\+|\1 \+= (\d+)u?)\)"
)


class Loop(NamedTuple):
    """A loop of the C, and where its head begins and its body."""

    function: str
    line: int
    head: str
    start: int
    body: int

    @property
    def stated(self) -> int | None:
        """How often it turns by its head; ``None``: that does not tell."""
        found = COUNTING.fullmatch(self.head)
        if not found:
            return None
        first, last = int(found[2]), int(found[4]) + (found[3] == "<=")
        return max(0, -(-(last - first) // int(found[5] or 1)))


def loops_of(file: str, text: str) -> list[Loop]:
    """The loops of a text of C, in its order.

    Raises:
        NotRunError: one has no braces.
    """
    plain = code_alone(text)
    starts = [0, *accumulate(len(line) for line in plain.splitlines(keepends=True))]
    functions = places(file, text.encode())
    found = []
    for word in re.finditer(r"\b(for|while|do)\b", plain):
        line = bisect.bisect_right(starts, word.start())
        end = word.end() if word[1] == "do" else _closed(plain, plain.index("(", word.end()))
        body = re.match(r"\s*([{;])", plain[end:])
        if body and body[1] == ";" and word[1] == "while":
            continue  # the end of a do
        if not body or body[1] == ";":
            raise NotRunError(f"line {line}: a loop without braces cannot be counted")
        function = next((of.name for of in functions if of.first <= line <= of.last), "")
        head = " ".join(plain[word.start() : end].split())
        found.append(Loop(function, line, head, word.start(), end + body.end()))
    return found


def counted(text: str, loops: list[Loop]) -> str:
    """The text, whose loops call ``begin_loop`` and ``turn_loop`` with their numbers.

    How far a loop is unrolled is to stand in front of it, and is left out.
    """
    calls = {of.start: f"begin_loop({n}); " for n, of in enumerate(loops)}
    calls |= {of.body: f" turn_loop({n});" for n, of in enumerate(loops)}
    ends = [0, *sorted(calls), len(text)]
    told = "".join(calls.get(a, "") + text[a:b] for a, b in pairwise(ends))
    return re.sub(r"^ *#pragma GCC unroll[^\n]*", "", told, flags=re.MULTILINE)


def _closed(text: str, start: int) -> int:
    """Behind the parenthesis that closes the one at ``start``."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if depth == 0:
            return place + 1
    raise NotRunError("a parenthesis is not closed")


def _run(case: Case) -> Outcome:
    text = case.files[case.main_file].decode()
    loops = loops_of(case.main_file, text)
    (case.work / case.main_file).write_bytes(counted(text, loops).encode())
    case.compile("gcc", PROGRAM.replace("COUNT", str(len(loops))), "-O1")
    said = case.run(["./check"], case.images.tobytes()).stdout.decode().splitlines()
    if said[-1].endswith("differs"):
        loop = loops[int(said[-1].split()[0])]
        raise FailedError(f"line {loop.line}: a loop turns less often in one image than in another")
    rows, parts = [], functions_of_parts(case)
    for loop, line in zip(loops, said, strict=True):
        begun, least, most = map(int, line.split())
        if begun == 0 and loop.function not in parts:
            raise FailedError(f"line {loop.line}: a loop of {loop.function} is never run")
        if begun and loop.stated is not None and most > loop.stated:
            raise FailedError(
                f"line {loop.line}: a loop turns {most} times, by its head {loop.stated}"
            )
        turns = (least, most) if begun else ("", "")
        rows.append([loop.function, loop.line, loop.head, *turns])
        case.log.append("{}, line {}: {}: {} to {}".format(*rows[-1]))
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(
        [["function", "line", "loop", "least", "most"], *rows]
    )
    by_head = sum(loop.stated is not None for loop in loops)
    never = sum(row[3] == "" for row in rows)
    says = (
        f"{len(loops)} loops, of which {by_head} count between constants, and keep to them; the "
        "others turn as often as is measured, in each image the same"
    )
    if never:
        says += f"; {never} are of what --with adds, and not run"
    figures = {"loops": len(loops), "by_constants": by_head, "not_run": never}
    return Outcome(says, figures, {"loops.csv": table.getvalue().encode()})


CHECK = Check(
    "Each loop has a bound",
    "loops.csv has each loop's least and most turns, for an analysis of the worst time. They are "
    "counted in a copy of the C over the self-test, images, too few rows and too many; a loop that "
    "counts between constants must not exceed them, and no other may depend on the image.",
    ("gcc",),
    _run,
    files=("loops.csv",),
)
