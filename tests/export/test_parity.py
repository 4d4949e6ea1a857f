"""The compiled C gives what JAX gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from few_bits import FEW_BITS, on_grids
from lenet_export import float_network, reference, verify
from lenet_export.activations import ACTIVATIONS
from lenet_export.checkpoint import BITS, GRIDS, Model, Stage
from lenet_export.compiled import CompiledNetwork, first_difference, host_flags, runs_here
from lenet_export.cpus.registry import CPUS, choices, lay_out
from lenet_export.errors import UserError
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from lenet_export.pools import POOLS
from needs import require, wide

from .networks import (
    CHAINS,
    named_model,
    random_model,
    run_program,
)

SANITIZE = ["-g", "-O1", "-fno-sanitize-recover=all"]
COMPILERS = {
    "gcc -O0": ["gcc", "-O0"],
    "gcc -O3": ["gcc", "-O3"],
    "gcc -Os -funsigned-char": ["gcc", "-Os", "-funsigned-char"],
    "gcc -O3 -march=native -ffast-math": ["gcc", "-O3", "-march=native", "-ffast-math"],
    "gcc sanitizers": ["gcc", *SANITIZE, "-fsanitize=undefined,address"],
    "clang -O0": ["clang", "-O0"],
    "clang -O3": ["clang", "-O3"],
    "clang sanitizers": ["clang", *SANITIZE, "-fsanitize=undefined,integer,address"],
}


def can_run(cpu):
    """Whether this machine has the instructions of ``cpu``, or imitates them."""
    try:
        return runs_here(cpu)
    except UserError:  # no compiler
        return False


#: The last of the images, 200 of MNIST and those that are made to find differences, are what each
#: compiler gets; one gets all, and in ``make test-all`` the others do too. Kernels of their own get
#: those that are made alone under sanitizers, and there 1,000 of MNIST besides.
MADE, SOME, MANY, ALL = slice(-444, None), slice(-644, None), slice(-1444, None), slice(None)
OTHERS = [compiler for compiler in COMPILERS if compiler != "gcc -O3"]
AMOUNTS = [("gcc -O3", ALL), *((compiler, SOME) for compiler in OTHERS)]
AMOUNTS += wide((compiler, ALL) for compiler in OTHERS)
#: Every CPU's kernels, each choice once. A machine without AVX-512 has no such tests: no package
#: would bring it. An Arduino Uno has an AVR's kernels, and no room for these networks.
TUNED = [
    (cpu, optimize)
    for cpu in CPUS
    if cpu != "atmega328p" and can_run(cpu)
    for optimize in choices(cpu)
]

#: Each chain in each arithmetic with each CPU's kernels.
CASES = [
    (name, dtype, cpu, optimize)
    for name in CHAINS
    for dtype in ("int8", "float32")
    for cpu, optimize in TUNED
]


def is_first(case):
    """Whether the case is among those of ``make test``: little in it is as in another one."""
    name, dtype, cpu, optimize = case
    if dtype == "float32":  # An M4's C is an M3's, and one for little flash an M0's.
        blocked = cpu in ("cortex-m3", "cortex-m55", "riscv32") and name not in ("lenet", "normed")
        is_own = optimize == "speed" and cpu != "cortex-m4" and not blocked
        return is_own or case[2:] == ("cortex-m0", "flash")
    return optimize == "speed" or name in ("lenet", "deep", "normed")


REST = [case for case in CASES if not is_first(case)]


@pytest.fixture(scope="module")
def images(mnist, int8_plan):
    """All 10,000 MNIST test images, and those that are made to find differences."""
    return np.concatenate([mnist[0], verify.stress_images(int8_plan)])


@pytest.fixture(scope="module")
def integers(int8_plan, images):
    return reference.run_integers(int8_plan, images)["fc3"]


@pytest.fixture(scope="module")
def floats(bundled, images):
    return float_network.run_logits(bundled, images)


@pytest.mark.parametrize(("compiler", "amount"), AMOUNTS)
def test_no_int8_logit_differs_from_the_jax_reference(
    compiler, amount, int8_plan, images, integers, tmp_path
):
    command = COMPILERS[compiler]
    logits, self_test = run_program(
        int8_plan, images[amount], [require(command[0]), "-std=c99", *command[1:]], tmp_path
    )
    assert logits.shape == (len(images[amount]), 10)
    assert (logits != integers[amount]).sum() == 0
    assert self_test == 0


@pytest.mark.parametrize(("compiler", "amount"), AMOUNTS)
def test_float32_is_flax_to_1e_4_and_gives_the_same_class(
    compiler, amount, bundled, images, floats, mnist, tmp_path
):
    command = COMPILERS[compiler]
    plan = make_plan(bundled, "float32")
    logits, self_test = run_program(
        plan, images[amount], [require(command[0]), "-std=c99", *command[1:]], tmp_path
    )
    assert np.abs(logits - floats[amount]).max() <= 1e-4
    is_real = np.arange(len(images))[amount] < len(mnist[0])
    assert (logits.argmax(1) != floats[amount].argmax(1))[is_real].sum() == 0
    assert self_test == 0


def test_int8_accuracy_is_within_0_05_points_of_float(integers, floats, mnist):
    labels = mnist[1]
    real = slice(0, len(labels))
    int8 = (integers[real].argmax(1) == labels).mean()
    float32 = (floats[real].argmax(1) == labels).mean()
    assert abs(int8 - float32) <= 0.0005
    assert float32 >= 0.99


@pytest.mark.parametrize(
    ("compiler", "amount"),
    [("gcc sanitizers", MADE), *wide((name, MANY) for name in ("gcc -O3", "clang -O3"))],
)
@pytest.mark.parametrize(("cpu", "optimize"), TUNED[1:])
def test_no_int8_logit_of_a_tuned_kernel_differs_from_the_jax_reference(
    cpu, optimize, compiler, amount, int8_plan, images, integers, tmp_path
):
    plan = lay_out(int8_plan, cpu, optimize)
    command = COMPILERS[compiler]
    flags = ["-std=c99", *command[1:], *host_flags(cpu)]
    logits, self_test = run_program(plan, images[amount], [require(command[0]), *flags], tmp_path)
    assert (logits != integers[amount]).sum() == 0
    assert self_test == 0


@pytest.mark.parametrize(
    ("name", "dtype", "cpu", "optimize"), [*filter(is_first, CASES), *wide(REST)]
)
def test_every_layer_of_each_chain_is_that_of_jax(name, dtype, cpu, optimize):
    plan = make_plan(named_model(name), dtype)
    if 0 < CPUS[cpu].program_memory < plan.constant_bytes:
        with pytest.raises(UserError, match="the constants have"):
            lay_out(plan, cpu, optimize)
        return
    plan = lay_out(plan, cpu, optimize)
    taps = assert_equals_jax(plan, count=60)
    assert not any(np.isnan(value).any() for value in taps.values())


def assert_equals_jax(plan, count):
    """Logits of all stress images, and every layer of a few of them, through the debug tap."""
    network = CompiledNetwork(plan, render_c(plan, Options()))
    images = verify.stress_images(plan, random=count)
    logits = network.logits(images)
    assert network.function("self_test")(network.workspace) == 0
    assert network.workspace_bytes == plan.workspace_bytes
    if plan.dtype == "int8":
        expected = reference.run_integers(plan, images)
        assert (logits != expected[plan.layers[-1].name]).sum() == 0
        for n in range(0, len(images), 9):
            taps = network.layers(images[n])
            ours = {name: value[n] for name, value in expected.items()}
            assert first_difference(plan.layers, taps, ours) is None
    else:
        expected = float_network.run_floats(plan.model, images)
        scale = max(1, np.abs(expected[plan.layers[-1].name]).max())
        assert np.abs(logits - expected[plan.layers[-1].name]).max() <= 1e-4 * scale
        for n in range(0, len(images), 9):
            taps = network.layers(images[n])
            for layer in plan.layers:
                value = expected[layer.name][n]
                tolerance = 1e-4 * max(1, np.abs(value).max())
                assert not (np.abs(taps[layer.name] - value) > tolerance).any()
    return taps


@st.composite
def chains(draw):
    """Any chain that the plan knows, small enough to compile quickly."""
    shape = (draw(st.integers(1, 14)), draw(st.integers(1, 14)), draw(st.integers(1, 3)))
    stages, size = [], shape
    for place in range(draw(st.integers(0, 3))):
        padding = draw(st.sampled_from(["SAME", "VALID"]))
        limit = (5, 5) if padding == "SAME" else (min(5, size[0]), min(5, size[1]))
        kernel = (draw(st.integers(1, limit[0])), draw(st.integers(1, limit[1])))
        features = draw(st.sampled_from([1, 2, 3, 4, 8, 16]))
        stage = Stage(f"conv{place}", "conv", features, kernel=kernel)
        stage = replace(stage, padding=padding, activation=draw(st.sampled_from(list(ACTIVATIONS))))
        stage = replace(stage, stride=draw(st.integers(1, min(kernel))))
        rows, columns, _ = stage.conv_shape(size)
        pool_size = draw(st.integers(1, min(6, rows, columns)) | st.just(min(16, rows, columns)))
        pool = "none" if pool_size == 1 else draw(st.sampled_from(list(POOLS)))
        norm = draw(st.sampled_from(["none", "none", "layer"]))
        stages.append(replace(stage, pool=pool, pool_size=pool_size, norm=norm))
        size = stages[-1].output_shape(size)
    for place in range(draw(st.integers(0, 2))):
        activation = draw(st.sampled_from(list(ACTIVATIONS)))
        norm = draw(st.sampled_from(["none", "layer"]))
        stages.append(Stage(f"fc{place}", "dense", draw(st.integers(1, 9)), activation, norm=norm))
    stages.append(Stage("last", "dense", draw(st.integers(2, 5))))
    bits = draw(st.just(["8"] * len(stages)) | st.tuples(*[st.sampled_from(BITS)] * len(stages)))
    bits = ["8" if stage.norm == "layer" else b for stage, b in zip(stages, bits, strict=True)]
    spread = draw(st.sampled_from([0.3, 2, 9]))
    model = random_model(stages, shape, draw(st.integers(0, 99)), spread)
    if draw(st.booleans()):
        for stage in stages:  # A channel that was pruned.
            model.params[f"{stage.name}/kernel"][..., 1:2] = 0
    return on_grids(model, bits)


#: Once wrong: a block of 16 channels, of which one was called as the values are; a pool of 12.
@pytest.mark.parametrize("tuned", TUNED)
@pytest.mark.parametrize(("features", "pool_size"), [(16, 1), (2, 12), (3, 5)])
def test_wide_blocks_and_pools_equal_jax(features, pool_size, tuned):
    pool = "none" if pool_size == 1 else "max"
    conv = Stage("conv1", "conv", features, "relu", (3, 3), "SAME", pool, pool_size)
    model = random_model((conv, Stage("last", "dense", 3)), (24, 24, 1))
    assert_equals_jax(lay_out(make_plan(model, "int8"), *tuned), count=10)


#: Odd and even rows and inputs, blocks of 1 to 16 outputs.
WIDTHS = (
    Stage("conv1", "conv", 4, "relu", (3, 3), "SAME", "max", 2),
    Stage("conv2", "conv", 16, "sigmoid", (2, 3)),
    Stage("fc1", "dense", 9, "relu"),
    Stage("fc2", "dense", 16, "sigmoid"),
    Stage("last", "dense", 10),
)


#: Each width with each CPU, and one with its slower kernels too.
WIDTH_CASES = [(bits, tuned) for bits in GRIDS for tuned in TUNED]
FIRST_WIDTHS = [case for case in WIDTH_CASES if case[0] == "2" or case[1][1] == "speed"]


@pytest.mark.parametrize(
    ("bits", "tuned"),
    [*FIRST_WIDTHS, *wide(case for case in WIDTH_CASES if case not in FIRST_WIDTHS)],
)
def test_weights_of_each_width_equal_jax_with_every_kernel(bits, tuned):
    model = on_grids(random_model(WIDTHS, (9, 8, 1)), [bits] * len(WIDTHS))
    assert_equals_jax(lay_out(make_plan(model, "int8"), *tuned), count=10)


@pytest.mark.parametrize(
    ("compiler", "amount"),
    [
        *((compiler, SOME) for compiler in ("clang -O3", "clang sanitizers")),
        *wide(
            (f"{name} {kind}", MANY) for name in ("gcc", "clang") for kind in ("-O3", "sanitizers")
        ),
    ],
)
@pytest.mark.parametrize("tuned", [("generic", "speed"), ("cortex-m3", "speed"), ("avr", "speed")])
def test_no_logit_of_few_bits_differs_under_any_compiler(
    tuned, compiler, amount, bundled, images, tmp_path
):
    plan = make_plan(on_grids(bundled, FEW_BITS["fc1 of 2 bits, rest 4"]), "int8")
    some = images[amount]
    expected = reference.run_integers(plan, some)["fc3"]
    command = COMPILERS[compiler]
    flags = ["-std=c99", *command[1:], *host_flags(tuned[0])]
    logits, self_test = run_program(
        lay_out(plan, *tuned), some, [require(command[0]), *flags], tmp_path
    )
    assert (logits != expected).sum() == 0
    assert self_test == 0


@pytest.mark.parametrize("examples", [30, *wide([200])])
def test_any_chain_of_known_stages_equals_jax(examples):
    dtype, tuned = st.sampled_from(["int8", "int8", "float32"]), st.sampled_from(TUNED)
    of_any_chain = given(model=chains(), dtype=dtype, tuned=tuned)(assert_a_chain_equals_jax)
    settings(
        max_examples=examples,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )(of_any_chain)()


def assert_a_chain_equals_jax(model: Model, dtype, tuned):
    try:
        plan = lay_out(make_plan(model, dtype), *tuned)
    except UserError as error:
        assume("too much larger" not in str(error))
        raise
    assert_equals_jax(plan, count=10)


def test_a_machine_without_the_instructions_says_so_and_names_the_remedy(int8_plan, monkeypatch):
    target = replace(CPUS["x86-64-v3"], features=("avx2", "no-such-feature"))
    monkeypatch.setitem(CPUS, "x86-64-v3", target)
    plan = lay_out(int8_plan, "x86-64-v3", "speed")
    with pytest.raises(UserError, match=r"(?s)lacks its instructions.*--no-verify"):
        CompiledNetwork(plan, render_c(plan, Options()))
