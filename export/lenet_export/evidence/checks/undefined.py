"""No behaviour is undefined, whatever the image and whatever the workspace held."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Iterator
from typing import NamedTuple

from lenet_export.compiled import IMITATED
from lenet_export.cpus.registry import CPUS
from lenet_export.evidence.check import (
    PROGRAM_FILE,
    Case,
    Check,
    FailedError,
    NotRunError,
    Outcome,
    functions_of_parts,
)
from lenet_export.evidence.trace import layer_of, places
from lenet_export.outputs.bounds import Bound, bounds_of

#: The C with annotations: comments that only the analyzer reads.
ANNOTATED = "check-annotated.c"
MAIN = "check"
#: Each function, once, on a workspace of any bytes: so in any order, and any number of times. What
#: the state of a self-test holds between two steps is assumed before one and proved after it.
PROGRAM = """\
IMPLEMENTATION
#include "__fc_builtin.h"

static lenet_workspace ws;
static lenet_self_test_state test;
static uint8_t image[LENET_ROWS * LENET_COLUMNS * LENET_CHANNELS];
static logit_type logits[LENET_LOGITS];
lenet_reading reading;
lenet_verdict verdict;
lenet_self_test_result result;
int digit;

#define UNKNOWN(object) Frama_C_make_unknown((char *)&object, sizeof object)

