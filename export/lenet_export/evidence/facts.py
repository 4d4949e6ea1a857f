"""The facts of an export, as values of JSON: what ``--report`` writes, and its page is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export import __version__, bundled, packages, reference
from lenet_export.cpus.registry import CPUS, lay_out
from lenet_export.errors import UserError
from lenet_export.evidence import pictures
from lenet_export.evidence.kernels import kernels
from lenet_export.evidence.promises import promised
from lenet_export.evidence.trace import traced
from lenet_export.exported import Exported
from lenet_export.files import hashes_of
from lenet_export.gap_table import GapRow, GapTable
from lenet_export.images import Writers
from lenet_export.outputs.bounds import Bound, bounds_of
from lenet_export.outputs.c import told_of
from lenet_export.outputs.options import Files, Options, command
from lenet_export.plan import Buffer, Constant, Layer, Plan, codes_of
from lenet_export.reference import Images
from lenet_export.verdict import Readings, Verdict
from lenet_export.verify import stress_images

COMPARED = 500  # images, on which the integers are compared with floats layer by layer
SHOWN = 24  # mistakes
FILTERS = 32  # that are shown
CURVE = 120  # points of a curve
TOOL = f"lenet-export {__version__}"
SURE = 1.96  # standard deviations on each side: 95 %

Facts = dict[str, Any]
Array = npt.NDArray[Any]


def facts_of(
    exported: Exported,
    files: Files,
    options: Options,
    images: Images | None = None,
    labels: Array | None = None,
    checks: Facts | None = None,
    writers: Writers | None = None,
) -> Facts:
    """All that is told of an export, the same for the same export and images.

    Args:
        exported: what was written, and its network.
        files: what was written, by name.
        options: of the files.
        images: the user's test images, uint8 ``(images, rows, columns, channels)``, laid out as the
            model reads them.
        labels: their classes.
        checks: what those of ``--evidence`` found; ``None``: they were not asked for.
        writers: who wrote each image, where that is known.

    Returns:
        Values of JSON, by section. A section that needs what is not there is ``{"not_run": why}``.
    """
    plan, report = exported.plan, exported.report
    told = {"notes": list(report.notes), "warnings": list(report.warnings)}
    identity = {"model": report.model, **identity_of(plan, options), "files": hashes_of(files)}
    return {
        "identity": identity | told,
        "verified": _verified(exported),
        "checks": checks,
        "float_difference": _float_difference(plan, images),
        "readings": _readings(exported, images, labels, writers),
        "field": _field(report.model),
        **planned(plan, files),
    }


def planned(plan: Plan, files: Files) -> Facts:
    """The sections that follow from the model and the options alone."""
    bounds = bounds_of(plan)
    return {
        "costs": _costs(plan),
        "stages": [_stage(layer, bounds) for layer in plan.layers],
        "kernels": kernels(plan),
        "trace": traced(plan, files),
        "promises": promised(files),
        "constants": [_constant(constant) for constant in plan.constants],
        "workspace": _workspace(plan),
        "rows": plan.multiply_adds_of_rows,
        "cpus": [_on_cpu(plan, cpu) for cpu in CPUS],
        "filters": _filters(plan.layers[0]),
        "reject": _reject(plan),
    }


def identity_of(plan: Plan, options: Options) -> Facts:
    """What was exported, by what."""
    return {
        "model_id": plan.model_id,
        "tool": TOOL,
        "command": command(plan, options),
        "dtype": plan.dtype,
        "target": options.target,
        "cpu": plan.cpu,
        "optimize": plan.optimize,
        "input_shape": list(plan.input_shape),
        "classes": list(plan.model.names),
        "none_output": plan.none_output,
        "training": plan.model.info,
        "trained": _trained(plan.model.info),
    }


def _trained(info: Facts) -> Facts:
    """What the model's file tells of test images that were read when it was trained."""
    accuracy, images = info.get("test_accuracy"), info.get("test_images")
    if not isinstance(accuracy, float | int) or not isinstance(images, int) or images < 1:
        return {"not_run": "the model's file does not tell"}
    interval = _interval(round(accuracy * images), images)
    return {"accuracy": float(accuracy), "images": images, "interval": interval}


