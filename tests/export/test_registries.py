"""Activations, pools, CPUs: whatever is in one registry goes with all that is in another."""

from __future__ import annotations

import functools
from dataclasses import replace

import jinja2
import numpy as np
import pytest

from lenet_export import checkpoint, float_network, pools, reference
from lenet_export.activations import ACTIVATIONS
from lenet_export.checkpoint import Stage
from lenet_export.compiled import CompiledNetwork
from lenet_export.cpus.registry import CPUS, lay_out
from lenet_export.outputs.c import Options, render_c
from lenet_export.outputs.npz import readme
from lenet_export.plan import make_plan
from lenet_export.pools import POOLS
from needs import pairs

from .networks import random_model
from .test_parity import can_run

IMAGES = np.random.default_rng(5).integers(0, 256, (3, 64, 64, 1)).astype(np.uint8)
IMAGES[0] = 0
IMAGES[1] = 255


#: So many that maps of 96x96 can be halved by each.
GROUPS = [list(ACTIVATIONS)[start : start + 6] for start in range(0, len(ACTIVATIONS), 6)]


def chain(pool, activations):
    """Each of the activations with the pool and without."""
    stages = []
    for activation in activations:
        number = len(stages)
        bare = Stage(f"conv{number}", "conv", 2, activation, (2, 2), "SAME")
        stages += [bare, replace(bare, name=f"conv{number + 1}", pool=pool, pool_size=2)]
    return (*stages, Stage("last", "dense", 3))


@functools.cache
def planned(pool, group, dtype):
    """The chain's plan, and what JAX makes of the images."""
    plan = make_plan(random_model(chain(pool, GROUPS[group]), IMAGES.shape[1:]), dtype)
    if dtype == "int8":
        return plan, reference.run_integers(plan, IMAGES)["last"]
    return plan, float_network.run_logits(plan.model, IMAGES)


@pytest.mark.parametrize(
    ("cpu", "pool", "group", "dtype"),
    pairs(
        [cpu for cpu in CPUS if can_run(cpu) and not CPUS[cpu].ram],
        POOLS,
        range(len(GROUPS)),
        ("int8", "float32"),
    ),
)
def test_each_activation_goes_with_each_pool_and_number_on_each_cpu(pool, group, dtype, cpu):
    plan, expected = planned(pool, group, dtype)
    laid_out = lay_out(plan, cpu, "speed")
    logits = CompiledNetwork(laid_out, render_c(laid_out, Options())).logits(IMAGES)
    tolerance = 0 if dtype == "int8" else 1e-4 * max(1, np.abs(expected).max())
    assert np.abs(logits - expected).max() <= tolerance


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_reader_of_the_npz_finds_each_activation(name):
    formula = readme().partition(f"\n    {name}(z) = ")[2].partition("\n")[0]
    z = np.linspace(-9, 9, 101)
    value = eval(formula, {"__builtins__": {}}, vars(np) | {"z": z})
    assert np.abs(value - ACTIVATIONS[name].value(z, np)).max() < 1e-12
    assert np.abs(value - float_network.ACTIVATIONS[name](z)).max() < 1e-5


@pytest.mark.parametrize("name", POOLS)
def test_a_reader_of_the_npz_finds_each_pool(name):
    assert f'"{name}": {POOLS[name].formula}' in readme()
    assert f'"{name}"' in readme().partition("<layer>/pool_size  ")[2].partition("\n")[0]


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_of_codes_is_that_of_floats_rounded(name):
    windows = np.random.default_rng(0).integers(0, 256, (50, 3, 3))
    codes = POOLS[name].codes(windows, (1, 2))
    assert (codes == np.floor(POOLS[name].value(windows, (1, 2)) + 0.5)).all()


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("cpu", [cpu for cpu in CPUS if not CPUS[cpu].ram])
def test_a_pool_without_a_template_is_an_error_and_never_another_pool(cpu, dtype, monkeypatch):
    """Once, what was not "max" was printed as the mean."""
    monkeypatch.setitem(pools.POOLS, "lp", replace(POOLS["avg"], noun="root of the squares' mean"))
    stages = (
        Stage("conv1", "conv", 3, "relu", (3, 3), "SAME", "lp", 2),
        Stage("last", "dense", 3),
    )
    checkpoint.check_chain("a test", (8, 8, 1), stages)
    plan = lay_out(make_plan(random_model(stages, (8, 8, 1)), dtype), cpu, "speed")
    with pytest.raises(jinja2.TemplateNotFound, match=r"pools/lp\.c\.j2"):
        render_c(plan, Options())
