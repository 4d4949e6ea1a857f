"""Any nn.Sequential of known layers is read, exported and proven; an unknown one is named."""

from __future__ import annotations

import json
from functools import partial

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import lenet_export
from lenet_export import UserError, float_network
from lenet_export.checkpoint import Stage
from lenet_export.readers.registry import read
from needs import wide
from variables import drawn_for

MAX = partial(nn.max_pool, window_shape=(2, 2), strides=(2, 2))


def flatten(x):
    return x.reshape(x.shape[0], -1)


def cifar(train):
    """Small colour images: batch normalization, a name of the user's, a mean over the map."""
    norm = partial(nn.BatchNorm, use_running_average=not train)
    return nn.Sequential(
        [
            nn.Conv(8, (3, 3), use_bias=False, name="stem"),
            norm(),
            nn.relu,
            MAX,
            nn.Conv(12, (3, 3), strides=2, padding=((0, 1), (0, 1))),
            nn.relu,
            nn.Sequential([nn.Conv(16, (3, 3)), norm(use_scale=False, epsilon=1e-3)]),
            nn.gelu,
            lambda x: x.mean((1, 2)),
            nn.Dense(10),
        ]
    )


def keywords(train):
    """Keywords in a spectrogram of 49 times by 40 bands; the maximum before its activation."""
    return nn.Sequential(
        [
            nn.Conv(6, (9, 4), strides=(2, 2), padding="VALID"),
            MAX,
            nn.tanh,
            nn.Dropout(0.5, deterministic=not train),
            nn.Conv(8, (3, 3), padding=1),
            nn.LayerNorm(use_bias=False),
            jax.nn.sigmoid,
            lambda x: nn.avg_pool(x, (3, 3), strides=(3, 3)),
            flatten,
            nn.Dense(24),
            nn.BatchNorm(use_running_average=not train),
            lambda x: 1.7159 * jnp.tanh(2 / 3 * x),
            nn.Dense(12),
        ]
    )


SHAPES = {cifar: (32, 32, 3), keywords: (49, 40, 1)}


@pytest.fixture(params=SHAPES, ids=lambda make: make.__name__)
def make(request):
    return request.param


def variables_of(make):
    """The variables of ``make`` with statistics that are not those of the start."""
    rng = np.random.default_rng(0)
    variables = drawn_for(make(False), SHAPES[make])

    def moved(path, value):
        name = path[-1].key
        new = rng.uniform(0.2, 2, value.shape) if name == "var" else value
        return (new + rng.normal(0, 0.2, value.shape) * (name in ("mean", "bias"))).astype("f4")

    return jax.tree_util.tree_map_with_path(moved, variables)


def images_of(make, count=40):
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, *SHAPES[make])).astype(np.uint8)


@pytest.mark.parametrize("train", [False, True])
def test_a_chain_is_read_from_the_module_as_trained_or_not(make, train):
    variables, images = variables_of(make), images_of(make)
    model = read(make(train), variables, SHAPES[make]).model
    logits = float_network.run_logits(model, images)
    expected = jax.jit(make(False).apply)(variables, images.astype(np.float32) / 255)
    assert np.abs(logits - expected).max() < 1e-4 * max(1, np.abs(expected).max())


def test_what_was_read_is_told_layer_by_layer():
    stages = read(cifar(False), variables_of(cifar), SHAPES[cifar]).model.stages
    assert stages == (
        Stage("stem", "conv", 8, "relu", (3, 3), "SAME", "max", 2),
        Stage("conv2", "conv", 12, "relu", (3, 3), "SAME", stride=2),
        Stage("conv3", "conv", 16, "gelu", (3, 3), "SAME", "avg", 8),
        Stage("fc1", "dense", 10),
    )


@pytest.mark.parametrize(
    ("dtype", "cpu"),
    [
        *(("float32", "generic"), ("int8", "cortex-m4")),
        *wide([("float32", "cortex-m4"), ("int8", "generic")]),
    ],
)
def test_it_is_exported_and_no_logit_differs(make, dtype, cpu, tmp_path):
    images = images_of(make)
    logits = jax.jit(make(False).apply)(variables_of(make), images / np.float32(255))
    labels = np.argmax(logits, -1)
    exported = lenet_export.export(
        make(False), variables_of(make), SHAPES[make], tmp_path,
        images=images, labels=labels, dtype=dtype, cpu=cpu, prefix="own",
    )  # fmt: skip
    assert {path.name for path in exported.files} == {"own.c", "own.h", "own.json"}
    assert all(path.read_bytes() for path in exported.files)
    assert exported.report.verified.real_images == len(images)
    assert exported.report.verified.largest_difference <= (0 if dtype == "int8" else 1e-4 * 10)
    assert exported.plan.model.gap_table.images == len(images)
    if dtype == "int8":
        assert exported.report.verified.same_class >= 0.8 * len(images)


