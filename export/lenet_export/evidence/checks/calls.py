"""A reading that is not of exactly the rows of one image is told as miscounted."""

from __future__ import annotations

from lenet_export.evidence.check import (
    IMPLEMENTATION_FILE,
    Case,
    Check,
    FailedError,
    NotRunError,
    Outcome,
)

#: Reads each image as it is to be read, and then with one fault: a call that is left out or made
#: twice, or a bit of the row counters that flips before a call. Counts the readings of other
#: logits, and those of them that are not told as miscounted. The program's own verdict is
#: LENET_MISCOUNTED until it is told one.
PROGRAM = """\
#include "lenet.h"
#include <stdio.h>
#include <string.h>

enum { CALLS = LENET_ROWS + 2, BITS = 32 };

static uint8_t image[LENET_ROWS][LENET_COLUMNS * LENET_CHANNELS];
static lenet_workspace ws, before[CALLS];
static logit_type logits[LENET_LOGITS];

static lenet_verdict call(int n)
{
    if (n == 0) {
        lenet_begin(&ws);
    } else if (n <= LENET_ROWS) {
        lenet_row(&ws, image[n - 1]);
    } else {
        return lenet_finish(&ws, logits);
    }
    return LENET_MISCOUNTED;
}

static void read_without_a_fault(void)
{
    for (int n = 0; n < CALLS; n++) {
        before[n] = ws;
        call(n);
    }
}

/* Each has a call that it is at: first they are left out, then made twice, then a bit flips before
 * one. What comes before the call is as it was without a fault. */
static lenet_verdict read_with(int fault)
{
    int bit = fault - 2 * CALLS;
    int at = bit < 0 ? fault % CALLS : bit / BITS;
    lenet_verdict verdict = LENET_MISCOUNTED;
    if (at > 0) {
        ws = before[at];
    }
    if (bit >= 0) {
        *(bit % BITS < 16 ? &ws.row : &ws.left) ^= (uint16_t)(1u << bit % 16);
    }
    if (fault >= CALLS) {
        verdict = call(at);
    }
    for (int n = bit < 0 && fault >= CALLS ? at : at + 1; n < CALLS; n++) {
        verdict = call(n);
    }
    return verdict;
}

int main(void)
{
    unsigned long faults = 0, wrong = 0, missed = 0;
    while (fread(image, sizeof image, 1, stdin) == 1) {
        logit_type right[LENET_LOGITS];
        read_without_a_fault();
        memcpy(right, logits, sizeof right);
        for (int fault = 0; fault < CALLS * (2 + BITS); fault++) {
            lenet_verdict verdict = read_with(fault);
            int is_wrong = memcmp(right, logits, sizeof right) != 0;
            faults++;
            wrong += is_wrong;
            missed += is_wrong && verdict != LENET_MISCOUNTED;
        }
    }
    printf("%lu %lu %lu\\n", faults, wrong, missed);
    return 0;
}
"""
IMAGES = 40


def _run(case: Case) -> Outcome:
    case.compile("gcc", PROGRAM, "-O2", IMPLEMENTATION_FILE)
    given = case.images[-IMAGES:]  # the user's, if there are any
    faults, wrong, missed = map(int, case.run(["./check"], given.tobytes()).stdout.split())
    case.log.append(f"{faults:,} faults: {wrong:,} change logits, of which {missed:,} are not told")
    if not wrong:
        raise NotRunError("no fault changes a logit of this network, so nothing would be shown")
    if missed:
        raise FailedError(f"{missed:,} of {wrong:,} faults that change logits are not told")
    says = f"{wrong:,} of {faults:,} faults change logits; all of these are told as miscounted"
    return Outcome(says, {"images": len(given), "faults": faults, "wrong": wrong, "missed": 0})


CHECK = Check(
    "A reading that is not of exactly the rows of one image is told",
    "In each of some images every call is left out once, made twice once, and every bit of the two "
    "row counters flips before every call, in a program whose own verdict is MISCOUNTED until the "
    "C says one.",
    ("gcc",),
    _run,
)
