"""An evidence folder checked again: whether it is as it was written, and belongs together.

Nothing of the folder is run or imported, and nothing in it is changed. Who edits a figure, the page
that shows it and the hashes of both is found where the figure follows from the model; one that a
check or a reading found is told by making the evidence again, which gives the same bytes.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lenet_export import bundled
from lenet_export.errors import UserError
from lenet_export.evidence import page
from lenet_export.evidence.bom import bill_of
from lenet_export.evidence.check import FAILED
from lenet_export.evidence.facts import TOOL, Facts, identity_of, planned
from lenet_export.files import LOCK, PART, hashes_of
from lenet_export.outputs.c import render_c
from lenet_export.outputs.options import Files, Options
from lenet_export.plan import Plan, make_plan

#: The record of a folder: a line for each file, as ``sha256sum -c`` reads it.
RECORD = "evidence.sha256"
LINE = re.compile(r"([0-9a-f]{64})  ([^/\\]+)")
#: Of an export's manifest, what the comparison with JAX adds.
COMPARED = ("verified", "not_verified")

Difference = tuple[str, str]


class Found(NamedTuple):
    """What comes of checking a folder again.

    Attributes:
        files: how many the record tells of.
        differences: a file, and what is wrong with it, of each.
        statuses: how many checks of the evidence had which.
        not_printed: why the C was not printed again; empty where it was.
    """

    files: int
    differences: list[Difference]
    statuses: dict[str, int]
    not_printed: str


class NotPrintedError(Exception):
    """The C cannot be printed again here; as text, why."""


def record_of(files: Files) -> bytes:
    """The record of a folder's files."""
    return "".join(f"{of}  {name}\n" for name, of in hashes_of(files).items()).encode()


def recorded(folder: Path) -> dict[str, str]:
    """The hashes in a folder's record, by file; none where there is no record, or no whole one."""
    try:
        lines = _held(folder, [RECORD])[RECORD].decode().splitlines()
    except (KeyError, ValueError):  # or no text
        return {}
    found = [LINE.fullmatch(line) for line in lines]
    return {of[2]: of[1] for of in found if of} if all(found) else {}


