"""Nothing is read before it is written, not even times 0: by clang's memory sanitizer."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from lenet_export.compiled import host_flags
from lenet_export.cpus.registry import CPUS, choices, lay_out
from lenet_export.plan import make_plan
from needs import require, wide

from .networks import named_model, write_files

#: The workspace comes from malloc, all of it unwritten to the sanitizer, as are the logits.
PROGRAM = """
#include "lenet.h"
#include <stdlib.h>

int main(void)
{{
    lenet_workspace *ws = malloc(sizeof *ws);
    {logit} *logits = malloc(LENET_LOGITS * sizeof *logits);
    uint8_t image[{bytes}];
    for (int k = 0; k < {bytes}; k++) {{
        image[k] = (uint8_t)(k * k);
    }}
    for (int turn = 0; turn < 2; turn++) {{
        lenet_verdict rows = lenet_logits(ws, image, logits);
        if (lenet_decide(logits, rows).digit >= LENET_CLASSES) {{
            return 1;
        }}
    }}
    free(logits);
    free(ws);
    return 0;
}}
"""
CHAINS = ["normed", *wide(["lenet", "deep", "signed", "strided", "gap", "mlp"])]
VARIANTS = [
    (cpu, optimize)
    for cpu in CPUS
    if not CPUS[cpu].ram and not CPUS[cpu].features
    for optimize in choices(cpu)
]
#: Each CPU's own, and all choices of the one whose kernels differ most.
FIRST = [case for case in VARIANTS if case[1] == "speed" or case[0] == "cortex-m4"]


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize(
    ("cpu", "optimize"), [*FIRST, *wide(case for case in VARIANTS if case not in FIRST)]
)
def test_no_byte_of_the_workspace_is_read_before_it_is_written(cpu, optimize, chain, tmp_path):
    plan = lay_out(make_plan(named_model(chain), "int8"), cpu, optimize)
    write_files(plan, tmp_path)
    size = int(np.prod(plan.input_shape))
    (tmp_path / "main.c").write_text(PROGRAM.format(logit="int32_t", bytes=size))
    flags = ["-std=c99", "-O1", "-fsanitize=memory", "-g1", *host_flags(cpu)]
    command = [require("clang"), *flags, "-o", "main", "main.c", "lenet.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
