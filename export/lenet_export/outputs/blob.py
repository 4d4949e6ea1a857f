"""``--tables blob``: what training decides as bytes of their own, and C that is bound to them.

The C is printed as with ``--tables apart``. Then each table that it names becomes a member of
``struct lenet_tables``, which the bytes are, and each function that reads one, or calls one that
does, is passed where they are. So templates and kernels know nothing of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np

from lenet_export.c_text import DECLARED
from lenet_export.cpus.registry import TABLE_MAX
from lenet_export.crc import crc32c
from lenet_export.errors import UserError
from lenet_export.plan import F32, S32, U8, U16, U32, Array, Constant, DType, Plan

MAGIC = 0x74654E4C  # "LNet", lowest byte first
FORMAT = 1  # of what stands in front of the tables
CRC_BEHIND = 32  # bytes: what stands in front of all that the CRC is of
RELEASE_MAX = 2**32 - 1
#: The types of the numbers in the code that training decides.
TYPES: Mapping[str, DType] = {
    **dict.fromkeys(("SHIFT", "DROP", "MEAN_SHIFT", "INK_DARK", "INK_SHARE"), U16),
    **dict.fromkeys(("LEAST", "INK_RISE", "INK_LEAST", "INK_MOST", "ANSWERS_CRC"), U32),
    **dict.fromkeys(("FACTOR", "HALF"), S32),
    "TOLERANCE": F32,
}

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Member:
    """One of ``struct lenet_tables``: its name in C, its numbers, and what they are."""

    name: str
    values: Array
    about: str = ""

    @classmethod
    def of(cls, constant: Constant) -> Member:
        """A table; what training decides of its description is left out."""
        about = re.sub(r" >> \d+", " >> its shift", constant.about)
        about = re.sub(r"gain \* 2\^\d+", "gain, scaled", about)
        if constant.name.endswith("_table"):
            about = re.sub(r"^(\w+): .*", r"\1: codes, by the index", about)
        return cls(constant.name, constant.values, about)

    @classmethod
    def number(cls, name: str, value: object, dtype: DType) -> Member:
        """A number, as C writes it or Python has it."""
        text = str(value).removesuffix("u" if dtype.kind in "iu" else "f")
        return cls(name, np.array(int(text, 0) if dtype.kind in "iu" else float(text), dtype))


@dataclass(frozen=True)
class Blob:
    """What a device gets: an id of what it fits, and members one behind the other.

    Attributes:
        model_id: of the plan, in hex.
        release: what the user calls it; the larger, the newer.
        numbers: single ones.
        tables: those of the layers, of activations, and of known answers.
        alignment: at whose multiples, in bytes, each table begins; 0: where its type wants it.
        is_avr: whether they are for an AVR's program memory, where they may lie anywhere.
        network: the id of what is trained.
        layout: that of the kernels.
        code: that of the code that is bound to it; see :func:`code_id`.
    """

    model_id: str
    release: int
    numbers: tuple[Member, ...]
    tables: tuple[Member, ...]
    alignment: int = 0
    is_avr: bool = False
    network: int = 0
    layout: int = 0
    code: tuple[int, int] = (0, 0)

    @property
    def begins_at(self) -> int:
        """At a multiple of so many bytes it must lie."""
        return 1 if self.is_avr else max(U32.itemsize, self.alignment)

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """All that the CRC is of, with bytes of 0 in front of what would not begin at its place.

        So a struct is laid out alike by every compiler.
        """
        model = np.frombuffer(bytes.fromhex(self.model_id), U8)
        head = Member.number("release", self.release, U32), Member("model", model)
        placed: list[Member] = []
        end = CRC_BEHIND
        numbers = sorted(self.numbers, key=lambda of: -of.values.itemsize)
        for member in (*head, *numbers, *self.tables, None):
            unit = member.values.itemsize if member else self.begins_at
            unit = max(unit, self.alignment if member in self.tables else 1)
            if end % unit:
                zeros = np.zeros(-end % unit, U8)
                unused = sum(of.name.startswith("unused_") for of in placed)
                placed.append(Member(f"unused_{unused + 1}", zeros))
                end += zeros.size
            if member:
                placed.append(member)
                end += member.values.nbytes
        return tuple(placed)

    @cached_property
    def size(self) -> int:
        """In bytes, with all in front of the tables."""
        return CRC_BEHIND + len(self._behind)

    @property
    def data(self) -> bytes:
        """The file."""
        ids = self.network, self.layout, *self.code
        head = (MAGIC, FORMAT, *ids, self.size, crc32c(self._behind))
        return np.array(head, "<u4").tobytes() + self._behind

    @property
    def code_in_hex(self) -> str:
        """The code's id."""
        return "".join(f"{part:08x}" for part in self.code)

    @cached_property
    def _behind(self) -> bytes:
        """All that the CRC is of."""
        numbers = (member.values for member in self.members)
        little = (np.ascontiguousarray(of, of.dtype.newbyteorder("<")) for of in numbers)
        return b"".join(of.tobytes() for of in little)

    def check(self) -> None:
        """Checks that C has names for the members, and a small CPU's compiler takes them.

        Raises:
            UserError: it has not, or does not.
        """
        names = [member.name for member in (*self.numbers, *self.tables)]
        for name in names:
            if names.count(name) > 1:
                what = f"would give the C two tables called {name}"
                raise UserError("--tables blob", what, "rename a layer")
        if self.is_avr and self.size > TABLE_MAX:
            raise UserError(
                "--tables blob",
                f"would have {self.size:,} bytes; avr-gcc takes objects of {TABLE_MAX:,} at most",
                "train with fewer bits (lenet-train --bits), or take --tables apart",
            )


