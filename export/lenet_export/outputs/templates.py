"""Jinja2 for all templates, which are compiled once and kept."""

from __future__ import annotations

import contextlib
import sys
import zlib
from importlib.util import cache_from_source
from pathlib import Path
from types import CodeType
from typing import Any

import jinja2
from jinja2.bccache import Bucket

FOLDER = Path(__file__).parents[1] / "templates"


class _Kept(jinja2.FileSystemBytecodeCache):
    """Templates compiled, kept where and as Python keeps modules: of two runs one compiles them."""

    def load_bytecode(self, bucket: Bucket) -> None:
        """Gives a template that is kept, and is of this text; a damaged one is none."""
        with contextlib.suppress(Exception):  # of pickle and marshal, any
            super().load_bytecode(bucket)
        if not isinstance(bucket.code, CodeType | None):
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keeps a template, where that is wanted and may be written."""
        with contextlib.suppress(OSError):
            if not sys.dont_write_bytecode:
                Path(self.directory).mkdir(parents=True, exist_ok=True)
                super().dump_bytecode(bucket)


def environment(of: str = "c") -> jinja2.Environment:
    """Jinja2 for a folder of templates: ``c``, ``html``, ``evidence``; without filters of ours."""
    # What is compiled depends on these; on filters it would, if it were optimized.
    settings: dict[str, Any] = {
        "undefined": jinja2.StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
        "autoescape": of == "html",
        "optimized": False,
    }
    crc = zlib.crc32(f"{jinja2.__version__} {settings}".encode())
    place = Path(cache_from_source(str(FOLDER / of / "any.j2"))).parent
    kept = _Kept(str(place), f"jinja-{crc:08x}-%s.pyc")
    loader = jinja2.PackageLoader("lenet_export", f"templates/{of}")
    return jinja2.Environment(loader=loader, bytecode_cache=kept, **settings)
