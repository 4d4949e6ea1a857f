"""Writes the page of an export; for its evidence the checks run first, each by itself."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lenet_export import files
from lenet_export.errors import UserError
from lenet_export.evidence import again, page
from lenet_export.evidence.bom import bill_of
from lenet_export.evidence.check import FAILED, Case, result_of
from lenet_export.evidence.facts import Facts, facts_of
from lenet_export.evidence.registry import CHECKS
from lenet_export.exported import Exported
from lenet_export.images import Writers
from lenet_export.outputs.options import Files, Options
from lenet_export.plan import Array, Plan
from lenet_export.reference import Images
from lenet_export.verify import BUG, stress_images

#: Of what may be beside the page, the names that an export's files could have.
FILES = ("bom.json", *(name for check in CHECKS.values() for name in check.files))
REAL = 200  # of the user's images, on which checks run


def page_paths(folder: Path, written: Iterable[Path], with_checks: bool) -> tuple[Path, ...]:
    """The paths of a page and of its numbers.

    Args:
        folder: for the page.
        written: the paths of the export's files.
        with_checks: whether it tells what checks found.

    Raises:
        UserError: a file of the page would be in the place of one of the export's.
    """
    names = page.EVIDENCE if with_checks else page.REPORT
    # The export's files are in an evidence's folder, too.
    all_written = [*written, *(folder / path.name for path in written if with_checks)]
    places = {os.path.realpath(path) for path in all_written}
    beside = FILES if with_checks else ()
    twice = sorted(of for of in (*names, *beside) if os.path.realpath(folder / of) in places)
    if twice:
        raise UserError(
            folder,
            f"{' and '.join(twice)} would be a file of the page and of the export",
            "give another --prefix" if with_checks else "give another folder, or another --prefix",
        )
    return tuple(folder / name for name in names)


def write_page(
    folder: Path,
    exported: Exported,
    rendered: Files,
    options: Options,
    images: Images | None,
    labels: Array | None,
    with_checks: bool,
    writers: Writers | None = None,
) -> None:
    """Writes the page of an export; of its evidence what is beside it, too.

    Args:
        folder: for the page.
        exported: what is to be written, and its network.
        rendered: the files by name.
        options: of them.
        images: the user's, uint8 ``(images, rows, columns, channels)``.
        labels: their classes.
        with_checks: whether checks run, and the page tells what they found.
        writers: who wrote each image, where that is known.

    Raises:
        UserError: the folder cannot be written; or a check failed, which the page tells: then the C
            is not what it must be.
    """
    checks: Facts | None = None
    beside: Files = {}
    if with_checks:
        model, plan = exported.report.model, exported.plan
        checks, beside = evidence_of(model, plan, rendered, options, images)
    told = page.files_of(facts_of(exported, rendered, options, images, labels, checks, writers))
    failed = [of["title"] for of in checks["results"] if of["status"] == FAILED] if checks else []
    if checks:
        told = beside | ({} if failed else rendered) | told
        told[again.RECORD] = again.record_of(told)
    left = again.stale(folder, told)
    files.write({folder / name: data for name, data in told.items()})
    for path in left:
        path.unlink(missing_ok=True)
    if failed:
        raise UserError(
            folder / page.EVIDENCE[0],
            f"{len(failed)} checks failed: {'; '.join(failed)}"
            if len(failed) > 1
            else f"a check failed: {failed[0]}",
            f"the C was not written; {BUG}",
        )


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
    beside: Files = {"bom.json": bill_of(plan, rendered, model)}
    for name, check in CHECKS.items():
        with tempfile.TemporaryDirectory(prefix="lenet-evidence-") as folder:
            case = Case(plan, rendered, options, Path(folder), given)
            case.write()
            told, its_files = result_of(name, check, case)
        results.append(told)
        beside |= its_files
    results.sort(key=lambda told: told["status"] != FAILED)
    return {
        "counts": dict(Counter(told["status"] for told in results)),
        "results": results,
        "files": files.hashes_of(dict(sorted(beside.items()))),
    }, beside
