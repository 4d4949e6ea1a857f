"""The house rules: imports, formatting, types, generated files, the wheel."""

from __future__ import annotations

import ast
import functools
import graphlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from lenet_export import __version__, cli
from needs import ROOT, wide

BIN = Path(sys.executable).parent
EXPORT = ROOT / "export/lenet_export"
TRAIN = ROOT / "train/lenet_train"


def run(*command, **options):
    """A command that must succeed; its output is in the message if it does not."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@functools.cache
def imports(folder):
    """``(file, module)`` of every import in a package, those inside functions too."""
    return list(_imports(folder))


def _imports(folder):
    for file in folder.rglob("*.py"):
        name = str(file.relative_to(folder))
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in ("lenet_export", "lenet_train"):
                yield from ((name, f"{node.module}.{alias.name}") for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield name, node.module
            elif isinstance(node, ast.Import):
                yield from ((name, alias.name) for alias in node.names)


def test_training_may_use_the_exporter_and_never_the_reverse():
    assert [file for file, module in imports(EXPORT) if module.startswith("lenet_train")] == []
    used = {module for _, module in imports(TRAIN) if module.startswith("lenet_export")}
    assert used <= {
        "lenet_export.__version__", "lenet_export.activations", "lenet_export.amount",
        "lenet_export.bundled", "lenet_export.checkpoint", "lenet_export.drawing",
        "lenet_export.errors",
        "lenet_export.files", "lenet_export.float_network", "lenet_export.fold",
        "lenet_export.gap_table", "lenet_export.idx", "lenet_export.images", "lenet_export.ink",
        "lenet_export.packages", "lenet_export.parser", "lenet_export.photos", "lenet_export.plan",
        "lenet_export.pools", "lenet_export.program",
    }  # fmt: skip


def modules(package):
    """The name of each module of a package, and its file."""
    for file in package.rglob("*.py"):
        parts = file.relative_to(package.parent).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), file


def imported(file, names):
    """Those of ``names`` that a file imports anywhere, functions and ``TYPE_CHECKING`` included."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in names else node.module for name in whole)


@pytest.mark.parametrize("package", [EXPORT, TRAIN], ids=lambda package: package.name)
def test_no_module_needs_itself_by_way_of_others(package):
    names = dict(modules(package))
    # What a package's own __init__ gives to all is no way from one module to another.
    apart = names.keys() - {package.name}
    graph = {name: set(imported(names[name], names)) & apart for name in apart}
    assert sum(map(len, graph.values())) > len(graph)
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(graph)


def test_jax_is_imported_where_the_references_run_and_jinja_where_text_is_made():
    jax, flax, jinja = (
        {file for file, module in imports(EXPORT) if module.split(".")[0] == package}
        for package in ("jax", "flax", "jinja2")
    )
    readers = {
        f"readers/{name}.py"
        for name in ("trace", "functions", "registry", "linen", "nnx", "parameters", "source")
    }
    assert jax | flax == {"reference.py", "float_network.py"} | readers
    assert flax == {f"readers/{name}.py" for name in ("linen", "nnx", "parameters", "source")}
    assert jinja == {"outputs/c.py", "outputs/templates.py"}


TEXT = ("open", "read_text", "write_text")


