"""Every command and program that a document shows is run as its reader would run it.

A document's blocks are run in their order in one folder. What the reader has there by then stands
for it in small: see `STAND_INS`. A recipe of training has one epoch, and published data sets are a
few hundred of the small digits. What cannot be run is named here with the reason.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from flax import serialization
from PIL import Image

import lenet_train.cli
from lenet_export import bundled, idx, read
from lenet_export import cli as lenet_export_cli
from lenet_export.evidence import run as evidence
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from lenet_train import data, figures
from lenet_train.datasets import published
from lenet_train.datasets.part import Part, Parts
from lenet_train.recipes import RECIPES, FewBits
from needs import ROOT, require

TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.splitlines()
DOCUMENTS = [name for name in TRACKED if name.endswith(".md")]
PROGRAMS = {
    "lenet-train": lenet_train.cli.main,
    "lenet-export": lenet_export_cli.main,
    "lenet-read": read.main,
}
PARSERS = {
    "lenet-train": lambda words: lenet_train.cli._parse(words),
    "lenet-export": lambda words: lenet_export_cli._parse(words),
    "lenet-read": lambda words: read._parse(words),
}
GENERATED = (ROOT / "c_runtime/generated/lenet.c").read_text()
CI = (ROOT / ".ci/run").read_text()
FIRMWARE = "c_runtime/firmware/README.md"
#: Documents whose blocks take long.
WIDE = {"docs/lenet-train.md"}

#: Commands that no test runs, by document and how they begin, and why.
NOT_RUN = {
    ("README.md", "make"): "each is a part of CI, in .ci/run",
    (FIRMWARE, "apt-get install"): "needs a network; CI has the same packages",
    (
        "docs/lenet-train.md",
        "lenet-train --dataset mnist --recipe field",
    ): "half a minute to compile; the recipe has tests of its own",
}
#: Files that are there behind the commands of a document, and words in each.
WRITTEN = {
    "README.md": {
        "steps.png": b"PNG",
        "lenet.html": b"<html",
        "m4/lenet.c": b"cortex-m4",
        "libraries/lenet/library.properties": b"name=lenet",
        "numbers/lenet.npz": b"PK",
        "summary/network.png": b"PNG",
        "build/cortex-m4/firmware": b"ELF",
    },
    "docs/own-network.md": {
        "own/lenet.c": b"\n *     lenet_export.export(Sequential, params, (32, 32, 3), images="
        b'images, cpu="cortex-m4")\n'
    },
    "docs/update.md": {"again/lenet_tables.bin": b"LNet"},
    "docs/web.md": {"page/lenet.html": b"<html", "docs/lenet.html": b"<html"},
}
#: Blocks of a document that another test runs: the kinds, and the test.
ELSEWHERE = {
    "docs/extending.md": ({"python", "jinja", "text", "c"}, "tests/test_extending.py"),
    "docs/measure-on-your-board.md": ({"ld"}, "tests/test_board.py"),
    "docs/python.md": ({"python"}, "tests/python_page.py"),  # docstrings, by doctest
}
#: What C that is no whole program takes from the program around it, by its first line.
AROUND = {
    "static lenet_workspace ws;": "#include <stddef.h>\nenum { SLOT_BYTES = 1 << 16 };"
    "extern const uint8_t SLOT_A[], SLOT_B[]; uint8_t image[784]; lenet_reading reading;",
    "static lenet_picture ws;": "const uint8_t *pixels; int rows, columns, stride;",
    "static lenet_columns ws;": "int rows, columns; const uint8_t *next_column(void);",
    "static lenet_scan ws;": "int rows, columns; const uint8_t *next_row(void);",
    "static const char *const names[]": "lenet_workspace ws; uint8_t image[784];"
    "int puts(const char *);",
    "uint32_t before = DWT->CYCCNT;": "lenet_workspace ws; uint8_t image[784]; int32_t logits[10];"
    "struct { volatile uint32_t CYCCNT; } *DWT;",
    "#define BOARD_PIN_HIGH()": "struct { volatile uint32_t BSRR; } *GPIOA;",
    "lenet_begin(&ws);": "lenet_workspace ws; uint8_t image[784]; void kick_watchdog(void);",
    "lenet_self_test_result result": "lenet_workspace ws; lenet_self_test_state test;"
    "void enter_safe_state(void);",
}


class Block(NamedTuple):
    """Code in a document: its kind (``sh``, ``c``, ...), and the line where it begins."""

    document: str
    line: int
    kind: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Of a shell's block: those that go on by a backslash in one line."""
        lines = (line.strip() for line in self.text.replace("\\\n", " ").splitlines())
        return [line for line in lines if line and not line.startswith("#")]

    def is_run(self, command: str) -> bool:
        names = (begins for document, begins in NOT_RUN if document == self.document)
        return not command.startswith(tuple(names))


