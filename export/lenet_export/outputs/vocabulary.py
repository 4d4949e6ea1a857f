"""The words that kernels call: C functions of an instruction set, of which a file prints some.

A vocabulary is C. Its definitions, functions, macros and types, are apart by empty lines and have
none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Vocabulary:
    """The definitions that are there to be called.

    Attributes:
        text: of C. Of two definitions of a name the first counts, so that an instruction set's own
            stand in front of those that every set makes of its words.
    """

    text: str = ""

    @cached_property
    def definitions(self) -> dict[str, str]:
        """Each definition with the comment above it, by its name, in their order."""
        found: dict[str, str] = {}
        for part in self.text.strip().split("\n\n"):
            code = _without_comments(part)
            name = re.search(
                r"typedef [^;]*?(\w+)(?: __attribute__.*)?;|\b(?!__attribute__)(\w+)\(", code
            )
            if name:
                found.setdefault(name[1] or name[2], part.strip())
        return found

    def __contains__(self, name: object) -> bool:
        """Whether there is a definition of ``name``."""
        return name in self.definitions

    def before(self, code: str) -> str:
        """``code`` behind the definitions that it calls, each behind those that it calls itself."""
        needed = list(self._called_by(code))
        for name in needed:
            needed += [of for of in self._calls[name] if of not in needed]
        printed: list[str] = []

        def add(name: str) -> None:
            if name not in printed:
                for of in self._calls[name]:
                    add(of)
                printed.append(name)

        for name in self.definitions:
            if name in needed:
                add(name)
        return "".join(f"{self.definitions[name]}\n\n" for name in printed) + code

    @cached_property
    def _calls(self) -> dict[str, list[str]]:
        """The definitions that each definition calls, by names."""
        return {
            name: [of for of in self._called_by(definition) if of != name]
            for name, definition in self.definitions.items()
        }

    def _called_by(self, code: str) -> list[str]:
        """The names of the definitions that ``code`` calls, in their order."""
        used = _without_comments(code)
        words, called = set(re.findall(r"\w+", used)), set(re.findall(r"(\w+)\(", used))
        return [
            name
            for name, definition in self.definitions.items()
            if name in (words if "typedef" in definition else called)
        ]


def _without_comments(code: str) -> str:
    return re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL)