def started(module, shape):
    return module.init(jax.random.key(0), jnp.zeros((1, *shape)))


def refused(layers, shape=(12, 12, 1), change=lambda variables: variables, variables=drawn_for):
    module = nn.Sequential(layers)
    with pytest.raises(UserError) as caught:
        read(module, change(variables(module, shape)), shape)
    return str(caught.value)


CONV, DENSE = partial(nn.Conv, 4, (3, 3)), partial(nn.Dense, 3)


HEAD = [nn.relu, flatten]
HALF = partial(nn.avg_pool, window_shape=(2, 2), strides=(2, 2))


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ([CONV(), nn.relu, nn.Sequential([jnp.sin])], "layers_2/layers_0, sin: does what no known"),
        ([nn.relu, CONV()], "layers_0, relu: is in front of the first layer that learns"),
        ([flatten, nn.relu], "layers_1, relu: is in front of the first layer that learns"),
        ([flatten], "the network: has no layer that learns"),
    ],
)
def test_an_unknown_layer_is_named_with_its_place(layers, says):
    text = refused(layers)
    assert says in text
    assert "supported: convolutions, dense layers, BatchNorm" in text


@pytest.mark.parametrize(
    ("layers", "says", "remedy"),
    [
        ([CONV(), partial(nn.gelu, approximate=False)], "is the exact GELU", "approximate=True"),
        ([CONV(), lambda x: nn.leaky_relu(x, 1.5)], "is a ReLU with the slope 1.5", "between 0"),
        ([CONV(), lambda x: nn.leaky_relu(x, -1.5)], "is a ReLU with the slope -1.5", "leaky_relu"),
        ([CONV(), nn.selu], "is SELU", "take nn.relu"),
        ([CONV(), nn.hard_tanh], "is hard_tanh", "take nn.tanh"),
        ([CONV(), *HEAD, DENSE(), nn.relu], "has the activation relu", "leave the activation"),
        ([CONV(), nn.GroupNorm(2)], "layers_1, GroupNorm: is a GroupNorm", "supported: BatchNorm"),
        ([CONV(), nn.LayerNorm(), jax.nn.mish], "layers_2, mish: is mish", "take nn.relu"),
        ([nn.Conv(4, (3, 3), kernel_dilation=2)], "layers_0, Conv: has a dilation", "strides"),
        (
            [nn.Conv(4, (3, 3), padding="CIRCULAR")],
            "Conv: puts parts of what it reads around",
            "SAME",
        ),
        ([nn.ConvTranspose(4, (3, 3), (2, 2))], "is a transposed convolution", "take nn.Conv"),
        ([CONV(), lambda x: nn.max_pool(x, (2, 2))], "ends in a maximum over a map", "a dense"),
        (
            [CONV(), lambda x: nn.max_pool(x, (2, 3), (3, 3))],
            "is a pool of 2x3 that moves on by 3x3, and leaves numbers out",
            "strides up to its window",
        ),
        (
            [CONV(), lambda x: nn.max_pool(x, (5, 5), (5, 5), ((5, 1), (1, 2)))],
            "is a pool of 5x5 with a border of (5, 1) rows and (1, 2) columns",
            "a border of less than its window",
        ),
        (
            [CONV(), MAX, nn.gelu],
            "gelu: is behind the maximum pool of conv1, and falls",
            "in front",
        ),
        (
            [CONV(), nn.LayerNorm(), HALF, nn.tanh, flatten, DENSE()],
            "tanh: is an activation behind the mean pool",
            "in front of",
        ),
        ([CONV(), nn.relu, nn.tanh], "layers_2, tanh: is a second activation", "leave one of them"),
        (
            [CONV(), nn.relu, lambda x: x + 1, CONV()],
            "layers_3, Conv: has a border of zeros, and reads what conv1 gives with a sum added",
            "in front of the activation",
        ),
        (
            [CONV(), nn.relu, lambda x: 1 - x, MAX, CONV()],
            "layers_3, max_pool: is a maximum pool of what is scaled by a negative number",
            "in front of the activation of conv1",
        ),
        ([CONV(), nn.relu, nn.LayerNorm()], "is behind the activation of conv1", "between conv1"),
        ([CONV(), nn.LayerNorm(), nn.LayerNorm()], "is behind the norm of conv1", "between conv1"),
        ([CONV(), MAX, nn.LayerNorm()], "is behind the pool of conv1", "between conv1 and its act"),
        ([CONV(), CONV()], "is behind conv1, which has no activation", "two linear layers are as"),
        ([CONV(), MAX, CONV()], "is behind conv1, which has no activation", "put one between them"),
    ],
)
def test_a_layer_that_is_often_met_is_told_what_it_is_and_what_to_do(layers, says, remedy):
    what, do = refused(layers).split("\n")
    assert says in what + "\n"
    assert remedy in do


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ([CONV(), flatten, nn.LayerNorm()], "layers_2, LayerNorm: is a LayerNorm that is not"),
        ([CONV(dtype=jnp.bfloat16)], "layers_0, Conv: computes in bfloat16; give it dtype=None"),
        ([CONV(), nn.LayerNorm(dtype="float16")], "layers_1, LayerNorm: computes in float16"),
        (
            [CONV(kernel_init=nn.initializers.constant(np.inf))],
            "has parameters that are not finite",
        ),
    ],
)
def test_a_layer_that_cannot_be_taken_as_it_is_says_why(layers, says):
    assert says in refused(layers, variables=started).replace("\n  ", "; ")


