"""MISRA C:2012: what cppcheck finds, and that each finding of a required rule is a deviation."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from lenet_export.cpus.registry import CPUS
from lenet_export.evidence.check import Case, Check, FailedError, NotRunError, Outcome
from lenet_export.evidence.deviations import ADVISORY, Category, Deviation, category, deviation_of

#: One of its lines: a place, and the rule.
FOUND = re.compile(r"(\S+):(\d+): misra-c2012-(\S+)")
COMMAND = (
    *("cppcheck", "--quiet", "--std=c99", "--enable=style", "--addon=misra", "--inconclusive"),
    *("--template={file}:{line}: {id}", "--template-location="),
    *("-D__GNUC__", "-U__clang__", "-U__SDCC", "-U__cplusplus"),
)
MISRA_FILE = "check-misra.c"
#: It breaks rule 7.1, at the end of the program: where that is not told, nothing was looked at.
OCTAL = "static const int octal = 017;\n"


class Finding(NamedTuple):
    """A line that is not as a rule asks.

    Attributes:
        rule: its number.
        file: the name of the file.
        line: from 1.
        text: the line.
    """

    rule: str
    file: str
    line: int
    text: str


def findings_of(case: Case) -> list[Finding]:
    """What cppcheck says of the C as gcc sees it, with the numbers of tables left out.

    Raises:
        NotRunError: it did not read the C to its end, or has no MISRA.
    """
    lines = {}
    for name, data in case.files.items():
        if name.endswith((".c", ".h")):
            text = _without_numbers(data.decode())
            (case.work / name).write_bytes(text.encode())
            lines[name] = text.splitlines()
    # Some rules are of a file's text, and looked for in the file that cppcheck is given alone: in
    # it all stand, headers first, which are guarded where they are included.
    names = sorted(lines, key=lambda name: name == case.main_file)
    origins = [(name, number) for name in names for number in range(1, len(lines[name]) + 1)]
    texts = [line for name in names for line in lines[name]]
    (case.work / MISRA_FILE).write_bytes("\n".join([*texts, OCTAL]).encode())
    macros = [f"-D{macro}" for macro in CPUS[case.plan.cpu].requires]
    if case.options.single_file:
        macros.append(case.named("-DLENET_IMPLEMENTATION"))
    said = case.run([*COMMAND, *macros, MISRA_FILE], may_fail=True).stderr.decode(errors="replace")
    places = {(rule, file, int(line)) for file, line, rule in FOUND.findall(said)}
    end = ("7.1", MISRA_FILE, len(texts) + 1)
    if end not in places:
        raise NotRunError("cppcheck did not read the C to its end: see the log")
    found = set()
    for rule, file, line in places - {end}:
        name, number = origins[line - 1] if file == MISRA_FILE else (file, line)
        found.add(Finding(rule, name, number, lines[name][number - 1].strip()))
    return sorted(found)


def _without_numbers(text: str) -> str:
    """The C with tables of zeros, on the same lines: numbers are most of the work."""
    return "\n".join(_emptied(text.split("\n")))


def _emptied(lines: list[str]) -> Iterator[str]:
    is_inside = False
    for line in lines:
        if is_inside:
            is_inside = not line.startswith("};")
            yield ""
        elif re.match(r"(static )?const [^(]*\](?: \w+)* = \{$", line):
            is_inside = True
            yield f"{line}0}};"
        else:
            yield line


def _run(case: Case) -> Outcome:
    found = findings_of(case)
    deviations: Counter[Deviation] = Counter()
    for finding in found:
        if category(finding.rule) is Category.ADVISORY:
            continue
        deviation = deviation_of(finding.rule, finding.text, case.plan.cpu)
        if deviation is None:
            raise FailedError(
                f"rule {finding.rule}, which is {category(finding.rule).value}, and no deviation: "
                f"{finding.file}, line {finding.line}: {finding.text}"
            )
        deviations[deviation] += 1
    advisory = Counter(of.rule for of in found if category(of.rule) is Category.ADVISORY)
    met = [
        {
            "rule": of.rule,
            "category": category(of.rule).value,
            "construct": of.construct,
            "why": of.why,
            "safe": of.safe,
            "count": count,
        }
        for of, count in deviations.items()
    ]
    required = sum(deviations.values())
    return Outcome(
        f"0 findings of mandatory and required rules that are no written deviation, {required} "
        f"that are one of {len(met)}; {advisory.total()} of advisory rules",
        {
            "required": required,
            "deviations": met,
            "advisory": dict(sorted(advisory.items())),
            "advisory_reasons": {
                rule: ADVISORY[rule] for rule in sorted(advisory) if rule in ADVISORY
            },
        },
    )


CHECK = Check(
    "MISRA C:2012 is kept, but for written deviations",
    "cppcheck's checks of the rules, of the C as gcc sees it, tables without their numbers: a "
    "finding of a mandatory or required rule must be one of the deviations that are written.",
    ("cppcheck",),
    _run,
    runs_the_c=False,
)
