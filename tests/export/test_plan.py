"""Float networks become integers: scales, bounds, thresholds."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest
from flax import linen as nn

from few_bits import FEW_BITS, on_grids
from lenet_export import reference, verify
from lenet_export.activations import ACTIVATIONS
from lenet_export.checkpoint import GRIDS, Stage
from lenet_export.errors import UserError
from lenet_export.gap_table import BETWEEN, GapRow, GapTable
from lenet_export.layer_norm import GAIN_MAX
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import check_plan, make_plan

from .networks import CHAINS, DEEP, MLP, named_model, random_model


@pytest.fixture(params=[*CHAINS, *GRIDS])
def any_plan(request):
    """The plan of each chain, and of one with weights of fewer bits."""
    if request.param in GRIDS:
        return make_plan(on_grids(named_model("deep"), [request.param] * 4), "int8")
    return make_plan(named_model(request.param), "int8")


def worst_inputs(layer, channel):
    """The inputs of a layer that drive one channel's accumulator to its two bounds."""
    weight = layer.weight[channel]
    return 255 * (weight > 0), 255 * (weight < 0)


def test_the_bounds_are_reached_by_the_worst_input_of_every_channel(any_plan):
    for layer in (layer for layer in any_plan.layers if layer.stage.learns):
        bare = dataclasses.replace(
            layer,
            stage=dataclasses.replace(layer.stage, padding="VALID", pool="none"),
            input_shape=layer.weight.shape[1:],
        )
        for channel in range(layer.stage.features):
            most, least = worst_inputs(layer, channel)
            found = [
                reference.accumulate(bare, np.asarray(x, np.int32)[None], np).reshape(-1)[channel]
                for x in (most, least)
            ]
            assert found == [layer.integers.acc_max[channel], layer.integers.acc_min[channel]]


def test_no_accumulator_of_any_image_leaves_its_bounds(int8_plan):
    x = verify.stress_images(int8_plan, random=40).astype(np.int32)
    for layer in int8_plan.layers:
        acc = reference.accumulate(layer, x, np)
        assert (acc <= layer.integers.acc_max).all()
        assert (acc >= layer.integers.acc_min).all()
        x = reference.pool(layer, reference.activate(layer, acc, np))


def test_the_printed_bounds_are_those_of_the_plan(int8_plan):
    text = render_c(int8_plan, Options())["lenet.c"].decode()
    for layer in int8_plan.layers:
        low, high = layer.integers.acc_min.min(), layer.integers.acc_max.max()
        assert f"{low:,} <= acc <= {high:,} for every".replace(",", " ") in text


def without_norm(plan):
    """The hidden layers whose accumulators are scaled to the index."""
    return [layer for layer in plan.layers[:-1] if layer.stage.learns and not layer.norm]


def test_a_weight_scale_is_exactly_what_gain_and_shift_stand_for(any_plan):
    for layer in without_norm(any_plan):
        integers, requantize = layer.integers, layer.integers.requantize
        steps = integers.weight_scale * integers.input_scale * requantize.activation.steps
        assert np.allclose(steps, requantize.gain / 2.0**requantize.shift, rtol=1e-12, atol=0)


def test_no_product_of_accumulator_and_gain_overflows_and_the_shift_is_the_largest(any_plan):
    for layer in without_norm(any_plan):
        gain = layer.integers.requantize.gain.astype(np.int64)
        bounds = np.maximum(np.abs(layer.integers.acc_min), np.abs(layer.integers.acc_max))
        assert gain.max() <= GAIN_MAX
        assert (bounds * gain).max() < 2**31
        assert (bounds * gain).max() > 2**29 or gain.max() > GAIN_MAX / 2
        assert layer.integers.requantize.product_min == (layer.integers.acc_min * gain).min()
        assert layer.integers.requantize.product_max == (layer.integers.acc_max * gain).max()


def test_every_channel_uses_the_whole_range_of_its_weights(int8_plan):
    for layer in int8_plan.layers[:-1]:
        largest = np.abs(layer.weight.reshape(len(layer.weight), -1)).max(axis=1)
        assert largest.min() >= 120


