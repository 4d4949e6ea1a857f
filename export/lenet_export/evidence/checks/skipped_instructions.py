"""What a Cortex-M0 reads when it leaves an instruction out: a measurement."""

from __future__ import annotations

import re
import struct
from collections import Counter
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lenet_export.evidence.check import Case, Check, FailedError, Outcome, accepted
from lenet_export.evidence.cortex_m0 import COMPILER, LEVEL, Machine, State, Words, require
from lenet_export.verdict import Verdict

DRAWN = 1000  # of the executed instructions
BUDGET = 5 * 10**9  # instructions, which take a minute, for each of the two tables
IMAGES = 4
SNAPSHOTS = 1000  # of a reading
PATIENCE = 2  # times as long as a reading takes, after which a watchdog is taken to bark

#: A program that follows the header: it believes what is accepted, and nothing before it is read.
PROGRAM = """\
#include "lenet.h"

uint8_t image[LENET_ROWS][LENET_COLUMNS * LENET_CHANNELS];
lenet_workspace ws;
logit_type logits[LENET_LOGITS];
lenet_reading reading;

void application(void)
{
    lenet_verdict verdict;
    reading.digit = -1;
    reading.accepted = 0;
    for (int o = 0; o < LENET_LOGITS; o++) {
        logits[o] = 0;
    }
    lenet_begin(&ws);
    for (int y = 0; y < LENET_ROWS; y++) {
        lenet_row(&ws, image[y]);
    }
    verdict = lenet_finish(&ws, logits);
    reading = lenet_decide(logits, verdict);
}
"""
#: Those of its calls that a skip of is told, whatever the network.
COUNTED = ("lenet_begin", "lenet_row")
READING = struct.Struct("<iiiB")  # arm-none-eabi-gcc's enum has a byte


class Effect(StrEnum):
    """What becomes of a reading of which an instruction was left out."""

    NONE = "nothing changes"
    LOGITS = "other logits, the same class, accepted"
    CRASH = "a crash"
    ENDLESS = "no end"
    REJECTED = "the same class, rejected"
    OTHER_REJECTED = "another class, rejected"
    WRONG = "another class, accepted"


class Told(NamedTuple):
    """What the application has at its end."""

    digit: int
    gap: int
    accepted: int
    verdict: int
    logits: bytes


