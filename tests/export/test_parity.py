"""The compiled C gives what JAX gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from few_bits import FEW_BITS, on_grids
from lenet_export import compiled, float_network, reference, verify
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

SANITIZE = ["-g1", "-O1", "-fno-sanitize-recover=all"]
COMPILERS = {
    "gcc -O0": ["gcc", "-O0"],
    "gcc -O3": ["gcc", "-O3"],
    "gcc -Os -funsigned-char": ["gcc", "-Os", "-funsigned-char"],
    "gcc -O3 -march=native -ffast-math": ["gcc", "-O3", "-march=native", "-ffast-math"],
    "gcc sanitizers": ["gcc", *SANITIZE, "-fsanitize=undefined,address"],
    "clang -O0": ["clang", "-O0"],
    "clang -O3": ["clang", "-O3"],
    "clang sanitizers": [
        *("clang", *SANITIZE, "-fsanitize=undefined,integer,address"),
        "-fno-sanitize=unsigned-integer-overflow",  # which is defined: rows to come, Arm's products
    ],
}


def can_run(cpu):
    """Whether this machine has the instructions of ``cpu``, or imitates them."""
    try:
        return runs_here(cpu)
    except UserError:  # no compiler
        return False


#: The last of the images, 200 of MNIST and those that are made to find differences, are what each
#: compiler gets, and one 1,000 of MNIST; in ``make test-all`` all get all. Kernels of their own get
#: fewer under sanitizers, and there 1,000 of MNIST besides. ``gcc -O0`` is what every other test's
#: libraries are compiled by.
SOME, MANY, ALL = slice(-644, None), slice(-1444, None), slice(None)
#: A quarter, and all that drive sums to their bounds.
MADE = np.r_[-444:-12:4, -12:0]
FIRST_AMOUNTS = [
    ("gcc -O3", MANY),
    *((name, SOME) for name in COMPILERS if name not in ("gcc -O0", "gcc -O3")),
]
AMOUNTS = [*FIRST_AMOUNTS, *wide((name, ALL) for name in COMPILERS)]
#: Of floats the lowest level and sanitizers keep what they keep of integers, and are slow.
FLOAT_AMOUNTS = [
    *(case for case in FIRST_AMOUNTS if case[0] != "clang -O0"),
    *wide((name, ALL) for name in COMPILERS if "-O3" in name),
]
#: Every CPU's kernels, each choice once. A machine without AVX-512 has no such tests: no package
#: would bring it. CPUs of little RAM have no room for these networks.
TUNED = [
    (cpu, optimize)
    for cpu in CPUS
    if not CPUS[cpu].ram and can_run(cpu)
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
        # Their floats are those of any AArch64, and of AVX2.
        own = cpu not in ("cortex-m4", "aarch64-dotprod", "x86-64-v3-vnni")
        is_own = optimize == "speed" and own and not blocked
        return is_own or case[2:] == ("cortex-m0", "flash")
    if name in ("one", "tall", "mlp", "gap") and cpu in ("cortex-m0", "cortex-m3", "riscv32"):
        return False  # They are blocked as an AVR's are.
    alike = cpu in ("aarch64", "riscv64gcv", "x86-64-v3-vnni")
    if alike and name not in ("lenet", "deep", "signed"):
        return False  # Their vectors are those of other CPUs, but for a product.
    return optimize == "speed" or name in ("lenet", "deep", "normed")


REST = [case for case in CASES if not is_first(case)]


@pytest.fixture(scope="module")
def images(mnist, int8_plan):
    """All 10,000 MNIST test images, and those that are made to find differences."""
    return np.concatenate([mnist[0], verify.stress_images(int8_plan, random=400)])


@pytest.mark.parametrize(("compiler", "amount"), AMOUNTS)
def test_no_int8_logit_differs_from_the_jax_reference(
    compiler, amount, int8_plan, images, tmp_path
):
    command, some = COMPILERS[compiler], images[amount]
    logits, self_test = run_program(
        int8_plan, some, [require(command[0]), "-std=c99", *command[1:]], tmp_path
    )
    assert logits.shape == (len(some), 10)
    assert (logits != reference.run_integers(int8_plan, some)["fc3"]).sum() == 0
    assert self_test == 0


@pytest.mark.parametrize(("compiler", "amount"), FLOAT_AMOUNTS)
def test_float32_is_flax_to_1e_4_and_gives_the_same_class(
    compiler, amount, bundled, images, mnist, tmp_path
):
    command, some = COMPILERS[compiler], images[amount]
    plan, floats = make_plan(bundled, "float32"), float_network.run_logits(bundled, some)
    logits, self_test = run_program(
        plan, some, [require(command[0]), "-std=c99", *command[1:]], tmp_path
    )
    assert np.abs(logits - floats).max() <= 1e-4
    is_real = np.arange(len(images))[amount] < len(mnist[0])
    assert (logits.argmax(1) != floats.argmax(1))[is_real].sum() == 0
    assert self_test == 0


@pytest.mark.parametrize("count", [2000, *wide([10_000])])
def test_int8_accuracy_is_within_0_05_points_of_float(count, int8_plan, bundled, mnist):
    images, labels = (of[:count] for of in mnist)
    integers = reference.run_integers(int8_plan, images)["fc3"]
    int8 = (integers.argmax(1) == labels).mean()
    float32 = (float_network.run_logits(bundled, images).argmax(1) == labels).mean()
    assert abs(int8 - float32) <= 0.0005
    assert float32 >= 0.98 + 0.01 * (count == len(mnist[1]))


#: The first choice of each CPU, and all of the one whose choices differ most.
FIRST_TUNED = [case for case in TUNED[1:] if case[1] == "speed" or case[0] == "cortex-m4"]
TUNED_AMOUNTS = [
    *((*case, "gcc sanitizers", MADE) for case in FIRST_TUNED),
    *wide((*case, "gcc sanitizers", SOME) for case in TUNED[1:]),
    *wide((*case, name, MANY) for case in TUNED[1:] for name in ("gcc -O3", "clang -O3")),
]


@pytest.mark.parametrize(("cpu", "optimize", "compiler", "amount"), TUNED_AMOUNTS)
def test_no_int8_logit_of_a_tuned_kernel_differs_from_the_jax_reference(
    cpu, optimize, compiler, amount, int8_plan, images, tmp_path
):
    plan, some = lay_out(int8_plan, cpu, optimize), images[amount]
    command = COMPILERS[compiler]
    flags = ["-std=c99", *command[1:], *host_flags(cpu)]
    logits, self_test = run_program(plan, some, [require(command[0]), *flags], tmp_path)
    assert (logits != reference.run_integers(plan, some)["fc3"]).sum() == 0
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
    # A border below may make more rows at once than a strip holds: they are not seen.
    assert name in ("pooled", "separable") or not any(np.isnan(v).any() for v in taps.values())


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


#: The activations, and slopes of their own.
FUNCTIONS = [*ACTIVATIONS, "leaky_relu(0.3)"]


@st.composite
def chains(draw):
    """Any chain that the plan knows, small enough to compile quickly."""
    shape = (draw(st.integers(1, 14)), draw(st.integers(1, 14)), draw(st.integers(1, 3)))
    stages, size = [], shape
    for place in range(draw(st.integers(0, 3))):
        padding = draw(st.sampled_from(["SAME", "VALID"]))
        limit = (5, 5) if padding == "SAME" else (min(5, size[0]), min(5, size[1]))
        kernel = (draw(st.integers(1, limit[0])), draw(st.integers(1, limit[1])))
        kind = draw(st.sampled_from(["conv", "conv", "depthwise", *["pool"] * (place > 0)]))
        features = draw(st.sampled_from([1, 2, 3, 4, 8, 16]))
        if kind != "conv":
            features = size[2] * (draw(st.integers(1, 2)) if kind == "depthwise" else 1)
        if padding == "VALID" and draw(st.booleans()):
            sides = [side for side in kernel for _ in range(2)]
            padding = ",".join(str(draw(st.integers(0, side - 1))) for side in sides)
        stage = Stage(f"conv{place}", kind, features, kernel=kernel, padding=padding)
        down, across = (draw(st.integers(1, side)) for side in kernel)
        down = min(down, across) if draw(st.booleans()) else down
        across = down if down <= across and draw(st.booleans()) else across
        stage = replace(stage, stride=down, column_stride=across if across != down else 0)
        if kind == "pool":
            stages.append(replace(stage, pool=draw(st.sampled_from(list(POOLS)))))
            size = stages[-1].output_shape(size)
            continue
        stage = replace(stage, activation=draw(st.sampled_from(FUNCTIONS)))
        rows, columns, _ = stage.conv_shape(size)
        pool_size = draw(st.integers(1, min(6, rows, columns)) | st.just(min(16, rows, columns)))
        pool = "none" if pool_size == 1 else draw(st.sampled_from(list(POOLS)))
        norm = draw(st.sampled_from(["none", "none", "layer"]))
        stages.append(replace(stage, pool=pool, pool_size=pool_size, norm=norm))
        size = stages[-1].output_shape(size)
    for place in range(draw(st.integers(0, 2))):
        activation = draw(st.sampled_from(FUNCTIONS))
        norm = draw(st.sampled_from(["none", "layer"]))
        stages.append(Stage(f"fc{place}", "dense", draw(st.integers(1, 9)), activation, norm=norm))
    stages.append(Stage("last", "dense", draw(st.integers(2, 5))))
    bits = draw(st.just(["8"] * len(stages)) | st.tuples(*[st.sampled_from(BITS)] * len(stages)))
    bits = [
        "8" if stage.norm == "layer" or not stage.learns else b
        for stage, b in zip(stages, bits, strict=True)
    ]
    spread = draw(st.sampled_from([0.3, 2, 9]))
    model = random_model(stages, shape, draw(st.integers(0, 99)), spread)
    if draw(st.booleans()):
        for stage in filter(lambda stage: stage.learns, stages):  # A channel that was pruned.
            model.params[f"{stage.name}/kernel"][..., 1:2] = 0
    return on_grids(model, bits)


#: Once wrong: a block of 16 channels, of which one was called as the values are; a pool of 12.
SIZES = [(16, 1), (2, 12), (3, 5)]
WIDE_BLOCKS = [(features, size, tuned) for features, size in SIZES for tuned in TUNED]
OF_ALL = [case for case in WIDE_BLOCKS if case[0] == 16 or case[2][1] == "speed"]


@pytest.mark.parametrize(
    ("features", "pool_size", "tuned"),
    [*OF_ALL, *wide(case for case in WIDE_BLOCKS if case not in OF_ALL)],
)
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


#: Kernels that read weights of few bits each in a way of its own.
READERS = [(cpu, "speed") for cpu in ("generic", "cortex-m3", "avr", "cortex-m55")]

#: Each width with each of these, and one with every kernel.
WIDTH_CASES = [(bits, tuned) for bits in GRIDS for tuned in TUNED]
FIRST_WIDTHS = [case for case in WIDTH_CASES if case[0] == "2" or case[1] in READERS]


@pytest.mark.parametrize(
    ("bits", "tuned"),
    [*FIRST_WIDTHS, *wide(case for case in WIDTH_CASES if case not in FIRST_WIDTHS)],
)
def test_weights_of_each_width_equal_jax_with_every_kernel(bits, tuned):
    model = on_grids(random_model(WIDTHS, (9, 8, 1)), [bits] * len(WIDTHS))
    assert_equals_jax(lay_out(make_plan(model, "int8"), *tuned), count=10)


@pytest.mark.parametrize(
    ("tuned", "compiler", "amount"),
    [
        (READERS[0], "clang -O3", SOME),
        *((tuned, "clang sanitizers", MADE) for tuned in READERS[1:3]),
        *wide(
            (tuned, f"{name} {kind}", MANY)
            for tuned in READERS
            for name in ("gcc", "clang")
            for kind in ("-O3", "sanitizers")
        ),
    ],
)
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


#: Networks of which gcc 12, of -O2 and position-independent, dropped the stores of a row.
DROPPED = [
    (8, (1, 2), 1, (1, 4, 2)),
    (8, (1, 2), 1, (4, 12, 2)),
    (8, (2, 2), 1, (2, 8, 4)),
    (16, (1, 2), 1, (2, 8, 4)),
    (16, (2, 2), 2, (2, 8, 4)),
]


@pytest.mark.parametrize(("channels", "kernel", "stride", "shape"), DROPPED)
def test_a_row_that_is_stored_is_read(channels, kernel, stride, shape, tmp_path):
    norm = Stage("conv1", "conv", channels, "relu", kernel, "VALID", norm="layer", stride=stride)
    plan = make_plan(random_model((norm, Stage("last", "dense", 5)), shape), "int8")
    images = verify.stress_images(plan, random=10)
    command = [require("gcc"), "-std=c99", "-O2", "-fPIC"]
    logits, self_test = run_program(plan, images, command, tmp_path)
    np.testing.assert_array_equal(logits, reference.run_integers(plan, images)["last"])
    assert self_test == 0


@pytest.mark.parametrize("examples", [12, *wide([120])])
def test_any_chain_of_known_stages_equals_jax(examples):
    dtype, tuned = st.sampled_from(["int8", "int8", "float32"]), st.sampled_from(TUNED)
    level = st.sampled_from(["-O0", "-O2", "-O3"])
    of_any_chain = given(model=chains(), dtype=dtype, tuned=tuned, level=level)(
        assert_a_chain_equals_jax
    )
    settings(
        max_examples=examples,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )(of_any_chain)()


#: Compilers of other machines, and what runs their programs here.
MACHINES = {
    "aarch64-linux-gnu-gcc": "qemu-aarch64",
    "arm-linux-gnueabi-gcc": "qemu-arm",
    "powerpc-linux-gnu-gcc": "qemu-ppc",
}


@pytest.mark.parametrize(("compiler", "examples"), [*wide((name, 25) for name in MACHINES)])
def test_any_chain_in_plain_c_equals_jax_on_another_machine(compiler, examples, tmp_path):
    emulator, level = [require(MACHINES[compiler])], st.sampled_from(["-O2", "-O3"])

    @settings(max_examples=examples, phases=[Phase.generate], deadline=None)
    @given(model=chains(), level=level)
    def equals_jax(model, level):
        plan = planned(model, "int8", "generic", "speed")
        images = verify.stress_images(plan, random=10)
        command = [require(compiler), "-std=c99", level, "-static"]
        logits, self_test = run_program(plan, images, command, tmp_path, emulator)
        expected = reference.run_integers(plan, images)[plan.layers[-1].name]
        # PowerPC gives its highest byte first.
        order = ">" if compiler.startswith("powerpc") else "<"
        assert (logits.view(f"{order}i4") != expected).sum() == 0
        assert self_test == 0

    equals_jax()


def planned(model: Model, dtype, cpu, optimize):
    """The plan of a drawn chain; what is refused for good reason is not drawn."""
    try:
        return lay_out(make_plan(model, dtype), cpu, optimize)
    except UserError as error:
        assume("too much larger" not in str(error))
        raise


def assert_a_chain_equals_jax(model: Model, dtype, tuned, level):
    plan = planned(model, dtype, *tuned)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "FLAGS", ("-std=c99", level))
        assert_equals_jax(plan, count=10)


def test_a_machine_without_the_instructions_says_so_and_names_the_remedy(int8_plan, monkeypatch):
    target = replace(CPUS["x86-64-v3"], features=("avx2", "no-such-feature"))
    monkeypatch.setitem(CPUS, "x86-64-v3", target)
    plan = lay_out(int8_plan, "x86-64-v3", "speed")
    with pytest.raises(UserError, match=r"(?s)lacks its instructions.*--no-verify"):
        CompiledNetwork(plan, render_c(plan, Options()))
