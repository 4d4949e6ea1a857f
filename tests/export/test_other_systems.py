"""Windows and macOS: their compilers' kin make libraries here, and Wine runs those of Windows."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lenet_export import compiled, files, float_network, program, reference, verify
from lenet_export.cpus.registry import CPUS, lay_out
from lenet_export.errors import UserError
from lenet_export.outputs.c import render_c
from lenet_export.outputs.npz import render_npz
from lenet_export.outputs.options import Options
from lenet_export.plan import make_plan
from lenet_train import run
from needs import ROOT, require

from .networks import named_model
from .windows import CLANG_CL, MINGW, library, logits_of, wine

EXAMPLES = ROOT / "c_runtime/examples"


@pytest.fixture(scope="module")
def small():
    """A small network's plan and files."""
    plan = make_plan(named_model("mlp"), "int8")
    return plan, render_c(plan, Options())


def declared_in(made):
    """The functions of a header."""
    names = set(re.findall(r"^\w[\w ]* \*?(lenet_\w+)\(", made["lenet.h"].decode(), re.MULTILINE))
    assert len(names) > 5
    return names


@pytest.mark.parametrize("words", ["cl", r"C:\VC\bin\CL.EXE /std:c11", "clang-cl", CLANG_CL])
def test_cl_and_clang_cl_are_known_by_their_names(words):
    assert compiled.takes_words_of_cl(words.split())
    assert not compiled.takes_words_of_cl(["gcc", "-Icl/include"])


