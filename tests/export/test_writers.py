"""Who wrote the test images, how well each group is read, and what was measured before."""

from __future__ import annotations

import gzip
import json
import struct

import numpy as np
import pytest

from lenet_export import bundled, cli, idx
from lenet_export.errors import UserError
from lenet_export.evidence import facts
from lenet_export.images import QMNIST, Writers, read_writers
from lenet_export.plan import make_plan


def labels_of(rows):
    """An IDX file of whole numbers."""
    values = np.array(rows, ">i4")
    return struct.pack(">4B2I", 0, 0, 12, 2, *values.shape) + values.tobytes()


#: Class, series, writer, and more, of eight images, and of one that is no test image of MNIST's.
TOLD = [
    [3, 4, 100, 0], [1, 4, 100, 1], [4, 0, 7, 2], [1, 1, 8, 3], [5, 4, 101, 4], [9, 0, 7, 5],
    [2, 4, 101, 6], [6, 4, 102, 7], [0, 4, 102, 8],
]  # fmt: skip
LABELS = np.array([row[0] for row in TOLD[:8]])


@pytest.fixture
def folder(tmp_path):
    """Eight images with labels, and beside their folder QMNIST's labels."""
    images = np.arange(8 * 784).reshape(8, 28, 28) % 251
    (tmp_path / "mnist").mkdir()
    (tmp_path / "qmnist").mkdir()
    for name, values in (("images-idx3", images), ("labels-idx1", LABELS)):
        path = tmp_path / f"mnist/t10k-{name}-ubyte"
        path.write_bytes(idx.pack(values.astype(np.uint8)))
    (tmp_path / f"qmnist/{QMNIST}.gz").write_bytes(gzip.compress(labels_of(TOLD)))
    return tmp_path / "mnist"


def test_writers_are_those_of_qmnists_labels(folder):
    found = read_writers(folder, LABELS)
    assert found.numbers.tolist() == [100, 100, 7, 8, 101, 7, 101, 102]
    student = "students"
    assert found.groups.tolist() == [student, student, *["employees"] * 2, student, "employees",
                                     student, student]  # fmt: skip
    (folder / QMNIST).write_bytes(labels_of([[*row[:2], 5] for row in TOLD]))
    assert {*read_writers(folder, LABELS).numbers} == {5}


def test_without_them_or_of_other_images_nobody_is_known(folder):
    assert read_writers(folder, None) is None
    assert read_writers(folder / "t10k-images-idx3-ubyte", LABELS) is None
    assert read_writers(folder, LABELS[::-1]) is None
    (folder / QMNIST).write_bytes(labels_of(TOLD[:7]))
    with pytest.raises(UserError, match="is not of these images"):
        read_writers(folder, LABELS)
    (folder / QMNIST).write_bytes(labels_of(TOLD)[:-1])
    with pytest.raises(UserError, match="has 155 bytes, expected 156"):
        read_writers(folder, LABELS)
    (folder / QMNIST).write_bytes(idx.pack(np.zeros((8, 4), np.uint8)))
    with pytest.raises(UserError, match=r"expected 00 00 0c 02 \(IDX, whole numbers of 32 bits"):
        read_writers(folder, LABELS)


def test_each_group_has_its_images_and_writers():
    writers = Writers(np.array([1, 1, 2, 2, 3]), np.array(["b", "b", "a", "a", "b"]))
    right = np.array([True, False, True, True, True])
    a, b = facts._by_writers(right, writers)
    assert (a["group"], a["images"], a["wrong"], a["writers"], a["without_an_error"]) == (
        "a", 2, 0, 1, 1,
    )  # fmt: skip
    assert (b["group"], b["images"], b["wrong"], b["writers"], b["without_an_error"]) == (
        "b", 3, 1, 2, 1,
    )  # fmt: skip
    assert b["accuracy"] == pytest.approx(2 / 3) and b["interval"] == facts._interval(2, 3)


def test_the_page_shows_groups_and_what_was_measured_before(folder, tmp_path):
    """Of a bundled model: what its file and the field tables have, and that it is not of here."""
    words = ["--model", "mnist-uno", "--images", folder, "--report", tmp_path, "--out", tmp_path]
    assert cli.main(["--quiet", *map(str, words)]) == 0
    told = json.loads((tmp_path / "report.json").read_text())
    found = {of["group"]: (of["images"], of["writers"]) for of in told["readings"]["groups"]}
    assert found == {"employees": (3, 2), "students": (5, 3)}
    assert told["identity"]["trained"]["interval"] == facts._interval(9969, 10000)
    assert told["field"]["tables"] == bundled.field_tables("mnist-uno")["tables"]
    text = " ".join((tmp_path / "index.html").read_text().split())
    assert "99.69% of 10,000 test images rightly" in text
    assert "The model's file says so; it was not measured here." in text
    shown = told["field"]["tables"]["mnist-c"]["impulse_noise"]
    row = f'<tr><th scope="row">impulse_noise</th><td class="n">{shown:.2%}</td></tr>'
    assert row in text and "They were not measured here." in text


def test_strangers_of_training_are_told_with_what_accepts_them(tmp_path):
    """Where they were measured: of each threshold that of the table."""
    words = ["--model", "mnist-field", "--max-error", "0.002", "--report", tmp_path]
    assert cli.main(["--no-verify", "--quiet", "--out", str(tmp_path), *map(str, words)]) == 0
    reject = json.loads((tmp_path / "report.json").read_text())["reject"]
    plan = make_plan(bundled.load("mnist-field"), "int8", 0.002)
    table, row = plan.model.gap_table, plan.gap_row
    assert reject["strangers"] == table.strangers == 5000
    assert reject["chosen"]["strangers_accepted"] == row.strangers / 5000
    accepted = [of["strangers_accepted"] for of in reject["curve"]]
    assert accepted == sorted(accepted, reverse=True)
    text = " ".join((tmp_path / "index.html").read_text().split())
    of_all, chosen = (f"{100 * share:.3g} %" for share in (accepted[0], row.strangers / 5000))
    assert f"{of_all} are accepted where no gap is asked for, and {chosen} by this export" in text


def test_of_a_model_of_ones_own_nothing_was_measured_before():
    assert "not_run" in facts._field("mnist-uno.safetensors") and "tables" not in facts._field("x")
    for info in ({}, {"test_accuracy": "0.9", "test_images": 5}, {"test_accuracy": 1.0}):
        assert "not_run" in facts._trained(info)


def test_what_was_measured_is_of_the_models_that_are_there():
    for name in bundled.names():
        tables = bundled.field_tables(name)
        if tables:
            right = tables["tables"]["clean"]["right"]
            accuracy = bundled.load(name).info["test_accuracy"]
            assert right == pytest.approx(accuracy, abs=3e-4), name
