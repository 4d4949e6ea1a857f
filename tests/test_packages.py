"""What each program does where packages that not every user needs are not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib

import numpy as np
import pytest

import install
from lenet_export import packages
from lenet_export.errors import UserError
from needs import ROOT
from test_house import EXPORT, TRAIN, imports

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: Distributions by what is imported of them, where that differs.
DISTRIBUTIONS = {"orbax": "orbax-checkpoint", "PIL": "pillow"}
BASE = {"jinja2", "numpy", "safetensors"}
OPTIONAL = sorted({name for names in packages.EXTRAS.values() for name in names})

#: Runs command lines where some packages cannot be imported, and prints the status of each.
PROGRAM = """
import json, sys
sys.modules.update(dict.fromkeys(json.loads(sys.argv[1])))
from lenet_export.program import start
modules = {"export": "lenet_export.cli", "read": "lenet_export.read", "train": "lenet_train.cli"}
for program, *arguments in json.loads(sys.argv[2]):
    sys.argv[1:] = arguments
    try:
        status = start("lenet-" + program, modules[program])
    except SystemExit as error:
        status = error.code
    print("status", status, file=sys.stderr, flush=True)
"""


def run(without, *commands, cwd):
    """The status and the messages of each command."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(without), json.dumps(commands)],
        cwd=cwd, capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    parts = done.stderr.split("status ")
    ends = [part.partition("\n") for part in parts[1:]]
    messages = [parts[0], *(end[2] for end in ends)]
    return [(int(end[0]), text) for end, text in zip(ends, messages, strict=False)]


def test_an_extra_is_what_is_imported_for_it():
    found = PROJECT["optional-dependencies"]
    names = {extra: {line.split(">")[0] for line in lines} for extra, lines in found.items()}
    for extra, modules in packages.EXTRAS.items():
        assert names[extra] == {DISTRIBUTIONS.get(module, module) for module in modules}
    assert names["all"] == {f"lenet-export[{','.join(packages.EXTRAS)}]"}
    assert {line.split(">")[0] for line in PROJECT["dependencies"]} == BASE


@pytest.mark.parametrize(
    ("package", "extras"),
    [
        (EXPORT, ("verify", "read", "train", "evidence", "completion")),
        (TRAIN, ("train", "tensorboard")),
    ],
    ids=["export", "train"],
)
def test_nothing_is_imported_that_no_extra_brings(package, extras):
    known = {name for extra in extras for name in packages.EXTRAS[extra]} | BASE
    known |= {*sys.stdlib_module_names, "lenet_export", "lenet_train"}
    used = {module.partition(".")[0] for _, module in imports(package)}
    assert used - known == set()


def test_what_prints_c_needs_no_other_package(tmp_path):
    commands = [
        ["export", "--no-verify", "--cpu", "cortex-m4", "--with", "amount"],
        ["export", "--no-verify", "--dtype", "float32", "--out", "float32"],
        ["export", "--target", "npz"],
        ["export", "--help"],
        ["read", "--help"],
        ["train", "--help"],
    ]
    for command, (status, told) in zip(
        commands, run(OPTIONAL, *commands, cwd=tmp_path), strict=True
    ):
        assert (status, told) == (0, ""), command
    assert "--cpu cortex-m4" in (tmp_path / "lenet.c").read_text()
    assert (tmp_path / "float32/lenet.c").exists() and (tmp_path / "lenet.npz").exists()


OWN = """
import numpy as np
def network(x):
    return x.reshape(len(x), -1) @ np.eye(16, 3, dtype=np.float32)
class Torch:
    def __init__(self):
        import torch_that_is_not_there
"""


def test_a_missing_package_is_told_with_the_extra_that_brings_it(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "own.npy").write_bytes(b"")
    (tmp_path / "digit.png").write_bytes(b"\x89PNG")
    page = str(ROOT / "c_runtime/examples/page.pgm")
    needs = {
        ("export", "--completion", "bash"): ("shtab: is not", "completion"),
        ("export", "--verify"): ("cffi and jax are not", "verify"),
        ("export", "--network", "own.py:network", "--model", "own.npy"): ("jax: is not", "verify"),
        ("read", page): ("cffi: is not", "read"),
        ("read", "digit.png"): ("digit.png: needs Pillow", "read"),
        ("train", "--summary", "--out", "out"): ("rich: is not", "train"),
        ("train", "--out", "out"): (": is not", "train"),
    }
    for (status, told), (command, (what, extra)) in zip(
        run(OPTIONAL, *map(list, needs), cwd=tmp_path), needs.items(), strict=True
    ):
        assert status == 1, command
        assert told.startswith(f"lenet-{command[0]}: error: "), told
        assert what in told and len(told.splitlines()) == 2
        assert f'pip install "lenet-export[{extra}]"' in told
    assert not (tmp_path / "lenet.c").exists() and not (tmp_path / "out").exists()


