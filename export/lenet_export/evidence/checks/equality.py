"""The C gives the reference's logits under every compiler, at every level, with sanitizers."""

from __future__ import annotations

import shutil

import numpy as np

from lenet_export import reference
from lenet_export.evidence.check import (
    IMPLEMENTATION_FILE,
    Case,
    Check,
    FailedError,
    NotRunError,
    Outcome,
)
from lenet_export.verify import is_equal

LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os")
SANITIZED = ("-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
COMPILERS = ("gcc", "clang")

#: Reads images and writes their logits; the workspace is that of the image before.
PROGRAM = """\
#include "lenet.h"
#include <stdio.h>

static uint8_t image[LENET_ROWS * LENET_COLUMNS * LENET_CHANNELS];
static lenet_workspace ws;

int main(void)
{
    logit_type logits[LENET_LOGITS];
    if (lenet_self_test(&ws) != LENET_SELF_TEST_PASSED) {
        return 1;
    }
    while (fread(image, sizeof image, 1, stdin) == 1) {
        lenet_logits(&ws, image, logits);
        fwrite(logits, sizeof logits, 1, stdout);
    }
    return 0;
}
"""


def _run(case: Case) -> Outcome:
    plan = case.plan
    expected = reference.run_logits(plan, case.images)
    compilers = [name for name in COMPILERS if shutil.which(name)]
    if not compilers:
        raise NotRunError("neither gcc nor clang is installed (Debian: apt-get install gcc clang)")
    builds, logits = [], 0
    for compiler in compilers:
        for flags in (*((level,) for level in LEVELS), SANITIZED):
            case.compile(compiler, PROGRAM, *flags, IMPLEMENTATION_FILE)
            done = case.run(["./check"], case.images.tobytes())
            found = np.frombuffer(done.stdout, plan.logit_dtype).reshape(-1, plan.outputs)
            if found.shape != expected.shape:
                raise FailedError(f"{len(found)} of {len(expected)} images were read")
            wrong = int((~is_equal(found, expected)).sum())
            if wrong:
                name = " ".join((compiler, *flags))
                raise FailedError(f"{wrong:,} of {expected.size:,} logits differ under {name}")
            builds.append(" ".join((compiler, *flags)))
            logits += found.size
    says = f"0 of {logits:,} logits differ: {len(case.images):,} images, {len(builds)} builds"
    return Outcome(says, {"images": len(case.images), "logits": logits, "builds": builds})


CHECK = Check(
    "The C gives the reference's logits",
    "Compiled by gcc and clang, those of them that are here, at each level, and with the address "
    "and undefined-behaviour sanitizers, it reads images made up to find differences, and the "
    "first of the user's, if there are any. The reference computes them in NumPy.",
    (),
    _run,
    also=COMPILERS,
)
