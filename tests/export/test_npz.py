"""The weights dump is enough to compute the network: this does, without lenet_export."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from few_bits import on_grids
from lenet_export import reference, verify
from lenet_export.checkpoint import GRIDS
from lenet_export.outputs.npz import render_npz
from lenet_export.plan import make_plan

from .networks import CHAINS, named_model


def compute(data, images):
    """The network as README inside the file tells it, in plain NumPy."""
    is_int = str(data["dtype"]) == "int8"
    x = images.astype(np.int64 if is_int else np.float64)
    for name in data["layers"]:
        layer = {key.split("/")[1]: data[key] for key in data.files if key.startswith(f"{name}/")}
        if layer["kind"] == "pool":
            x = pool_of_its_own(x, layer, is_int)
            continue
        weight, bias = layer["weight"].astype(x.dtype), layer["bias"].astype(x.dtype)
        if layer["kind"] in ("conv", "depthwise"):
            x = np.pad(x, ((0, 0), *layer["padding"], (0, 0)), constant_values=layer["border"])
            window = np.lib.stride_tricks.sliding_window_view(x, weight.shape[1:3], axis=(1, 2))
            down, across = np.broadcast_to(layer["stride"], 2)
            window = window[:, ::down, ::across]
            if layer["kind"] == "depthwise":
                window = np.repeat(window, len(weight) // window.shape[3], axis=3)
                acc = np.einsum("nyxcij,cij->nyxc", window, weight[..., 0]) + bias
            else:
                acc = np.einsum("nyxkij,cijk->nyxc", window, weight) + bias
        else:
            acc = x.reshape(len(x), -1) @ weight.T + bias
        if is_int:
            assert (layer["acc_min"] <= acc).all()
            assert (acc <= layer["acc_max"]).all()
        if layer["norm"] == "layer":
            assert not is_int or layer["acc_min"].min() >= 0
            acc = layer_norm(acc, layer, told(data)) if is_int else float_norm(acc, layer)
        if is_int and "gain" in layer:
            index = (acc * layer["gain"].astype(np.int64)) >> layer["shift"]
            index = np.minimum(np.maximum(index, 0), layer["top"])
            acc = layer["table"][index].astype(np.int64) if "table" in layer else index
        elif not is_int:
            acc = function(str(layer["activation"]), str(data["README"]))(acc)
        size = int(layer["pool_size"])
        if size > 1:
            n, rows, columns, channels = acc.shape
            acc = acc[:, : rows // size * size, : columns // size * size]
            acc = acc.reshape(n, rows // size, size, columns // size, size, channels)
            if layer["pool"] == "max":
                acc = acc.max((2, 4))
            elif is_int:
                acc = (acc.sum((2, 4)) + size * size // 2) // (size * size)
            else:
                acc = acc.mean((2, 4))
        x = acc
    return x


def pool_of_its_own(x, layer, is_int):
    """A pool whose windows overlap or are no squares, as README tells it."""
    x = np.pad(x, ((0, 0), *layer["padding"], (0, 0)), constant_values=layer["border"])
    windows = np.lib.stride_tricks.sliding_window_view(x, tuple(layer["window"]), axis=(1, 2))
    down, across = layer["strides"]
    windows = windows[:, ::down, ::across]
    if layer["pool"] == "max":
        return windows.max((4, 5))
    count = int(np.prod(layer["window"]))
    return (windows.sum((4, 5)) + count // 2) // count if is_int else windows.mean((4, 5))


def function(name, readme):
    """An activation, by its formula in README: Python, with the functions of NumPy."""
    if name == "none":
        return lambda z: z
    name, _, slope = name.rstrip(")").partition("(")
    formula = re.search(rf"^    {name}\(z\) = (.*)$", readme, re.MULTILINE)[1]
    formula = formula.replace("0.01", slope or "0.01")
    return lambda z: eval(formula, {"__builtins__": {}}, vars(np) | {"z": z})


def float_norm(acc, layer):
    deviation = np.sqrt(acc.var(-1, keepdims=True) + 1e-6)
    return (acc - acc.mean(-1, keepdims=True)) / deviation * layer["norm_gain"] + layer["norm_bias"]


def told(data):
    """What README says of the numbers of a norm: by name the smallest and the largest."""
    section = str(data["README"]).split("Its numbers for any input")[1].split("float32.")[0]
    lines = re.findall(r"^    (\S[\w, ]*?) +(-?\d+) to (\d+)$", section, re.M)
    ranges = {n: (int(low), int(high)) for names, low, high in lines for n in names.split(", ")}
    assert ranges.keys() == {"u", "near", "mean", "d", "x", "root", "e"}
    return ranges


def layer_norm(acc, layer, ranges):
    """LayerNorm in integers, as README tells it; no number leaves what README says of it."""
    drop, factor, mean_shift, least = (
        int(layer[key]) for key in ("drop", "factor", "mean_shift", "least")
    )

    def checked(name, values):
        assert ranges[name][0] <= values.min(), name
        assert values.max() <= ranges[name][1], name
        return values

    u = checked("u", acc >> drop)
    total = u.sum(-1, keepdims=True)
    near = checked("near", total * factor >> mean_shift)
    rest = total - acc.shape[-1] * near
    mean = checked("mean", near + (rest * factor + (1 << mean_shift) // 2 >> mean_shift))
    d = checked("d", u - mean)
    x, places = checked("x", (d * d).sum(-1, keepdims=True) + least), 0
    for _ in range(15):
        is_small = x < 2**30
        x, places = checked("x", np.where(is_small, 4 * x, x)), places + is_small
    root = checked("root", approximate_root(x >> 16))
    e = checked("e", d * root + (32768 << 16 - places))
    share = e >> 16 - places
    return layer["norm_bias"].astype(np.int64) + layer["norm_gain"].astype(np.int64) * share


def approximate_root(x):
    """2**15 / sqrt(x / 2**14), as README tells it."""
    root = 35000 - (x * 5000 >> 14)
    for _ in range(2):
        root = root * (98304 - (x * (root * root >> 15) >> 14)) >> 16
    return root


def test_the_root_of_a_norm_is_in_its_range_and_reaches_both_ends():
    data = np.load(io.BytesIO(render_npz(make_plan(named_model("normed"), "int8"))))
    root = approximate_root(np.arange(2**14, 2**16))
    assert (root.min(), root.max()) == told(data)["root"]


@pytest.mark.parametrize("bits", GRIDS)
def test_the_dump_of_few_bits_holds_their_integers(bits):
    plan = make_plan(on_grids(named_model("deep"), [bits] * 4), "int8")
    data = np.load(io.BytesIO(render_npz(plan)), allow_pickle=False)
    images = verify.stress_images(plan, random=20)
    assert (compute(data, images) == reference.network(plan, images)["head"]).all()
    for layer in plan.layers:
        assert str(data[f"{layer.name}/bits"]) == bits
        assert set(data[f"{layer.name}/weight"].flat) <= {*range(-7, 8)}


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("name", CHAINS)
def test_the_dump_computes_what_the_reference_does(name, dtype):
    plan = make_plan(named_model(name), dtype)
    data = np.load(io.BytesIO(render_npz(plan)), allow_pickle=False)
    images = verify.stress_images(plan, random=20)
    expected = reference.network(plan, images)[plan.layers[-1].name]
    difference = np.abs(compute(data, images) - expected).max()
    assert difference == 0 if dtype == "int8" else difference < 1e-9


def test_every_key_of_the_dump_is_in_its_documentation(int8_plan):
    data = np.load(io.BytesIO(render_npz(int8_plan)), allow_pickle=False)
    readme = str(data["README"])
    for key in data.files:
        assert key == "README" or key.rpartition("/")[2] in readme, key


def test_the_dump_holds_the_bounds_and_scales_of_every_layer(int8_plan):
    data = np.load(io.BytesIO(render_npz(int8_plan)), allow_pickle=False)
    for layer in int8_plan.layers:
        assert (data[f"{layer.name}/acc_max"] == layer.integers.acc_max).all()
        assert (data[f"{layer.name}/weight_scale"] == layer.integers.weight_scale).all()
        assert data[f"{layer.name}/weight"].dtype == np.int8
