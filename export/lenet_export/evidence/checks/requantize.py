"""Scaling an accumulator to a code is what the numerics define, for every value there can be."""

from __future__ import annotations

from typing import NamedTuple

from lenet_export.evidence.check import Case, Check, FailedError, NotRunError, Outcome
from lenet_export.plan import Plan

FUNCTION = "static uint16_t requantize(int32_t acc, uint16_t gain, uint16_t shift, uint16_t top)"
PROGRAM = """\
#include "check-implementation.c"
#include <stdio.h>

static const struct {
    long long least, most;
    uint16_t gain;
    uint16_t shift;
    uint16_t top;
} channels[] = {
CHANNELS
};

int main(void)
{
    unsigned long long values = 0, wrong = 0;
    for (unsigned c = 0; c < sizeof channels / sizeof channels[0]; c++) {
        for (long long acc = channels[c].least; acc <= channels[c].most; acc++) {
            long long product = acc * channels[c].gain;
            long long unit = 1LL << channels[c].shift;
            long long index = product >= 0 ? product / unit : -((unit - 1 - product) / unit);
            long long top = channels[c].top;
            index = index < 0 ? 0 : index > top ? top : index;
            wrong += requantize((int32_t)acc, channels[c].gain, channels[c].shift,
                                channels[c].top) != index;
            values++;
        }
    }
    printf("%llu %llu\\n", values, wrong);
    return 0;
}
"""


class _Channel(NamedTuple):
    """The accumulators of a channel, and how they are scaled."""

    least: int
    most: int
    gain: int
    shift: int
    top: int


def _channels(plan: Plan) -> list[_Channel]:
    found = []
    for layer in plan.layers:
        integers = layer.integers
        if integers is None or integers.requantize is None or layer.norm:
            continue
        of = integers.requantize
        ends = zip(integers.acc_min, integers.acc_max, of.gain, strict=True)
        top = of.activation.top
        found += [_Channel(int(a), int(b), int(g), of.shift, top) for a, b, g in ends]
    return found


def _run(case: Case) -> Outcome:
    if case.plan.dtype != "int8":
        raise NotRunError("floats are not scaled to codes")
    if case.named(FUNCTION) not in case.c:
        raise NotRunError(
            f"the kernels of {case.plan.cpu} scale in a way of their own; equality covers them"
        )
    channels = _channels(case.plan)
    if not channels:
        raise NotRunError(
            "no layer scales an accumulator by itself: each has a norm, or there is one"
        )
    rows = "\n".join(f"    {{{', '.join(map(str, channel))}}}," for channel in channels)
    case.compile("gcc", PROGRAM.replace("CHANNELS", rows), "-O2")
    values, wrong = map(int, case.run(["./check"]).stdout.split())
    case.log.append(f"{values:,} accumulators, {wrong:,} wrong")
    if wrong or not values:
        raise FailedError(f"{wrong:,} of {values:,} accumulators get another index")
    layers = [of for of in case.plan.layers if of.integers and of.integers.requantize]
    says = f"0 of {values:,} accumulators get another index: all of {len(channels)} channels"
    normed = [of.name for of in layers if of.norm]
    if normed:
        says += f"; not of {', '.join(normed)}, which have norms"
    return Outcome(says, {"channels": len(channels), "values": values, "wrong": 0})


CHECK = Check(
    "Requantizing is its definition",
    "For every accumulator between each channel's bounds, with its gain and shift as planned, the "
    "C's requantize is compared with clamp(floor(acc * gain / 2^shift), 0, top) in 64 bits.",
    ("gcc",),
    _run,
)
