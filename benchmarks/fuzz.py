"""Damaged files and drawn command lines: each is read, or refused by a mistake that is told.

    python benchmarks/fuzz.py --seconds 600            goes on where fuzz.json ends, and tells
    python benchmarks/fuzz.py --seconds 600 --update   and adds to it, a turn of a second at a time
    python benchmarks/fuzz.py --case checkpoint 17     one case again, with its traceback

A case is a kind and a number, from which all of it is drawn. It fails by any exception but
``UserError``, by a mistake without a remedy, by a file that is left half written, and by taking
longer than ``LIMIT``. Half of the cases are damaged with their checksums put right, so that they
come beyond them.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import csv
import functools
import gzip
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from safetensors.numpy import save

from lenet_export import bundled, checkpoint, cli, files, idx, images, photos
from lenet_export import read as reading
from lenet_export.checkpoint import Model
from lenet_export.cpus.registry import CPUS, lay_out
from lenet_export.errors import UserError
from lenet_export.evidence import again, bom, facts, page
from lenet_export.outputs.c import render_c
from lenet_export.outputs.options import Options
from lenet_export.plan import make_plan
from lenet_export.readers import parameters
from lenet_train import cli as training
from lenet_train.datasets import arrays, csv_files

RESULTS = Path(__file__).with_suffix(".json")
LIMIT = 30  # seconds of one case
TURN = 1  # seconds of a kind, before the next comes
MEMORY = 8 << 30  # bytes of the process
#: A folder that is in memory, where there is one.
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
READ, REFUSED, FAILED = ENDS = "read", "refused", "failed"
#: What no reader expects, as JSON.
JUNK = (
    *(None, True, False, 0, -1, 1, 2, 3, 255, 256, 32768, 2**31, 2**63, 10**30, 0.5, 1e308, 5e-324),
    *("", "conv1", "relu", "conv", "dense", "max", "\x1b[31m", "\x00", "é", "a" * 300, "../../x"),
    *([], {}, [[]], [1, 2], {"a": 1}, [0, 0], [1, 1, 1], [28, 28, 1]),
)
NUMBERS = (0.0, -0.0, 1e38, -1e38, 1e-45, float("nan"), float("inf"), float("-inf"))


class Kind(NamedTuple):
    """A kind of input.

    Attributes:
        draw: what is given, of which it is drawn: the words of a command line, or a file's bytes.
        run: gives it to the program, in a folder; raises ``UserError`` where it is refused.
    """

    draw: Callable[[random.Random], Any]
    run: Callable[[Any, Path], object]


# ---- Damage ------------------------------------------------------------------------------------


def damaged(data: bytes, drawn: random.Random, most: int = 4) -> bytes:
    """Bytes with one to ``most`` changes, half of them near the beginning."""
    found = bytearray(data)
    for _ in range(drawn.randint(1, most)):
        near = min(len(found), 200 if drawn.random() < 0.5 else len(found))
        at = drawn.randrange(near) if near else 0
        some = drawn.randint(1, 1 + len(found) // 4)
        change = drawn.randrange(8)
        if change == 0 and found:
            found[at] ^= 1 << drawn.randrange(8)
        elif change == 1 and found:
            found[at] = drawn.choice((0, 1, 127, 128, 255, *b'0-9"{[,:}'))
        elif change == 2:
            del found[at:]
        elif change == 3:
            del found[at : at + some]
        elif change == 4:
            found[at:at] = found[at : at + some]
        elif change == 5:
            found[at:at] = drawn.randbytes(drawn.randint(1, 40))
        elif change == 6:
            number = drawn.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, len(found), 65536))
            found[at : at + 4] = number.to_bytes(4, drawn.choice(("big", "little")))
        else:
            digits = [*re.finditer(rb"\d+", found[:4000])]
            if digits:
                of = drawn.choice(digits)
                other = drawn.choice((b"0", b"-1", b"99999999999999999999", b"1e999", b"3", b""))
                found[of.start() : of.end()] = other
    return bytes(found)


def damaged_json(value: Any, drawn: random.Random) -> Any:
    """Values of JSON, in which one to three places are others."""
    value = copy.deepcopy(value)
    for _ in range(drawn.randint(1, 3)):
        (within, key), (other, other_key) = _place(value, drawn), _place(value, drawn)
        if within is None:
            break
        change = drawn.randrange(6)
        if change == 0:
            del within[key]
        elif change == 1 and isinstance(within, list):
            within.insert(key, copy.deepcopy(within[key]))
        elif change == 1:
            within[drawn.choice(("", "more", "kind", "name"))] = within.pop(key)
        elif change == 2:
            within[key] = copy.deepcopy(other[other_key])
        elif change == 3 and isinstance(within[key], int | float):
            within[key] = within[key] * drawn.choice((-1, 2, 1000, 0.5)) + drawn.choice((0, 1, -1))
        else:
            within[key] = copy.deepcopy(drawn.choice(JUNK))
    return value


def _place(value: Any, drawn: random.Random) -> tuple[Any, Any]:
    """A place in values of JSON: what holds it, and the key there; ``None`` in what is empty."""
    within = None
    key: Any = None
    while isinstance(value, dict | list) and value and (within is None or drawn.random() < 0.8):
        within, key = (
            value,
            drawn.choice([*(value if isinstance(value, dict) else range(len(value)))]),
        )
        value = within[key]
    return within, key


# ---- Checkpoints -------------------------------------------------------------------------------


def _models() -> list[Model]:
    """Small models that have all of what a file may hold."""
    tiny = bundled.load("mnist-tiny")
    assert tiny.gap_table
    table = replace(tiny.gap_table, rows=tiny.gap_table.rows[:5])
    tiny = replace(tiny, gap_table=table)
    return [
        tiny,
        replace(tiny, class_names=tuple("abcdefghij"), amount_table=table, input_zero=7),
        replace(tiny, none_output=True, gap_table=None, ink=None),
    ]


MODELS = _models()


def written(content: Any, tensors: dict[str, Any]) -> bytes:
    """The bytes of a checkpoint, whose hash is right if there can be one."""
    if isinstance(content, dict) and "sha256" in content:
        with contextlib.suppress(ValueError, TypeError):
            content["sha256"] = checkpoint.sha256_of(content, tensors)
    return bytes(save(tensors, metadata={checkpoint.KEY: json.dumps(content)}))


def _content_of(model: Model) -> tuple[dict[str, Any], bytes]:
    """What a model's file holds beside its tensors, and the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        checkpoint.save(model, path)
        data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    return json.loads(json.loads(data[8 : 8 + size])["__metadata__"][checkpoint.KEY]), data