@pytest.mark.parametrize("bound", [1.0, 20.0, 1000.0])
def test_a_function_that_is_known_only_near_0_is_refused(bound):
    text = refused([CONV(), lambda x: jnp.clip(x, 0, bound), flatten, nn.Dense(3)])
    assert "layers_1" in text
    assert "does what no known function does" in text


def test_variables_may_be_frozen(tmp_path):
    module = nn.Sequential([flatten, nn.Dense(3), nn.BatchNorm(True), nn.sigmoid, nn.Dense(2)])
    variables = flax.core.freeze(drawn_for(module, (4, 4, 1)))
    lenet_export.export(module, variables, [4, np.int64(4), 1], tmp_path)
    assert (tmp_path / "lenet.c").exists()


@pytest.mark.parametrize("shape", [(8, 8, 8, 1), (70_000, 1, 1), (8, 0, 1), (8.0, 8.0, 1.0), "28"])
def test_what_is_no_shape_of_an_image_is_told(shape, tmp_path):
    module = nn.Sequential([flatten, nn.Dense(3)])
    with pytest.raises(UserError, match=r"^input_shape: is "):
        lenet_export.export(module, {}, shape, tmp_path / "out")


def test_other_parameters_and_other_things_are_told():
    told = refused([CONV()], change=lambda _: {"params": {"layers_0": {"kernel": np.ones(3)}}})
    assert "params: are not those of the network: 2 differ" in told
    assert "params/layers_0/kernel: expected (3, 3, 1, 4), found (3,)" in told
    assert "params/layers_0/bias: expected (4,), found -" in told
    with pytest.raises(UserError, match=r"int: is not a network.*\n  give a module of flax.linen"):
        read(3, {}, (4, 4, 1))


def test_images_that_leave_a_layer_dead_are_told(tmp_path):
    module = nn.Sequential([flatten, nn.Dense(4), nn.relu, nn.Dense(3)])
    variables = drawn_for(module, (8, 8, 1))
    variables["params"]["layers_1"]["bias"] -= 1e3
    export = partial(lenet_export.export, module, variables, (8, 8, 1), tmp_path / "out")
    with pytest.raises(UserError, match="fc1: gives nothing above 0 for any of 4 images"):
        export(images=FOUR)
    assert not (tmp_path / "out").exists()
    assert export(images=FOUR, dtype="float32").report.verified.largest_difference < 1e-4


def test_int8_needs_images_only_for_ranges_that_are_not_bounded(tmp_path):
    shape = (8, 8, 1)
    for activation in (nn.sigmoid, nn.relu):
        module = nn.Sequential([flatten, nn.Dense(4), activation, nn.Dense(3)])
        variables = drawn_for(module, shape)
        export = partial(lenet_export.export, module, variables, shape, tmp_path)
        if activation is nn.relu:
            with pytest.raises(UserError, match="are needed for the range of relu in int8"):
                export()
            export(dtype="float32")
        else:
            export()


FOUR = np.arange(256, dtype=np.uint8).reshape(4, 8, 8, 1)


def test_single_file_is_true_or_false_of_any_type(tmp_path):
    module = nn.Sequential([flatten, nn.Dense(3)])
    variables = drawn_for(module, (8, 8, 1))
    export = partial(lenet_export.export, module, variables, (8, 8, 1), tmp_path, verify=False)
    for given in (True, np.bool_(True), 1):
        export(single_file=given)
        assert json.loads((tmp_path / "lenet.json").read_text())["single_file"] is True