def test_c_that_cannot_be_compared_is_exported_and_said_to_be_not_verified(tmp_path):
    """By default; what installs the packages is told on the screen, in lenet.json and as JSON."""
    commands = [["export", *more] for more in ([], ["--quiet"], ["--json"])]
    results = run(OPTIONAL, *commands, cwd=tmp_path)
    why = 'the packages cffi and jax are not installed; pip install "lenet-export[verify]"'
    for status, told in results:
        assert (status, told) == (0, f"lenet-export: warning: NOT VERIFIED: {why}\n")
    manifest = json.loads((tmp_path / "lenet.json").read_text())
    assert manifest.pop("not_verified") == why
    committed = ROOT / "c_runtime/generated"
    compared = json.loads((committed / "lenet.json").read_text())
    assert compared.pop("verified")["largest_difference"] == 0
    assert manifest == compared
    assert (tmp_path / "lenet.c").read_bytes() == (committed / "lenet.c").read_bytes()


@pytest.mark.wide
def test_the_wheel_alone_is_small_and_quick_in_an_empty_environment(tmp_path):
    venv = tmp_path / "venv"
    install.install(install.wheel(tmp_path), "", venv)
    found = install.measured(venv)
    assert found["packages"] <= 8 and found["megabytes"] <= 110
    assert found["seconds"] < 1  # 0.4 by itself; beside other tests it has a share of a core
    done = subprocess.run(
        [venv / "bin/lenet-export"], cwd=tmp_path, env=install.EMPTY, capture_output=True, text=True
    )
    assert done.returncode == 0 and "verified  NOT VERIFIED: " in done.stdout
    page = ROOT / "c_runtime/examples/page.pgm"
    for program, arguments in (("lenet-train", []), ("lenet-read", [page])):
        command = [venv / "bin" / program, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=install.EMPTY, capture_output=True)
        assert done.returncode == 1
        assert f'pip install "lenet-export[{program[6:]}]"' in done.stderr.decode()


def test_the_figures_of_the_readme_are_those_of_the_last_measurement():
    figures = json.loads(install.FIGURES.read_text())["extras"]
    assert figures.keys() == {*install.EXTRAS}
    readme = (ROOT / "README.md").read_text()
    for extra, found in figures.items():
        name = f'"lenet-export[{extra}]"' if extra else "lenet-export"
        cells = f"| `pip install {name}` | {found['packages']} | {found['megabytes']} MB |"
        assert cells in readme
    alone = figures[""]
    assert alone["packages"] <= 8 and alone["megabytes"] <= 110 and alone["seconds"] <= 0.6
    assert f"An export takes {alone['seconds']:.1f} s" in readme


def test_a_drawing_is_told_to_need_matplotlib(tmp_path):
    page = str(ROOT / "c_runtime/examples/page.pgm")
    ((status, told),) = run(["matplotlib"], ["read", page, "--show", "a.png"], cwd=tmp_path)
    assert status == 1
    assert told == (
        "lenet-read: error: the package matplotlib: is not installed\n"
        '  pip install "lenet-export[read]"\n'
    )


def test_without_flax_c_is_verified_and_a_function_in_jax_read(tmp_path):
    """Of the second one, in which a module is missing, its user is told which to install."""
    (tmp_path / "own.py").write_text(OWN)
    np.save(tmp_path / "own.npy", np.zeros(1))
    without = [name for name in OPTIONAL if name not in packages.EXTRAS["verify"]]
    own = ["export", "--input-shape", "4x4x1", "--model", "x.safetensors", "--network"]
    verified, missing = run(without, ["export", "--verify"], [*own, "own.py:Torch"], cwd=tmp_path)
    assert verified == (0, "")
    assert missing[0] == 1 and "install torch_that_is_not_there, or let it be" in missing[1]


def test_a_package_that_no_program_imports_is_a_bug_and_not_told_as_missing():
    with pytest.raises(ModuleNotFoundError):
        packages.missing(ModuleNotFoundError("no torch", name="torch.nn"), "lenet-export")
    told = packages.missing(ModuleNotFoundError("no numpy", name="numpy"), "lenet-export")
    assert isinstance(told, UserError) and told.remedy.endswith(" lenet-export")
