"""What ``--target`` names: each output is one row, and an output more needs no edit elsewhere."""

from __future__ import annotations

import sys

import jinja2
import numpy as np
import pytest
from flax import linen as nn

from lenet_export import api, cli
from lenet_export.errors import UserError
from lenet_export.outputs import templates
from lenet_export.outputs.options import Output, command
from lenet_export.outputs.registry import OUTPUTS, misplaced
from variables import drawn_for


def sizes(plan, options):
    """An output for these tests: a line a layer, below the command."""
    lines = [command(plan, options), *(f"{layer.name} {layer.outputs}" for layer in plan.layers)]
    return {f"{options.prefix}.txt": "\n".join(lines).encode()}


@pytest.fixture
def row(monkeypatch):
    """One more row of the registry."""
    monkeypatch.setitem(
        OUTPUTS, "sizes", Output("each layer's outputs", sizes, frozenset({"optimize"}))
    )


def test_templates_are_compiled_once_and_kept_as_python_keeps_modules(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "kept"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    compiled, compile_ = [], jinja2.Environment.compile

    def counting(self, source, name, filename):
        compiled.append(name)
        return compile_(self, source, name, filename)

    monkeypatch.setattr(jinja2.Environment, "compile", counting)

    def count():
        compiled.clear()
        templates.environment().get_template("pools/max.c.j2")
        return len(compiled)

    assert [count(), count()] == [1, 0]
    (kept,) = tmp_path.rglob("jinja-*.pyc")
    whole = kept.read_bytes()
    head = whole[: whole.index(b"\xe3")]  # of code, as marshal writes it
    for damaged in (b"", b"no code", whole[:-9], whole[:40] + b"\x9d" * 99, head + b"i\5\0\0\0"):
        kept.write_bytes(damaged)
        assert [count(), count()] == [1, 0]
    assert kept.read_bytes() == whole
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    kept.unlink()
    assert [count(), count()] == [1, 1]
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "file/below"))
    assert [count(), count()] == [1, 1]


@pytest.fixture
def network():
    module = nn.Sequential(
        [nn.Conv(2, (3, 3)), nn.sigmoid, lambda x: x.reshape((x.shape[0], -1)), nn.Dense(3)]
    )
    return module, drawn_for(module, (6, 6, 1))


@pytest.mark.usefixtures("row")
def test_an_output_more_is_one_row(tmp_path, capsys):
    arguments = ["--target", "sizes", "--prefix", "net", "--out", str(tmp_path)]
    assert cli.main(arguments) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["net.txt"]
    text = (tmp_path / "net.txt").read_text()
    assert text.startswith("lenet-export --target sizes --prefix net\nconv1 1176\n")
    summary = capsys.readouterr().out
    assert "net.txt" in summary
    assert "verified" not in summary
    with pytest.raises(SystemExit):
        cli.main(["--target", "sizes", "--cpu", "avr"])
    assert "--cpu goes with --target c" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["--target", "npz", "--optimize", "ram"])
    told = capsys.readouterr().err
    assert "--optimize goes with --target c, " in told and "sizes only" in told.replace(" or ", " ")
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "sizes: each layer's outputs" in " ".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("row")
def test_python_gets_an_output_more_free(network, tmp_path):
    done = api.export(*network, (6, 6, 1), tmp_path, target="sizes")
    assert [path.name for path in done.files] == ["lenet.txt"]
    assert done.report.verified is None
    text = (tmp_path / "lenet.txt").read_text()
    call = 'lenet_export.export(Sequential, params, (6, 6, 1), target="sizes")'
    assert text == f"{call}\nconv1 72\nfc1 3"


def test_python_writes_tables_apart_and_verifies_them(network, tmp_path):
    done = api.export(*network, (6, 6, 1), tmp_path, tables="apart")
    written = ["lenet.h", "lenet.c", "lenet_tables.h", "lenet.json"]
    assert [path.name for path in done.files] == written
    assert done.report.verified.largest_difference == 0


def test_python_writes_the_numbers(network, tmp_path):
    done = api.export(*network, (6, 6, 1), tmp_path, target="npz")
    assert [path.name for path in done.files] == ["lenet.npz"]
    assert np.load(tmp_path / "lenet.npz")["dtype"] == "int8"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"target": "rust"}, "target: is 'rust'"),
        ({"target": "npz", "cpu": "avr"}, "cpu: goes with target c"),
        ({"target": "npz", "single_file": True}, "single_file: goes with target c only"),
        ({"target": "npz", "tables": "apart"}, "tables: goes with target c"),
        ({"tables": "beside"}, "tables: is 'beside'"),
        ({"tables": "apart", "single_file": True}, "leave one of them out"),
    ],
)
def test_python_is_told_what_does_not_go_together(network, tmp_path, more, says):
    with pytest.raises(UserError) as told:
        api.export(*network, (6, 6, 1), tmp_path, **more)
    assert says in str(told.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", OUTPUTS)
def test_what_goes_with_an_output_is_told_of_the_others(target):
    every = sorted(set().union(*(output.options for output in OUTPUTS.values())))
    for option in every:
        goes = option in OUTPUTS[target].options
        assert (misplaced(target, [option]) is None) == goes


def test_an_output_that_can_be_compared_says_so_if_it_was_not(tmp_path, capsys):
    for target, output in OUTPUTS.items():
        assert cli.main(["--target", target, "--no-verify", "--out", str(tmp_path)]) == 0
        assert ("no (not asked for)" in capsys.readouterr().out) == (output.verify is not None)
