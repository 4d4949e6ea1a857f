"""The checks of ``--evidence`` by their names, their modules' too, in the order of the page."""

from __future__ import annotations

from importlib import import_module

from lenet_export.evidence.check import Check

NAMES = (
    "equality",
    "audit",
    "requantize",
    "undefined",
    "faults",
    "calls",
    "ram_flips",
    "skipped_instructions",
    "constant_time",
    "coverage",
    "conditions",
    "loops",
    "instructions",
    "stack",
    "analyzers",
    "misra",
)

CHECKS: dict[str, Check] = {
    name: import_module(f"lenet_export.evidence.checks.{name}").CHECK for name in NAMES
}