CONTENTS = [_content_of(model) for model in MODELS]


def draw_checkpoint(drawn: random.Random) -> bytes:
    """A checkpoint: bytes of it, its metadata, or its tensors are damaged."""
    place = drawn.randrange(len(MODELS))
    (content, data), tensors = CONTENTS[place], dict(MODELS[place].params)
    part = drawn.randrange(4)
    if part == 0:
        return damaged(data, drawn)
    if part != 1:
        content = damaged_json(content, drawn)
    if part != 2:
        for name in drawn.sample(sorted(tensors), drawn.randint(1, 2)):
            tensors[name] = _damaged_tensor(tensors[name], drawn)
    return written(dict(content), {name: of for name, of in tensors.items() if of is not None})


def _damaged_tensor(values: Any, drawn: random.Random) -> Any:
    """A tensor of another shape, type or content; ``None`` for none."""
    change = drawn.randrange(6)
    if change == 0:
        return None
    if change == 1:
        return values[..., :-1].copy()
    if change == 2:
        return values.astype(drawn.choice((np.float64, np.float16, np.int8)))
    if change == 3:
        return values.reshape(-1)
    other = values.copy()
    at = drawn.randrange(max(1, other.size)) if change == 4 else slice(None)
    if other.size:
        other.reshape(-1)[at] = drawn.choice(NUMBERS)
    return other


def run_checkpoint(data: bytes, folder: Path) -> None:
    """Reads it; what can be read goes on to integers, and one in eight to C."""
    path = folder / "model.safetensors"
    path.write_bytes(data)
    model = checkpoint.load(path)
    drawn = random.Random(data[:999])
    dtype = drawn.choice(("int8", "int8", "float32"))
    table = drawn.choice((None, 0.01))
    lay_out(make_plan(model, dtype, table), drawn.choice((*CPUS,)), "speed")
    if drawn.random() < 1 / 8:
        run_export(["--model", str(path), "--dtype", dtype], folder)