def calls_with_text(tree):
    """``(line, function, mode, names of arguments)`` of what opens files by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of = ast.unparse(node.func.value)
            if node.func.attr in TEXT and of not in ("os", "gzip", "Image", "io", "tarfile"):
                mode = next((ast.unparse(arg) for arg in node.args), "")
                yield node.lineno, node.func.attr, mode, {word.arg for word in node.keywords}


@pytest.mark.parametrize("package", [EXPORT, TRAIN], ids=lambda package: package.name)
def test_files_are_the_same_bytes_on_every_system(package):
    """Windows has another encoding, and ends lines otherwise, where text is not told what to be."""
    seen, wrong = 0, []
    for file in package.rglob("*.py"):
        for line, name, mode, words in calls_with_text(ast.parse(file.read_text("utf-8"))):
            is_told = {
                "open": "b" in mode
                or ({"encoding", "newline"} if "w" in mode else {"encoding"}) <= words,
                "read_text": "utf-8" in mode,
                "write_text": False,  # write_bytes() says what is written
            }[name]
            seen += 1
            wrong += [] if is_told else [f"{file}:{line}"]
    assert wrong == [] and seen


def test_templates_print_and_do_not_compute():
    for template in (EXPORT / "templates").rglob("*.j2"):
        code = " ".join(re.findall(r"\{[{%].*?[}%]\}", template.read_text()))
        assert not re.search(r"\s[-+*/]\s", re.sub(r'"[^"]*"', "", code)), template.name


def test_python_is_formatted_and_linted():
    run(BIN / "ruff", "format", "--check", ROOT)
    run(BIN / "ruff", "check", ROOT)


def test_no_merge_was_left_half_done():
    mark = re.compile(rb"^(?:<{7}|>{7}) ", re.MULTILINE)
    folders = ("benchmarks", "c_runtime", "cmake", "docs", "export", "tests", "train")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    files += [path for path in ROOT.iterdir() if path.is_file()]
    assert len(files) > 500
    assert [path for path in files if mark.search(path.read_bytes())] == []


def test_each_file_says_whose_it_is_and_under_which_licence():
    """By REUSE.toml, or by itself; the texts of the licences are there, and are those in use."""
    run(sys.executable, "-m", "reuse", "lint", "--quiet", cwd=ROOT)
    (own,) = re.findall(
        r"(MIT License\n.*?)\nThe C files", (ROOT / "LICENSE").read_text(), re.DOTALL
    )
    assert (ROOT / "LICENSES/MIT.txt").read_text() == own


def test_both_packages_are_typed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert settings["strict"] and set(settings["packages"]) == {EXPORT.name, TRAIN.name}
    run(BIN / "mypy", cwd=ROOT)


def test_hand_written_c_is_formatted(tmp_path):
    """Templates too, less the lines that are a statement of their language."""
    folders = (ROOT / "c_runtime/examples", ROOT / "c_runtime/firmware")
    files = sorted(file for folder in folders for file in folder.rglob("*.[ch]"))
    for template in sorted((EXPORT / "templates/c").glob("*.[ch]")):
        lines = template.read_text().splitlines(keepends=True)
        files.append(tmp_path / template.name)
        files[-1].write_text("".join(of for of in lines if not re.fullmatch(r"{%.*%}\n", of)))
    assert len(files) >= 10
    style = f"--style=file:{ROOT / '.clang-format'}"
    run(BIN / "clang-format", "--dry-run", "--Werror", style, *files)


def test_the_committed_c_is_what_the_exporter_prints(tmp_path):
    assert cli.main(["--target", "c", "--verify", "--out", str(tmp_path)]) == 0
    committed = ROOT / "c_runtime/generated"
    names = sorted(path.name for path in tmp_path.iterdir())
    assert sorted(path.name for path in committed.iterdir()) == names
    for name in names:
        assert (committed / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_the_versions_agree():
    manifest = json.loads((ROOT / "c_runtime/generated/lenet.json").read_text())
    assert manifest["tool"] == f"lenet-export {__version__}"
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
    cmake = EXPORT / "cmake/lenet_exportConfigVersion.cmake"
    assert f'set(PACKAGE_VERSION "{__version__}")' in cmake.read_text()


def test_ci_and_the_readme_run_the_same_commands():
    ci, readme, make = ((ROOT / name).read_text() for name in (".ci/run", "README.md", "Makefile"))
    assert {"part make", "part make test-all"} <= set(ci.splitlines())
    assert "\ntest-all: test\n" in make
    for command in ("make", "make test"):
        assert re.search(rf"^{command}( |$)", readme, re.M)


#: Of one who has installed nothing else: no folder of this tree is on Python's path.
EMPTY = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


#: What ``python -m build`` does, and for the tree's wheel again, in one isolated environment.
BUILD = """
import sys, tarfile
from pathlib import Path
from build import ProjectBuilder
from build.env import DefaultIsolatedEnv

folder, tree = map(Path, sys.argv[1:])
with DefaultIsolatedEnv() as env:
    env.install(ProjectBuilder(tree).build_system_requires)
    def make(source, kind, out):
        return ProjectBuilder.from_isolated_env(env, source).build(kind, out)
    sdist = make(tree, "sdist", folder)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    wheels = make(unpacked, "wheel", folder), make(tree, "wheel", folder / "of-tree")
