"""How programs of C are built with each compiler, and run: here, or by an emulator."""

from __future__ import annotations

import hashlib
import pickle
import subprocess

import pytest

import shared
from lenet_export import compiled as libraries
from needs import require

SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g1")
BUILDS = {
    "gcc -O2": ("gcc", "-O2"),
    "gcc -O3": ("gcc", "-O3", "-funroll-loops"),
    "clang -O2": ("clang", "-O2"),
    "gcc sanitized": ("gcc", "-O1", *SANITIZED),
    "clang sanitized": ("clang", "-O1", *SANITIZED),
    "gcc -O0": ("gcc", "-O0"),
    "gcc -Os": ("gcc", "-Os"),
}
#: Of other CPUs, run by an emulator; the second has its highest byte first.
EMULATED = {
    "arm-linux-gnueabi-gcc -Os": ("arm-linux-gnueabi-gcc", "-Os", "-static"),
    "powerpc-linux-gnu-gcc -O2": ("powerpc-linux-gnu-gcc", "-O2", "-static"),
}
EMULATORS = {"arm-linux-gnueabi-gcc": "qemu-arm", "powerpc-linux-gnu-gcc": "qemu-ppc"}


def compiled(files, program, build, folder):
    """The command that runs a program with generated C, compiled in one of the builds.

    Args:
        files: the generated ones, bytes by name.
        program: its text.
        build: a name in :data:`BUILDS` or :data:`EMULATED`.
        folder: for all of them.
    """
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "program.c").write_text(program)
    compiler, *flags = (BUILDS | EMULATED)[build]
    command = [require(compiler), "-std=c99", *flags]
    (folder / "lenet.o").write_bytes(object_of(files, command, folder))
    subprocess.run(
        [*command, "-o", folder / "program", folder / "program.c", folder / "lenet.o"], check=True
    )
    emulator = EMULATORS.get(compiler)
    return [*([require(emulator)] if emulator else []), folder / "program"]


def optimized(plan, files):
    """The network in a library for thousands of images: compiled slowly, read quickly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(libraries, "FLAGS", ("-std=c99", "-O2"))
        return libraries.CompiledNetwork(plan, files)


def object_of(files, command, folder):
    """The object file of generated C: many programs have the same, of whatever test and process."""

    def make():
        subprocess.run([*command, "-c", "-o", "lenet.o", "lenet.c"], cwd=folder, check=True)
        return (folder / "lenet.o").read_bytes()

    asked = pickle.dumps((sorted(files.items()), command))
    return shared.once(f"object-{hashlib.sha256(asked).hexdigest()}", make)
