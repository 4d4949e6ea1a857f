"""An auditor's work: the printed bounds, worked out again from the tables of the C as compiled.

It takes from the exporter where a weight lies in a table, and no number.
"""

from __future__ import annotations

import ctypes
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lenet_export import compiled
from lenet_export.cpus.registry import lay_out
from lenet_export.crc import crc32c
from lenet_export.evidence.checks.audit import stated
from lenet_export.layer_norm import ROOT_ONE, SHARE_MAX, SHARE_MIN
from lenet_export.plan import Layer


def differences(base, cpu, optimize, files):
    """What the C says of itself and is not so; an empty list if all is right.

    Args:
        base: the plan with the generic layout.
        cpu: what ``files`` are for.
        optimize: likewise.
        files: of ``render_c``, perhaps changed since.
    """
    text = files["lenet.c"].decode()
    plan = lay_out(base, cpu, optimize)
    tables = tables_of(plan, files)
    crc = crc32c(b"".join(table.tobytes() for table in tables.values()))
    compared = f"^ 0xFFFFFFFFu) != 0x{crc:08X}u) {{\n            return LENET_SELF_TEST_CONSTANTS"
    wrong = [] if compared in text else ["CRC"]
    said = {key: bound[:2] for key, bound in stated(text).items()}
    found = recomputed(base, plan, tables)
    return wrong + [key for key in said.keys() | found.keys() if said.get(key) != found.get(key)]


def tables_of(plan, files):
    """The bytes of each table, from a library that includes lenet.c."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, data in files.items():
            (folder / file).write_bytes(data)
        readers = "".join(
            f"const void *at_{c.name}(void) {{ return {c.name}; }}\n"
            f"unsigned long of_{c.name}(void) {{ return sizeof {c.name}; }}\n"
            for c in plan.constants
        )
        source = folder / "audit.c"
        source.write_text(f'#include "lenet.c"\n{readers}')
        command = [*compiled.compiler(), "-std=c99", "-O0", *compiled.host_flags(plan.cpu)]
        library = ctypes.CDLL(str(compiled.link_library(source, command)))
        found = {}
        for constant in plan.constants:
            at, of = (getattr(library, f"{kind}_{constant.name}") for kind in ("at", "of"))
            at.restype, of.restype = ctypes.c_void_p, ctypes.c_ulong
            data = ctypes.string_at(at(), of())
            found[constant.name] = np.frombuffer(data, constant.values.dtype)
        return found


def recomputed(base, plan, tables):
    """The bounds that follow from the tables, as ``stated`` names them."""
    found = {}
    places = places_of(base, plan)
    for layer in plan.layers:
        if not layer.stage.learns:
            most = 255 * (int(np.prod(layer.stage.kernel)) if layer.stage.pool == "avg" else 1)
            found[layer.name, "sum" if layer.stage.pool == "avg" else "most"] = 0, most
            continue
        weight = weights_in(layer, tables, places[layer.name])
        features = layer.stage.features
        about = {constant.name: constant.about for constant in layer.constants}
        numbers = {
            part: _in_a_row(tables[f"{layer.name}_{part}"], about[f"{layer.name}_{part}"])[
                :features
            ]
            for part in ("bias", "gain", "norm_gain", "norm_bias")
            if f"{layer.name}_{part}" in tables
        }
        if "plus 128 * sum(weight)" in about[f"{layer.name}_bias"]:
            numbers["bias"] = numbers["bias"] - 128 * weight.sum(axis=1)
        for what, bound in _bounds(layer, weight, **numbers):
            found[layer.name, what] = int(np.min(bound[0])), int(np.max(bound[1]))
    return found


def _in_a_row(numbers, about):
    """A table's numbers, int64, of which rows may have fillers and each may be times 2^n."""
    rows = re.search(r"\[\w+ / (\d+)\]\[(\d+)\]", about)
    if rows:
        used, size = map(int, rows.groups())
        numbers = numbers.reshape(-1, size)[:, :used].ravel()
    behind = re.search(r"\[unit\], then (\d+) \* 0", about)
    if behind:
        numbers = numbers[: len(numbers) - int(behind[1])]
    places = re.search(r"gain \* 2\^(\d+)", about)
    return numbers.astype(np.int64) >> (int(places[1]) if places else 0)