print(sdist, *wheels, sep="\\n")
"""


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """What a release uploads: the sdist, and the wheel that is built from it; the tree's wheel."""
    folder = tmp_path_factory.mktemp("dist")
    made = run(sys.executable, "-c", BUILD, folder, ROOT, env=EMPTY).splitlines()[-3:]
    return [Path(path) for path in made]


@pytest.fixture(
    scope="module", params=["beside its dependencies", *wide(["in an empty environment"])]
)
def installed(request, released, tmp_path_factory):
    """The wheel in a virtual environment, outside the tree; its folder of programs.

    The environment is empty, and pip fetches what the wheel says that it needs; or it finds that in
    the environment of these tests, which takes a tenth of the time.
    """
    folder, wheel = tmp_path_factory.mktemp("venv"), released[1]
    run(sys.executable, "-m", "venv", "--without-pip", folder, env=EMPTY)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "--quiet"]
    pip += ["--no-compile", "--disable-pip-version-check"]
    if request.param == "beside its dependencies":
        pip += ["--no-deps"]
        (packages,) = folder.glob("lib/python*/site-packages")
        ours = [path for path in sys.path if Path(path).name == "site-packages"]
        (packages / "ours.pth").write_text("\n".join(ours))
    run(*pip, f"{wheel}[all]", cwd=folder, env=EMPTY)
    return folder / "bin", wheel


def files_in(folder):
    """The files of a folder of this tree, by their paths in the folder."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(folder)) for path in paths}


def contents(wheel):
    """The bytes of each file in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_of_the_sdist_is_the_wheel_of_the_tree(released):
    assert contents(released[2]) == contents(released[1])
    packages = {
        f"{package.name}/{file}" for package in (EXPORT, TRAIN) for file in files_in(package)
    }
    assert packages <= contents(released[2]).keys()


def test_a_package_index_shows_the_readme_and_no_link_to_a_file(released):
    (metadata,) = (of for name, of in contents(released[1]).items() if name.endswith("/METADATA"))
    text = metadata.decode()
    assert "Description-Content-Type: text/markdown" in text
    assert "\nLicense-Expression: MIT AND CC-BY-4.0\n" in text
    assert "\nLicense-File: train/lenet_train/optdigits/README.md\n" in text
    shown, whole = text.partition("\n\n")[2], (ROOT / "README.md").read_text()
    assert re.findall(r"\]\((?!https?:)", shown) == []
    assert "<a name" not in shown and "![" not in shown
    assert re.findall("^##? .*", shown, re.M) == re.findall("^##? .*", whole, re.M)
    assert 0.8 < len(shown) / len(whole) < 1


def test_the_sdist_brings_the_tests_and_what_they_read_and_runs_them(released, tmp_path):
    with tarfile.open(released[0]) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    for folder in ("tests", "benchmarks", "c_runtime", "cmake", "docs", ".ci"):
        assert files_in(tree / folder) == files_in(ROOT / folder)
    packages = os.pathsep.join(str(tree / folder) for folder in ("train", "export"))
    out = run(
        *(sys.executable, "-m", "pytest", "-q", "-k", "document or committed or commands or cpus"),
        *("tests/test_docs.py", "tests/test_house.py"),
        cwd=tree,
        env=EMPTY | {"PYTHONPATH": packages},
    )
    assert int(re.search(r"(\d+) passed", out)[1]) >= 5


def test_the_wheel_exports_and_verifies(installed, tmp_path):
    programs, _ = installed
    out = run(programs / "lenet-export", "--target", "c", cwd=tmp_path)
    assert "0 of 4,440 logits differ" in out
    chip = run(programs / "lenet-export", "--cpu", "cortex-m55", "--out", "chip", cwd=tmp_path)
    assert "0 of 4,440 logits differ" in chip
    for name in ("lenet.c", "lenet.h", "lenet.json"):
        committed = (ROOT / "c_runtime/generated" / name).read_bytes()
        assert (tmp_path / name).read_bytes() == committed


def test_the_wheel_is_small_and_brings_the_programs(installed, tmp_path):
    programs, wheel = installed
    assert wheel.stat().st_size < 3_000_000
    assert "lenet-train" in run(programs / "lenet-train", "--help", cwd=tmp_path)
    assert "conv1" in run(programs / "lenet-train", "--summary", cwd=tmp_path)
    page = ROOT / "c_runtime/examples/page.pgm"
    assert ": 3, gap" in run(programs / "lenet-read", page, cwd=tmp_path)
