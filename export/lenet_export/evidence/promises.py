"""What the header promises, sentence by sentence: what holds it, and where it is in the C."""

from __future__ import annotations

import functools
import re
import tomllib
from typing import Any, NamedTuple

from lenet_export.evidence.trace import places
from lenet_export.outputs.c import rename
from lenet_export.outputs.options import Files
from lenet_export.outputs.templates import FOLDER

COMMENT = re.compile(r"/\*(.*?)\*/", re.DOTALL)
FUNCTION = re.compile(r"\b(\w+)\((?!\*)")
#: The end of a type, with its name.
TYPE = re.compile(r"^\} (\w+);", re.MULTILINE)
#: A new paragraph: an empty line, or a point of a list.
PARAGRAPH = re.compile(r"\n\s*\n|\n(?=  - )")
END = re.compile(r"(?<=\.)\s+(?=[A-Za-z\"])")
#: Behind what a user reads: the implementation of a single file, the tables, memory's members.
BEHIND = re.compile(
    r"^#ifdef \w+_(?:IMPLEMENTATION|TABLES)$|^/\* ---- What the memory of", re.MULTILINE
)
#: Types whose members a user reads, without the prefix.
ANSWERS = ("_reading", "_prepared", "_amount", "_verdict", "_binding", "_self_test_result")
#: What holds a promise, by the first word of its name in the table.
HOLDERS = {"check": "checks", "you": "assumptions"}


class Sentence(NamedTuple):
    """A sentence of the header: its line, and the functions or the type that it is said of."""

    line: int
    about: tuple[str, ...]
    text: str


@functools.cache
def table() -> dict[str, list[str]]:
    """What holds each sentence, by how that begins in a header of the prefix ``lenet``."""
    text = (FOLDER / "evidence/promises.toml").read_text("utf-8")
    found: dict[str, list[str]] = tomllib.loads(text)
    return found


def promised(files: Files) -> list[dict[str, Any]]:
    """The promises of an export's header, and of one of tables, and what holds each.

    Args:
        files: the generated ones, by name.

    Returns:
        By sentence ``says``, its ``file`` and ``line`` there, ``places``, where in the C what it is
        said of is, and ``checks``, ``tests`` and ``assumptions``, by their names.
    """
    headers = [name for name in files if name.endswith(".h")]
    prefix = min(headers, key=len, default="").removesuffix(".h")
    where = [of for file, data in files.items() for of in places(file, data)]
    found = []
    for header in headers:
        for sentence in sentences(files[header].decode()):
            key = key_of(sentence.text, prefix)
            if held := table()[key] if key else []:
                says = {"says": sentence.text, "file": header, "line": sentence.line}
                at = [of._asdict() for of in where if of.name in sentence.about]
                found.append(says | {"places": at} | _parted(held))
    return found


def key_of(sentence: str, prefix: str) -> str | None:
    """How the sentence begins in the table, behind a number: of several that fit the longest."""
    sentence = re.sub(r"^[\d ]+ (?=parameters)", "", sentence)
    fits = [of for of in table() if sentence.startswith(rename(of, prefix))]
    return max(fits, key=len, default=None)


def _parted(held: list[str]) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {"checks": [], "tests": [], "assumptions": []}
    for of in held:
        kind, _, name = of.partition("::")
        parts[HOLDERS.get(kind, "tests")].append(name if kind in HOLDERS else of)
    return parts


def sentences(header: str) -> list[Sentence]:
    """All sentences of the comments of a header, in its order."""
    header = BEHIND.split(header, maxsplit=1)[0]
    found = []
    for comment in COMMENT.finditer(header):
        start = header.rfind("\n", 0, comment.start()) + 1
        before, behind = header[start : comment.start()], header[comment.end() :]
        about = () if before.strip() else _declared(behind)
        of_type = TYPE.search(behind)
        is_answer = of_type and of_type[1].endswith(ANSWERS)
        if before.startswith(" ") and not is_answer:
            continue  # how memory is laid out
        line = header.count("\n", 0, start) + 1
        for text in _split(comment[1]):
            found.append(Sentence(line + _line_of(text, comment[1].split("\n")), about, text))
    return found


def _line_of(sentence: str, lines: list[str]) -> int:
    """In which of the lines of its comment a sentence begins, from 0."""
    plain = [" ".join(line.lstrip(" *-").split()) for line in lines]
    for at, line in enumerate(plain):
        if 0 <= " ".join(plain[at:]).find(sentence) < max(1, len(line)):
            return at
    return 0


def _declared(code: str) -> tuple[str, ...]:
    """The functions, or else the type, that some code declares before its next comment."""
    own = code.partition("/*")[0]
    if own.strip().startswith("typedef"):
        of_type = TYPE.search(code)
        return (of_type[1],) if of_type else ()
    return tuple(dict.fromkeys(FUNCTION.findall(own.strip().partition("\n\n")[0])))


def _split(comment: str) -> list[str]:
    """The sentences of a comment; what is indented is an example or a table."""
    text = "\n".join(re.sub(r"^ ?\* ?", "", line) for line in comment.split("\n"))
    found = []
    for part in PARAGRAPH.split(text):
        point = part.startswith("  - ")
        lines = [line for line in part.split("\n") if point or not line.startswith("    ")]
        prose = " ".join(" ".join(lines).split()).removeprefix("- ")
        found += [of for of in END.split(prose) if of and not of.startswith("----")]
    return found
