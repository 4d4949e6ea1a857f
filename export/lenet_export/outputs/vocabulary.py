"""The words that kernels call: C functions of an instruction set, of which a file prints some.

A vocabulary is C. Its definitions, functions and types, are apart by empty lines and have none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Vocabulary:
    """The definitions that are there to be called.

    Attributes:
        text: of C, each definition behind those that it calls.
    """

    text: str = ""

    @property
    def definitions(self) -> dict[str, str]:
        """Each definition with the comment above it, by its name, in their order."""
        found = {}
        for part in self.text.strip().split("\n\n"):
            code = _without_comments(part)
            name = re.search(r"typedef [^;]*?(\w+)(?: __attribute__.*)?;|(\w+)\(", code)
            if name:
                found[name[1] or name[2]] = part.strip()
        return found

    def __contains__(self, name: object) -> bool:
        """Whether there is a definition of ``name``."""
        return name in self.definitions

    def before(self, code: str) -> str:
        """``code`` behind the definitions that it calls, and those that these call."""
        used = _without_comments(code)
        called: list[str] = []
        for name, definition in reversed(self.definitions.items()):
            ends = r"\b" if "typedef" in definition else r"\("
            if re.search(rf"\b{name}{ends}", used):
                called.insert(0, definition + "\n\n")
                used += _without_comments(definition)
        return "".join(called) + code


def _without_comments(code: str) -> str:
    return re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL)
