"""Which lines of the network's code are run, and which conditions decide: MC/DC."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from lenet_export.evidence.check import (
    Case,
    Check,
    FailedError,
    NotRunError,
    Outcome,
    functions_of_parts,
)
from lenet_export.evidence.trace import code_alone
from lenet_export.verdict import Verdict

FLAGS = ("-O0", "-fprofile-instr-generate", "-fcoverage-mapping")
#: Runs the self-test; with an argument then each image that is read, too few rows and too many, all
#: logits that there can be, and self-tests of constants and of rows that are damaged.
PROGRAM = """\
WITHOUT_CONST
static uint8_t image[LENET_ROWS * LENET_COLUMNS * LENET_CHANNELS];
static lenet_workspace ws;

static void decide(void)
{
    for (int o = 0; o < LENET_LOGITS; o++) {
        for (int verdict = 0; verdict < VERDICTS; verdict++) {
            logit_type logits[LENET_LOGITS] = {0};
            lenet_decide(logits, (lenet_verdict)verdict);
            for (int sign = -1; sign <= 1; sign += 2) {
                logits[o] = (logit_type)(sign * 2147483647.0);
                lenet_decide(logits, (lenet_verdict)verdict);
            }
            for (int other = 0; other < LENET_LOGITS; other++) {
                logits[other] = (logit_type)(other == o ? 2147483647.0 : -2147483647.0);
            }
            lenet_decide(logits, (lenet_verdict)verdict);
        }
    }
}

static lenet_self_test_result of_damaged_rows(void)
{
    lenet_self_test_state test;
    lenet_self_test_result result;
    lenet_self_test_begin(&test);
    do {
        result = lenet_self_test_step(&test, &ws);
        if (test.image == 1 && test.row == 1) {
            ws.row ^= 1u;
        }
    } while (result == LENET_SELF_TEST_RUNNING);
    return result;
}

static lenet_self_test_result of_damaged_constants(uint8_t *table)
{
    logit_type logits[LENET_LOGITS];
    *table ^= 1u;
    lenet_begin(&ws);
    lenet_finish(&ws, logits);
    lenet_self_test_result result = lenet_self_test(&ws);
    *table ^= 1u;
    return result;
}

