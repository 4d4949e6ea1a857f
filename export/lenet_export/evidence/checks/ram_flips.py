"""What a flipped bit of the workspace does to the image that is being read: a measurement."""

from __future__ import annotations

from lenet_export.evidence.check import (
    DRAWS,
    IMPLEMENTATION_FILE,
    Case,
    Check,
    FailedError,
    Outcome,
    accepted,
)
from lenet_export.plan import Plan

IMAGES = 40
FLIPS = 1000  # of each member
#: A flipped bit of these is told, whatever the network.
COUNTED = ("row", "left")
#: Reads images, and each again with a bit that flips behind lenet_begin or a row; counts by the
#: member of the bit what becomes of it. A member that lies in the place of one before it has no
#: bits of its own.
PROGRAM = """\
#include "lenet.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define MEMBER(path) {#path, offsetof(lenet_workspace, path), sizeof ((lenet_workspace *)0)->path}

static const struct { const char *path; size_t at, size; } members[] = {
MEMBERS
};
static uint8_t images[IMAGES][LENET_ROWS][LENET_COLUMNS * LENET_CHANNELS];
static lenet_workspace ws;
DRAWS
static lenet_reading read_with(int image, int flipped_behind, size_t bit, logit_type *logits)
{
    lenet_begin(&ws);
    for (int rows = 0; rows <= LENET_ROWS; rows++) {
        if (rows == flipped_behind) {
            ((uint8_t *)&ws)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        if (rows < LENET_ROWS) {
            lenet_row(&ws, images[image][rows]);
        }
    }
    lenet_verdict verdict = lenet_finish(&ws, logits);
    return lenet_decide(logits, verdict);
}

static int is_of(unsigned m, size_t byte)
{
    return byte >= members[m].at && byte < members[m].at + members[m].size;
}

int main(void)
{
    logit_type right[IMAGES][LENET_LOGITS], logits[LENET_LOGITS];
    int digits[IMAGES];
    if (fread(images, sizeof images, 1, stdin) != 1) {
        return 1;
    }
    for (int n = 0; n < IMAGES; n++) {
        lenet_reading reading = read_with(n, -1, 0, right[n]);
        digits[n] = reading.digit;
        if (!reading.accepted) {
            return 2;
        }
    }
    for (unsigned m = 0; m < sizeof members / sizeof members[0]; m++) {
        unsigned long bytes = 0, flips = 0, same = 0, logits_differ = 0, miscounted = 0;
        unsigned long rejected = 0, wrong = 0;
        size_t own[sizeof ws];
        for (size_t byte = members[m].at; byte < members[m].at + members[m].size; byte++) {
            int is_own = 1;
            for (unsigned other = 0; other < m; other++) {
                is_own &= !is_of(other, byte);
            }
            if (is_own) {
                own[bytes++] = byte;
            }
        }
        for (; bytes > 0 && flips < FLIPS; flips++) {
            int n = (int)drawn(IMAGES);
            size_t bit = 8 * own[drawn(bytes)] + drawn(8);
            lenet_reading reading = read_with(n, (int)drawn(LENET_ROWS + 1), bit, logits);
            if (reading.verdict == LENET_MISCOUNTED) {
                miscounted++;
            } else if (!reading.accepted) {
                rejected++;
            } else if (reading.digit != digits[n]) {
                wrong++;
            } else if (memcmp(logits, right[n], sizeof logits) != 0) {
                logits_differ++;
            } else {
                same++;
            }
        }
        printf("%s %lu %lu %lu %lu %lu %lu %lu\\n", members[m].path, bytes, flips, same,
               logits_differ, miscounted, rejected, wrong);
    }
    return 0;
}
"""
#: What the program counts of a member.
COUNTS = ("bytes", "flips", "nothing changes", "other logits, the same class, accepted",
          "told as miscounted", "rejected otherwise", "another class, accepted")  # fmt: skip


def _paths(plan: Plan) -> list[str]:
    """The members of the workspace that C names; what is used while rows come in is in front."""
    return [
        plan.kept.name,
        *(f"shared.rows.{of.name}" for of in plan.strips),
        *(of.name for of in plan.counters + plan.ink_counters),
        *(f"shared.units.{of.name}" for of in plan.units),
    ]


def _run(case: Case) -> Outcome:
    images, _ = accepted(case, IMAGES)
    members = "\n".join(f"    MEMBER({path})," for path in _paths(case.plan))
    program = PROGRAM.replace("MEMBERS", members).replace("FLIPS", str(FLIPS))
    program = program.replace("DRAWS", DRAWS)
    case.compile("gcc", program.replace("IMAGES", str(len(images))), "-O2", IMPLEMENTATION_FILE)
    found: dict[str, dict[str, int]] = {}
    for line in case.run(["./check"], images.tobytes()).stdout.decode().splitlines():
        path, *counts = line.split()
        if counts[0] == "0":
            continue
        found[path] = dict(zip(COUNTS, map(int, counts), strict=True))
        case.log.append(f"{path}: {', '.join(f'{n:,} {of}' for of, n in found[path].items())}")
    for path in COUNTED:
        of = found[path]
        if of["told as miscounted"] != of["flips"]:
            untold = of["flips"] - of["told as miscounted"]
            raise FailedError(f"{untold} of {of['flips']:,} flips in {path} are not told")
    size = sum(of["bytes"] for of in found.values())
    share = {
        count: sum(
            of["bytes"] / size * of[count] / of["flips"] for of in found.values() if of["flips"]
        )
        for count in COUNTS[2:]
    }
    worst = max(found, key=lambda path: found[path][COUNTS[-1]])
    says = (
        f"all flips of the row counters are told; of a bit of the workspace drawn anywhere "
        f"{share[COUNTS[2]]:.1%} change nothing, {share[COUNTS[-1]]:.2%} make a wrong reading that "
        f"is accepted, of one in {worst} {found[worst][COUNTS[-1]] / FLIPS:.2%}"
    )
    return Outcome(says, {"images": len(images), "shares": share, "members": found})


CHECK = Check(
    "A flipped bit of the row counters is told; what other bits of the workspace do is measured",
    f"In accepted images one bit of the workspace flips behind lenet_begin or a row, {FLIPS:,} "
    "times in each member of it, drawn.",
    ("gcc",),
    _run,
    measures=True,
)