void MAIN(void)
{
    UNKNOWN(ws);
    UNKNOWN(image);
    switch (Frama_C_interval(0, 9)) {
    case 0:
        lenet_begin(&ws);
        break;
    case 1:
        lenet_row(&ws, image);
        break;
    case 2:
        lenet_row(&ws, NULL);
        break;
    case 3:
        verdict = lenet_finish(&ws, logits);
        break;
    case 4:
        verdict = lenet_logits(&ws, image, logits);
        break;
    case 5:
        reading = lenet_read(&ws, image);
        break;
    case 6:
        digit = lenet_predict(&ws, image);
        break;
    case 7:
        UNKNOWN(logits);
        UNKNOWN(verdict);
        reading = lenet_decide(logits, verdict);
        break;
    case 8:
        result = lenet_self_test(&ws);
        break;
    default:
        lenet_self_test_begin(&test);
        //@ assert test_begun: 0 <= test.place < LENET_CONSTANT_BYTES && test.image <= 4;
        UNKNOWN(test);
        test.place = Frama_C_interval(0, LENET_CONSTANT_BYTES - 1);
        test.image = (uint16_t)Frama_C_interval(0, 4);
        result = lenet_self_test_step(&test, &ws);
        //@ assert test_goes_on: 0 <= test.place < LENET_CONSTANT_BYTES && test.image <= 4;
    }
}
"""

#: What is said in front of the loops of functions that are no layer's. Bytes are hashed one by one
#: where it is known how many are left, as of an answer; where the place of a self-test stays is
#: told, for it counts through all tables.
LOOPS = {
    "draw_circles": "loop unroll ALL;",
    "largest": "loop unroll ALL;",
    "lenet_finish": "loop unroll ALL;",
    "hash": "loop unroll test->left % 256; loop widen_hints test->place, TABLES;",
    "lenet_self_test": "loop widen_hints test.place, 0, BYTES; loop widen_hints test.image, 4;",
}
#: In front of what statement of a function cases are told apart, and by what.
CASES = {
    "hash": ("while ", "test->place < 0"),
    "larger": ("int32_t kept", "more < 0"),
}
LOOP = re.compile(r"( *)(?:for|while) \((?:\w+ (\w+) = )?")
SUMS = re.compile(r"( *)(u?int\w*) (?=(?:acc\w*|total) = )")
SUM = re.compile(r"\b(acc\w*|total) = ")
ALL = "1000000"
#: The model of a machine that the analyzer takes, by CPU; int has 16 bits on an AVR.
MACHINES = dict.fromkeys(("avr", "atmega328p", "attiny85"), "x86_16") | dict.fromkeys(
    ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55", "riscv32"), "x86_32"
)
OPTIONS = (
    f"-eva -main {MAIN} -eva-widening-delay 1 -eva-widening-period 1 "
    "-warn-invalid-pointer -eva-no-print -eva-no-show-progress -eva-show-slevel 1000000 "
    "-eva-msg-key=-initial-state -kernel-warn-key typing:incompatible-types-call=inactive"
)
REPORT = "-then -no-eva -report-csv properties.csv -metrics -metrics-eva-cover"
#: Of a property, as the analyzer reports it; other ones are not proved.
PROVED = ("Valid", "Considered valid", "Dead")
ASSERTION, OVERFLOW = "user assertion", "signed_overflow"
REACHED = re.compile(r"^ *(\w+): (\d+) stmts out of (\d+)", re.MULTILINE)


class _Annotated(NamedTuple):
    """The C for the analyzer.

    Attributes:
        text: the C, with comments.
        origins: by line of the text, counted from 0, the number of the line of the C.
        functions: the names of all functions.
    """

    text: str
    origins: list[int]
    functions: set[str]


def _annotated(case: Case) -> _Annotated:
    """The C with what the analyzer is told: loops to unroll, cases to tell apart, bounds."""
    data = case.files[case.main_file]
    lines = data.decode().splitlines()
    functions = [of for of in places(case.main_file, data) if "(" in lines[of.first - 1]]
    bounds = bounds_of(case.plan)
    before: dict[int, list[str]] = {}
    for function in functions:
        layer = layer_of(function.name, case.plan)
        own = [bound for bound in bounds if bound.layer == layer]
        body = [*enumerate(lines)][function.first : function.last]
        for number, said in [
            *_assertions(function.name, own, body),
            *_cases(function.name, body),
            *_loops(case, function.name, layer, body),
        ]:
            before.setdefault(number, []).append(said)
    text: list[str] = []
    origins: list[int] = []
    for number, line in enumerate(lines):
        if number in before and text[-1].startswith("#pragma GCC unroll"):
            text[-1] = ""  # It would stand between a loop and what is said of it.
        added = [*before.get(number, ()), line]
        text += added
        origins += [number + 1] * len(added)
    return _Annotated("\n".join(text) + "\n", origins, {of.name for of in functions})


_Line = tuple[int, str]


def _cases(function: str, body: list[_Line]) -> Iterator[_Line]:
    """What is told apart in a function, by the line before which it stands."""
    if function in CASES:
        statement, case = CASES[function]
        for number, line in body:
            if line.lstrip().startswith(statement):
                yield number, f"//@ split {case};"
                yield number, ";"  # A statement, which a declaration is not.


def _loops(case: Case, function: str, of: str, body: list[_Line]) -> Iterator[_Line]:
    """What is said of the loops of a function, of some layer or none.

    All of a sum are unrolled, and those through channels, each of which has bounds of its own; not
    those through a row's places, which are alike, nor those through a mean's window.
    """
    said = {case.named(name): text for name, text in LOOPS.items()}.get(function, "")
    sizes = {constant.values.nbytes for layer in case.plan.layers for constant in layer.constants}
    sizes |= {of.table.nbytes for of in case.plan.activations if of.table is not None}
    said = said.replace("TABLES", ", ".join(map(str, sorted(sizes))))
    said = said.replace("BYTES", case.named("LENET_CONSTANT_BYTES"))
    is_mean = not any(" = larger(" in line or " sums[" in line for _, line in body)
    alike = "xij" if is_mean else "x"  # A block's sums are written to by a window's loops.
    learns = any(layer.stage.learns for layer in case.plan.layers if layer.name == of)
    alike = alike if learns and function.endswith("_row") else ""
    for number, line in body:
        if match := LOOP.match(line):
            unrolls = of and (match[2] is None or match[2] not in alike)
            if told := "loop unroll ALL;" if unrolls else said:
                yield number, f"/*@ {told.replace('ALL', ALL)} */"


def _assertions(function: str, bounds: list[Bound], body: list[_Line]) -> Iterator[_Line]:
    """The bounds of a layer's sums, behind the loop that adds them up."""
    sums: dict[str, list[str]] = {}
    for number, line in body:
        margin = line[: len(line) - len(line.lstrip())]
        if line == margin + "}":
            yield from ((number + 1, text) for text in sums.pop(margin, ()))
        if (match := SUMS.match(line)) and not function.endswith("_row"):
            sums[margin] = [
                f"{margin}//@ assert {function}_{name}: {bound.format(name)};"
                for name in SUM.findall(line)
                if (bound := _bound_of(name, match[2], bounds))
            ] + sums.get(margin, [])


def _bound_of(name: str, c_type: str, bounds: list[Bound]) -> str:
    """What holds of a sum, as a predicate with ``{0}`` in its place; nothing, if none is known."""
    for bound in bounds:
        times_total = re.fullmatch(r"(\d+ \* )total", bound.number)
        is_sum = bound.number == "acc" or bound.number.startswith("sum(")
        if times_total if name == "total" else is_sum and bound.c_type == c_type:
            return f"{bound.least} <= {times_total[1] if times_total else ''}{{0}} <= {bound.most}"
    return ""


class _Property(NamedTuple):
    """What the analyzer had to prove, and its answer."""

    line: int
    function: str
    kind: str
    status: str
    text: str

    def __str__(self) -> str:
        """In a line of a log, or of the page."""
        return f"line {self.line}, {self.function}: {self.kind}: {self.text}"


