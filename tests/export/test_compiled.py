"""Where the C is compiled and loaded: any system's compiler, any temporary folder."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lenet_export import compiled
from lenet_export.compiled import CompiledNetwork, split_command
from lenet_export.errors import UserError
from lenet_export.outputs.c import render_c
from lenet_export.outputs.options import Options
from lenet_export.plan import make_plan
from needs import require

from .networks import named_model


@pytest.fixture(scope="module")
def network():
    """A small network: its plan and its files."""
    plan = make_plan(named_model("mlp"), "int8")
    return plan, render_c(plan, Options())


@pytest.mark.parametrize(
    ("text", "is_windows", "words"),
    [
        (r"C:\mingw64\bin\gcc.exe", True, [r"C:\mingw64\bin\gcc.exe"]),
        (r"C:\mingw64\bin\gcc.exe -m64", True, [r"C:\mingw64\bin\gcc.exe", "-m64"]),
        (r'"C:\Program Files\gcc.exe" -g', True, [r"C:\Program Files\gcc.exe", "-g"]),
        (r"'C:\a b\cc.exe'", True, [r"C:\a b\cc.exe"]),
        ("ccache gcc -m32", False, ["ccache", "gcc", "-m32"]),
        ("'/a b/cc' -g", False, ["/a b/cc", "-g"]),
        (r"/a\ b/cc", False, ["/a b/cc"]),
        ("", True, []),
        ("  ", False, []),
    ],
)
def test_a_compilers_command_is_parted_as_the_system_does(text, is_windows, words):
    assert split_command(text, is_windows) == words


@pytest.mark.parametrize("is_windows", [False, True])
def test_a_compiler_in_a_folder_with_spaces_needs_no_quotation(is_windows, tmp_path, monkeypatch):
    path = tmp_path / "Program Files" / "cc.exe"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setattr(compiled, "WINDOWS", is_windows)
    monkeypatch.setenv("CC", str(path))
    assert compiled.compiler() == [str(path)]


@pytest.mark.parametrize("there", compiled.COMPILERS)
def test_without_cc_the_compiler_that_is_there_is_taken(there, tmp_path, monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="C compiler cc: is not installed"):
        compiled.compiler()
    (tmp_path / there).write_text("#!/bin/sh\n")
    (tmp_path / there).chmod(0o755)
    assert compiled.compiler() == [there]


def test_a_compiler_that_cannot_be_started_is_told(network, tmp_path, monkeypatch):
    path = tmp_path / "cc"
    path.write_bytes(b"\x7fELF of another machine")
    path.chmod(0o755)
    monkeypatch.setenv("CC", str(path))
    with pytest.raises(UserError, match=r"cannot be run: exec format error\n  set CC"):
        CompiledNetwork(*network)


@pytest.mark.parametrize("cc", ["gcc -ffast-math", "gcc -Ofast", "clang -ffast-math"])
def test_a_fast_compiler_changes_no_floats_of_this_process(cc, network, monkeypatch):
    require(cc.split()[0])
    monkeypatch.setenv("CC", cc)
    CompiledNetwork(*network)
    smallest = np.full(1, 1e-45, np.float32)
    assert smallest * smallest.dtype.type(1) > 0


def test_windows_keeps_a_loaded_library_which_is_removed_when_python_ends(
    network, tmp_path, monkeypatch
):
    """As there, but for the compiler: the library's file stays while it is loaded."""
    ends, rmtree = [], shutil.rmtree
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(compiled, "WINDOWS", True)
    monkeypatch.setenv("CC", f"{shutil.which('cc')} -fPIC")
    monkeypatch.setattr("atexit.register", lambda *work, **how: ends.append((work, how)))
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    loaded = CompiledNetwork(*network)
    assert loaded.function("self_test")(loaded.workspace) == 0
    (folder,) = tmp_path.iterdir()
    assert "lenet.dll" in {path.name for path in folder.iterdir()}
    monkeypatch.setattr(shutil, "rmtree", rmtree)
    (first, *rest), _ = ends[-1]
    first(*rest)
    with pytest.raises(ValueError, match=r"library '.*lenet\.dll' has already been closed"):
        loaded.function("predict")
    (_, *rest), how = ends[0]
    rmtree(*rest, **how)
    assert list(tmp_path.iterdir()) == []
    assert len(ends) == 2


def test_nothing_is_left_in_the_temporary_folder(network, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    loaded = CompiledNetwork(*network)
    assert list(tmp_path.iterdir()) == []
    assert loaded.function("self_test")(loaded.workspace) == 0


def test_a_temporary_folder_that_runs_nothing_is_told_with_the_right_remedy(
    network, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_NOEXEC))
    with pytest.raises(UserError) as caught:
        CompiledNetwork(*network)
    assert caught.value.where == f"temporary folder {tmp_path}"
    assert "is mounted noexec" in caught.value.what
    assert caught.value.remedy.startswith("set TMPDIR to a folder with room")
    assert list(tmp_path.iterdir()) == []


def test_no_room_in_the_temporary_folder_is_told(network, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(UserError, match=r"(?s)no space left on device\n  set TMPDIR") as caught:
        CompiledNetwork(*network)
    assert caught.value.where == f"temporary folder {tmp_path}"


def test_no_temporary_folder_at_all_is_told(network, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(UserError, match="no such file or directory\n  set TMPDIR"):
        CompiledNetwork(*network)