def id_of(*parts: object) -> int:
    """An id of 32 bits."""
    return int.from_bytes(sha256(repr(parts).encode()).digest()[:4], "big")


def network_id(plan: Plan) -> int:
    """That of what is trained: chain, shapes and outputs, and no number."""
    chain = [(layer.stage, layer.input_shape) for layer in plan.layers]
    return id_of(chain, plan.none_output)


def layout_id(plan: Plan) -> int:
    """That of the kernels, which lay the tables out."""
    return id_of(plan.cpu, plan.optimize)


def code_id(texts: Iterable[str], names: str) -> tuple[int, int]:
    """That of all that a compiler sees of the C, in two numbers of 32 bits.

    So any tables of the same code fit it, and no others: what type an accumulator has, which
    follows from the bounds of the tables, is in the text.

    Args:
        texts: of the files, without the classes' names: in those a blank counts.
        names: as strings of C.
    """
    seen = " ".join(_COMMENT.sub(" ", "\n".join(texts)).split())
    return id_of(0, seen, names), id_of(1, seen, names)


def bind(code: str, header: str, names: Iterable[str]) -> tuple[str, str]:
    """C and its header, in which ``names`` are members of the tables, and these are passed.

    Args:
        code: which names tables, as templates print it.
        header: that declares its public functions.
        names: of tables.
    """
    table = re.compile(rf"(?<![\w.>])({'|'.join(map(re.escape, names))})\b(?!\()")
    code = _outside_comments(code, lambda text: table.sub(r"tables->\1", text))
    readers = _readers(_blank(code))
    return _passed(code, readers), _passed(header, readers)


def _outside_comments(text: str, change: Callable[[str], str]) -> str:
    """``text`` with all but its comments changed."""
    parts = re.split(f"({_COMMENT.pattern})", text, flags=re.DOTALL)
    return "".join(part if n % 2 else change(part) for n, part in enumerate(parts))


def _blank(text: str) -> str:
    """``text`` with blanks for its comments, so that places stay."""
    return _COMMENT.sub(lambda comment: re.sub(r"[^\n]", " ", comment[0]), text)


def _readers(code: str) -> set[str]:
    """The functions that read tables, or call one that does; not those that take them already."""
    bodies: dict[str, str] = {}
    takers = set()
    for declared in DECLARED.finditer(code):
        begin = code.find("\n{\n", declared.end())
        parameters = code[declared.end() : begin]
        if begin < 0 or ";" in parameters:
            continue
        bodies[declared[1]] = bodies.get(declared[1], "") + code[begin : code.find("\n}", begin)]
        if "lenet_tables *" in parameters:
            takers.add(declared[1])
    calls = {
        name: set(re.findall(r"\b(\w+)\(", body)) & set(bodies) for name, body in bodies.items()
    }
    found = {name for name, body in bodies.items() if "tables->" in body} | takers
    while more := {name for name in bodies if calls[name] & (found - takers)} - found:
        found |= more
    return found - takers


def _passed(text: str, readers: set[str]) -> str:
    """``text`` in which each of ``readers`` takes the tables first, and is passed them."""
    blank = _blank(text)
    declared = {match.start(1) for match in DECLARED.finditer(blank)}
    made, done = "", 0
    for call in re.finditer(rf"\b(?:{'|'.join(sorted(readers))})\(", blank):
        begin, end = call.end(), _closing(blank, call.end())
        given = text[begin:end]
        made += text[done:begin]
        if call.start() in declared:  # in one line, which is folded anew
            parameters = [] if given == "void" else [re.sub(r"\s*\n\s*", " ", given)]
            made += ", ".join(["const lenet_tables *tables", *parameters])
            done = end
        else:
            made += "tables, " if given else "tables"
            done = begin
    return made + text[done:]


def _closing(text: str, begin: int) -> int:
    """Where the bracket closes that is open at ``begin``."""
    depth = 1
    for end in range(begin, len(text)):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        if not depth:
            return end
    return len(text)