def stale(folder: Path, written: Iterable[str]) -> list[Path]:
    """What an earlier run left beside its export, as it wrote it, and this one does not write."""
    hashes = recorded(folder)
    try:
        facts = json.loads((folder / page.EVIDENCE[1]).read_bytes())
        exported = {*facts["identity"]["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return []
    held = hashes_of(_held(folder, hashes.keys() - {*written} - exported))
    left = [name for name, of in held.items() if hashes[name] == of]
    return [folder / name for name in (*left, *({RECORD} - {*written}))]


def check_again(folder: Path, planned_by: Callable[[str], tuple[Plan, Options]]) -> Found:
    """Checks a folder of ``--evidence``.

    Args:
        folder: that was written, or was got from somebody.
        planned_by: what a command line plans; raises :class:`NotPrintedError`.

    Raises:
        UserError: there is no record, or no evidence that can be read.
    """
    hashes = recorded(folder)
    if not hashes:
        what = f"has no {RECORD} that can be read" if folder.is_dir() else "is no folder"
        raise UserError(folder, what, "give a folder that --evidence wrote, all of it")
    held = _held(folder, hashes)
    try:
        facts = json.loads(held[page.EVIDENCE[1]])
        differences = [*_of_record(folder, hashes, held)]
        told = {name for name, _ in differences}
        differences += [of for of in _of_facts(facts, held) if of[0] not in told]
        statuses = Counter(str(of["status"]) for of in facts["checks"]["results"])
        try:
            plan, options = planned_by(facts["identity"]["command"])
            differences += [of for of in _of_model(plan, options, facts, held) if of[0] not in told]
            not_printed = ""
        except NotPrintedError as why:
            not_printed = str(why)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UserError(
            folder / page.EVIDENCE[1],
            f"is no evidence that can be read ({type(error).__name__})",
            "get the folder again from who made it, or make the evidence again",
        ) from None
    return Found(len(hashes), differences, dict(statuses), not_printed)


def _held(folder: Path, names: Iterable[str]) -> Files:
    """Those of the files that are there and can be read; a pipe or device may have no end."""
    held = {}
    for name in names:
        with contextlib.suppress(OSError, ValueError):  # or no path
            if (folder / name).is_file():
                held[name] = (folder / name).read_bytes()
    return held


def _of_record(folder: Path, hashes: dict[str, str], held: Files) -> Iterator[Difference]:
    """Files that are not as they were written, are missing, or were not written with these."""
    found = hashes_of(held)
    for name, of in hashes.items():
        if name not in held:
            yield name, "is missing"
        elif found[name] != of:
            yield name, "was changed: its SHA-256 is not that of the record"
    for path in sorted(folder.iterdir()):
        if path.name.startswith((LOCK, PART)):
            yield path.name, "was left by a program that was killed while it wrote here: remove it"
        elif path.name not in (*hashes, RECORD):
            yield path.name, "is not of this evidence"


def _of_facts(facts: Facts, held: Files) -> Iterator[Difference]:
    """Files that do not go with the facts: their hashes, the page, and what the checks found."""
    page_file, facts_file = page.EVIDENCE
    identity, results = facts["identity"], facts["checks"]["results"]
    stated = identity["files"] | facts["checks"]["files"]
    failed = [of["title"] for of in results if of["status"] == FAILED]
    yield from ((facts_file, f"tells of a check that failed: {title}") for title in failed)
    for name, of in hashes_of(held).items():
        if name not in page.EVIDENCE and stated.get(name) != of:
            yield name, f"is another one than that of which {facts_file} tells"
    not_written = {*identity["files"]} if failed else set()
    for name in stated.keys() - held.keys() - not_written:
        yield name, f"is missing, and {facts_file} tells of it"
    for name in identity["files"].keys() & held.keys():
        if name.endswith(".json"):
            manifest = json.loads(held[name])
            if any(manifest[key] != identity[key] for key in ("command", "model_id")):
                yield facts_file, f"is of another model or command than {name}"
            if any(identity["files"][of] != hash_ for of, hash_ in manifest["files"].items()):
                yield facts_file, f"is of other files than {name}"
    if dict(Counter(of["status"] for of in results)) != facts["checks"]["counts"]:
        yield facts_file, "has other counts of checks than checks"
    if identity["tool"] != TOOL:
        yield facts_file, f"is of {identity['tool']}, and this is {TOOL}: take that"
        return
    try:
        printed = page.files_of(facts)
    except Exception:  # whatever the templates make of what is no such facts
        yield facts_file, "is not of what a page is made of"
        return
    if printed[page_file] != held.get(page_file):
        yield page_file, f"is not the page of {facts_file}"
    if printed[facts_file] != held[facts_file]:
        yield facts_file, "is not as lenet-export writes it"


def _of_model(plan: Plan, options: Options, facts: Facts, held: Files) -> Iterator[Difference]:
    """Files and facts that are not those of the model."""
    identity = facts["identity"]
    if plan.model_id != identity["model_id"]:
        name = bundled.titled(identity["model"])
        if name and make_plan(bundled.load(name), plan.dtype).model_id != identity["model_id"]:
            yield page.EVIDENCE[1], f"tells of {identity['model']}, which is another model"
            return
        what = f"the model is {plan.model_id[:12]}, and the evidence is of "
        raise NotPrintedError(f"{what}{identity['model_id'][:12]}: give its file by --model")
    printed = render_c(plan, options)
    manifest = f"{options.prefix}.json"
    for name, data in printed.items():
        is_same = held.get(name) == data
        if name == manifest and name in held:
            is_same = _uncompared(held[name]) == _uncompared(data)
        if name in held and not is_same:
            yield name, "is not what the model gives, printed again"
    own = printed | {manifest: held.get(manifest, printed[manifest])}
    if "bom.json" in held and held["bom.json"] != bill_of(plan, own, identity["model"]):
        yield "bom.json", "is not what the model gives, printed again"
    sections = planned(plan, printed) | {"identity": identity_of(plan, options)}
    for section, of in json.loads(json.dumps(page.finite(sections))).items():
        stated = facts[section]
        if section == "identity":
            stated = {name: stated.get(name) for name in of}
        if stated != of:
            yield page.EVIDENCE[1], f"its section {section} is not the model's"


def _uncompared(manifest: bytes) -> Any:
    """What an export's manifest tells, beside the comparison with JAX."""
    return {name: of for name, of in json.loads(manifest).items() if name not in COMPARED}
