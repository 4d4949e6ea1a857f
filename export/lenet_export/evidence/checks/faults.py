"""The self-test finds damage of the tables; of those that stand twice, each image does."""

from __future__ import annotations

from lenet_export.evidence.check import DRAWS, Case, Check, FailedError, Outcome

DRAWN = 20_000
#: Flips one bit of the tables, or two, and puts them back; counts what the self-test passes. Then
#: every bit of the tables that stand twice, of either copy, and counts the images that tell.
PROGRAM = """\
WITHOUT_CONST
static struct { uint8_t *at; unsigned long size; int stands_twice; } tables[] = {
TABLES
};
DRAWS
static void flip(unsigned long bit)
{
    unsigned long byte = bit / 8;
    unsigned t = 0;
    for (; byte >= tables[t].size; t++) {
        byte -= tables[t].size;
    }
    tables[t].at[byte] ^= (uint8_t)(1u << bit % 8);
}

/* What an image tells, whose rows are given once: lenet_finish compares. */
static void tell_of_images(void)
{
    static lenet_workspace given, ws;
    static uint8_t row[LENET_COLUMNS * LENET_CHANNELS];
    logit_type logits[LENET_LOGITS];
    unsigned long bits = 0, told = 0;
    lenet_begin(&given);
    for (int y = 0; y < LENET_ROWS; y++) {
        lenet_row(&given, row);
    }
    for (unsigned t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        for (unsigned long bit = 0; bit < 8 * tables[t].size && tables[t].stands_twice; bit++) {
            tables[t].at[bit / 8] ^= (uint8_t)(1u << bit % 8);
            ws = given;
            bits++;
            told += lenet_finish(&ws, logits) == TOLD;
            tables[t].at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    ws = given;
    told += lenet_finish(&ws, logits) == TOLD;
    printf(" %lu %lu\\n", bits, told);
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
    printf("%lu %lu %lu", bits, passed[0], passed[1]);
    tell_of_images();
    return lenet_self_test(&ws) != LENET_SELF_TEST_PASSED;
}
"""


def _run(case: Case) -> Outcome:
    plan = case.plan
    twice = {of.name for pair in plan.doubled for of in pair}
    rows = "\n".join(
        f"    {{(uint8_t *){of.name}, sizeof {of.name}, {of.name in twice:d}}},"
        for of in plan.constants
    )
    told_as = "LENET_DAMAGED" if plan.is_hardened else "(lenet_verdict)-1"
    program = PROGRAM.replace("WITHOUT_CONST", case.without_const).replace("DRAWS", DRAWS)
    program = program.replace("TABLES", rows).replace("TOLD", told_as)
    case.compile("gcc", program.replace("DRAWN", str(DRAWN)), "-O2")
    bits, single, double, doubled, told = map(int, case.run(["./check"]).stdout.split())
    case.log.append(f"{bits:,} bits; passed: {single} single flips, {double} double ones")
    if single or double:
        raise FailedError(f"the self-test passes {single + double} of {DRAWN:,} flips")
    says = f"{DRAWN:,} of {DRAWN:,} found: single and double flips among {bits:,} bits"
    figures = {"bits": bits, "flips": DRAWN, "found": DRAWN}
    if not plan.is_hardened:
        return Outcome(says, figures)
    case.log.append(f"{doubled:,} bits stand twice, of either copy; told in an image: {told:,}")
    expected = sum(8 * of.values.nbytes for pair in plan.doubled for of in pair)
    if not doubled == told == expected:
        raise FailedError(f"an image tells {told:,} of {expected:,} flips in what stands twice")
    says += f"; in what stands twice, {told:,} of {told:,} are told by the next image"
    return Outcome(says, figures | {"twice": doubled, "told": told})


CHECK = Check(
    "The self-test finds damaged tables",
    "Bits are drawn from all of the tables, flipped alone or two at once; the self-test is run. "
    "With --harden every bit of what stands twice is flipped, and an image is read.",
    ("gcc",),
    _run,
)
