"""What the exporter's tests share: answers of JAX, each computed once a run."""

from __future__ import annotations

import functools
import hashlib
import pickle
import shlex
import subprocess
from dataclasses import replace

import pytest

import shared
from lenet_export import compiled, float_network, reference, verify
from lenet_export.cpus.registry import CPUS
from lenet_export.plan import Layout


@pytest.fixture(autouse=True, scope="package")
def once():
    with pytest.MonkeyPatch.context() as patch:
        remember_answers(patch.setattr)
        yield


def remember_answers(put):
    """JAX compiles and runs a network once, however many CPUs and mutations are compared with it.

    A layout changes no number, and the reference does not read it.
    """

    def numbers(plan):
        return [replace(layer, layout=Layout()) for layer in plan.layers]

    def itself(model):
        return model

    for module, function, read in (
        (reference, "run_integers", numbers),
        (float_network, "run_floats", itself),
        (float_network, "run_logits", itself),
    ):
        put(module, function, remembering(getattr(module, function), read))


@pytest.fixture(autouse=True, scope="package")
def drawn_once():
    """The images that are made for a network are those for its first layer, whatever the CPU.

    They are fewer than a user's, which take longer than all else; who needs as many asks for them.
    """
    stress_images, made = verify.stress_images, {}

    def remembered(plan, seed=0, random=100):
        name = pickle.dumps((replace(plan.layers[0], layout=Layout()), seed, random))
        if name not in made:
            made[name] = stress_images(plan, seed, random)
        return made[name].copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "stress_images", remembered)
        yield


@pytest.fixture(autouse=True, scope="package")
def quickly_compiled():
    """Libraries run a few images here, and their compilation takes most of the time.

    What optimizing compilers make of the C is what other tests compare.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "FLAGS", ("-std=c99", "-O0"))
        yield


@pytest.fixture(autouse=True, scope="package")
def libraries_built_once():
    """A compiler makes a library of the same files once, for whatever test and process."""
    compile_library = compiled.compile_library

    def built(files, prefix, folder, command):
        def make():
            library = compile_library(files, prefix, folder, command)
            return library.name, library.read_bytes() if library.exists() else None

        asked = pickle.dumps((sorted(files.items()), prefix, command, compiled.WINDOWS))
        library, data = shared.once(f"library-{hashlib.sha256(asked).hexdigest()}", make)
        for name, text in [*files.items(), *([(library, data)] if data else [])]:
            (folder / name).write_bytes(text)
        return folder / library

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "compile_library", built)
        yield


@pytest.fixture(autouse=True, scope="package")
def intrinsics_read_once():
    """To read ``immintrin.h`` takes longer than to compile what needs it: it is compiled ahead."""
    host_flags = compiled.host_flags

    def with_header(cpu):
        flags = host_flags(cpu)
        if "immintrin.h" not in CPUS[cpu].headers:
            return flags
        return [*flags, "-include", ahead([*compiled.compiler(), *compiled.FLAGS, *flags])]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "host_flags", with_header)
        yield


def ahead(command):
    """The path of a header that includes ``immintrin.h``; what ``command`` made of it is beside."""
    name = hashlib.sha256(shlex.join(command).encode()).hexdigest()
    header = shared.FOLDER / f"{name}.h"

    def make():
        header.write_text("#include <immintrin.h>\n")
        output = ["-fPIC", "-o", header.with_suffix(".h.gch"), header]
        subprocess.run([*command, "-x", "c-header", *output], check=True)
        return str(header)

    return shared.once(name, make)


def remembering(function, read):
    """``function`` of a network and images, whose answers depend on what ``read`` takes of it.

    It gives every layer, whichever are asked for.
    """
    answers = {}

    @functools.wraps(function)
    def remembered(network, images, *_):
        asked = pickle.dumps((function.__name__, read(network), images))
        name = hashlib.sha256(asked).hexdigest()
        if name not in answers:
            answers[name] = shared.once(name, lambda: function(network, images))
        return answers[name]

    return remembered