def test_the_last_layer_has_one_scale_so_that_logits_compare_as_integers(any_plan):
    assert len(set(any_plan.layers[-1].integers.weight_scale)) == 1


def test_integer_logits_times_their_scale_are_near_the_float_ones(int8_plan, bundled):
    images = verify.stress_images(int8_plan, random=100)
    integers = reference.network(int8_plan, images)["fc3"] * int8_plan.logit_scale
    floats = reference.network(make_plan(bundled, "float32"), images)["fc3"]
    assert np.abs(integers - floats).mean() < 0.03 * np.abs(floats).mean()


def test_the_sigmoid_table_is_complete_and_no_entry_depends_on_the_last_bit_of_exp():
    """So every machine's libm gives the same table, and clamping the index is exact."""
    table = ACTIVATIONS["sigmoid"].codes(1.0, "").table
    z = (np.arange(512) + 0.5 - 256) / 40
    exact = 255 / (1 + np.exp(-z))
    assert np.abs(exact - np.floor(exact) - 0.5).min() > 1e-6
    assert (table == np.floor(exact + 0.5)).all()
    assert (table[0], table[-1]) == (0, 255)
    assert np.abs(table - exact).max() <= 0.5
    assert (np.diff(table.astype(int)) >= 0).all()


@pytest.mark.parametrize("name", ["tanh", "scaled_tanh"])
def test_the_tanh_table_is_complete_and_no_entry_depends_on_the_last_bit_of_tanh(name):
    outer, inner = {"tanh": (1, 1), "scaled_tanh": (1.7159, 2 / 3)}[name]
    tanh = ACTIVATIONS[name].codes(1.0, "")
    x = (np.arange(512) + 0.5 - tanh.offset) / tanh.steps
    exact = 128 + outer * np.tanh(inner * x) / tanh.scale
    assert np.abs(exact - np.floor(exact) - 0.5).min() > 1e-6
    assert (tanh.table == np.floor(exact + 0.5)).all()
    assert (tanh.table[0], tanh.table[-1], tanh.zero_point) == (1, 255, 128)


@pytest.mark.parametrize("largest", [0.01, 0.5, 2.5, 40])
def test_a_gelu_table_reaches_from_its_minimum_to_the_range_and_is_within_a_step(largest):
    table = ACTIVATIONS["gelu"].codes(largest, "conv1")
    x = (np.arange(512) + 0.5 - table.offset) / table.steps
    exact = np.array(nn.gelu(x))
    value = (table.table - float(table.zero_point)) * table.scale
    assert np.abs(value - np.minimum(exact, largest)).max() <= 0.52 * table.scale
    assert table.table.min() == 0 and table.table.max() >= 254
    # Clamping the index is exact: left of the table it is 0 to the half step.
    assert np.abs(np.array(nn.gelu(np.linspace(-50, x[0], 999)))).max() < table.scale / 2


def scaled(model, name, factor, channel=slice(None)):
    params = {key: value.copy() for key, value in model.params.items()}
    params[f"{name}/kernel"][..., channel] *= factor
    return dataclasses.replace(model, params=params)


@pytest.mark.parametrize("factor", [1e-30, 1e-9, 1e-4, 1e-2, 10, 100])
def test_a_channel_of_any_size_below_100_times_the_others_costs_none_of_them_much(factor):
    """A channel far below the others' size gets a coarser scale, and loses nothing by it."""
    model = scaled(named_model("deep"), "conv2", np.float32(factor), channel=1)
    images = verify.stress_images(make_plan(model, "int8"), random=20)
    integers = reference.network(make_plan(model, "int8"), images)["conv2"] / 255
    floats = reference.network(make_plan(model, "float32"), images)["conv2"]
    # The inputs of the two differ by their codes, which 100 times the weights show.
    others = np.arange(floats.shape[-1]) != 1
    assert (np.abs(integers - floats)[..., others] < 0.05).mean() > 0.99
    assert (np.abs(integers - floats)[..., 1] < 0.05).mean() > (0.9 if factor > 1 else 0.99)


