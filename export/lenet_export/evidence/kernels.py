"""How it is held that each kernel of an export is plain C: for all inputs, or by tests."""

from __future__ import annotations

from typing import Any

from lenet_export.cpus.kernel import GENERIC, POOLING, kernel_of
from lenet_export.plan import Layer, Plan

PLAIN, EXHAUSTION, TESTS = "plain C", "exhaustion", "tests"
#: By CPU the kernels, kinds of layer and bits of weights of which tests/export/test_exhaustive.py
#: compares a small layer with plain C, for all images that there are.
EXHAUSTED = {
    "cortex-m0": {
        ("blocked", "conv", 4), ("blocked", "conv", 8),
        ("blocked", "dense", 4), ("blocked", "dense", 8),
    },
    "cortex-m3": {("blocked", "conv", 8), ("blocked", "dense", 8)},
    "cortex-m4": {("smlad", "conv", 8), ("smlad_bytes", "dense", 8), ("blocked", "dense", 8)},
    "cortex-m55": {
        ("mve_taps", "conv", 8), ("mve_fields", "dense", 4), ("mve", "dense", 8),
    },
    "avr": {
        ("copied", "conv", 4), ("blocked", "conv", 8),
        ("blocked", "dense", 4), ("blocked", "dense", 8),
    },
    "attiny85": {("dot", "conv", 8), ("dot", "dense", 8)},
    "x86-64-v3": {("lanes", "conv", 8), ("lanes", "dense", 8)},
    "x86-64-v3-vnni": {("lanes", "conv", 8), ("lanes", "dense", 8)},
    "aarch64": {("lanes", "conv", 8), ("lanes", "dense", 8)},
    "aarch64-dotprod": {("lanes", "conv", 8), ("lanes", "dense", 8)},
    "riscv64gcv": {("lanes", "conv", 8), ("lanes", "dense", 8)},
    "riscv32": {("blocked", "conv", 8), ("blocked", "dense", 8)},
}  # fmt: skip


def sort_of(layer: Layer) -> tuple[str, str, int]:
    """The kernel of a layer, the layer's kind, and how many bits its weights have in the C."""
    packing = layer.layout.packing
    return kernel_of(layer).template, layer.stage.kind, packing.grid.bits if packing else 8


def kernels(plan: Plan) -> list[dict[str, Any]]:
    """By layer its kernel, and by what it is held to be plain C."""
    found = []
    for layer in plan.layers:
        name, kind, bits = sort_of(layer)
        is_compared = plan.dtype == "int8" and plan.optimize == "speed"
        is_compared &= not (layer.norm or plan.is_hardened)
        if kernel_of(layer) in (GENERIC, POOLING):
            held = PLAIN
        elif is_compared and (name, kind, bits) in EXHAUSTED.get(plan.cpu, ()):
            held = EXHAUSTION
        else:
            held = TESTS
        told = {"layer": layer.name, "kernel": name, "kind": kind, "held": held}
        found.append(told | ({"bits": bits} if layer.stage.learns and plan.dtype == "int8" else {}))
    return found
