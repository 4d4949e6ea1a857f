"""Float32's activation functions in C give what Flax gives, over the whole range of a float."""

from __future__ import annotations

import cffi
import jax
import numpy as np
import pytest

from lenet_export import float_network
from lenet_export.checkpoint import Stage
from lenet_export.compiled import link_library
from lenet_export.cpus.registry import lay_out
from lenet_export.plan import make_plan
from needs import require

from .instruction_sets import X86, flags_of
from .networks import random_model, write_files

ACTIVATIONS = [name for name in float_network.ACTIVATIONS if name != "none"]
MORE = {"leaky_relu": ", 0.01f"}  # arguments behind z
COMPILERS = {
    "gcc -O2": ["gcc", "-O2"],
    "clang -O2": ["clang", "-O2"],
    "gcc -O3 -ffast-math": ["gcc", "-O3", "-ffast-math"],
}
#: A C function that applies that of a vector, or that of a number, to all values.
DECLARATION = "void apply_NAME(const float *from, float *to, int count);"
VECTORS = """
{
    const int lanes = sizeof(vector) / sizeof(float);
    for (int k = 0; k < count; k += lanes) {
        store(to + k, NAME_lanes(load(from + k)MORE), count - k);
    }
}
"""
SCALARS = """
{
    for (int k = 0; k < count; k++) {
        to[k] = FUNCTION(from[k]MORE);
    }
}
"""


def values():
    """Floats of every exponent and sign, denormal ones, 0, the infinities, and many near 0."""
    powers = np.ldexp(np.float32(1), np.arange(-149, 128)).astype(np.float32)
    largest = np.finfo(np.float32).max
    positive = np.concatenate(
        [powers, powers * np.float32(1.7), np.linspace(0, 40, 9999), [1e30, largest, np.inf]]
    )
    return np.concatenate([-positive, positive, np.zeros(32)]).astype(np.float32)


def functions(cpu, compiler, folder):
    """The C functions for ``cpu`` by their names, each from floats to floats."""
    hidden = [Stage(f"fc{n}", "dense", 16, name) for n, name in enumerate(ACTIVATIONS)]
    model = random_model((*hidden, Stage("last", "dense", 3)), (3, 3, 1))
    write_files(lay_out(make_plan(model, "float32"), cpu, "speed"), folder)
    body = SCALARS if cpu == "generic" else VECTORS
    texts = [
        (DECLARATION + DECLARATION[:-1] + body)
        .replace("MORE", MORE.get(name, ""))
        .replace("FUNCTION", "tanh_of" if name == "tanh" else name)
        .replace("NAME", name)
        for name in ACTIVATIONS
    ]
    (folder / "apply.c").write_text("".join(['#include "lenet.c"\n', *texts]))
    library = link_library(folder / "apply.c", [*compiler, *flags_of(cpu)])
    ffi = cffi.FFI()
    ffi.cdef("".join(DECLARATION.replace("NAME", name) for name in ACTIVATIONS))
    loaded = ffi.dlopen(str(library))

    def function(name):
        def of(given):
            result = np.empty_like(given)
            pointers = (ffi.from_buffer("float[]", array) for array in (given, result))
            getattr(loaded, f"apply_{name}")(*pointers, len(given))
            return result

        return of

    return {name: function(name) for name in ACTIVATIONS}


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("cpu", ["generic", "aarch64", *X86])
def test_an_activation_is_flax_s_over_the_whole_range_of_a_float(cpu, compiler, tmp_path):
    require(COMPILERS[compiler][0])
    for name, function in functions(cpu, COMPILERS[compiler], tmp_path).items():
        ours = function(values())
        flax = np.asarray(jax.jit(float_network.ACTIVATIONS[name])(values()))
        known = ~np.isnan(flax)  # nn.gelu(-infinity) is not a number
        assert known.sum() >= len(flax) - 1
        differ = known & (ours != flax)
        error = np.abs(ours[differ].astype(float) - flax[differ])
        assert (error <= 1e-5 * np.maximum(1, np.abs(flax[differ]))).all(), name