# ---- Images ------------------------------------------------------------------------------------


def draw_idx(drawn: random.Random) -> bytes:
    """An IDX file, packed or not: damaged within, or without."""
    shape = drawn.choice(((3, 28, 28), (5,), (2, 28, 28, 3)))
    data = idx.pack(np.frombuffer(drawn.randbytes(int(np.prod(shape))), np.uint8).reshape(shape))
    part = drawn.randrange(3)
    if part == 0:
        return damaged(data, drawn)
    packed = gzip.compress(damaged(data, drawn) if part == 1 else data, 1, mtime=0)
    return packed if part == 1 else damaged(packed, drawn)


def run_idx(data: bytes, folder: Path) -> None:
    """Reads it as images, and beside labels; as labels, beside images."""
    name = {0: "t10k-images-idx3-ubyte", 1: "t10k-labels-idx1-ubyte"}[len(data) % 2]
    suffix = ".gz" if data[:2] == b"\x1f\x8b" else ""
    for other, shape in (("images-idx3", (5, 28, 28)), ("labels-idx1", (5,))):
        whole = idx.pack(np.arange(np.prod(shape)).astype(np.uint8).reshape(shape) % 10)
        (folder / f"t10k-{other}-ubyte").write_bytes(whole)
    (folder / name).unlink()
    (folder / f"{name}{suffix}").write_bytes(data)
    images.read_images(folder, (28, 28, 1), 10)


