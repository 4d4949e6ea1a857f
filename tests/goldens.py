"""The bytes of many exports, as one hash each: a refactoring changes none.

``python tests/goldens.py`` renews ``goldens.json``; its diff tells which exports changed.
``python tests/goldens.py FOLDER`` writes the exports themselves too, for ``diff -r``.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from export import networks
from few_bits import on_grids
from lenet_export import checkpoint
from lenet_export.checkpoint import Model
from lenet_export.cpus.registry import CPUS, choices, lay_out
from lenet_export.errors import UserError
from lenet_export.outputs.c import Options, render_c
from lenet_export.outputs.npz import render_npz
from lenet_export.outputs.options import PARTS, parts_of
from lenet_export.plan import make_plan
from needs import ROOT

GOLDENS = Path(__file__).with_name("goldens.json")
BUNDLED = ("mnist", "mnist-field", "mnist-modern", "mnist-tiny", "mnist-uno")
MODELS = (*BUNDLED, *networks.CHAINS, "lenet of few bits")


def model_of(name: str) -> Model:
    """A bundled model, or a chain of random weights."""
    if name in BUNDLED:
        return checkpoint.load(ROOT / f"export/lenet_export/models/{name}.safetensors")
    if name in networks.CHAINS:
        return networks.named_model(name)
    return on_grids(networks.named_model("lenet"), ("4", "2", "1", "ternary", "8"))


def exports(name: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Each export of a model: what it is called, and its files; none where it is refused."""
    model = model_of(name)
    for dtype in ("int8", "float32"):
        plan = make_plan(model, dtype)
        yield f"{name} {dtype} npz", {"lenet.npz": render_npz(plan)}
        for cpu in CPUS:
            for optimize in choices(cpu):
                try:
                    files = render_c(lay_out(plan, cpu, optimize), Options())
                except UserError:
                    files = {}
                yield f"{name} {dtype} {cpu} {optimize}", files
    sure = make_plan(model, "int8", 0.01)
    yield f"{name} int8 max-error 0.01", render_c(sure, Options())
    yield f"{name} int8 single-file", render_c(sure, Options("reader", single_file=True))
    yield f"{name} int8 harden", render_c(make_plan(model, "int8", is_hardened=True), Options())
    for part in PARTS:
        try:
            files = render_c(sure, Options(parts=parts_of([part])))
        except UserError:
            files = {}
        yield f"{name} int8 with {part}", files


def hashed(files: dict[str, bytes]) -> str:
    """A hash over the files' names and bytes; ``refused`` where there are none."""
    if not files:
        return "refused"
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        digest.update(f"{name} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def hashes_of(name: str, folder: Path | None = None) -> dict[str, str]:
    """The hash of each export of a model, whose files go to ``folder``."""
    found = {}
    for export, files in exports(name):
        found[export] = hashed(files)
        for file, data in files.items() if folder else ():
            path = folder / export.replace(" ", "_") / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return found


def main() -> None:
    """Renews the file; with a folder, writes the exports to it."""
    folder = Path(sys.argv[1]) if sys.argv[1:] else None
    with ProcessPoolExecutor() as pool:
        parts = list(pool.map(hashes_of, MODELS, [folder] * len(MODELS)))
    found = {export: value for part in parts for export, value in part.items()}
    GOLDENS.write_text(json.dumps(found, indent=0) + "\n")
    print(f"{GOLDENS}: {len(found)} exports")


if __name__ == "__main__":
    main()
