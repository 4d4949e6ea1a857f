"""A reading that is accepted is of exactly the rows of one image."""

from __future__ import annotations

from lenet_export.evidence.check import IMPLEMENTATION, Case, Check, FailedError, Outcome

#: Reads each image as it is to be read, and then with one fault: a call that is left out or made
#: twice, or a bit of the row counters that flips before a call. Counts the readings of other
#: logits, and those of them that are accepted. The program's own verdict is LENET_MISCOUNTED until
#: it is told one.
PROGRAM = """\
#include "lenet.h"
#include <stdio.h>
#include <string.h>

enum { CALLS = LENET_ROWS + 2, BITS = 32 };

static uint8_t image[LENET_ROWS][LENET_COLUMNS * LENET_CHANNELS];
static lenet_workspace ws;
static LOGIT logits[OUTPUTS];

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

/* Fault 0 is none; then a call is left out, then one is made twice, then a bit flips before one. */
static lenet_reading read_with(int fault)
{
    lenet_verdict verdict = LENET_MISCOUNTED;
    for (int n = 0; n < CALLS; n++) {
        int bit = fault - 1 - 2 * CALLS - n * BITS;
        if (bit >= 0 && bit < BITS) {
            *(bit < 16 ? &ws.row : &ws.left) ^= (uint16_t)(1u << bit % 16);
        }
        if (fault - 1 != n) {
            verdict = call(n);
        }
        if (fault - 1 - CALLS == n) {
            verdict = call(n);
        }
    }
    return lenet_decide(logits, verdict);
}

int main(void)
{
    unsigned long faults = 0, wrong = 0, accepted = 0;
    while (fread(image, sizeof image, 1, stdin) == 1) {
        LOGIT right[OUTPUTS];
        read_with(0);
        memcpy(right, logits, sizeof right);
        for (int fault = 1; fault <= CALLS * (2 + BITS); fault++) {
            lenet_reading reading = read_with(fault);
            int is_wrong = memcmp(right, logits, sizeof right) != 0;
            faults++;
            wrong += is_wrong;
            accepted += is_wrong && reading.accepted;
        }
    }
    printf("%lu %lu %lu\\n", faults, wrong, accepted);
    return 0;
}
"""
IMAGES = 40


def _run(case: Case) -> Outcome:
    plan = case.plan
    c_type = "float" if plan.dtype == "float32" else "int32_t"
    program = PROGRAM.replace("LOGIT", c_type).replace("OUTPUTS", str(plan.outputs))
    case.compile("gcc", program, "-O2", IMPLEMENTATION)
    given = case.images[-IMAGES:]  # the user's, if there are any
    faults, wrong, accepted = map(int, case.run(["./check"], given.tobytes()).stdout.split())
    case.log.append(f"{faults:,} faults: {wrong:,} change logits, of which {accepted:,} accepted")
    if accepted:
        raise FailedError(f"{accepted:,} of {faults:,} faults change logits that are accepted")
    says = f"0 of {faults:,} faults change logits that are accepted; {wrong:,} change logits"
    return Outcome(says, {"images": len(given), "faults": faults, "wrong": wrong, "accepted": 0})


CHECK = Check(
    "What is accepted is of the rows of one image",
    "In each of some images every call is left out once, made twice once, and every bit of the two "
    "row counters flips before every call, in a program whose own verdict is MISCOUNTED until the "
    "C says one.",
    ("gcc",),
    _run,
)