PICTURES = ("PNG", "PNG", "PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "PPM")
MODES = ("L", "1", "RGB", "RGBA", "LA", "P", "I", "I;16", "F", "CMYK")


def draw_picture(drawn: random.Random) -> bytes:
    """A picture of one of many kinds; of a PNG the checksums of its parts may be right."""
    kind, mode = drawn.choice(PICTURES), drawn.choice(MODES)
    size = drawn.choice(((12, 12), (20, 30), (64, 16)))
    pixels = np.frombuffer(drawn.randbytes(size[0] * size[1]), np.uint8).reshape(size)
    picture = Image.fromarray(pixels)
    into = io.BytesIO()
    try:
        picture.convert(mode).save(into, kind)
    except (OSError, ValueError):  # not of this mode
        into = io.BytesIO()
        picture.save(into, kind)
    data = into.getvalue()
    if kind != "PNG" or drawn.random() < 0.5:
        return damaged(data, drawn)
    return _damaged_png(data, drawn)


def _damaged_png(data: bytes, drawn: random.Random) -> bytes:
    """A PNG of which one chunk is damaged, and each has the checksum of what it holds."""
    chunks, at = [], 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    place = drawn.randrange(len(chunks))
    kind, body = chunks[place]
    if kind == b"IDAT" and drawn.random() < 0.5:
        body = zlib.compress(damaged(zlib.decompress(body), drawn))
    else:
        body = damaged(body, drawn)
    chunks[place] = kind, body
    if drawn.random() < 0.2:
        chunks.insert(drawn.randrange(len(chunks)), drawn.choice(chunks))
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def run_picture(data: bytes, folder: Path) -> None:
    """Reads it as lenet-read does."""
    path = folder / "picture.png"
    path.write_bytes(data)
    photos.read(path)


# ---- Data sets and parameters ------------------------------------------------------------------


def draw_npz(drawn: random.Random) -> bytes:
    """An ``.npz``: the bytes of an array in it are damaged, or its own."""
    given = {
        "x_train": np.arange(4 * 12 * 12, dtype=np.int64).reshape(4, 12, 12) % 256,
        "y_train": np.arange(4) % 2,
        "x_test": np.zeros((2, 12, 12, 1), np.uint8),
        "y_test": np.array(["a", "b"]),
        "groups": np.arange(4),
    }
    name = drawn.choice([*given])
    if drawn.random() < 0.2:
        other = (np.array([{}, None]), np.zeros((0, 0)), np.array(1.5), np.full((4, 9), np.nan))
        given[name] = drawn.choice(other)
    if drawn.random() < 0.2:
        given.pop(drawn.choice([*given]))
    into = io.BytesIO()
    np.savez(into, **given)
    if drawn.random() < 0.4:
        return damaged(into.getvalue(), drawn)
    again = io.BytesIO()
    with zipfile.ZipFile(into) as file, zipfile.ZipFile(again, "w") as other:
        for member in file.namelist():
            data = file.read(member)
            is_damaged = member == f"{name}.npy" and drawn.random() < 0.8
            other.writestr(member, damaged(data, drawn, 2) if is_damaged else data)
    return again.getvalue()


def draw_csv(drawn: random.Random) -> bytes:
    """A CSV file of labels and pixels, damaged."""
    into = io.StringIO()
    rows = [[label, *(drawn.randrange(256) for _ in range(144))] for label in (0, 1, 2)]
    csv.writer(into, delimiter=drawn.choice(",;\t")).writerows(rows)
    data = into.getvalue().encode()
    return data if drawn.random() < 0.02 else damaged(data, drawn)


def draw_msgpack(drawn: random.Random) -> bytes:
    """What flax.serialization writes of some parameters, damaged."""
    from flax import serialization

    layer = {"kernel": np.ones((2, 3), np.float32), "bias": np.zeros(3, np.float32)}
    return damaged(serialization.to_bytes({"params": {"fc": layer}, "step": 3}), drawn)


def by(reader: Callable[[Path], object], name: str) -> Callable[[bytes, Path], None]:
    """What gives a reader a file of a name."""

    def run(data: bytes, folder: Path) -> None:
        (folder / name).write_bytes(data)
        reader(folder / name)

    return run


# ---- Command lines -----------------------------------------------------------------------------

WORDS = (
    *("", "-", "--", "0", "-1", "1e-3", "0.5", "1", "nan", "inf", "1e999", "28x28x1", "x", "0x0x0"),
    *("\x00", "\udcff", "é", "a b", "$(x)", "lenet", "int", "../..", "/dev/null", "/", ".", "a/b"),
    *("generic", "cortex-m4", "avr", "int8", "float32", "mnist-tiny", "mnist", "c", "npz", "none"),
    *("picture", "amount", "apart", "inside", "ram", "speed", "flash", "file", "folder"),
)


def _options(parser: argparse.ArgumentParser, without: set[str]) -> list[str]:
    names = [name for action in parser._actions for name in action.option_strings]
    return sorted({*names} - without)


class _Asked(Exception):  # noqa: N818
    """Stops a program when its parser is made; it has it."""


def _export_options() -> list[str]:
    """Those of lenet-export, but what compiles C, trains, or imports JAX."""
    made: list[argparse.ArgumentParser] = []

    class Kept(cli.Parser):
        def parse_args(self, *_: Any, **__: Any) -> Any:
            made.append(self)
            raise _Asked

    kept, cli.Parser = cli.Parser, Kept  # type: ignore[misc]
    try:
        with contextlib.suppress(_Asked):
            cli._parse([])
    finally:
        cli.Parser = kept  # type: ignore[misc]
    without = {"--verify", "--evidence", "--report", "--network", "--completion", "--out"}
    return _options(made[0], without)


EXPORT = _export_options()
TRAIN = _options(training.command_line(), {"--completion"})


def draw_line(drawn: random.Random) -> list[str]:
    """A program, and some of its options, most with a word behind them."""
    program = drawn.choice(("export", "export", "export", "read", "train"))
    known = {"export": EXPORT, "train": TRAIN, "read": ["--model", "--max-error", "--json"]}
    words = [program]
    for _ in range(drawn.choice((0, 1, 1, 2, 2, 3, 5))):
        words.append(drawn.choice(known[program]))
        if drawn.random() < 0.15:
            words[-1] += "=" + drawn.choice(WORDS)
        elif drawn.random() < 0.7:
            words.append(drawn.choice(WORDS))
    if drawn.random() < 0.1:
        words.insert(drawn.randint(1, len(words)), drawn.choice(WORDS))
    return words


def run_line(words: list[str], folder: Path) -> None:
    """Runs lenet-export in a folder of some files; of the others the command line is read."""
    (folder / "file").write_bytes(b"")
    (folder / "folder").mkdir()
    program, *rest = words
    if program == "train":
        training._parse(rest)
    elif program == "read":
        reading._parse(rest)
    else:
        run_export(rest, folder)


def run_export(words: list[str], folder: Path) -> None:
    """Runs lenet-export in a folder that may hold an export; then it is whole, or as it was.

    Raises:
        AssertionError: it is neither, or nothing was told of a mistake.
        UserError: a mistake was told.
    """
    out = folder / "out"
    if words and words[0] < "--m":
        out.mkdir()
        files.write({out / name: b"{}" for name in ("lenet.h", "lenet.c", "lenet.json")})
    before = _held(out)
    at = Path.cwd()
    os.chdir(folder)
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            status = cli.main(["--model", "mnist-tiny", *words, "--no-verify", "--out", str(out)])
    except SystemExit as wrong:
        status = wrong.code
    finally:
        os.chdir(at)
    after = _held(out)
    if status:
        assert after == before, f"left {sorted(after)}"
        wanted = r"lenet-export: error: .+: .+\n  .+" if status == 1 else r"(?s)usage: .+error: .+"
        assert re.match(wanted, told.getvalue()), told.getvalue()
        raise UserError("", "", "")
    for name, data in after.items():
        if name.endswith(".json") and data != b"{}":
            hashes = files.hashes_of({of: after[of] for of in json.loads(data)["files"]})
            assert hashes == json.loads(data)["files"], f"{name} is of other files"


def _held(folder: Path) -> dict[str, bytes]:
    """The files of a folder."""
    return {of.name: of.read_bytes() for of in folder.iterdir()} if folder.is_dir() else {}


# ---- Evidence ----------------------------------------------------------------------------------


@functools.cache
def evidence() -> dict[str, bytes]:
    """The files of a model's evidence, in which no check was run."""
    name = "mnist-tiny"
    plan, options = make_plan(bundled.load(name), "int8"), Options(model=name)
    files_of = render_c(plan, options)
    bill = {"bom.json": bom.bill_of(plan, files_of, name)}
    identity = facts.identity_of(plan, options) | {"model": name, "notes": [], "warnings": []}
    not_run = {"not_run": "not asked for"}
    checks: dict[str, Any] = {"counts": {}, "results": [], "files": files.hashes_of(bill)}
    told = facts.planned(plan, files_of) | {
        "identity": identity | {"files": files.hashes_of(files_of)},
        **dict.fromkeys(("verified", "float_difference", "readings", "field"), not_run),
        "checks": checks,
    }
    return files_of | bill | page.files_of(told)


def draw_evidence(drawn: random.Random) -> dict[str, bytes]:
    """A folder of evidence in which a file is damaged; the record, or the page too, may know it."""
    held = dict(evidence())
    name = drawn.choice([*held, "evidence.json", "evidence.json"])
    if name == "evidence.json" and drawn.random() < 0.8:
        found = damaged_json(json.loads(held[name]), drawn)
        held[name] = json.dumps(found, indent=1).encode()
        if drawn.random() < 0.5:
            with contextlib.suppress(Exception):
                held |= page.files_of(found)
    else:
        held[name] = damaged(held[name], drawn)
    record = again.record_of(held if drawn.random() < 0.7 else evidence())
    return held | {again.RECORD: damaged(record, drawn) if drawn.random() < 0.1 else record}


def run_evidence(held: dict[str, bytes], folder: Path) -> None:
    """Checks it again."""
    for name, data in held.items():
        (folder / name).write_bytes(data)
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        status = cli.main(["--check-evidence", str(folder)])
    if status:
        assert re.match(r"lenet-export: error: .+: .+\n  .+", told.getvalue()), told.getvalue()
        raise UserError("", "", "")


KINDS = {
    "checkpoint": Kind(draw_checkpoint, run_checkpoint),
    "IDX": Kind(draw_idx, run_idx),
    "picture": Kind(draw_picture, run_picture),
    "npz": Kind(draw_npz, by(arrays.read, "data.npz")),
    "CSV": Kind(draw_csv, by(csv_files.read, "data.csv")),
    "msgpack": Kind(draw_msgpack, by(parameters.loaded, "params.msgpack")),
    "evidence": Kind(draw_evidence, run_evidence),
    "command line": Kind(draw_line, run_line),
}


# ---- Runs --------------------------------------------------------------------------------------


def outcome(kind: str, number: int) -> tuple[str, str]:
    """What comes of a case: ``READ``, ``REFUSED`` or ``FAILED``, and then why."""
    drawn = random.Random(f"{kind} {number}")
    folder = Path(tempfile.mkdtemp(prefix="lenet-fuzz-", dir=FAST))
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    said = io.StringIO()
    try:
        given = KINDS[kind].draw(drawn)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            KINDS[kind].run(given, folder)
        return READ, ""
    except UserError as error:
        is_told = not str(error).strip(": \n") or (error.what and error.remedy)
        return (REFUSED, "") if is_told else (FAILED, f"no remedy: {error}")
    except SystemExit as error:
        if error.code == 0:
            return READ, ""
        is_told = error.code == 2 and "error:" in said.getvalue()
        return (REFUSED, "") if is_told else (FAILED, f"status {error.code}: {said.getvalue()}")
    except Exception:
        return FAILED, traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        shutil.rmtree(folder)


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """A case that takes too long, or too much memory, is one that failed."""

    def late(*_: object) -> None:
        raise TimeoutError(f"took more than {LIMIT} seconds")

    before = signal.signal(signal.SIGALRM, late)
    memory = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, memory[1]))
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, memory)