class GoldenRun:
    """An image that is read without a fault, and again less one of its instructions.

    Attributes:
        right: what is read of it.
        trace: the address of each executed instruction.
    """

    def __init__(self, machine: Machine, image: npt.NDArray[Any], before: npt.NDArray[Any]) -> None:
        """Reads the image, as it will be read, behind another.

        Args:
            machine: with the program; its next image is this one.
            image: uint8.
            before: the image that was read before.
        """
        self._machine = machine
        machine.write("image", before.tobytes())
        machine.call("application")
        machine.write("image", image.tobytes())
        self.trace: Words = machine.traced("application")
        self._every = max(1000, len(self.trace) // SNAPSHOTS)
        machine.prepare("application")
        self._states: list[State] = []
        while not machine.has_returned:
            self._states.append(machine.state())
            machine.go_on(self._every)
        self.right = self.told()

    def told(self) -> Told:
        """What the application has now."""
        plan = self._machine.case.plan
        logits = self._machine.read("logits", 4 * plan.outputs)
        digit, gap, accepted, verdict = READING.unpack(self._machine.read("reading", READING.size))
        return Told(digit, gap, accepted, verdict, logits)

    def skip(self, number: int) -> tuple[Effect, Told]:
        """Reads the image but for one instruction, the ``number``-th that is executed."""
        from unicorn import UcError

        machine = self._machine
        state, behind = divmod(number, self._every)
        machine.restore(self._states[state])
        if behind:
            machine.go_on(behind)
        assert machine.place == self.trace[number]
        count, later = PATIENCE * len(self.trace), state + 2
        soon = later * self._every - number - 1
        try:
            after = machine.size_at(machine.place)
            if later < len(self._states):
                machine.go_on(soon, after)
                if machine.is_in(self._states[later]):
                    return Effect.NONE, self.right
                after = 0
            if not machine.has_returned:
                machine.go_on(count, after)
        except UcError:
            return Effect.CRASH, self.told()
        if not machine.has_returned:
            return Effect.ENDLESS, self.told()
        told = self.told()
        return self._effect(told), told

    def _effect(self, told: Told) -> Effect:
        if told == self.right:
            return Effect.NONE
        is_same = told.digit == self.right.digit
        if told.accepted:
            return Effect.LOGITS if is_same else Effect.WRONG
        return Effect.REJECTED if is_same else Effect.OTHER_REJECTED


class Skip(NamedTuple):
    """An instruction that was left out, and what came of it."""

    address: int
    effect: Effect
    verdict: int


def skips(given: list[GoldenRun], most: int, drawn: int) -> tuple[list[Skip], list[Skip]]:
    """Leaves instructions out: each of the program's once, and some that are drawn.

    Args:
        given: the golden runs, which take turns.
        most: how many of the program's instructions at most, which are drawn then.
        drawn: how many of the executed ones.

    Returns:
        For the instructions of the program what came of leaving out one of their executions, which
        is drawn too; and what came of those that were drawn.
    """
    rng = np.random.default_rng(0)
    program = np.unique(np.concatenate([np.unique(of.trace) for of in given]))
    if len(program) > most:
        program = rng.choice(program, most, replace=False)
    places = []
    for turn, address in enumerate(program):
        having = [of for of in given[turn % len(given) :] + given if address in of.trace]
        (executed,) = np.nonzero(having[0].trace == address)
        places.append(_skip(having[0], int(rng.choice(executed))))
    times = []
    for turn in range(drawn):
        of = given[turn % len(given)]
        times.append(_skip(of, int(rng.integers(len(of.trace)))))
    return places, times


def _skip(of: GoldenRun, number: int) -> Skip:
    effect, told = of.skip(number)
    return Skip(int(of.trace[number]), effect, told.verdict)


def measured(
    case: Case, drawn: int = DRAWN, budget: int | None = None, program: str = PROGRAM
) -> dict[str, Any]:
    """What comes of skipped instructions, in numbers.

    Args:
        case: the C.
        drawn: how many of the executed instructions, beside each of the program's.
        budget: how many instructions may be emulated for either; ``None``: :data:`BUDGET`.
        program: the application.

    Raises:
        FailedError: the C reads on a Cortex-M0 what the reference does not.
        NotRunError: it cannot be run.
    """
    require(case)
    images, expected = accepted(case, IMAGES)
    machine = Machine(case, program)
    given = [GoldenRun(machine, image, images[n - 1]) for n, image in enumerate(images)]
    for n, of in enumerate(given):
        if (of.right.digit, of.right.gap, of.right.accepted) != (
            expected.digits[n], expected.gaps[n], 1,
        ):  # fmt: skip
            raise FailedError(f"a Cortex-M0 reads {of.right[:4]}, and not what the reference does")
    most = (BUDGET if budget is None else budget) // len(given[0].trace)
    places, times = skips(given, most, min(drawn, most))
    calls = [
        of.address
        for of in machine.instructions(np.unique(given[0].trace))
        if any(of.text.endswith(f"<{case.named(function)}>") for function in COUNTED)
        and of.functions[0] == "application"
    ]
    (executed,) = np.nonzero(np.isin(given[0].trace, calls))
    called = [_skip(given[0], int(number)) for number in executed]
    wrong = [skip for skip in places + times if skip.effect == Effect.WRONG]
    return {
        "compiled": f"{COMPILER} -mcpu=cortex-m0 {LEVEL}",
        "images": len(given),
        "instructions_of_an_image": len(given[0].trace),
        "instructions_of_the_program": len(np.unique(given[0].trace)),
        "calls": _counts(called),
        "places": _counts(places),
        "drawn": _counts(times),
        "wrong_and_accepted": _explained(machine, wrong),
    }


def _counts(skips: list[Skip]) -> dict[str, Any]:
    """How often what came of it; of what is rejected, by which verdict."""
    effects = Counter(skip.effect for skip in skips)
    rejected = (Effect.REJECTED, Effect.OTHER_REJECTED)
    names = {of.value: of.name for of in Verdict}
    verdicts = Counter(
        names.get(skip.verdict, "no verdict") for skip in skips if skip.effect in rejected
    )
    verdicts["no reading"] = verdicts.pop("ACCEPTED", 0)  # the application was not told one
    return {
        "skipped": len(skips),
        "effects": {of.value: effects[of] for of in Effect},
        "rejected_by": dict(verdicts.most_common()),
    }


#: By the beginnings of their names, what instructions do.
KINDS = {
    "stores": r"str|stm|push",
    "loads": r"ldr|ldm|pop",
    "calls and jumps": r"b(?!ic)",
    "compares": r"cmp|cmn|tst",
    "moves": r"mov|mvn|adr|sxt|uxt",
}


def _kind(text: str) -> str:
    return next((kind for kind, of in KINDS.items() if re.match(of, text)), "computes")


def _explained(machine: Machine, wrong: list[Skip]) -> list[dict[str, Any]]:
    """Which instructions they are, and of which function; the most frequent first."""
    times = Counter(skip.address for skip in wrong)
    told = [
        {
            "function": " in ".join(of.functions),
            "line": of.line,
            "kind": _kind(of.text),
            "instruction": of.text,
            "times": times[of.address],
        }
        for of in machine.instructions(np.array(sorted(times), np.uint32))
    ]
    return sorted(told, key=lambda of: (-of["times"], of["function"], of["line"]))


def _run(case: Case) -> Outcome:
    found = measured(case)
    calls = found["calls"]
    missed = calls["skipped"] - calls["rejected_by"].get(Verdict.MISCOUNTED.name, 0)
    for of in found["wrong_and_accepted"]:
        case.log.append("wrong and accepted, {times} times: {function}, line {line}: {kind}, "
                        "{instruction}".format(**of))  # fmt: skip
    if missed or not calls["skipped"]:
        raise FailedError(
            f"{missed} of {calls['skipped']} skipped calls are not told as miscounted"
        )
    shares = [
        f"{of['effects'][Effect.WRONG]:,} of {of['skipped']:,}"
        for of in (found["places"], found["drawn"])
    ]
    functions: Counter[str] = Counter()
    for of in found["wrong_and_accepted"]:
        functions[of["function"].partition(" in ")[0]] += of["times"]
    names = ", ".join(f"{name} {count}" for name, count in functions.most_common())
    says = (
        f"{calls['skipped']} skipped calls of begin and row are told as miscounted; "
        f"wrong and accepted: {shares[0]} instructions of the program that were left out "
        f"once, and {shares[1]} that were drawn of those that an image executes"
    )
    return Outcome(says + (f" ({names})" if names else ""), found)


CHECK = Check(
    "A skipped call of begin or row is told; what other skipped instructions do is measured",
    "On an emulated Cortex-M0 a program reads an image row by row behind another. Each of its "
    "instructions, and of the C's that run, is left out once (some are drawn, where an image takes "
    "long), and more that are drawn of all that are executed. Twice as long as a reading takes is "
    "no end.",
    (COMPILER,),
    _run,
    runs_the_c=False,
    measures=True,
)