def _run(case: Case) -> Outcome:
    plan = case.plan
    if plan.dtype != "int8":
        raise NotRunError("floats are not proved; the sanitizers of equality cover them")
    if plan.is_hardened:
        raise NotRunError("frama-c loses pointers that --harden hides; prove it without --harden")
    annotated = _annotated(case)
    (case.work / ANNOTATED).write_bytes(annotated.text.encode())
    define = "#define LENET_IMPLEMENTATION\n" if case.options.single_file else ""
    text = PROGRAM.replace("IMPLEMENTATION\n", f'{define}#include "{ANNOTATED}"\n')
    case.put(text.replace("MAIN", MAIN))
    shutil.copytree(IMITATED, case.work / "imitated")
    words = ["-U__GNUC__", "-I..", *(f"-D{macro}=1" for macro in CPUS[plan.cpu].requires)]
    words += ["-Iimitated"] if CPUS[plan.cpu].headers else []
    command = ["frama-c", "-machdep", MACHINES.get(plan.cpu, "x86_64"), *OPTIONS.split()]
    command += [f"-cpp-extra-args={word}" for word in words]
    done = case.run([*command, PROGRAM_FILE, *REPORT.split()], may_fail=True)
    said = done.stdout.decode(errors="replace")
    case.log.extend(said.splitlines())
    if done.returncode or not (case.work / "properties.csv").exists():
        headers = "".join(f"#include <{header}>\n" for header in CPUS[plan.cpu].headers)
        text = f"{headers}int {MAIN}(void) {{ return 0; }}\n"
        (case.work / "nothing.c").write_bytes(text.encode())
        if case.run([*command, "nothing.c"], may_fail=True).returncode:
            raise NotRunError(
                f"frama-c does not read the intrinsics of {plan.cpu}"
                if headers
                else "frama-c refuses any program: see the log"
            )
        raise FailedError("frama-c refuses the C: see the log")
    return _judged(case, annotated, said)


def _judged(case: Case, annotated: _Annotated, said: str) -> Outcome:
    """What the analyzer's reports say of the C."""
    properties = _properties(case, annotated)
    asserted = [of for of in properties if of.kind == ASSERTION]
    unproved = [of for of in properties if of.status not in PROVED]
    unproved += [of for of in asserted if of.status == "Dead"]
    case.log.extend(f"not proved: {of}" for of in unproved)
    reached = {name: (int(n), int(of)) for name, n, of in REACHED.findall(said)}
    if MAIN not in reached:
        raise NotRunError("frama-c reports in a way that is not known here")
    functions = annotated.functions - functions_of_parts(case)
    missing = sorted(functions - reached.keys())
    sums = [of for of in unproved if of.kind == OVERFLOW]
    cpu = CPUS[case.plan.cpu]
    is_followed = not (cpu.simd or cpu.program_memory)
    is_normed = any(layer.norm for layer in case.plan.layers)
    if (unproved and is_normed) or (not is_followed and len(sums) < len(unproved)):
        what = "what a norm computes" if is_normed else f"the instructions of {case.plan.cpu}"
        raise NotRunError(
            f"frama-c cannot follow {what}: {len(unproved)} of its claims stay open, which the log "
            "has; equality and its sanitizers cover them"
        )
    if unproved and is_followed:
        raise FailedError(f"{len(unproved)} claims are not proved, first: {unproved[0]}")
    if missing:
        raise FailedError(f"frama-c does not reach {', '.join(missing)}")
    never = {name: of - n for name, (n, of) in reached.items() if n < of}
    says = f"0 alarms in {len(functions)} functions"
    if sums:
        says = (
            f"0 alarms of memory; that {len(sums)} sums do not overflow is told by their bounds "
            "and by the sanitizers of equality alone"
        )
    if bounds := [of for of in asserted if of.function != MAIN]:
        says += f"; {len(bounds)} asserted bounds of sums are proved"
    if case.options.parts:
        says += "; not of what --with adds"
    figures = {
        "functions": len(annotated.functions),
        "alarms": {"memory": 0, "overflow": len(sums)},
        "assertions": len(asserted),
        "statements": sum(of for _, of in reached.values()),
        "never_reached": never,
    }
    return Outcome(says, figures)


def _properties(case: Case, annotated: _Annotated) -> list[_Property]:
    """What the analyzer had to prove, with lines of the C."""
    found = []
    with (case.work / "properties.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            is_ours = row["file"] == ANNOTATED
            line = annotated.origins[int(row["line"]) - 1] if is_ours else 0
            found.append(
                _Property(
                    line, row["function"], row["property kind"], row["status"], row["property"]
                )
            )
    return found


CHECK = Check(
    "Nothing is undefined, for any image and any workspace",
    "Frama-C's Eva follows each public function with an image and a workspace of any bytes, so for "
    "calls in any order and number: no access outside an object or to what was never written, no "
    "overflow, no bad shift or division. The bounds of sums are asserted in a copy of the C, whose "
    "annotations are comments.",
    ("frama-c",),
    _run,
    runs_the_c=False,
)