int main(int count, char **words)
{
    if (lenet_self_test(&ws) != LENET_SELF_TEST_PASSED) {
        return 1;
    }
    (void)words;
    if (count == 1) {
        return 0;
    }
    logit_type logits[LENET_LOGITS];
    while (fread(image, sizeof image, 1, stdin) == 1) {
        lenet_read(&ws, image);
        lenet_predict(&ws, image);
    }
    lenet_begin(&ws);
    lenet_row(&ws, image);
    lenet_finish(&ws, logits);
    lenet_row(&ws, image);
    ws.row = LENET_ROWS + 1;
    lenet_finish(&ws, logits);
    decide();
    return of_damaged_rows() != LENET_SELF_TEST_ANSWERS ||
        of_damaged_constants((uint8_t *)FIRST_TABLE) != LENET_SELF_TEST_CONSTANTS ||
        of_damaged_constants((uint8_t *)LAST_TABLE) != LENET_SELF_TEST_CONSTANTS;
}
"""
#: What no program can run, by a part of its line, and why.
NEVER = {
    "the workspace does not keep its rows": "others would have to write the workspace meanwhile",
    "step < LENET_SELF_TEST_STEPS": "others would have to write the workspace meanwhile",
    "is_big_endian": "this machine's lowest byte comes first",
    "< LENET_MIN_GAP": "without --max-error every gap suffices",
    "LENET_UNSURE": "without --max-error every gap suffices",
}


class Condition(NamedTuple):
    """A condition, where it is written, and how often it was true and false."""

    line: int
    column: int
    last_line: int
    last_column: int
    true: int
    false: int


@dataclass(frozen=True)
class Decision:
    """Conditions that ``&&`` and ``||`` join, in the order in which they are asked.

    Attributes:
        conditions: at least one.
        operators: between them.
    """

    conditions: tuple[Condition, ...]
    operators: tuple[str, ...]

    @property
    def is_chain(self) -> bool:
        """Whether one operator joins all: then outcomes of conditions are MC/DC.

        In a && b && ... a condition is asked where those before it are true. If it was false, the
        decision was, with it alone; if the last was true, so were all, and the decision. So each
        has two cases that differ in it alone, of those that are asked, and in the decision. Of ||
        the same holds with true and false exchanged. Of a mixture it does not.
        """
        return len(set(self.operators)) < 2


def decisions(text: str, conditions: list[Condition]) -> Iterator[Decision]:
    """Joins the conditions of a text to decisions."""
    plain = code_alone(text)
    starts = [0, *accumulate(len(line) for line in plain.splitlines(keepends=True))]
    found: list[Condition] = []
    operators: list[str] = []
    for condition in sorted(conditions):
        if found:
            last = found[-1]
            between = plain[
                starts[last.last_line - 1] + last.last_column - 1 : starts[condition.line - 1]
                + condition.column
                - 1
            ]
            joined = re.fullmatch(r"[\s)]*(&&|\|\|)[\s(!]*", between)
            if joined:
                operators.append(joined[1])
                found.append(condition)
                continue
            yield Decision(tuple(found), tuple(operators))
        found, operators = [condition], []
    if found:
        yield Decision(tuple(found), tuple(operators))


def _run(case: Case) -> Outcome:
    program = PROGRAM.replace("WITHOUT_CONST", case.without_const)
    program = program.replace("VERDICTS", str(len(Verdict)))
    for name, place in (("FIRST_TABLE", 0), ("LAST_TABLE", -1)):  # the last may be a copy
        program = program.replace(name, case.plan.constants[place].name)
    case.compile("clang", program, *FLAGS)
    figures: dict[str, Any] = {}
    parts = functions_of_parts(case)
    for name, words in {"self_test": [], "with_images": ["images"]}.items():
        case.run(["./check", *words], case.images.tobytes())
        figures[name] = _counted(case, parts)
    found = figures["with_images"]
    unexplained = [of for of in found["never_run"] + found["one_sided"] if not of["why"]]
    for name, of in figures.items():
        case.log.append(
            f"{name}: {of['regions_run']} of {of['regions']} regions, "
            f"{of['outcomes_seen']} of {of['outcomes']} outcomes of conditions"
        )
        for miss in of["never_run"] + of["one_sided"]:
            case.log.append("  {line}: {what}{because}".format(
                because=f" ({miss['why']})" if miss["why"] else "", **miss))  # fmt: skip
    if found["functions_never_run"]:
        raise FailedError(f"nothing runs {', '.join(found['functions_never_run'])}")
    alone = figures["self_test"]
    says = (
        f"with images {found['decided']:,} of {found['conditions']:,} conditions decide by "
        f"themselves (MC/DC), and {found['regions_run']:,} of {found['regions']:,} regions of code "
        f"are run; by the self-test alone {alone['decided']:,} and {alone['regions_run']:,}"
    )
    if unexplained:
        says += f"; {len(unexplained)} that no image here needs are in the log"
    if found["mixed"]:
        says += f"; of {found['mixed']} decisions that mix && and || nothing is claimed"
    return Outcome(says, figures)


def _counted(case: Case, parts: set[str]) -> dict[str, Any]:
    """What a run covered of the network's code: not of ``parts``, which ``--with`` adds."""
    case.run(["llvm-profdata", "merge", "-o", "check.profdata", "default.profraw"])
    done = case.run(["llvm-cov", "export", "-instr-profile", "check.profdata", "check"])
    text = case.files[case.main_file].decode()
    lines = text.splitlines()
    regions: list[tuple[int, int]] = []
    conditions: list[Condition] = []
    functions: list[str] = []
    try:
        (data,) = json.loads(done.stdout)["data"]
        for of in data["functions"]:
            name = of["name"].rpartition(":")[2]
            if of["filenames"][0].endswith(f"/{case.main_file}") and name not in parts:
                functions += [] if of["count"] else [name]
                regions += [(at[0], at[4]) for at in of["regions"] if at[7] == 0]
                conditions += [Condition(*at[:6]) for at in of["branches"]]
    except (ValueError, KeyError, IndexError):
        raise NotRunError("llvm-cov tells of the C in a way that is not known here") from None
    found = [*decisions(text, conditions)]
    chains = [of for of in found if of.is_chain]
    one_sided = [
        (condition, outcome)
        for condition in sorted(conditions)
        for outcome, count in (("true", condition.true), ("false", condition.false))
        if not count
    ]
    never = sorted({line for line, count in regions if not count})
    return {
        "functions_never_run": sorted(functions),
        "regions": len(regions),
        "regions_run": sum(count > 0 for _, count in regions),
        "never_run": [_told(lines, line) for line in never],
        "decisions": len(found),
        "mixed": len(found) - len(chains),
        "conditions": len(conditions),
        "decided": sum(bool(of.true and of.false) for chain in chains for of in chain.conditions),
        "outcomes": 2 * len(conditions),
        "outcomes_seen": 2 * len(conditions) - len(one_sided),
        "one_sided": [
            _told(lines, of.line, _text_of(lines, of) + f" is never {outcome}")
            for of, outcome in one_sided
        ],
    }  # fmt: skip


def _text_of(lines: list[str], of: Condition) -> str:
    end = of.last_column - 1 if of.last_line == of.line else None
    return lines[of.line - 1][of.column - 1 : end].strip()


def _told(lines: list[str], line: int, what: str = "") -> dict[str, Any]:
    """A line, what of it was not seen, and why it cannot be."""
    text = lines[line - 1].strip()
    why = next((why for part, why in NEVER.items() if part in text), "")
    return {"line": line, "what": what or text, "why": why}


CHECK = Check(
    "Every function of the network is run; how many conditions decide by themselves is measured",
    "Counted by clang's source-based coverage at -O0: of the self-test alone, and with images, too "
    "few rows and too many, all kinds of logits, and damage. Where one operator joins a decision's "
    "conditions, a condition that was true and false has shown its effect (masking MC/DC).",
    ("clang", "llvm-cov"),
    _run,
    measures=True,
)