def test_a_library_of_clang_cl_gives_all_functions_and_takes_none(small, tmp_path):
    _, made = small
    path = library(made, CLANG_CL, compiled.CL_FLAGS, tmp_path)
    assert path.name == "lenet.dll"
    tables = subprocess.run(
        [require("llvm-readobj"), "--coff-exports", "--coff-imports", path],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert set(re.findall(r"Name: (lenet_\w+)\n", tables)) == declared_in(made)
    assert "Import {" not in tables


def test_kernels_that_cl_has_no_words_for_are_told(small, tmp_path, monkeypatch):
    plan, _ = small
    (tmp_path / "cl").write_text("#!/bin/sh\n")
    (tmp_path / "cl").chmod(0o755)
    monkeypatch.setenv("CC", str(tmp_path / "cl"))
    plan = lay_out(plan, "x86-64-v3", "speed")
    with pytest.raises(UserError, match=r"words that .*cl lacks\n  set CC to gcc or clang; to exp"):
        compiled.CompiledNetwork(plan, render_c(plan, Options()))


def test_what_clang_cl_refuses_is_told(small, tmp_path):
    _, made = small
    wrong = made | {"lenet.c": b"#error no\n"}
    with pytest.raises(UserError, match=r"clang: the compiler refuses .*(?s:.)*error: no"):
        library(wrong, CLANG_CL, compiled.CL_FLAGS, tmp_path)


@pytest.mark.wide
@pytest.mark.parametrize(
    ("compiler", "cpu", "dtype", "is_hardened"),
    [
        (CLANG_CL, "generic", "int8", True),
        (CLANG_CL, "generic", "float32", False),
        (MINGW, "generic", "int8", False),
        (MINGW, "x86-64-v3", "int8", True),
        (MINGW, "x86-64-v3", "float32", False),
    ],
)
def test_libraries_for_windows_equal_jax(
    compiler, cpu, dtype, is_hardened, bundled, mnist, tmp_path
):
    """200 images, on Windows' own calling convention, by its compilers' kin."""
    plan = lay_out(make_plan(bundled, dtype, is_hardened=is_hardened), cpu, "speed")
    flags = compiled.CL_FLAGS if compiler == CLANG_CL else ("-std=c99", "-O2", *CPUS[cpu].flags)
    path = library(render_c(plan, Options()), compiler, flags, tmp_path)
    images = mnist[0][:200]
    logits, self_test = logits_of(path, plan, images, tmp_path)
    assert self_test == 0 and len(logits) == 200
    if dtype == "int8":
        assert (logits != reference.run_integers(plan, images)["fc3"]).sum() == 0
    else:
        assert verify.is_equal(logits, float_network.run_logits(plan.model, images)).all()


@pytest.mark.wide
def test_the_examples_read_bytes_on_windows_too(tmp_path):
    """There standard input is text: a byte of 26 ends it, and one of 13 in front of a 10 goes."""
    generated = ROOT / "c_runtime/generated"
    for name in ("push_rows", "predict_pgm"):
        sources = [EXAMPLES / f"{name}.c", generated / "lenet.c"]
        command = [require(MINGW), "-std=c99", "-O1", f"-I{generated}", *sources]
        subprocess.run([*command, "-o", tmp_path / f"{name}.exe"], check=True)
    pixels = (EXAMPLES / "digit.pgm").read_bytes()[-784:]
    awkward = bytes([26, 13, 10, 13]) + pixels[4:]
    done = wine([tmp_path / "push_rows.exe"], pixels + awkward, tmp_path)
    assert re.findall(rb"digit \d", done.stdout) == [b"digit 3"] * 2 and done.returncode == 0
    done = wine([tmp_path / "predict_pgm.exe", EXAMPLES / "digit.pgm"], b"", tmp_path)
    assert done.stdout.startswith(b"digit 3, gap ") and done.stdout.endswith(b", accepted\r\n")


@pytest.mark.parametrize(
    ("target", "cpu"), [("arm64", "aarch64-dotprod"), ("x86_64", "x86-64-v3"), ("arm64", "generic")]
)
def test_a_library_for_macos_gives_all_functions(target, cpu, small, tmp_path):
    """Of Apple's kind, by the words that Python has for clang; of Apple's system it needs none."""
    require("wasm-ld")  # of lld
    plan = lay_out(small[0], cpu, "speed")
    made = render_c(plan, Options())
    # What Apple's clang takes from its system, to see a stack run over, is looked up later.
    aimed = [f"--target={target}-apple-macos11", "-ffreestanding", "-nostdlib", "-fuse-ld=lld"]
    command = ["clang", *aimed, "-Wl,-undefined,dynamic_lookup", *compiled.FLAGS, *CPUS[cpu].flags]
    path = compiled.compile_library(made, "lenet", tmp_path, command)
    assert path.read_bytes()[:4] == bytes.fromhex("cffaedfe")  # Mach-O of 64 bits
    names = [["--defined-only"], ["--undefined-only"]]
    given, taken = (
        set(subprocess.run([require("llvm-nm"), "--extern-only", "--just-symbol-name", *of, path],
                           capture_output=True, text=True, check=True).stdout.split())
        for of in names
    )  # fmt: skip
    assert given == {f"_{name}" for name in declared_in(made)}
    assert taken <= {"___stack_chk_fail", "___stack_chk_guard", "dyld_stub_binder"}


def test_an_archive_does_not_tell_the_system_that_it_was_made_on(small, monkeypatch):
    plan, made = small
    here = files.zip_of(made), render_npz(plan)
    monkeypatch.setattr(sys, "platform", "win32")
    assert (files.zip_of(made), render_npz(plan)) == here


def test_a_console_of_windows_is_written_to_as_python_does_it(monkeypatch):
    """As a file of bytes it would show letters of its own code page."""

    class Console(io.TextIOWrapper):
        def isatty(self):
            return True

    console, errors = (Console(open(os.devnull, "wb")) for _ in range(2))  # noqa: PTH123, SIM115
    monkeypatch.setattr(sys, "stdout", console)
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setattr(program, "WINDOWS", True)
    program._outlive_readers()
    assert (sys.stdout, sys.stderr) == (console, errors)
    monkeypatch.setattr(program, "WINDOWS", False)
    program._outlive_readers()
    assert console is not sys.stdout
    for stream in (sys.stdout, sys.stderr, console, errors):
        stream.close()


def test_a_pipe_that_nobody_reads_is_an_invalid_argument_on_windows(monkeypatch):
    counter = os.eventfd(0)  # takes 8 bytes, and calls others an invalid argument
    with program._Outliving(counter, "w") as stream:
        with pytest.raises(UserError, match="cannot be written: invalid argument"):
            stream.write(b"no")
        monkeypatch.setattr(program, "WINDOWS", True)
        assert stream.write(b"nobody") == 6


def test_a_path_is_told_as_the_systems_shell_takes_it(monkeypatch):
    path = Path("my runs/a$b")
    assert run._argument(path) == "'my runs/a$b'"
    monkeypatch.setattr(files, "WINDOWS", True)
    assert run._argument(path) == '"my runs/a$b"'