@pytest.mark.parametrize(("layer", "factor"), [("conv2", 1e6), ("head", 1e3)])
def test_a_channel_out_of_all_proportion_is_refused_and_not_paid_for_by_the_others(layer, factor):
    text = refused(scaled(named_model("deep"), layer, np.float32(factor), channel=0))
    assert layer in text
    assert "a bias or another output is too much larger" in text
    assert "--dtype float32" in text


def test_a_threshold_above_every_score_gap_is_refused():
    model = named_model("mlp")
    faint = {name: model.params[name] * np.float32(1e-20) for name in ("fc2/kernel", "fc2/bias")}
    faded = dataclasses.replace(model, params=model.params | faint)
    assert "is of other weights" in refused(faded, max_error=0.005)
    header = render_c(make_plan(faded, "int8"), Options())["lenet.h"].decode()
    assert re.findall(r"^ \*     0\.\d+ +(\d+)", header, re.MULTILINE) == []


@pytest.mark.parametrize(
    ("largest", "says"),
    [
        (1e38, "its logits are extreme"),
        (1e45, "its activation range is 1e+45"),
        (np.inf, "its activation range is inf"),
        (0.0, "its activation range is 0.0"),
    ],
)
def test_extreme_ranges_are_refused(largest, says):
    model = scaled(named_model("mlp"), "fc2", np.float32(1e9))
    model = dataclasses.replace(model, activation_ranges={"fc1": largest})
    assert says in refused(model)


def test_all_weights_tiny_is_a_network_of_biases():
    model = scaled(named_model("mlp"), "fc1", np.float32(1e-36))
    plan = make_plan(model, "int8")
    images = verify.stress_images(plan, random=4)
    codes = reference.network(plan, images)["fc1"]
    expected = np.clip(model.params["fc1/bias"] / 2.5 * 255, 0, 255)
    assert np.abs(codes - expected).max() <= 1


def refused(model, dtype="int8", **options):
    with pytest.raises(UserError) as caught:
        make_plan(model, dtype, where="m.safetensors", **options)
    error = caught.value
    assert error.where and error.what and error.remedy
    return f"{error.where}: {error.what}; {error.remedy}"


@pytest.mark.parametrize("name", ["lenet", "normed"])
def test_a_layer_of_zeros_is_refused_with_its_place(name):
    text = refused(scaled(named_model(name), "conv1", 0))
    assert "layer 1 of 5, conv1" in text
    assert "only zero weights" in text


@pytest.mark.parametrize("value", [-8, -0.3, 0.7, 8])
def test_a_pruned_channel_is_its_bias_and_costs_the_others_nothing(value):
    model = named_model("lenet")
    plain = make_plan(model, "int8")
    for layer in plain.layers:
        model = scaled(model, layer.name, 0, channel=1)
        model.params[f"{layer.name}/bias"][1] = value
    plan = make_plan(model, "int8")
    images = verify.stress_images(plan, random=4)
    codes = reference.network(plan, images)
    for layer, before in zip(plan.layers, plain.layers, strict=True):
        assert (layer.weight[1] == 0).all() and layer.weight[0].any()
        if layer.integers.requantize:
            assert layer.integers.requantize.shift >= before.integers.requantize.shift - 1
            expected = 255 / (1 + np.exp(-value))
            assert np.abs(codes[layer.name][..., 1] - expected).max() <= 1
    logit = codes["fc3"][..., 1] * plan.logit_scale
    assert np.abs(logit - value).max() <= plan.logit_scale


