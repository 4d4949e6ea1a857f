"""What a check of the evidence is, and how it is run: passed, failed, or not run and why."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export.compiled import IMITATED, host_flags, runs_here
from lenet_export.outputs.options import Files, Options
from lenet_export.plan import Plan
from lenet_export.reference import Images

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"
#: Debian's package of a tool, where it is not called as the tool.
PACKAGES = {"gcov": "gcc", "frama-c": "frama-c-base"}
#: What valgrind begins its lines with.
PID = re.compile(r"==\d+==")
HOURS = 3600  # seconds, after which a program is taken to hang


#: A program of the C is this, so that it goes with --single-file, too.
IMPLEMENTATION = "implementation.c"


class NotRunError(Exception):
    """A check cannot be run here; as text, why."""


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
    """

    plan: Plan
    files: Files
    options: Options
    folder: Path
    images: Images
    log: list[str] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        """Of the files and of all public names."""
        return self.options.prefix

    @property
    def flags(self) -> list[str]:
        """Of a compiler of this machine, for the C's CPU."""
        return host_flags(self.plan.cpu)

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
        """The lines of a program that is the implementation."""
        line = f'#include "{self.main_file}"\n'
        if self.options.single_file:
            return f"#define {self.prefix.upper()}_IMPLEMENTATION\n{line}"
        return line

    def write(self) -> None:
        """Writes the files, and one that is the implementation, to be included or compiled."""
        for name, data in self.files.items():
            (self.folder / name).write_bytes(data)
        (self.folder / IMPLEMENTATION).write_text(self.implementation)

    def compile(self, compiler: str, program: str, *flags: str) -> None:
        """Compiles a program beside the generated files to ``check``.

        Args:
            compiler: ``gcc`` or ``clang``.
            program: its text, for the prefix ``lenet``.
            flags: of the compiler, and further files.

        Raises:
            FailedError: the compiler refuses it.
        """
        (self.folder / "check.c").write_text(self.named(program))
        command = [compiler, "-std=c99", *self.flags, *flags]
        self.run([*command, "-o", "check", "check.c"])

    def named(self, text: str) -> str:
        """A text that is written for the prefix ``lenet``, for that of the files."""
        return text.replace("lenet", self.prefix).replace("LENET", self.prefix.upper())

    def run(
        self, command: Sequence[str | Path], given: bytes = b"", may_fail: bool = False
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs a command in the folder; the log gets it, its messages and its status.

        Raises:
            FailedError: it ends otherwise than well, and may not.
        """
        words = [str(word) for word in command]
        done = subprocess.run(
            words, cwd=self.folder, input=given, capture_output=True, timeout=HOURS
        )
        said = done.stderr.decode(errors="replace").replace(str(self.folder), ".").rstrip()
        said = PID.sub("==", said)
        self.log.append("$ " + " ".join(words).replace(str(IMITATED), "imitated"))
        self.log.extend(said.splitlines())
        if done.returncode:
            self.log.append(f"(exit status {done.returncode})")
            if not may_fail:
                raise FailedError(f"{words[0]} ended with status {done.returncode}: see the log")
        return done


class FailedError(Exception):
    """A check found something; as text, what."""


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
    """

    title: str
    how: str
    tools: tuple[str, ...]
    run: Callable[[Case], Outcome]
    runs_the_c: bool = True
    also: tuple[str, ...] = ()


def result_of(name: str, check: Check, case: Case) -> tuple[dict[str, Any], Files]:
    """Runs a check: what the page tells of it, and its files, of which one is its log."""
    case.log.clear()
    files: Files = {}
    told: dict[str, Any] = {"name": name, "title": check.title, "how": check.how}
    try:
        for tool in check.tools:
            if shutil.which(tool) is None:
                package = PACKAGES.get(tool, tool)
                raise NotRunError(f"{tool} is not installed (Debian: apt-get install {package})")
        if check.runs_the_c and not runs_here(case.plan.cpu):
            raise NotRunError(f"this machine lacks the instructions of {case.plan.cpu}")
        outcome = check.run(case)
        told |= {"status": PASSED, "says": outcome.says, "figures": outcome.figures}
        files |= outcome.files
    except NotRunError as why:
        told |= {"status": NOT_RUN, "says": str(why), "figures": {}}
    except FailedError as what:
        told |= {"status": FAILED, "says": str(what), "figures": {}}
    tools = filter(shutil.which, check.tools + check.also)
    told["tools"] = {tool: version_of(tool) for tool in tools}
    files[f"log-{name}.txt"] = ("\n".join(case.log) + "\n").encode()
    return told, files


@functools.cache
def version_of(tool: str) -> str:
    """The first line that a tool says of its version."""
    option = "-version" if tool == "frama-c" else "--version"
    done = subprocess.run([tool, option], capture_output=True, text=True, errors="replace")
    return (done.stdout or done.stderr).strip().partition("\n")[0]


def numbers_in(data: bytes, dtype: npt.DTypeLike, outputs: int) -> npt.NDArray[Any]:
    """Logits ``(images, outputs)`` as a program on this machine wrote them."""
    return np.frombuffer(data, dtype).reshape(-1, outputs)