def test_the_share_of_errors_is_printed_as_a_number_of_any_type(tmp_path):
    module = nn.Sequential([flatten, nn.Dense(3)])
    variables = drawn_for(module, (8, 8, 1))
    images = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1)).astype(np.uint8)
    labels = np.asarray(module.apply(variables, images / 255)).argmax(axis=1)
    export = partial(lenet_export.export, module, variables, (8, 8, 1), images=images)
    for max_error in (0.5, np.float64(0.5), np.float32(0.5)):
        export(tmp_path, labels=labels, max_error=max_error, verify=False)
        assert "max_error=0.5)\n" in (tmp_path / "lenet.h").read_text()


def test_functions_that_give_no_array_or_fail_are_told():
    assert "gives tuple, expected an array" in refused_here([CONV(), lambda x: (x, x)])
    assert "gives the same for every image" in refused_here([CONV(), lambda x: 1.0])  # noqa: ARG005
    assert "fails on an input" in refused_here([CONV(), lambda x: x if len(x) == 4 else 1 / 0])


def refused_here(layers):
    """As ``refused``, of a Sequential that Flax itself could not run."""
    module = nn.Sequential(layers)
    variables = drawn_for(nn.Sequential(layers[:1]), (12, 12, 1))
    with pytest.raises(UserError) as caught:
        read(module, variables, (12, 12, 1))
    return str(caught.value)


def test_a_number_that_a_user_took_for_a_name_is_left_to_it():
    layers = [CONV(name="conv2"), nn.relu, CONV(), nn.relu, flatten, DENSE()]
    module = nn.Sequential(layers)
    model = read(module, drawn_for(module, (12, 12, 1)), (12, 12, 1)).model
    assert [stage.name for stage in model.stages] == ["conv2", "conv3", "fc1"]


def test_a_layer_is_not_called_as_a_norm_is():
    layers = [nn.Conv(4, (3, 3), name="a"), nn.LayerNorm(), nn.relu, flatten, DENSE(name="a_norm")]
    assert "its name is that of another layer's norm" in refused(layers)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"images": np.zeros((3, 8, 8, 1))}, "images: are float64 (3, 8, 8, 1)"),
        ({"images": np.zeros((3, 8, 7), np.uint8)}, "images: are uint8 (3, 8, 7)"),
        ({"images": np.zeros((0, 8, 8, 1), np.uint8)}, "images: are uint8 (0, 8, 8, 1)"),
        ({"labels": np.zeros(3)}, "labels: are given without images"),
        ({"labels": np.zeros(3), "images": FOUR}, "labels: have the shape (3,)"),
        (
            {"labels": [[0], [0, 1], [2], [2]], "images": FOUR},
            "labels: have the shape of rows that differ in length",
        ),
        ({"dtype": "int4"}, "dtype: is 'int4'; give one of int8, float32"),
        ({"cpu": "z80"}, "cpu: is 'z80'; give one of generic, "),
        ({"optimize": "size"}, "optimize: is 'size'; give one of speed, ram, flash"),
        ({"prefix": "int"}, "cannot begin the names"),
        ({"prefix": None}, "prefix None: cannot begin the names"),
        ({"max_error": 0.1}, "max_error 0.1: is chosen by images with labels, and there are none"),
        ({"max_error": 2}, "max_error: is 2"),
        ({"max_error": "few"}, "max_error: is 'few'"),
        (
            {"labels": np.full(4, 3), "images": FOUR},
            "labels: label 0 is 3, and the model has 3 classes",
        ),
        (
            {"labels": np.full(4, 0.5), "images": FOUR},
            "labels: are float64, expected whole numbers; give labels of 0 to 2",
        ),
        ({"cpu": ["avr"]}, "cpu: is ['avr']"),
        ({"out": None}, "out: is None"),
        ({"input_shape": ((8,), 8, 1)}, "input_shape: is ((8,), 8, 1)"),
        ({"params": None}, "params: are None; give the variables of module.init"),
        ({"params": {"params": None}}, "params: are not those of the network: 1 differ"),
        ({"params": {"layers_1": {"kernel": 1j * np.ones((64, 3))}}}, "has complex parameters"),
    ],
)
def test_wrong_arguments_are_told_and_nothing_is_written(arguments, says, tmp_path):
    module = nn.Sequential([flatten, nn.Dense(3, use_bias=False)])
    variables = drawn_for(module, (8, 8, 1))
    rest = {"params": variables, "input_shape": (8, 8, 1), "out": tmp_path / "out"} | arguments
    with pytest.raises(UserError) as caught:
        lenet_export.export(module, **rest)
    assert says in str(caught.value).replace("\n  ", "; ")
    assert not (tmp_path / "out").exists()