def test_a_network_that_would_overflow_is_refused():
    assert "too large" in refused(scaled(named_model("mlp"), "fc1", np.float32(1e12)))
    model = named_model("mlp")
    for value in (1e9, 3e6, -3e6):
        model.params["fc2/bias"][:] = value
        assert "32 bits" in refused(model)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"activation": "swish"}, 'activation "swish" is not supported in a hidden layer'),
        ({"activation": "none"}, 'activation "none" is not supported in a hidden layer'),
        ({"pool": "median", "pool_size": 2}, 'pool "median" is not supported'),
        ({"pool": "avg", "pool_size": 1}, 'pool "avg" does not go with size 1'),
        ({"pool": "none", "pool_size": 2}, 'pool "none" does not go with size 2'),
        ({"pool": "max", "pool_size": 17}, 'pool "max" does not go with size 17'),
        ({"stride": 3}, "stride 3 does not go with kernel size (4, 2)"),
        ({"stride": 1, "column_stride": 3}, "stride 1x3 does not go with kernel size (4, 2)"),
        ({"stride": 2, "column_stride": 2}, "says twice that it moves on by 2"),
        ({"padding": "1,1,2,1"}, "has a border of 1,1,2,1 and a kernel of (4, 2)"),
    ],
)
def test_an_unknown_layer_is_named_with_its_place_and_what_is_supported(change, says):
    stages = list(DEEP)
    stages[1] = dataclasses.replace(stages[1], **change)
    text = refused(random_model(stages, (80, 72, 2)))
    assert "layer 2 of 4, conv2" in text
    assert says in text
    assert "sigmoid" in text or "avg" in text or "size" in text


def test_the_last_layer_must_give_logits_for_two_classes():
    stages = (MLP[0], Stage("fc2", "dense", 1))
    assert "2 or more classes" in refused(random_model(stages, (28, 28, 1)))
    stages = (MLP[0], dataclasses.replace(MLP[1], activation="relu"))
    assert "in the last layer" in refused(random_model(stages, (28, 28, 1)))


def test_a_missing_activation_range_is_refused():
    for value in (None, 0.0, -1.0, math.nan, math.inf):
        model = dataclasses.replace(named_model("mlp"), activation_ranges={"fc1": value})
        assert "activation range" in refused(model)


def test_the_threshold_is_the_first_that_reaches_the_error():
    model = named_model("mlp")  # errors by gap: 0: 20 of 1000, 0.5: 5 of 980, 1.0: 0 of 900
    # Above gap 0 one more counts than was seen: 20, 6 and 1.
    for max_error, gap in [(0.5, 0), (0.02, 0), (0.0199, 0.5), (0.0062, 0.5), (0.0061, 1)]:
        plan = make_plan(model, "float32", max_error)
        assert plan.threshold == gap
        plan = make_plan(model, "int8", max_error)
        assert plan.threshold == math.ceil(gap / plan.logit_scale)


def test_a_max_error_below_what_the_table_can_show_is_refused():
    message = refused(named_model("mlp"), max_error=0.0009)
    assert "cannot be reached" in message
    assert "at least 0.0012," in message  # 1 of 900
    make_plan(named_model("mlp"), "int8", max_error=0.0012)
    bare = dataclasses.replace(named_model("mlp"), gap_table=None)
    assert "no score-gap table" in refused(bare, max_error=0.01)
    hopeless = dataclasses.replace(
        bare, gap_table=GapTable(100, (GapRow(0.0, 100, 90), GapRow(9.0, 0, 0)))
    )
    assert "cannot be reached" in refused(hopeless, max_error=0.5)


def test_the_gap_table_counts_what_each_threshold_accepts():
    logits = np.array([[3, 1], [1, 2], [0, 5], [2, 2.5]], np.float32)
    table = GapTable.measure(logits, np.array([0, 0, 1, 0]))  # gaps 2, 1 (wrong), 5, 0.5 (wrong)
    assert table.images == 4
    wrong_ones = table.rows[::BETWEEN]
    assert [row[1:] for row in wrong_ones] == [(4, 2, 0), (3, 1, 0), (2, 0, 0)]
    assert [row[0] for row in wrong_ones] == pytest.approx([0, 0.5, 1])
    assert wrong_ones[1][0] > 0.5
    assert wrong_ones[2][0] > 1
    for gap, accepted, errors, _ in table.rows:
        assert accepted == sum(g >= gap for g in (2, 1, 5, 0.5))
        assert errors == sum(g >= gap for g in (1, 0.5))