def _verified(exported: Exported) -> Facts:
    """What the comparison with JAX found."""
    found = exported.report.verified
    if found is None:
        return {"not_run": exported.report.not_verified or "there is nothing that can be run"}
    counts = {of.name: count for of, count in zip(Verdict, found.verdicts, strict=True)}
    return found.as_json() | {"verdicts": counts}


def _costs(plan: Plan) -> Facts:
    """What the network takes, beside its code and its stack."""
    return {
        "parameters": sum(int(values.size) for values in plan.model.params.values()),
        "multiply_adds": plan.multiply_adds,
        "constant_bytes": plan.constant_bytes,
        "workspace_bytes": plan.workspace_bytes,
    }


def _stage(layer: Layer, bounds: Sequence[Bound]) -> Facts:
    """One layer: what it does, costs, and what its numbers are at least and at most."""
    return told_of(layer) | {
        "bounds": [
            {
                "number": bound.number,
                "least": bound.least,
                "most": bound.most,
                "type": bound.c_type,
                "bits": bound.bits,
            }
            for bound in bounds
            if bound.layer == layer.name
        ],
    }


def _float_difference(plan: Plan, images: Images | None) -> Facts:
    """How far the integers of each layer are from the floats of the trained network.

    Both as a share of the layer's largest float: the root of the mean square, and the largest.
    """
    if plan.dtype == "float32":
        return {"not_run": "the C computes in floats"}
    try:
        packages.require("verify", "")
    except UserError as error:
        return {"not_run": f"{error.what}; {error.remedy}"}
    from lenet_export import float_network

    given = (stress_images(plan) if images is None else images)[:COMPARED]
    floats = float_network.run_floats(plan.model, given)
    codes = reference.run_integers(plan, given)
    layers = {}
    for layer in plan.layers:
        scale, zero = codes_of(layer)
        expected = floats[layer.name]
        far = (codes[layer.name].astype(np.float64) - zero) * scale - expected
        most = float(np.abs(expected).max()) or 1.0
        layers[layer.name] = {
            "rms": float(np.sqrt(np.mean(far**2)) / most),
            "largest": float(np.abs(far).max() / most),
        }
    return {"images": len(given), "made_up": images is None, "layers": layers}


def _constant(constant: Constant) -> Facts:
    """A table in flash."""
    return {
        "name": constant.name,
        "about": constant.about,
        "type": constant.values.dtype.name,
        "shape": list(constant.values.shape),
        "bytes": constant.values.nbytes,
    }


def _workspace(plan: Plan) -> list[Facts]:
    """The members of the workspace; those of the strips and of the units share one place."""
    parts = {"kept": [plan.kept], "strips": plan.strips, "units": plan.units}
    parts["counters"] = [*plan.counters, *plan.ink_counters]
    return [{"part": part} | _member(of) for part, members in parts.items() for of in members]


def _member(buffer: Buffer) -> Facts:
    shape, of = list(buffer.shape), buffer.dtype.name
    return {"name": buffer.name, "type": of, "shape": shape, "bytes": buffer.nbytes}


def _on_cpu(plan: Plan, cpu: str) -> Facts:
    """What the network takes as the kernels of another CPU want it, beside code and stack."""
    try:
        other = lay_out(plan, cpu, plan.optimize if cpu == plan.cpu else "speed")
    except UserError as error:
        return {"cpu": cpu, "refused": error.what}
    return {
        "cpu": cpu,
        "constant_bytes": other.constant_bytes,
        "workspace_bytes": other.workspace_bytes,
    }


def _filters(first: Layer) -> Facts:
    """The weights of the first layer as pictures: of each channel, or of each unit."""
    weights = first.weight
    if not first.is_conv:
        weights = weights.reshape(-1, *first.input_shape)
    shown = weights[:FILTERS]
    return {
        "layer": first.name,
        "shape": list(weights.shape),
        "pictures": [pictures.of_weights(weight) for weight in shown],
    }


def _reject(plan: Plan) -> Facts:
    """What the score gap told of the validation images, in training."""
    table = plan.model.gap_table
    if table is None:
        return {"not_run": "the model has no score-gap table"}
    chosen = None
    if plan.gap_row:
        chosen = {
            "max_error": plan.max_error,
            "min_gap": plan.threshold,
            **_shares(table, plan.gap_row),
        }
    curve = _curve(table, in_floats=True)
    strangers = table.strangers
    return {"images": table.images, "strangers": strangers, "curve": curve, "chosen": chosen}


