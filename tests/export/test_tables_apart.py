"""``--tables apart``: a network trained again changes one file, and only that one."""

from __future__ import annotations

import re
import subprocess

import pytest

from few_bits import on_grids
from lenet_export import cli, verify
from lenet_export.compiled import IMITATED
from lenet_export.cpus.registry import lay_out
from lenet_export.errors import UserError
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from needs import require, wide

from .networks import CHAINS, SHAPES, named_model, random_model
from .test_contract import C_WARNINGS, WARNINGS
from .test_parity import can_run

APART = Options(tables="apart")


def files_of(model, dtype="int8", cpu="generic", options=APART, max_error=None):
    return render_c(lay_out(make_plan(model, dtype, max_error), cpu, "speed"), options)


CASES = [
    (chain, cpu)
    for chain in CHAINS
    for cpu in ("generic", "cortex-m3", "cortex-m4", "cortex-m55", "x86-64-v4")
]
FIRST = [case for case in CASES if case[1] == "generic" or case[0] in ("lenet", "normed", "deep")]


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize(
    ("chain", "cpu"), [*FIRST, *wide(case for case in CASES if case not in FIRST)]
)
def test_a_network_trained_again_changes_the_tables_alone(chain, cpu, dtype):
    trained = [random_model(CHAINS[chain], SHAPES[chain], seed) for seed in (0, 1)]
    first, again = (files_of(model, dtype, cpu) for model in trained)
    changed = {name for name in first if first[name] != again[name]}
    assert changed == {"lenet_tables.h", "lenet.json"}


@pytest.mark.parametrize(
    ("chain", "cpu", "dtype"),
    [
        ("normed", "generic", "int8"),
        ("signed", "cortex-m4", "int8"),
        ("normed", "cortex-m55", "int8"),
        ("deep", "generic", "float32"),
        ("normed", "generic", "float32"),
        ("lenet", "x86-64-v3", "int8"),
        ("lenet", "aarch64-dotprod", "int8"),
    ],
)
def test_it_is_the_same_network(chain, cpu, dtype):
    if not can_run(cpu):
        return
    plan = lay_out(make_plan(named_model(chain), dtype), cpu, "speed")
    assert verify.verify(plan, render_c(plan, APART)).images > 100


def test_tables_of_a_network_trained_again_are_taken_by_the_code_that_was_there():
    trained = [random_model(CHAINS["deep"], SHAPES["deep"], seed) for seed in (0, 1)]
    code, again = (files_of(model) for model in trained)
    plan = make_plan(trained[1], "int8")
    files = {name: code[name] for name in ("lenet.c", "lenet.h")}
    report = verify.verify(plan, files | {"lenet_tables.h": again["lenet_tables.h"]})
    assert report.largest_difference == 0


FOREIGN = {
    "other layers": {"model": named_model("signed")},
    "other numbers": {"dtype": "float32"},
    "another cpu": {"cpu": "cortex-m3"},
    "threshold": {"max_error": 0.01},
}


@pytest.mark.parametrize("other", FOREIGN)
def test_tables_for_other_code_are_refused(other, tmp_path):
    files = files_of(named_model("deep"))
    foreign = files_of(**({"model": named_model("deep")} | FOREIGN[other]))
    assert preprocessed(files, tmp_path) == ""
    said = preprocessed(files | {"lenet_tables.h": foreign["lenet_tables.h"]}, tmp_path)
    assert "take all files from the same export" in said


def test_tables_inside_and_apart_do_not_go_together(tmp_path):
    apart, inside = (files_of(named_model("deep"), options=o) for o in (APART, Options()))
    for code, header in [(apart, inside), (inside, apart)]:
        files = apart | {"lenet.c": code["lenet.c"], "lenet.h": header["lenet.h"]}
        assert "take lenet.c and lenet.h from the same one" in preprocessed(files, tmp_path)


def preprocessed(files, folder):
    """What the preprocessor says of ``files``; empty if they go together."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    command = [require("gcc"), "-std=c99", "-E", "-I", IMITATED, "lenet.c"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize(
    "command",
    [
        ["gcc", "-std=c99", *C_WARNINGS],
        ["clang", "-std=c99", *C_WARNINGS],
        ["g++", "-std=c++17", "-x", "c++"],
    ],
)
@pytest.mark.parametrize(("chain", "dtype"), [("normed", "int8"), ("deep", "float32")])
def test_it_compiles_without_a_warning(command, chain, dtype, tmp_path):
    for name, data in files_of(named_model(chain), dtype).items():
        (tmp_path / name).write_bytes(data)
    compiler = [require(command[0]), *command[1:], *WARNINGS, "-c", "lenet.c"]
    subprocess.run(compiler, cwd=tmp_path, check=True)


def test_it_compiles_for_an_avr_without_a_warning(tmp_path):
    model = on_grids(named_model("lenet"), ("4", "2", "1", "ternary", "8"))
    for name, data in files_of(model, cpu="avr").items():
        (tmp_path / name).write_bytes(data)
    flags = ["-std=c99", "-mmcu=atmega2560", "-Os", "-Wall", "-Wextra", "-Werror", "-c", "lenet.c"]
    subprocess.run([require("avr-gcc"), *flags], cwd=tmp_path, check=True)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_the_tables_have_an_index_and_whole_lines(dtype):
    for model in map(named_model, ("normed", "signed")):
        lines = files_of(model, dtype)["lenet_tables.h"].decode().split("\n")
        index = {
            match[1]: int(match[2])
            for match in (re.match(r" \*     (\S[\w -]*?) +line +(\d+)$", line) for line in lines)
            if match
        }
        assert "Constants" in index
        for name, line in index.items():
            assert lines[line - 1].startswith(f"/* ---- {name} -")
        may_be_long = (" * GENERATED FILE", "#error")
        wide = [line for line in lines if len(line) > 100 and not line.startswith(may_be_long)]
        assert wide == []


def test_every_name_in_the_code_is_in_the_tables_and_each_has_the_prefix():
    files = files_of(named_model("normed"), options=Options(prefix="net", tables="apart"))
    assert sorted(files) == ["net.c", "net.h", "net.json", "net_tables.h"]
    tables = files["net_tables.h"].decode()
    defined = set(re.findall(r"#define (NET_\w+) ", tables))
    assert {f"NET_{name}_conv1" for name in ("SHIFT", "DROP", "FACTOR", "LEAST")} <= defined
    used = set(re.findall(r"NET_\w+", files["net.c"].decode()))
    assert defined - used == {"NET_LOGIT_SCALE"}
    assert b"lenet_" not in files["net.c"]
    assert "lenet_" not in tables


def test_a_single_file_has_no_tables_apart(tmp_path, capsys):
    with pytest.raises(UserError, match="leave one of them out"):
        files_of(named_model("one"), options=Options(single_file=True, tables="apart"))
    arguments = ["--single-file", "--tables", "apart", "--no-verify", "--out", str(tmp_path)]
    assert cli.main(arguments) == 1
    assert "leave one of them out" in capsys.readouterr().err


def test_the_command_line_writes_them_and_says_how(tmp_path):
    assert cli.main(["--tables", "apart", "--no-verify", "--out", str(tmp_path)]) == 0
    assert all((tmp_path / f"lenet{end}").exists() for end in (".c", "_tables.h"))
    assert "lenet-export --target c --tables apart\n" in (tmp_path / "lenet_tables.h").read_text()
