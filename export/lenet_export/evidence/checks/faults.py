"""The self-test finds damage of the tables."""

from __future__ import annotations

from lenet_export.cpus.registry import CPUS
from lenet_export.evidence.check import Case, Check, FailedError, Outcome

DRAWN = 20_000
#: Flips one bit of the tables, or two, and puts them back; counts what the self-test passes. All
#: headers come first, so that nothing but the C is without its const.
PROGRAM = """\
#include <stdint.h>
#include <stdio.h>
#include <string.h>
HEADERS
#define const
#include "check-implementation.c"
#undef const

static struct { uint8_t *at; unsigned long size; } tables[] = {
TABLES
};
static uint64_t state = 88172645463325252u;

static unsigned long drawn(unsigned long below)
{
    state ^= state << 13; /* Marsaglia's xorshift */
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned long)(state % below);
}

static void flip(unsigned long bit)
{
    unsigned long byte = bit / 8;
    unsigned t = 0;
    for (; byte >= tables[t].size; t++) {
        byte -= tables[t].size;
    }
    tables[t].at[byte] ^= (uint8_t)(1u << bit % 8);
}

int main(void)
{
    static lenet_workspace ws;
    unsigned long bits = 0, passed[2] = {0, 0};
    for (unsigned t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        bits += 8 * tables[t].size;
    }
    if (lenet_self_test(&ws) != LENET_SELF_TEST_PASSED) {
        return 1;
    }
    for (long n = 0; n < DRAWN; n++) {
        unsigned long first = drawn(bits), second = (first + 1 + drawn(bits - 1)) % bits;
        flip(first);
        if (n % 2 == 1) {
            flip(second);
        }
        passed[n % 2] += lenet_self_test(&ws) == LENET_SELF_TEST_PASSED;
        flip(first);
        if (n % 2 == 1) {
            flip(second);
        }
    }
    printf("%lu %lu %lu\\n", bits, passed[0], passed[1]);
    return lenet_self_test(&ws) != LENET_SELF_TEST_PASSED;
}
"""


def _run(case: Case) -> Outcome:
    headers = "\n".join(f"#include <{header}>" for header in CPUS[case.plan.cpu].headers)
    names = [constant.name for constant in case.plan.constants]
    rows = "\n".join(f"    {{(uint8_t *){name}, sizeof {name}}}," for name in names)
    program = PROGRAM.replace("HEADERS", headers).replace("TABLES", rows)
    case.compile("gcc", program.replace("DRAWN", str(DRAWN)), "-O2")
    bits, *passed = map(int, case.run(["./check"]).stdout.split())
    case.log.append(f"{bits:,} bits; passed: {passed[0]} single flips, {passed[1]} double ones")
    if any(passed):
        raise FailedError(f"the self-test passes {sum(passed)} of {DRAWN:,} flips")
    says = f"{DRAWN:,} of {DRAWN:,} found: single and double flips among {bits:,} bits"
    return Outcome(says, {"bits": bits, "flips": DRAWN, "found": DRAWN})


CHECK = Check(
    "The self-test finds damaged tables",
    "Bits are drawn from all of the tables, flipped alone or two at once; the self-test is run.",
    ("gcc",),
    _run,
)