def test_the_gap_table_accepts_nothing_where_the_output_for_none_wins():
    logits = [[3, 1, 0], [1, 2, 4], [0, 5, 5], [2, 2.5, 1], [2, 1, 1.5]]  # gaps 2, -2, 0, 0.5, 0.5
    strangers = np.array([[0, 0, 9], [7, 1, 6.5], [4, 0, 1], [0, 1, 1]], np.float32)
    labels = np.array([0, 1, 1, 0, 0])  # the fourth is wrong
    table = GapTable.measure(np.array(logits, np.float32), labels, strangers, none_output=True)
    assert (table.images, table.strangers) == (5, 4)
    for gap, *counts in table.rows:
        assert counts[0] == sum(g >= gap for g in (2, 0, 0.5, 0.5))
        assert counts[1] == (gap <= 0.5)
        assert counts[2] == sum(g >= gap for g in (0.5, 3, 0))
    assert table.rows[0] == (0, 4, 1, 3)
    assert table.rows[-1][1:] == (1, 0, 1)
    # Of ten classes the last of these is the largest of all outputs: another class, not none.
    plain = GapTable.measure(np.array(logits, np.float32), labels, strangers)
    assert plain.rows[0] == (0, 5, 2, 4)


def test_a_gap_table_in_which_none_always_wins_accepts_nothing():
    logits = np.tile(np.array([0, 1, 9], np.float32), (6, 1))
    table = GapTable.measure(logits, np.ones(6, np.uint8), logits, none_output=True)
    assert table.rows == ((0, 0, 0, 0),)
    assert table.row(0.5) is None
    assert table.smallest_error() == 1


def test_a_threshold_that_a_wrong_image_placed_counts_that_image():
    logits = np.array([[3, 1], [1, 2], [0, 5], [2, 2.5]], np.float32)
    table = GapTable.measure(logits, np.array([0, 0, 1, 0]))
    expected = table.expected_errors()
    assert expected[::BETWEEN].tolist() == [2, 2, 1]
    np.testing.assert_allclose(np.diff(expected)[BETWEEN:], -1 / BETWEEN, rtol=1e-3)
    # 2 of 4 from 0 on; between 0.5 and 1 it falls to 1.125 of 3, and then is 1 of 2.
    assert table.row(0.5).gap == 0
    assert table.row(0.49).gap == pytest.approx(0.8125)
    assert table.row(0.375).gap == pytest.approx(0.9375)
    assert table.row(0.37) is None
    assert table.smallest_error() == pytest.approx(0.375)


def test_wrong_images_of_one_gap_are_not_taken_for_fewer():
    gap = np.linspace(0.01, 5, 500, dtype=np.float32)
    gap[100:110] = 0.9
    wrong = (gap == np.float32(0.9)) | (gap < 0.05)
    logits = np.stack([gap, np.zeros_like(gap)], axis=1)
    table = GapTable.measure(logits, wrong.astype(np.uint8))
    for max_error in np.linspace(0.002, 0.04, 77):
        row = table.row(max_error)
        assert row is None or row.errors <= max_error * row.accepted + 1e-9


@pytest.mark.parametrize(("images", "errors"), [(2500, 2), (2500, 47), (100, 28), (1000, 1000)])
def test_the_smallest_error_that_is_told_is_given(images, errors):
    table = GapTable(images, (GapRow(0.0, images, errors),))
    model = dataclasses.replace(named_model("mlp"), gap_table=table)
    text = refused(model, max_error=1e-5)
    least = float(re.search(r"at least ([0-9.]+),", text)[1])
    assert make_plan(model, "int8", max_error=least).threshold == 0
    assert GapTable(0, (GapRow(0.0, 0, 0),)).smallest_error() == 1


def test_no_more_errors_come_than_were_asked_for():
    """Over many drawn validation splits, and as many other images, the mean is what was asked."""
    random = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        gap = random.exponential(1, (2, 2000)).astype(np.float32)
        wrong = random.random(gap.shape) < 0.3 * np.exp(-4 * gap)
        logits = np.stack([gap[0], np.zeros_like(gap[0])], axis=1)
        row = GapTable.measure(logits, wrong[0].astype(np.uint8)).row(0.005)
        shares.append(wrong[1][gap[1] >= row.gap].mean())
    # To count only the errors above a threshold gives 0.0054.
    assert 0.0042 < np.mean(shares) < 0.005


