"""Tools that a test needs and a machine may lack."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"gcc": "gcc", "clang": "clang", "g++": "g++", "clang++": "clang", "nm": "binutils"}


def missing(what: str, remedy: str) -> NoReturn:
    """Skips the test on a user's machine; in CI nothing may be skipped."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing; {remedy}")
    pytest.skip(f"{what} is missing; {remedy}")


def require(tool: str) -> str:
    """The path of a command, e.g. ``clang``."""
    path = shutil.which(tool)
    if path is None:
        missing(tool, f"install the package {PACKAGES.get(tool, tool)}")
    return path
