"""lenet_decide takes logits that no image gives, too: any numbers, and of floats a NaN."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess

import numpy as np
import pytest

from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from lenet_export.verdict import Verdict, readings
from needs import require

from .networks import named_model

#: Reads logits, and prints the bytes of what is read in each.
PROGRAM = """
#include "lenet.h"
#include <stdio.h>

int main(void)
{
    NUMBER logits[LENET_LOGITS];
    while (fread(logits, sizeof logits, 1, stdin) == 1) {
        lenet_reading reading = lenet_decide(logits, LENET_ACCEPTED);
        double read[4] = {reading.digit, reading.gap, reading.accepted, reading.verdict};
        fwrite(read, sizeof read, 1, stdout);
    }
    return 0;
}
"""
SANITIZERS = {"gcc": "undefined,float-cast-overflow", "clang": "undefined,integer"}


def plan_of(name, dtype):
    """Of a network of a few outputs that rejects no image for its ink."""
    return make_plan(dataclasses.replace(named_model(name), ink=None), dtype, max_error=0.01)


def decided(plan, logits, compiler, folder):
    """Digits, gaps, whether accepted, verdicts: float64 (logits, 4), by a sanitized program."""
    for file, data in render_c(plan, Options()).items():
        (folder / file).write_bytes(data)
    number = "float" if plan.dtype == "float32" else "int32_t"
    (folder / "program.c").write_text(PROGRAM.replace("NUMBER", number))
    flags = ["-std=c99", "-O1", f"-fsanitize={SANITIZERS[compiler]}", "-fno-sanitize-recover=all"]
    command = [require(compiler), *flags, "-o", "program", "program.c", "lenet.c"]
    subprocess.run(command, cwd=folder, check=True)
    done = subprocess.run([folder / "program"], input=logits.tobytes(), capture_output=True)
    assert not done.stderr, done.stderr.decode()
    return np.frombuffer(done.stdout).reshape(len(logits), 4)


def extremes(plan):
    """All that three of the outputs can be between the least and the most of their type."""
    if plan.dtype == "int8":
        ends = np.iinfo(np.int32)
        values = [ends.min, ends.min + 1, -(2**30), -1, 0, 1, 2**30, 2**30 + 1, ends.max]
    else:
        ends = np.finfo(np.float32)
        values = [-np.inf, ends.min, -1, 0, ends.tiny, 1e30, ends.max, np.inf, np.nan]
    logits = np.empty((len(values) ** 3, plan.outputs), plan.logit_dtype)
    logits[:, 1:-2] = -1
    logits[:, [0, -2, -1]] = list(itertools.product(values, repeat=3))
    return logits


@pytest.mark.filterwarnings("ignore:(invalid value|overflow) encountered:RuntimeWarning")
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("name", ["mlp", "one"])  # the latter has an output of no class
def test_it_says_of_any_logits_what_the_reference_does(name, dtype, compiler, tmp_path):
    plan = plan_of(name, dtype)
    logits = extremes(plan)
    images = np.zeros((len(logits), *plan.input_shape), np.uint8)
    expected = readings(plan, images, logits)
    digits, gaps, accepted, verdicts = decided(plan, logits, compiler, tmp_path).T
    assert (digits == expected.digits).all()
    np.testing.assert_array_equal(gaps, expected.gaps.astype(np.float64))
    assert (verdicts == expected.verdicts).all()
    assert (accepted == (verdicts == Verdict.ACCEPTED)).all()
    assert set(verdicts) == {0, 1, *([3] if plan.none_output else [])}
    assert not accepted[np.isnan(logits).any(axis=1)].any()
    if plan.dtype == "int8":
        assert gaps.max() == 2**31 - 1
        assert gaps.min() == (-(2**31) + 1 if plan.none_output else 0)