def _shares(table: GapTable, row: GapRow) -> Facts:
    """The share of images that a threshold rejects, and of the accepted ones that is wrong.

    Where strangers were measured, images of no class, that of those which it accepts, too.
    """
    shares = {"rejected": 1 - row.accepted / table.images, "wrong": row.errors / row.accepted}
    if table.strangers:
        shares["strangers_accepted"] = row.strangers / table.strangers
    return shares


def _curve(table: GapTable, in_floats: bool = False) -> list[Facts]:
    """For thresholds of the score gap, of float logits or of the C's: what each does."""
    rows = [row for row in table.rows if row.accepted]
    apart = -(-len(rows) // CURVE) or 1
    return [
        {"float_gap" if in_floats else "gap": row.gap, **_shares(table, row)}
        for row in rows[::apart]
    ]


def _field(model: str) -> Facts:
    """What the project measured of a bundled model on what is no clean digit."""
    name = bundled.titled(model)
    tables = bundled.field_tables(name) if name else None
    return tables or {"not_run": "measured of some of the models in the package alone"}


def _readings(
    exported: Exported, images: Images | None, labels: Array | None, writers: Writers | None
) -> Facts:
    """What the C reads in the user's images; with labels, how well."""
    if images is None:
        return {"not_run": "no test images were given: --images"}
    compared, plan = exported.report.verified, exported.plan
    found = exported.read(images) if compared is None else compared.readings
    assert found
    by = "the C" if compared else exported.computed_by
    counts = {verdict.name: int((found.verdicts == verdict).sum()) for verdict in Verdict}
    facts = {"images": len(images), "computed_by": by, "verdicts": counts}
    if labels is None:
        return facts
    groups = {"groups": _by_writers(found.digits == labels, writers)} if writers else {}
    return facts | _judged(plan, images, labels, found) | groups


def _by_writers(right: Array, writers: Writers) -> list[Facts]:
    """How well each group of writers is read, and how many of them without an error."""
    found = []
    for name in np.unique(writers.groups):
        own = writers.groups == name
        counts = [right[writers.numbers == of].all() for of in np.unique(writers.numbers[own])]
        told = {"group": str(name), "images": int(own.sum()), "wrong": int((~right[own]).sum())}
        told |= {"writers": len(counts), "without_an_error": int(sum(counts))}
        interval = _interval(int(right[own].sum()), int(own.sum()))
        found.append(told | {"accuracy": float(right[own].mean()), "interval": interval})
    return found


def _judged(plan: Plan, images: Images, labels: Array, found: Readings) -> Facts:
    """How well images with labels are read."""
    wrong = found.digits != labels
    accepted = found.verdicts == Verdict.ACCEPTED
    confusion = np.zeros((plan.classes, plan.classes), int)
    np.add.at(confusion, (labels, found.digits), 1)
    surest_first = np.argsort(-found.gaps.astype(np.float64), kind="stable")
    worst = [place for place in surest_first if wrong[place]]
    worst.sort(key=lambda place: not accepted[place])
    return {
        "wrong": int(wrong.sum()),
        "accuracy": float(1 - wrong.mean()),
        "interval": _interval(int((~wrong).sum()), len(images)),
        "accepted_wrong": int((wrong & accepted).sum()),
        "confusion": confusion.tolist(),
        "curve": _curve(GapTable.of(found.gaps.astype(np.float32), wrong)),
        "mistakes": [
            {
                "image": int(place),
                "label": int(labels[place]),
                "digit": int(found.digits[place]),
                "gap": found.gaps[place].item(),
                "verdict": Verdict(found.verdicts[place]).name,
                "picture": pictures.of_image(images[place]),
            }
            for place in worst[:SHOWN]
        ],
    }


def _interval(right: int, images: int) -> list[float]:
    """Where the accuracy on all such images lies, 95 %: Wilson's interval.

    Source: E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference,
    JASA 22 (1927).
    """
    share, square = right / images, SURE**2 / images
    middle = (share + square / 2) / (1 + square)
    half = np.sqrt(share * (1 - share) * square + square**2 / 4) / (1 + square)
    return [float(middle - half), float(middle + half)]
