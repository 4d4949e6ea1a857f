"""What a check of the evidence is, and how it is run: passed, measured, failed, or not run, why."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lenet_export import reference
from lenet_export.c_text import c_type
from lenet_export.compiled import IMITATED, NOTHING, host_flags, runs_here
from lenet_export.cpus.registry import CPUS
from lenet_export.errors import UserError
from lenet_export.evidence.trace import places
from lenet_export.outputs.c import rename, render_c
from lenet_export.outputs.options import Files, Options
from lenet_export.plan import Plan
from lenet_export.reference import Images
from lenet_export.verdict import Readings, Verdict, readings

PASSED, MEASURED, FAILED, NOT_RUN = "passed", "measured", "failed", "not run"
#: Debian's package of a tool, where it is not called as the tool.
DEBIAN = {
    "gcov": "gcc",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "frama-c": "frama-c-base",
    "llvm-cov": "llvm",
}
#: What valgrind begins its lines with.
PID = re.compile(r"==\d+==")
#: C that draws numbers below a limit, on every machine the same.
DRAWS = """\
static uint64_t state = 88172645463325252u;

static unsigned long drawn(unsigned long below)
{
    state ^= state << 13; /* Marsaglia's xorshift */
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned long)((state >> 8) % below);
}
"""
LIMIT = 3600  # seconds, after which a program is taken to hang
#: A program, and the C as it includes or compiles it. No prefix gives files such names.
PROGRAM_FILE, IMPLEMENTATION_FILE = "check-program.c", "check-implementation.c"


class NotRunError(Exception):
    """A check cannot be run here; as text, why."""


class FailedError(Exception):
    """A check found something; as text, what."""


@dataclass(frozen=True)
class Case:
    """What is checked, in a folder of its own that holds the files.

    Attributes:
        plan: what the files were printed from, laid out for its CPU.
        files: the generated ones, by name.
        options: of the files.
        folder: where they are, and a check may write.
        images: to run it on, uint8 ``(images, rows, columns, channels)``.
        log: what was run and what it said, line by line; checks add to it by :meth:`run`.
        programs: the texts of those that were compiled.
    """

    plan: Plan
    files: Files
    options: Options
    folder: Path
    images: Images
    log: list[str] = field(default_factory=list)
    programs: list[str] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        """Of the files and of all public names."""
        return self.options.prefix

    @property
    def flags(self) -> list[str]:
        """Of a compiler of this machine, for the C's CPU."""
        flags = host_flags(self.plan.cpu)
        return flags if CPUS[self.plan.cpu].headers else []

    @property
    def c(self) -> str:
        """The text of all C."""
        return "".join(d.decode() for name, d in self.files.items() if name.endswith((".c", ".h")))

    @property
    def main_file(self) -> str:
        """The name of the file with the functions."""
        return f"{self.prefix}.{'h' if self.options.single_file else 'c'}"

    @property
    def implementation(self) -> str:
        """The lines of a program that is the implementation, for the prefix ``lenet``."""
        if self.options.single_file:
            return '#define LENET_IMPLEMENTATION\n#include "lenet.h"\n'
        return '#include "lenet.c"\n'

    @property
    def without_const(self) -> str:
        """The lines of a program that is the implementation, whose tables can be written.

        All headers come first, so that nothing but the C is without its const.
        """
        headers = ("stddef.h", "stdint.h", "stdio.h", "string.h", *CPUS[self.plan.cpu].headers)
        included = "".join(f"#include <{header}>\n" for header in headers)
        return f'{included}#define const\n#include "{IMPLEMENTATION_FILE}"\n#undef const\n'

    @property
    def work(self) -> Path:
        """Where programs are made and run: a folder beneath the files, whose names are theirs."""
        return self.folder / "work"

    def is_public(self, function: str) -> bool:
        """Whether the header declares it."""
        return function.startswith(f"{self.prefix}_")

    def write(self) -> None:
        """Writes the files, and one that is the implementation, to be included or compiled."""
        for name, data in self.files.items():
            (self.folder / name).write_bytes(data)
        self.work.mkdir()
        (self.work / IMPLEMENTATION_FILE).write_bytes(self.named(self.implementation).encode())

    def compile(self, compiler: str, program: str, *flags: str) -> None:
        """Compiles a program to ``check``.

        Args:
            compiler: ``gcc`` or ``clang``.
            program: its text, as :meth:`named` takes it.
            flags: of the compiler, and further files.

        Raises:
            FailedError: the compiler refuses it.
            NotRunError: it refuses any program with these flags.
        """
        (self.work / "check").unlink(missing_ok=True)
        self.put(program)
        command = [compiler, "-std=c99", *self.flags, *flags]
        files = [flag for flag in flags if flag.endswith(".c")]
        self.run([*command, "-I..", "-o", "check", PROGRAM_FILE], may_fail=True)
        if (self.work / "check").exists():
            return
        (self.work / PROGRAM_FILE).write_bytes(NOTHING.encode())
        rest = [word for word in command if word not in files]
        self.run([*rest, "-o", "check", PROGRAM_FILE], may_fail=True)
        if not (self.work / "check").exists():
            raise NotRunError(f"{compiler} makes no program with {' '.join(rest[2:])}: see the log")
        raise FailedError(f"{compiler} refuses the C: see the log")

    def put(self, program: str) -> None:
        """Writes a program, whose text :meth:`named` takes; an assessor gets it, too."""
        text = self.named(program)
        if text not in self.programs:
            self.programs.append(text)
        (self.work / PROGRAM_FILE).write_bytes(text.encode())

    def named(self, text: str) -> str:
        """A text for the prefix ``lenet`` and a ``logit_type``, for those of the files."""
        return rename(text.replace("logit_type", c_type(self.plan.logit_dtype)), self.prefix)

    def run(
        self, command: Sequence[str | Path], given: bytes = b"", may_fail: bool = False
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs a command in the folder ``work``; the log gets it, its messages and its status.

        Raises:
            FailedError: it ends otherwise than well, and may not.
            NotRunError: it cannot be started, or does not end.
        """
        words = [str(word) for word in command]
        english = os.environ | {"LC_ALL": "C", "PWD": str(self.work)}
        try:
            done = subprocess.run(
                words, cwd=self.work, input=given, capture_output=True, timeout=LIMIT, env=english
            )
        except OSError as error:
            raise NotRunError(f"{words[0]} cannot be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise NotRunError(f"{words[0]} had not ended after {LIMIT} seconds") from None
        said = done.stderr.decode(errors="replace").replace(str(self.folder), "..").rstrip()
        said = PID.sub("==", said)
        self.log.append("$ " + " ".join(words).replace(str(IMITATED), "imitated"))
        self.log.extend(said.splitlines())
        if done.returncode:
            self.log.append(f"(exit status {done.returncode})")
            if not may_fail:
                raise FailedError(f"{words[0]} ended with status {done.returncode}: see the log")
        return done


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Attributes:
        says: one sentence, with the figures.
        figures: the same in numbers.
        files: what an assessor takes along, by name.
    """

    says: str
    figures: dict[str, Any]
    files: Files = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """One check; each module of ``checks/`` has one, called ``CHECK``.

    Attributes:
        title: what is claimed, in a few words.
        how: by what it is checked, in a sentence.
        tools: the programs that it needs.
        run: runs it. It raises :class:`FailedError` where the claim does not hold, and
            :class:`NotRunError` where it cannot be checked.
        runs_the_c: whether it needs a machine that runs the C.
        also: further programs, which it uses where they are there.
        files: the names of what it gives to an assessor beside its log and its program.
        measures: whether it claims no more than that a figure is within a limit; such a check is
            measured, not passed.
    """

    title: str
    how: str
    tools: tuple[str, ...]
    run: Callable[[Case], Outcome]
    runs_the_c: bool = True
    also: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    measures: bool = False


def result_of(name: str, check: Check, case: Case) -> tuple[dict[str, Any], Files]:
    """Runs a check: what the page tells of it, and its files, of which one is its log."""
    files: Files = {}
    told: dict[str, Any] = {"name": name, "title": check.title, "how": check.how}
    try:
        for tool in check.tools:
            require_tool(tool)
        if check.runs_the_c and not runs_here(case.plan.cpu):  # it asks a compiler
            raise NotRunError(f"this machine lacks the instructions of {case.plan.cpu}")
        outcome = check.run(case)
        status = MEASURED if check.measures else PASSED
        told |= {"status": status, "says": outcome.says, "figures": outcome.figures}
        files |= outcome.files
    except NotRunError as why:
        told |= {"status": NOT_RUN, "says": str(why), "figures": {}}
    except UserError as why:
        says = f"{why.where}: {why.what}; {why.remedy}"
        told |= {"status": NOT_RUN, "says": says, "figures": {}}
    except FailedError as what:
        told |= {"status": FAILED, "says": str(what), "figures": {}}
    tools = filter(shutil.which, check.tools + check.also)
    told["tools"] = {tool: version_of(tool) for tool in tools}
    files[f"log-{name}.txt"] = ("\n".join(case.log) + "\n").encode()
    if case.programs:
        files[f"check-{name}.c"] = "\n".join(case.programs).encode()
    return told, files


def require_tool(tool: str) -> None:
    """Makes sure that a program is there.

    Raises:
        NotRunError: it is not.
    """
    if shutil.which(tool) is None:
        package = DEBIAN.get(tool, tool)
        raise NotRunError(f"{tool} is not installed (Debian: apt-get install {package})")


def accepted(case: Case, most: int) -> tuple[Images, Readings]:
    """The last images that are accepted, the user's if there are any, and their readings.

    Args:
        case: whose images.
        most: how many at most.

    Raises:
        NotRunError: none is.
    """
    found = readings(case.plan, case.images, reference.run_logits(case.plan, case.images))
    (places,) = np.nonzero(found.verdicts == Verdict.ACCEPTED)
    if len(places) == 0:
        raise NotRunError(
            "no image is accepted, so that none can be wrongly; give test images by --images"
        )
    chosen = places[-most:]
    return case.images[chosen], Readings(*(of[chosen] for of in found))


def functions_of_parts(case: Case) -> set[str]:
    """The names of the functions that ``--with`` adds."""
    if not case.options.parts:
        return set()
    alone = replace(case.options, parts=(), max_amount_error=None)
    return _functions(case, case.options) - _functions(case, alone)


def _functions(case: Case, options: Options) -> set[str]:
    """The names of the functions of an export with such options."""
    files = render_c(case.plan, options)
    return {of.name for name, data in files.items() for of in places(name, data)}


@functools.cache
def version_of(tool: str) -> str:
    """The first line that a tool says of its version."""
    try:
        done = subprocess.run([tool, "--version"], capture_output=True, text=True, errors="replace")
    except OSError as error:
        return f"cannot be run: {error.strerror}"
    return (done.stdout or done.stderr).strip().partition("\n")[0]