def test_the_model_id_changes_with_any_number_and_not_with_the_training_notes(bundled):
    plan = make_plan(bundled, "int8")
    same = dataclasses.replace(bundled, info={"note": "other"}, gap_table=None)
    assert make_plan(same, "int8").model_id == plan.model_id
    for name in bundled.params:
        params = {key: value.copy() for key, value in bundled.params.items()}
        params[name].flat[0] += np.abs(params[name]).max() / 2
        other = dataclasses.replace(bundled, params=params)
        assert make_plan(other, "int8").model_id != plan.model_id


@pytest.mark.parametrize(
    ("name", "both"), [("sigmoid", 255), ("tanh", 256), ("relu", 0), ("gelu", 0)]
)
def test_the_lower_half_of_a_table_mirrors_the_upper_one_or_says_that_it_does_not(name, both):
    """x86-64-v3 reads the upper half alone."""
    activation = ACTIVATIONS[name].codes(1.0, "conv1")
    assert activation.mirror == both
    if both:
        assert (both - activation.table[::-1].astype(int) == activation.table).all()


# ---- Few bits --------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", GRIDS)
def test_weights_of_few_bits_are_the_integers_that_were_trained(bits):
    model = on_grids(named_model("deep"), [bits] * 4)
    plan = make_plan(model, "int8")
    _, peak, spacing = GRIDS[bits]
    for layer in plan.layers:
        step = model.params[f"{layer.name}/step"]
        exact = np.moveaxis(model.params[f"{layer.name}/kernel"] / step, -1, 0)
        assert (layer.weight == np.rint(exact)).all()
        assert layer.weight.dtype == np.int8
        assert set(np.unique(layer.weight)) <= set(range(-peak, peak + 1, spacing))
        assert layer.weight.max() == peak


def test_gains_come_as_near_to_the_learned_steps_as_32_bits_allow(bundled):
    for bits in FEW_BITS.values():
        model = on_grids(bundled, bits)
        plan = make_plan(model, "int8")
        for layer in plan.layers:
            if layer.stage.grid:
                step = model.params[f"{layer.name}/step"]
                half = 0.5 / layer.integers.requantize.gain if layer is not plan.layers[-1] else 0
                assert (np.abs(step / layer.integers.weight_scale - 1) <= half + 1e-6).all()
        integers = plan.layers[2].integers
        assert (np.abs(integers.weight_scale / model.params["fc1/step"] - 1) < 1e-3).all()


def test_the_logits_of_few_bits_are_near_those_of_the_same_weights_in_float(bundled):
    model = on_grids(bundled, FEW_BITS["fc1 of 2 bits, rest 4"])
    plan = make_plan(model, "int8")
    images = verify.stress_images(plan, random=100)
    integers = reference.network(plan, images)["fc3"] * plan.logit_scale
    floats = reference.network(make_plan(model, "float32"), images)["fc3"]
    assert np.abs(integers - floats).mean() < 0.03 * np.abs(floats).mean()


def test_a_channel_of_zeros_has_a_scale_where_its_step_was_trained():
    model = on_grids(named_model("mlp"), ["ternary", "8"])
    model.params["fc1/kernel"][:, 3] = 0
    plan = make_plan(model, "int8")
    assert not plan.layers[0].weight[3].any()


def with_steps(model, name, change):
    """``model`` with other steps of a layer, and its kernel on their grid."""
    step = model.params[f"{name}/step"]
    new = change(step.copy())
    kernel = np.rint(model.params[f"{name}/kernel"] / step) * new
    params = model.params | {f"{name}/step": new, f"{name}/kernel": kernel.astype(np.float32)}
    return dataclasses.replace(model, params=params)


def test_a_step_out_of_all_proportion_is_refused():
    model = on_grids(named_model("deep"), ["4"] * 4)

    def grow(step):
        step[1] *= np.float32(1e5)
        return step

    text = refused(with_steps(model, "conv2", grow))
    assert "layer 2 of 4, conv2" in text
    assert "gain of 1 in place of 0." in text