@cache
def blocks_of(document: str) -> list[Block]:
    text = (ROOT / document).read_text()
    found = re.finditer(r"^( *)```(\S*)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [Block(document, text[: b.start()].count("\n") + 1, b[2], b[3]) for b in found]


EVERY = [block for document in DOCUMENTS for block in blocks_of(document)]


def is_fragment(block):
    """Whether it is C that is no whole program."""
    return block.kind == "c" and "int main(" not in block.text


def is_quoted(block):
    """Whether it is a part of the generated C, as other tests make sure."""
    return is_fragment(block) and block.text in GENERATED


RUN = [
    block
    for block in EVERY
    if block.kind in ("sh", "python", "c", "cmake")
    and block.kind not in ELSEWHERE.get(block.document, ((), ""))[0]
    and not is_quoted(block)
]


# What readers have ----------------------------------------------------------------------------


@cache
def some_digits(count):
    """So many of the small digits, uint8 ``(count, 28, 28)``, of all classes, and their labels."""
    digits = data.digits().training[:count]
    return digits.images, digits.labels


def idx_folder(path):
    path.mkdir(parents=True)
    for part, count in (("train", 200), ("t10k", 100)):
        images, labels = some_digits(count)
        (path / f"{part}-images-idx3-ubyte").write_bytes(idx.pack(images))
        (path / f"{part}-labels-idx1-ubyte").write_bytes(idx.pack(labels))


def class_folders(path):
    """Dark ink on bright paper, a folder for each class."""
    for number, (image, label) in enumerate(zip(*some_digits(200), strict=True)):
        folder = path / "ABCDEFGHIJ"[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - image).save(folder / f"{number}.png")


def arrays(path):
    images, labels = some_digits(200)
    np.savez(path, x_train=images[:150], y_train=labels[:150], x_test=images, y_test=labels)


NETWORK = """
from flax import linen as nn

class LeNet(nn.Module):
    @nn.compact
    def __call__(self, x):
        for features in (2, 3):
            x = nn.avg_pool(nn.sigmoid(nn.Conv(features, (5, 5))(x)), (2, 2), (2, 2))
        return nn.Dense(10)(x.reshape(len(x), -1))
"""


def parameters(path):
    import jax

    names = {}
    exec(NETWORK, names)
    variables = names["LeNet"]().init(jax.random.key(0), np.zeros((1, 28, 28, 1), np.float32))
    path.write_bytes(serialization.to_bytes(variables))


def checkout(path):
    """All that git knows, in the place of the folder ``path`` is in."""
    for name in TRACKED:
        if not name.startswith(("docs/", "tests/", "benchmarks/")):
            (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, path.parent / name)


#: Files and folders that a reader has, by the name in the document: what makes them.
STAND_INS = {
    "c_runtime/examples": lambda path: shutil.copytree(ROOT / "c_runtime/examples", path),
    "folder/with/mnist": idx_folder,
    "path/to/mnist": idx_folder,
    "emnist/": idx_folder,
    "letters/": class_folders,
    "signs.npz": arrays,
    "models.py": lambda path: path.write_text(NETWORK),
    "lenet.msgpack": parameters,
    "--preset": checkout,
    "t10k-images-idx3-ubyte": lambda path: path.write_bytes(idx.pack(some_digits(3)[0])),
    "again.safetensors": lambda path: shutil.copy(
        ROOT / "export/lenet_export/models/mnist.safetensors", path
    ),
    "=model.safetensors": lambda path: shutil.copy(
        ROOT / "export/lenet_export/models/mnist.safetensors", path.parent / "model.safetensors"
    ),
}


def small(name, _):
    """In the place of a published data set: with groups, whoever asks for them."""
    images, labels = some_digits(400)
    training = Part(Path(name), images[:300], labels[:300], np.arange(300) % 50)
    return Parts({"training": training, "test": Part(Path(name), images[300:], labels[300:])})


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A folder to begin in; commands are short there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setattr(published, "read", small)
    # To draw takes longer than to train; other tests do.
    monkeypatch.setattr(figures, "of_run", lambda *_: dict.fromkeys(figures.NAMES, b""))
    for name, recipe in RECIPES.items():
        few = dataclasses.replace(recipe.few_bits or FewBits(), epochs=1)
        short = dataclasses.replace(recipe, epochs=1, min_steps=1, warmup_epochs=0, few_bits=few)
        monkeypatch.setitem(RECIPES, name, short)
    # Of the evidence one check: all of them take minutes, and have tests.
    monkeypatch.setattr(evidence, "CHECKS", {"audit": evidence.CHECKS["audit"]})
    return tmp_path


def outputs(block, folder):
    """Runs a block; what it prints."""
    if block.kind == "c":
        (folder / "main.c").write_text(block.text)
        return ""
    if block.kind == "python":
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(block.text, f"{block.document}, line {block.line}", "exec"), {})
        return printed.getvalue()
    if block.kind == "cmake":
        return built(block, folder)
    return "".join(said(command) for command in block.commands if block.is_run(command))