def _bounds(layer, weight, bias, gain=None, norm_gain=None, norm_bias=None):
    """``(number, (least, most))`` of a layer with such numbers."""
    sums = (255 * np.minimum(weight, 0)).sum(1), (255 * np.maximum(weight, 0)).sum(1)
    least, most = bias + sums[0], bias + sums[1]
    yield from _parts(layer, weight, bias, sums, max(-least.min(), most.max() + 1))
    yield "acc", (least, most)
    if gain is not None:
        yield "acc * gain", (least * gain, most * gain)
    elif norm_gain is None:
        yield "gap", (0, most.max() - least.min())
    else:
        norm, channels = layer.norm, len(bias)
        low, high = least >> norm.drop, most >> norm.drop
        total, top = high.sum(), int(high.max())
        yield "sum", (low.sum(), total)
        yield "sum * factor", (low.sum() * norm.factor, total * norm.factor)
        rest = channels + (total * (channels - 1) >> norm.mean_shift)
        yield "rest * factor + half", (norm.half, rest * norm.factor + norm.half)
        yield "squares", (norm.least, norm.least + channels * (top**2 // 4 + 4))
        yield "difference * root", (-top * ROOT_ONE, top * ROOT_ONE)
        ends = norm_bias + norm_gain * SHARE_MIN, norm_bias + norm_gain * SHARE_MAX
        yield "acc behind the norm", (ends, ends)


def _parts(layer, weight, bias, sums, reach):
    """What some kernels add up on the way: each is there or not, as the layer's tables are."""
    packing = layer.layout.packing
    kernel = str(getattr(layer.layout.kernel, "template", layer.layout.kernel))
    if kernel == "smlad_bytes":
        yield "acc - bias", sums
    if kernel == "smlad_places":
        yield "even_of(both, odd)", tuple((bias + part)[::2] for part in sums)
    if kernel == "mve_fields":
        yield from _fields_of_signed(layer, weight)
    in_vectors = kernel in ("mve", "mve_taps") and layer.integers.requantize and not layer.norm
    if in_vectors or kernel == "mve_fields":
        products = -128 * weight, 127 * weight
        yield "acc - bias", (np.minimum(*products).sum(1), np.maximum(*products).sum(1))
    if kernel == "kronecker":
        yield "acc - bias + 2^20", (sums[0] + 2**20, sums[1] + 2**20)
    if kernel == "copied":
        rows = 255 * weight.reshape(len(weight), layer.stage.kernel[0], -1)
        parts = np.minimum(rows, 0).sum(-1), np.maximum(rows, 0).sum(-1)
        if np.abs(rows).sum(-1).max() < 2**15 < reach:
            yield "sum of a kernel row", parts
    if packing and not layer.is_conv and kernel == "blocked":
        fields = 255 * ((weight + packing.grid.peak) // packing.grid.spacing).sum(axis=1)
        yield "sum(field * code)", (0, fields)
        if packing.grid.spacing > 1:
            yield f"{packing.grid.spacing} * sum", (0, packing.grid.spacing * fields)
        times = f"{packing.grid.peak} * " if packing.grid.peak > 1 else ""
        yield f"{times}total", (0, 255 * layer.inputs * packing.grid.peak)


def _fields_of_signed(layer, weight):
    """What is added up of fields and codes less 128."""
    grid, ends = layer.layout.packing.grid, np.array([-128, 127])
    fields = ends[:, None] * ((weight + grid.peak) // grid.spacing).sum(axis=1)
    yield "sum(field * (code - 128))", fields
    if grid.spacing > 1:
        yield f"{grid.spacing} * sum", grid.spacing * fields
    times = f"{grid.peak} * " if grid.peak > 1 else ""
    yield f"{times}total", ends * layer.inputs * grid.peak


def weights_in(layer, tables, places):
    """The weights ``(outputs, inputs)`` in the tables; every copy of one must be the same."""
    read = atoms(layer, tables)
    weight = np.full(layer.weight.size, -128)
    weight[places[places >= 0]] = read[places >= 0]
    assert (weight > -128).all()
    assert (weight[places[places >= 0]] == read[places >= 0]).all(), layer.name
    return weight.reshape(len(layer.weight), -1)


def atoms(layer, tables):
    """The single weights in a layer's tables, fillers too, in the order of the file."""
    parts = [c.name for c in layer.constants if c.name.startswith(f"{layer.name}_weight")]
    values = np.concatenate([np.ravel(tables[name]) for name in parts]).astype(np.int64)
    packing = layer.layout.packing
    if packing:
        shifts = packing.grid.bits * np.arange(8 * packing.word.itemsize // packing.grid.bits)
        fields = values[:, None] >> shifts & 2**packing.grid.bits - 1
        return (fields * packing.grid.spacing - packing.grid.peak).ravel()
    if any("w1 + 2^21 * w0" in c.about for c in layer.constants):
        low = (values + 2**20 & 2**21 - 1) - 2**20
        return np.stack([low, (values - low) >> 21], axis=1).ravel()
    if any("256 * (weight of" in c.about for c in layer.constants):
        low = (values + 128 & 255) - 128
        return np.stack([(values - low) >> 8, low], axis=1).ravel()
    return values


def places_of(base, plan):
    """For each layer, which weight each atom of its tables is; -1 for a filler.

    Found by laying out weights of -1 and 1 that spell each weight's number, bit by bit.
    """
    fits = {
        layer.name: {bits: layer.packed_fits(bits) for bits in (16, 24)} for layer in base.layers
    }
    bits = max(layer.weight.size for layer in base.layers).bit_length()

    def read(value):
        """The atoms of each layer where weight n has ``value(n)``."""
        layers = []
        for layer in base.layers:
            numbers = np.arange(layer.weight.size)
            weight = np.asarray(value(numbers), np.int8).reshape(layer.weight.shape)
            layers.append(replace(layer, weight=weight))
        with pytest.MonkeyPatch.context() as patch:  # It asks the weights themselves.
            patch.setattr(Layer, "packed_fits", lambda layer, bits: fits[layer.name][bits])
            laid_out = lay_out(replace(base, layers=tuple(layers)), plan.cpu, plan.optimize)
        tables = {c.name: c.values for c in laid_out.constants}
        learning = [layer for layer in laid_out.layers if layer.stage.learns]
        return {layer.name: atoms(layer, tables) for layer in learning}

    ones, others = read(np.ones_like), read(lambda n: -np.ones_like(n))
    spelt = [read(lambda n, bit=bit: 2 * (n >> bit & 1) - 1) for bit in range(bits)]
    found = {}
    for layer in plan.layers:
        if not layer.stage.learns:
            continue
        name = layer.name
        number = sum((part[name] == 1).astype(int) << bit for bit, part in enumerate(spelt))
        found[name] = np.where(ones[name] != others[name], number, -1)
    return found