Save = Callable[[str, Counter[str]], None]


def run(
    first: dict[str, int], seconds: float, save: Save = lambda *_: None
) -> dict[str, Counter[str]]:
    """Runs the kinds in turns, each from a number on, as long as it is said.

    Args:
        first: of each kind the first number.
        seconds: to go on for.
        save: is told, after each turn of a kind, how many of its cases ended how so far.

    Returns:
        How many cases of each kind ended how; what failed is printed.
    """
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in first}
    end = time.monotonic() + seconds
    with limited():
        while time.monotonic() < end:
            for kind, of in counts.items():
                turn = min(end, time.monotonic() + TURN)
                while time.monotonic() < turn:
                    number = first[kind] + of.total()
                    status, why = outcome(kind, number)
                    of[status] += 1
                    if status == FAILED:
                        print(f"{kind} {number}: {why}", file=sys.stderr, flush=True)
                save(kind, of)
    return counts


def known() -> dict[str, Counter[str]]:
    """What fuzz.json has of each kind."""
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return {kind: Counter(found.get(kind, {})) for kind in KINDS}


def written_down(kind: str, counts: Counter[str]) -> None:
    """Puts the counts of a kind into fuzz.json, beside those that another run may write."""
    total = known() | {kind: counts}
    text = json.dumps({kind: dict(sorted(of.items())) for kind, of in total.items()}, indent=1)
    files.write({RESULTS: f"{text}\n".encode()})


def table(results: dict[str, dict[str, int]]) -> str:
    """The results as a table of a document."""
    rows = [("kind", "cases", "read", "refused", "failed"), ("---", *4 * ("---:",))]
    total: Counter[str] = Counter()
    for kind, counts in results.items():
        total.update(counts)
        rows.append((kind, *_cells(counts)))
    rows.append(("**all**", *_cells(total)))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cells(counts: dict[str, int]) -> list[str]:
    return [f"{of:,}" for of in (sum(counts.values()), *map(Counter(counts).get, ENDS, 3 * [0]))]


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--case", nargs=2, metavar=("KIND", "NUMBER"))
    parser.add_argument("--update", action="store_true", help="adds to fuzz.json")
    options = parser.parse_args(arguments)
    if options.case:
        with limited():
            print(*outcome(options.case[0], int(options.case[1])))
        return 0
    before = known()

    def save(kind: str, counts: Counter[str]) -> None:
        if options.update:
            written_down(kind, before[kind] + counts)

    first = {kind: before[kind].total() for kind in options.kind or KINDS}
    found = run(first, options.seconds, save)
    for kind, counts in found.items():
        print(f"{kind}: {dict(counts)}")
    return 1 if any(of[FAILED] for of in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