def built(block, folder):
    """Builds a firmware with such a part of a CMakeLists.txt, in whose folder packages are."""
    source = folder / "source"
    source.mkdir()
    head = "cmake_minimum_required(VERSION 3.20)\nproject(it C)\nadd_executable(firmware main.c)\n"
    (source / "CMakeLists.txt").write_text(head + block.text)
    (source / "main.c").write_text("#include <lenet.h>\nint main(void) { return 0; }\n")
    said("cmake -S source -B build -DCMAKE_PREFIX_PATH=$PWD/packages")
    return said("cmake --build build")


def said(command):
    """Runs a command, our own programs in this process; what it prints."""
    program, *words = shlex.split(command, comments=True)
    if program not in PROGRAMS or {"&&", "|", ">"} & {*words}:
        done = subprocess.run(["sh", "-ec", command], capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        status = PROGRAMS[program]([os.path.expanduser(word) for word in words])  # noqa: PTH111
    assert status == 0, f"{command}\n{printed.getvalue()}"
    return printed.getvalue()


# The tests -----------------------------------------------------------------------------------


def test_a_block_says_what_it_is_and_each_is_run_or_known():
    kinds = {"sh", "python", "c", "cmake", "text"}
    for block in EVERY:
        elsewhere, test = ELSEWHERE.get(block.document, (set(), ""))
        own = block.kind.startswith("{")  # a directive of the documents' own site
        assert own or block.kind in kinds | elsewhere, f"{block.document}, line {block.line}"
    for document, begins in NOT_RUN:
        every = [command for block in blocks_of(document) for command in block.commands]
        left = [command for command in every if command.startswith(begins)]
        assert left, (document, begins)
        for command in left:
            program, *words = shlex.split(command, comments=True)
            assert program != "make" or f"part make {words[0] if words else ''}".strip() in CI
            assert program not in PARSERS or PARSERS[program](words)
    for document, (elsewhere, test) in ELSEWHERE.items():
        assert elsewhere <= {block.kind for block in blocks_of(document)}
        assert Path(document).name in (ROOT / test).read_text()
    fragments = [block.text for block in RUN if is_fragment(block)]
    for begins in AROUND:
        assert any(text.startswith(begins) for text in fragments), begins


PAGES = sorted({block.document for block in RUN if not is_fragment(block)})


@pytest.mark.parametrize(
    "document",
    [pytest.param(name, marks=[pytest.mark.wide] if name in WIDE else []) for name in PAGES],
)
def test_the_commands_and_programs_of_a_document_run(document, reader):
    require("cc")
    blocks = [block for block in RUN if block.document == document and not is_fragment(block)]
    text = "\n".join(block.text for block in blocks)
    for name, make in STAND_INS.items():
        if name in text:
            (reader / name).parent.mkdir(parents=True, exist_ok=True)
            make(reader / name)
    printed = [outputs(block, reader) for block in blocks]
    quoted = re.findall(r"^prints `(.*?)`", (ROOT / document).read_text(), re.MULTILINE)
    quoted += re.findall(r"^print\(.*\)  # (\[.*?\])", text, re.MULTILINE)
    assert {*quoted} <= {*"".join(printed).splitlines()}
    for name, words in WRITTEN.get(document, {}).items():
        assert words in (reader / name).read_bytes()


@pytest.fixture(scope="module")
def every_function(tmp_path_factory):
    """A header with all that ``--with`` adds, and with names of classes; and of bound tables."""
    folder = tmp_path_factory.mktemp("every")
    model = dataclasses.replace(bundled.load("mnist"), class_names=tuple("abcdefghij"))
    for place, tables in ((folder, "inside"), (folder / "bound", "blob")):
        place.mkdir(exist_ok=True)
        options = Options(tables=tables, parts=("picture", "amount"))
        files = render_c(make_plan(model, "int8"), options)
        (place / "lenet.h").write_bytes(files["lenet.h"])
    return folder


@pytest.mark.parametrize(
    "block", [*filter(is_fragment, RUN)], ids=lambda block: f"{block.document}, {block.line}"
)
def test_c_within_a_program_compiles(block, every_function, tmp_path):
    (around,) = (words for begins, words in AROUND.items() if block.text.startswith(begins))
    inside = block.text if block.text.startswith("#") else f"void f(void)\n{{\n{block.text}}}\n"
    (tmp_path / "main.c").write_text(f'#include "lenet.h"\n{around}\n{inside}')
    flags = ["-std=c99", "-Wall", "-Werror", "-Wno-unused", "-fsyntax-only"]
    folder = every_function / "bound" if "lenet_bind" in block.text else every_function
    subprocess.run([require("cc"), *flags, f"-I{folder}", tmp_path / "main.c"], check=True)


# Commands within a sentence ------------------------------------------------------------------


def inline(beginning):
    """The commands within sentences that begin so, by document."""
    for document in DOCUMENTS:
        if document in ELSEWHERE:  # of docs/extending.md, which adds what is named there
            continue
        text = re.sub(r"^ *```.*?^ *```$", "", (ROOT / document).read_text(), flags=re.M | re.S)
        for code in re.findall(r"`([^`]+)`", text):
            if re.match(beginning, code):
                yield document, " ".join(code.split())


def test_our_commands_within_sentences_are_understood(capsys):
    """Each option is known, and so is what is given to it."""
    seen = 0
    for document, command in inline(r"lenet-(train|export|read) "):
        program, *words = shlex.split(command)
        try:
            options = PARSERS[program](words)
        except SystemExit as end:
            # Named alone, an option may lack its value, and lenet-read its picture.
            last = (capsys.readouterr().err.splitlines() or [""])[-1]
            assert not end.code or re.search("expected .*argument|are required: FILE", last), (
                f"{document}: {command}: {last}"
            )
        else:
            if program == "lenet-train":
                RECIPES[options.recipe].changed(options.set)
        seen += 1
    assert seen > 30


def test_scripts_packages_and_targets_within_sentences_are_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for document, command in inline(r"python (benchmarks|tests)/"):
        _, script, *words = command.split()
        source = (ROOT / script).read_text()
        for word in words:
            assert not word.startswith("--") or f'"{word}"' in source, f"{document}: {command}"
    for document, command in inline(r"(python -m )?pip install "):
        name = shlex.split(command)[-1]
        named, extra = re.fullmatch(r"([\w.-]+?)(?:\[(\w+)\])?", name).groups()
        assert named in (project["name"], "."), f"{document}: {command}"
        assert not extra or extra in extras, f"{document}: {command}"
    for _, command in inline("make "):
        for target in command.split()[1:]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), command
    packages = [command for _, command in inline("apt-get install ")]
    packages += [line for block in EVERY for line in block.commands if "apt-get" in line]
    for command in packages:
        assert {*command.split()[2:]} <= {*CI.replace('"', " ").split()}, command
