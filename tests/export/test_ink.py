"""The limits of ink are those of the training images, whatever these are."""

from __future__ import annotations

import dataclasses
import io
import json
import re

import numpy as np
import pytest
from flax import linen as nn

import lenet_export
from lenet_export.compiled import CompiledNetwork
from lenet_export.cpus.registry import CPUS, lay_out
from lenet_export.errors import UserError
from lenet_export.ink import SHARES, Ink
from lenet_export.outputs.c import Options, render_c
from lenet_export.outputs.npz import render_npz
from lenet_export.plan import make_plan
from lenet_export.verdict import Verdict, readings
from needs import pairs
from variables import drawn_for

from .networks import (
    ACCEPTED,
    INK,
    MISCOUNTED,
    NO_INK,
    ONE,
    OUTSIDE,
    at_the_limits,
    named_model,
    random_model,
    verdict_of,
    verdicts_of,
)
from .test_parity import can_run


def strokes(shape, count=3000, seed=0, border=0):
    """Images of random ink, darker ones and lighter ones, none of it in the border."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *shape)) * (rng.random((count, *shape)) < 0.3)
    mask = np.zeros(shape)
    mask[border : shape[0] - border, border : shape[1] - border] = 1
    return (images * mask).astype(np.uint8)


def test_an_image_is_within_where_each_number_is_within_its_limit():
    ink = Ink(1, least=300, most=1000, share=64, peak=200)
    image = np.zeros((5, 5, 1), np.uint8)
    image[2, 2] = 200

    def holds(*changes):
        other = image.copy()
        for row, column, value in changes:
            other[row, column] = value
        return bool(ink.holds(other[None])[0])

    assert not holds()  # 200 in all
    assert not holds((2, 1, 99))
    assert holds((2, 1, 100))
    assert not holds((2, 1, 199), (2, 2, 199))  # none is 200
    assert holds((2, 1, 255), (2, 3, 255), (3, 1, 255), (2, 2, 235))
    assert not holds((2, 1, 255), (2, 3, 255), (3, 1, 255), (2, 2, 236))  # 1001
    assert holds((2, 1, 183), (0, 0, 128))  # of 511, which counts as two parts of 256
    assert not holds((2, 1, 182), (4, 2, 129))
    assert holds((2, 1, 120), (0, 4, 192))  # of 512: three
    assert not holds((2, 1, 120), (0, 4, 193))


def test_one_image_in_2000_may_lie_beyond_a_limit():
    images = np.zeros((8000, 16, 8, 2), np.uint8)
    images[:, 8, 4, 0] = 250
    images[:, 8, 4, 1] = np.arange(8000) % 200
    images[:3, 8, 4] = 1  # 1 in 2,000: faint
    images[3:6, 0, 0] = 255  # all else of their ink is in the border
    ink = Ink.measure(images, images[:2000])
    assert (ink.border, ink.least, ink.peak, ink.share) == (1, 250, 250, 0)
    assert ink.most <= 250 + 199
    assert (~ink.holds(images)).sum() == 6
    assert (ink.images, ink.outside) == (2000, 6)


def test_few_images_set_the_limits_themselves():
    images = strokes((8, 12, 3), count=20)
    ink = Ink.measure(images)
    assert ink.holds(images).all()
    assert (ink.border, ink.images, ink.outside) == (1, 0, 0)


@pytest.mark.parametrize(
    ("shape", "border"),
    [((28, 28, 1), 3), ((4, 5, 1), 0), ((300, 2, 1), 0), ((22, 17, 2), 2), ((1, 1, 1), 0)],
)
def test_images_of_any_shape_hold_their_own_kind(shape, border):
    ink = Ink.measure(strokes(shape), strokes(shape, 1000, seed=1))
    assert ink.border == border
    assert ink.outside <= 8
    assert ink.holds(strokes(shape, 1000, seed=2)).mean() > 0.99


def test_a_limit_that_tells_nothing_is_none():
    """Clothes reach the border, blank images are a class, faint ones too: none is refused."""
    images = np.zeros((3000, 28, 28, 1), np.uint8)
    images[1000:, :, :2] = np.arange(2000).reshape(-1, 1, 1, 1) % 256
    ink = Ink.measure(images)
    assert (ink.least, ink.share, ink.peak) == (0, SHARES, 0)
    assert ink.holds(images).mean() >= 0.9995


def test_images_without_a_border_have_no_share_of_it():
    assert Ink.measure(strokes((28, 28, 1), border=3)).share == 0
    assert Ink.measure(strokes((4, 5, 1))).share == SHARES


def test_images_whose_sum_may_exceed_32_bits_are_refused():
    wide = np.broadcast_to(np.uint8(9), (1, 2**13, 2**10 + 1, 1))
    with pytest.raises(UserError, match="of 8,388,608 bytes at most"):
        Ink.measure(wide)
    with pytest.raises(UserError, match="give one image at least"):
        Ink.measure(np.zeros((0, 28, 28, 1), np.uint8))


# ---- The C -----------------------------------------------------------------------------------


def compiled(model, dtype="int8", cpu="generic", **options):
    plan = lay_out(make_plan(model, dtype), cpu, "speed")
    return CompiledNetwork(plan, render_c(plan, Options(**options)))


def with_ink(shape, ink):
    return dataclasses.replace(random_model(ONE, shape), ink=ink)


@pytest.mark.parametrize(
    ("name", "cpu", "dtype"),
    pairs(
        INK,
        [cpu for cpu in CPUS if not CPUS[cpu].ram and can_run(cpu)],
        ("int8", "float32"),
    ),
)
def test_the_c_keeps_each_limit_to_the_last_unit(name, cpu, dtype):
    network = compiled(named_model(name), dtype, cpu)
    images, verdicts = at_the_limits(INK[name], network.plan.input_shape)
    assert verdicts_of(network, images).tolist() == verdicts.tolist()


#: Rows of all lengths beside those of vectors, and borders of several channels.
SHAPES = [(9, columns, 1) for columns in (1, 15, 33, 70)] + [(24, 16, 5), (8, 8, 3)]


@pytest.mark.parametrize(
    "cpu", ["generic", "cortex-m4", "cortex-m55", "aarch64", "x86-64-v3", "x86-64-v4"]
)
def test_rows_of_any_length_are_counted(cpu):
    if not can_run(cpu):
        return
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        images = rng.integers(0, 256, (40, *shape)) * (rng.random((40, *shape)) < 0.5)
        images = images.astype(np.uint8)
        ink = Ink.measure(images[:20])
        ink = dataclasses.replace(ink, peak=255, share=max(ink.share - 4, 0))
        network = compiled(with_ink(shape, ink), cpu=cpu)
        too_little, outside = ink.beyond(images)
        expected = np.where(too_little, NO_INK, np.where(outside, OUTSIDE, ACCEPTED))
        assert verdicts_of(network, images).tolist() == expected.tolist()
        if ink.border:
            images, verdicts = at_the_limits(dataclasses.replace(ink, share=100), shape)
            network = compiled(with_ink(shape, dataclasses.replace(ink, share=100)), cpu=cpu)
            assert verdicts_of(network, images).tolist() == verdicts.tolist()


@pytest.fixture(scope="module")
def deep():
    return compiled(named_model("deep"))


def test_the_first_of_several_reasons_is_given(deep):
    shape = deep.plan.input_shape
    blank, full = np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
    assert [verdict_of(deep, image) for image in (blank, full)] == [NO_INK, OUTSIDE]
    for image in (blank, full):
        assert verdict_of(deep, image[1:]) == MISCOUNTED
        read = deep.function("read")(deep.workspace, deep.bytes_of(image))
        assert (read.accepted, read.verdict) == (0, verdict_of(deep, image))
    # What is empty is nowhere dark, either; and its gap may be too small.
    sure = make_plan(named_model("deep"), "int8", 0.01)
    logits = np.zeros((1, 7), np.int32)
    assert readings(sure, blank[None], logits).verdicts == [NO_INK]
    assert [verdict.value for verdict in Verdict] == list(range(len(Verdict)))


def test_no_ink_is_left_from_the_image_before(deep):
    images, verdicts = at_the_limits(INK["deep"], deep.plan.input_shape)
    order = np.random.default_rng(1).integers(0, len(images), 60)
    assert verdicts_of(deep, images[order]).tolist() == verdicts[order].tolist()
    # Nor from rows that were not all: the next image begins anew.
    for row in images[2][:9]:
        deep.function("row")(deep.workspace, deep.bytes_of(row))
    assert [verdict_of(deep, image) for image in images] == verdicts.tolist()


def test_limits_that_allow_everything_refuse_nothing():
    shape = (16, 16, 1)
    ink = Ink(2, 0, 255 * 256, SHARES, 0)
    network = compiled(with_ink(shape, ink))
    edge = np.full(shape, 255, np.uint8)
    edge[2:-2, 2:-2] = 0
    images = np.stack([edge, edge // 255, np.zeros_like(edge), edge * 0 + 255, edge * 0 + 1])
    assert (verdicts_of(network, images) == ACCEPTED).all()
    assert ink.holds(images).all()


def test_without_limits_there_is_no_guard():
    model = dataclasses.replace(named_model("deep"), ink=None)
    files = render_c(make_plan(model, "int8"), Options())
    for name in ("ws->ink", "ink_of", "sign_bit(ws"):
        assert name not in files["lenet.c"].decode()
    assert "ink;" not in files["lenet.h"].decode()
    assert json.loads(files["lenet.json"])["ink"] is None
    assert make_plan(model, "int8").workspace_bytes + 10 <= deep_bytes()
    blank = np.zeros((1, *model.input_shape), np.uint8)
    assert verdicts_of(compiled(model), blank) == [ACCEPTED]


def deep_bytes():
    return make_plan(named_model("deep"), "int8").workspace_bytes


def test_the_model_id_is_that_of_the_network_without_limits():
    model = named_model("deep")
    bare = dataclasses.replace(model, ink=None)
    assert make_plan(model, "int8").model_id == make_plan(bare, "int8").model_id


def test_the_header_and_the_manifest_tell_the_limits():
    ink = dataclasses.replace(INK["deep"], images=2000, outside=9)
    files = render_c(
        make_plan(dataclasses.replace(named_model("deep"), ink=ink), "int8"), Options()
    )
    text = re.sub(r"[\s*]+", " ", files["lenet.h"].decode())
    assert "3 000 to 60 000, at most about 35.2 % of that within 2 pixels of the border" in text
    assert "and one must be 200 or more. Of 2 000 held-out validation images 9 are not" in text
    assert "(0.45 %), whatever the threshold" in text
    assert json.loads(files["lenet.json"])["ink"] == dataclasses.asdict(ink)
    ink = dataclasses.replace(ink, share=SHARES)
    files = render_c(
        make_plan(dataclasses.replace(named_model("deep"), ink=ink), "int8"), Options()
    )
    text = re.sub(r"[\s*]+", " ", files["lenet.h"].decode())
    assert "3 000 to 60 000, and one must be 200 or more." in text


def test_the_dump_has_what_its_readme_says_of_ink():
    data = np.load(io.BytesIO(render_npz(make_plan(named_model("deep"), "int8"))))
    images, verdicts = at_the_limits(INK["deep"], (22, 17, 2))
    ink = images.sum((1, 2, 3), dtype=np.int64)
    n = int(data["ink_border"])
    border = ink - images[:, n:-n, n:-n].sum((1, 2, 3), dtype=np.int64)
    within = (data["ink_least"] <= ink) & (ink <= data["ink_most"])
    within &= images.max((1, 2, 3)) >= data["ink_peak"]
    within &= border <= ((ink >> 8) + 1) * data["ink_share"]
    assert (within == (verdicts == ACCEPTED)).all()
    bare = np.load(io.BytesIO(render_npz(make_plan(named_model("mlp"), "int8"))))
    assert not [key for key in bare.files if key.startswith("ink")]


def test_a_network_of_ones_own_may_have_limits(tmp_path):
    module = nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(3)])
    params = drawn_for(module, (16, 12, 1))
    images = strokes((16, 12, 1), 200)

    def exported(ink):
        return lenet_export.export(module, params, (16, 12, 1), tmp_path, images=images, ink=ink)

    ink = lenet_export.Ink.measure(images)
    assert exported(ink).plan.ink == ink
    assert f"up to {ink.least // 1000} " in (tmp_path / "lenet.h").read_text()
    of_others = Ink.measure(strokes((28, 28, 1), 50))
    for wrong in (of_others, dataclasses.replace(ink, least=-1), "ink", (1, 2, 3, 4, 5)):
        with pytest.raises(UserError, match="are no limits of the ink of images of 16x12x1"):
            exported(wrong)
