"""Runs the checks of an export's evidence, each by itself."""

from __future__ import annotations

import tempfile
from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np

from lenet_export.evidence.bom import bill_of
from lenet_export.evidence.check import FAILED, Case, result_of
from lenet_export.evidence.facts import Facts
from lenet_export.evidence.registry import CHECKS
from lenet_export.outputs.options import Files, Options
from lenet_export.plan import Plan
from lenet_export.reference import Images
from lenet_export.verify import stress_images

#: Of what may be beside the page, the names that an export's files could have.
FILES = ("bom.json", "audit.c")
REAL = 200  # of the user's images, on which checks run


def evidence_of(
    model: str, plan: Plan, rendered: Files, options: Options, images: Images | None
) -> tuple[Facts, Files]:
    """What the checks of an export find.

    Args:
        model: the name of what was exported.
        plan: what the files were printed from, laid out for its CPU.
        rendered: the files by name.
        options: of them.
        images: the user's, uint8 ``(images, rows, columns, channels)``.

    Returns:
        The section of the page, failed checks first, and the files beside it: a bill of materials
        and each check's log.
    """
    given = stress_images(plan)
    if images is not None:
        given = np.concatenate([given, images[:REAL]])
    results: list[Facts] = []
    files: Files = {"bom.json": bill_of(plan, rendered, model)}
    for name, check in CHECKS.items():
        with tempfile.TemporaryDirectory(prefix="lenet-evidence-") as folder:
            case = Case(plan, rendered, options, Path(folder), given)
            case.write()
            told, its_files = result_of(name, check, case)
        results.append(told)
        files |= its_files
    results.sort(key=lambda told: told["status"] != FAILED)
    return {
        "counts": dict(Counter(told["status"] for told in results)),
        "results": results,
        "files": {name: sha256(data).hexdigest() for name, data in sorted(files.items())},
    }, files