def test_a_kernel_off_its_grid_is_refused_with_its_place_and_what_is_allowed():
    model = on_grids(named_model("deep"), ["8", "2", "8", "8"])
    step = model.params["conv2/step"]
    for value in (0, 2, 5, 1.01):
        kernel = model.params["conv2/kernel"].copy()
        kernel[1, 0, 2, 3] = value * step[3]
        changed = dataclasses.replace(model, params=model.params | {"conv2/kernel": kernel})
        text = refused(changed)
        assert f"conv2/kernel at (1, 0, 2, 3) is {value:g} of its steps" in text
        assert "bits 2 allows -3, -1, 1, 3" in text


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
def test_steps_that_are_not_positive_numbers_are_refused(value):
    model = on_grids(named_model("deep"), ["8", "2", "8", "8"])
    model.params["conv2/step"][2] = value
    assert "the step of output 2 is" in refused(model)


def test_a_last_layer_with_more_than_one_scale_is_refused():
    model = on_grids(named_model("mlp"), ["8", "4"])
    text = refused(with_steps(model, "fc2", lambda step: step * np.linspace(1, 2, 10, dtype="f4")))
    assert "its steps differ" in text
    assert "one step for all" in text


def test_missing_steps_and_unknown_bits_are_refused():
    stages = list(named_model("mlp").stages)
    for bits, says in [("2", "no step for each of its 24"), ("3", 'bits "3" is not supported')]:
        stages[0] = dataclasses.replace(stages[0], bits=bits)
        model = dataclasses.replace(named_model("mlp"), stages=tuple(stages))
        assert says in refused(model)


def test_models_plans_and_layers_are_shown_in_a_line(bundled):
    """Their numbers would be 91,317 characters in a notebook."""
    plan = make_plan(bundled, "int8", 0.01)
    assert repr(bundled) == "Model(28x28x1 -> conv1 -> conv2 -> fc1 -> fc2 -> fc3)"
    assert repr(plan) == f"Plan(int8 for generic, speed: {bundled!r})"
    assert repr(plan.layers[2]) == "Layer(fc1: (5, 5, 16) -> (120,))"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"source": "pool9"}, "conv2 reads pool9"),
        ({"source_dtype": np.dtype(np.int16)}, "conv2 reads pool1 int16"),
        ({"input_shape": (14, 14, 5)}, r"conv2 reads pool1 uint8 \(14, 14, 5\), not pool1 uint8"),
        ({"output": "pool9"}, "fc1 reads pool2"),
        ({"weight": np.zeros((16, 5, 5, 5), np.int8)}, "conv2 has weights of"),
        ({"bias": np.zeros(15, np.int32)}, "conv2 has weights of"),
    ],
)
def test_a_plan_whose_layers_do_not_meet_is_told_before_it_is_printed(change, says):
    plan = make_plan(named_model("lenet"), "int8")
    check_plan(plan)
    layers = list(plan.layers)
    layers[1] = dataclasses.replace(layers[1], **change)
    with pytest.raises(ValueError, match=says):
        check_plan(dataclasses.replace(plan, layers=tuple(layers)))


@pytest.mark.parametrize(
    ("what", "by", "says"),
    [
        ("kernel", 1e-6, "its biases, up to 0.39, are too large for 32 bits beside its weights"),
        ("bias", 1e12, "too large for 32 bits beside its weights, up to 1.6"),
    ],
)
def test_what_is_too_large_for_32_bits_is_told_by_what_it_is(what, by, says):
    """Not the weights, where they are tiny: weight decay would make it worse."""
    model = named_model("normed")
    name = f"conv1/{what}"
    params = model.params | {name: (model.params[name] * by).astype(np.float32)}
    with pytest.raises(UserError) as caught:
        make_plan(dataclasses.replace(model, params=params), "int8")
    assert says in caught.value.what
    assert "weight decay" not in caught.value.remedy
    assert make_plan(dataclasses.replace(model, params=params), "float32")


def test_weights_that_are_too_large_for_32_bits_are_told_as_that():
    model = named_model("lenet")
    params = model.params | {"conv1/kernel": model.params["conv1/kernel"] * np.float32(1e12)}
    with pytest.raises(UserError, match=r"conv1: its weights, up to .* are too large for 32 bits"):
        make_plan(dataclasses.replace(model, params=params), "int8")
