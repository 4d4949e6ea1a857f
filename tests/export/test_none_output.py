"""A network whose last output stands for "none of these"."""

from __future__ import annotations

import dataclasses
import json

import jax
import numpy as np
import pytest
from flax import linen as nn

import lenet_export
from lenet_export import UserError, verify
from lenet_export.compiled import CompiledNetwork
from lenet_export.gap_table import GapRow, GapTable
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from lenet_export.verdict import Verdict, readings

from .networks import ACCEPTED, MISCOUNTED, NO_CLASS, NONE_OUTPUT, UNSURE, named_model


@pytest.fixture(scope="module", params=["int8", "float32"])
def plan(request):
    model = dataclasses.replace(named_model("strided"), ink=None)
    return make_plan(model, request.param, max_error=0.01)


@pytest.fixture(scope="module")
def network(plan):
    return CompiledNetwork(plan, render_c(plan, Options()))


def decided(network, logits, verdict=ACCEPTED):
    values = network.new_logits()
    values[:] = logits
    return network.function("decide")(network.numbers_of(values), verdict)


def test_it_is_no_class(plan, network):
    assert (plan.classes, plan.outputs, plan.none_output) == (6, 7, True)
    images = verify.stress_images(plan)
    logits, read = network.read(images)
    assert logits.shape == (len(images), 7)
    is_none = logits.argmax(1) == 6
    assert 5 < is_none.sum() < len(images) - 5
    assert ((read.verdicts == NO_CLASS) == is_none).all()
    assert (read.gaps[is_none] < 0).all()
    assert (read.digits == logits[:, :6].argmax(1)).all()
    predict = network.function("predict")
    found = [predict(network.workspace, network.bytes_of(image)) for image in images[:60]]
    assert found == read.digits[:60].tolist()


def test_an_image_for_which_it_wins_is_read_and_never_accepted(plan, network):
    least = plan.threshold
    for rest, none, verdict in [
        (least, 0, ACCEPTED),  # above the second class by enough
        (2 * least, least, ACCEPTED),  # above none by just enough
        (1.75 * least, least, UNSURE),
        (least, least, UNSURE),  # of equals the first: a class
        (0.75 * least, least, NO_CLASS),
        (0, 9 * least, NO_CLASS),
    ]:
        logits = np.zeros(7)
        logits[2], logits[6] = rest, none
        reading = decided(network, logits)
        assert (reading.digit, reading.verdict) == (2 if rest else 0, verdict)
        assert reading.accepted == (verdict == ACCEPTED)
        assert reading.gap == pytest.approx(rest - none, abs=0.5)
        assert decided(network, logits, MISCOUNTED).verdict == MISCOUNTED


def test_without_a_threshold_it_is_rejected_all_the_same():
    plan = make_plan(named_model("strided"), "int8")
    network = CompiledNetwork(plan, render_c(plan, Options()))
    assert decided(network, [0, 0, 0, 0, 0, 5, 5]).verdict == ACCEPTED
    assert decided(network, [0, 0, 0, 0, 0, 5, 6]).verdict == NO_CLASS


def test_the_reference_says_what_the_c_does():
    plan = make_plan(named_model("one"), "int8")  # 2 classes
    logits = np.array([[5, 1, 0], [5, 1, 6], [1, 5, 5], [-9, -9, -9]], np.int32)
    read = readings(plan, np.zeros((4, 4, 5, 1), np.uint8), logits)
    assert read.digits.tolist() == [0, 0, 1, 0]
    assert read.gaps.tolist() == [4, -1, 0, 0]
    assert read.verdicts.tolist() == [ACCEPTED, NO_CLASS, ACCEPTED, ACCEPTED]
    assert [verdict.value for verdict in Verdict][:4] == [ACCEPTED, UNSURE, MISCOUNTED, NO_CLASS]


def test_c_that_says_otherwise_is_not_written(plan):
    files = render_c(plan, Options())
    other = files["lenet.c"].replace(b"gap < 0)", b"gap < LENET_MIN_GAP)")
    assert other != files["lenet.c"]
    with pytest.raises(UserError, match="the verdict is 3, expected 1"):
        verify.verify(plan, files | {"lenet.c": other})


def test_the_header_and_the_manifest_tell_of_it(plan):
    files = render_c(plan, Options())
    header = files["lenet.h"].decode()
    assert "#define LENET_CLASSES 6\n" in header
    assert '#define LENET_LOGITS 7 /* the last one stands for "none of these" */\n' in header
    manifest = json.loads(files["lenet.json"])
    assert (manifest["classes"], manifest["none_output"]) == (6, True)
    plain = render_c(make_plan(named_model("deep"), "int8"), Options())["lenet.h"].decode()
    assert "#define LENET_CLASSES 7\n#define LENET_LOGITS 7 /* one for each class */\n" in plain
    same = dataclasses.replace(named_model("strided"), none_output=False)
    assert make_plan(same, "int8").model_id != make_plan(named_model("strided"), "int8").model_id


def test_the_table_of_thresholds_has_a_column_for_strangers():
    rows = GapRow(0.0, 990, 20, 81), GapRow(0.5, 980, 5, 16), GapRow(1.0, 900, 0, 1)
    model = dataclasses.replace(named_model("one"), gap_table=GapTable(1000, rows, 2000))
    header = render_c(make_plan(model, "int8", 0.01), Options())["lenet.h"].decode()
    lines = [" ".join(line.split()[1:]) for line in header.splitlines()]
    assert "Of 2 000 strangers, images of none of the classes, it accepted 16." in lines
    head = "--max-error LENET_MIN_GAP rejected wrong among the accepted strangers accepted"
    (at,) = [n for n, line in enumerate(lines) if line == head]
    assert lines[at + 1].split()[2:] == "2.00 % 0.51 % 0.80 %".split()
    assert lines[at + 2].split()[2:] == "10.00 % 0.00 % 0.05 %".split()


def exported(tmp_path, outputs, **options):
    module = nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(outputs)])
    params = module.init(jax.random.key(0), np.zeros((1, 4, 5, 1)))
    images = np.random.default_rng(0).integers(0, 256, (60, 4, 5, 1)).astype(np.uint8)
    return lenet_export.export(
        module, params, (4, 5, 1), tmp_path, images=images, none_output=True, **options
    )


def test_a_network_of_ones_own_may_have_one(tmp_path):
    with pytest.warns(UserWarning, match="as chance would"):
        found = exported(tmp_path, 4, labels=np.arange(60) % 3)
    assert (found.plan.classes, found.plan.outputs) == (3, 4)
    table = found.plan.model.gap_table
    assert table.rows[0].accepted < table.images == 60
    assert "#define LENET_CLASSES 3\n" in (tmp_path / "lenet.h").read_text()
    with pytest.raises(UserError, match=r"label 3 is 3, and the model has 3 classes"):
        exported(tmp_path, 4, labels=np.arange(60) % 4)


def test_there_must_be_two_classes_beside_it(tmp_path):
    with pytest.raises(UserError, match='with 2 outputs, the last for "none of these"'):
        exported(tmp_path, 2)
    assert {make_plan(named_model(name), "int8").classes for name in NONE_OUTPUT} == {2, 6}
