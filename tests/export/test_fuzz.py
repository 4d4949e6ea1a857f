"""Damaged files and drawn command lines: a slice of what benchmarks/fuzz.py runs."""

from __future__ import annotations

import io
import json
import struct

import pytest
from PIL import Image

import fuzz
from lenet_export import photos
from lenet_export.errors import UserError
from lenet_export.readers import parameters
from needs import ROOT, wide

RESULTS = json.loads(fuzz.RESULTS.read_text())


#: Of which a case is a whole export.
SLOW = "evidence", "command line"


@pytest.mark.parametrize("times", [1, *wide([10])])
@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_what_is_damaged_is_read_or_refused(kind, times):
    """By a mistake that is told with its remedy, and no file is left half written."""
    cases = range(times * (12 if kind in SLOW else 80))
    with fuzz.limited():
        found = {number: fuzz.outcome(kind, number) for number in cases}
    failed = {number: why for number, (status, why) in found.items() if status == fuzz.FAILED}
    assert failed == {}
    assert any(status == fuzz.REFUSED for status, _ in found.values())


def test_none_of_the_last_long_run_failed():
    assert RESULTS.keys() == fuzz.KINDS.keys()
    assert not any(fuzz.FAILED in counts for counts in RESULTS.values())


def test_a_run_that_is_ended_has_written_down_its_turns(tmp_path, monkeypatch):
    """And the next one goes on behind them; another run's kinds stay as they are."""
    written = fuzz.written_down

    def ended(kind, counts):
        written(kind, counts)
        raise KeyboardInterrupt

    monkeypatch.setattr(fuzz, "RESULTS", tmp_path / "fuzz.json")
    monkeypatch.setattr(fuzz, "TURN", 0.02)
    written("IDX", fuzz.Counter(refused=7))
    monkeypatch.setattr(fuzz, "written_down", ended)
    totals = [0]
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fuzz.main(["--seconds", "9", "--kind", "msgpack", "--update"])
        totals.append(fuzz.known()["msgpack"].total())
    assert totals[0] < totals[1] < totals[2]
    assert fuzz.known()["IDX"] == {"refused": 7}


def test_the_table_of_the_document_is_that_of_the_last_long_run():
    document = (ROOT / "benchmarks/README.md").read_text()
    assert f"\n\n{fuzz.table(RESULTS)}\n" in document


def test_a_reader_that_fails_is_told(monkeypatch):
    """By an exception of its own, silence, or a file that is left."""

    def fails(*_):
        raise IndexError

    def leaves(arguments):
        out = arguments[arguments.index("--out") + 1]
        fuzz.files.write({fuzz.Path(out) / "lenet.c": b""})
        return 1

    for kind, of in (("IDX", fails), ("npz", lambda *_: fuzz.sys.exit(3))):
        monkeypatch.setitem(fuzz.KINDS, kind, fuzz.KINDS[kind]._replace(run=of))
        assert fuzz.outcome(kind, 0)[0] == fuzz.FAILED
    monkeypatch.setattr(fuzz.cli, "main", leaves)
    monkeypatch.setitem(fuzz.KINDS, "CSV", fuzz.Kind(lambda _: ["export"], fuzz.run_line))
    assert "left ['lenet.c']" in fuzz.outcome("CSV", 0)[1]


# ---- What was found ------------------------------------------------------------------------------


def test_a_file_of_named_classes_and_no_layer_is_damaged(tmp_path):
    content = {**fuzz.CONTENTS[1][0], "stages": []}
    path = tmp_path / "model.safetensors"
    path.write_bytes(fuzz.written(content, {}))
    with pytest.raises(UserError, match="its metadata is damaged"):
        fuzz.checkpoint.load(path)


def test_a_tiff_whose_strips_are_at_half_a_byte_is_no_picture(tmp_path):
    """Pillow has a TypeError of it."""
    made = io.BytesIO()
    Image.new("L", (20, 20)).save(made, "TIFF")
    data = bytearray(made.getvalue())
    at = data.index(struct.pack("<HHI", 273, 4, 1))  # StripOffsets, of type LONG
    struct.pack_into("<HHIf", data, at, 273, 11, 1, 0.5)  # FLOAT
    path = tmp_path / "picture.tif"
    path.write_bytes(data)
    with pytest.raises(UserError, match="is no picture that can be read"):
        photos.read(path)


@pytest.mark.parametrize(
    ("program", "option"),
    [(fuzz.cli, "max-error"), (fuzz.cli, "out"), (fuzz.reading, "show"), (fuzz.training, "epochs")],
)
def test_two_dashes_are_no_value(program, option, capsys):
    """Python's argparse gave an empty list in their place."""
    with pytest.raises(SystemExit) as ended:
        program.main([f"--{option}=--", *(["a.png"] if program is fuzz.reading else [])])
    assert ended.value.code == 2
    assert f"argument --{option}: expected one argument" in capsys.readouterr().err


def test_parameters_may_have_numbers_for_names():
    assert parameters.loaded({1: {"kernel": [0.0]}, "b": 2})
    assert parameters.loaded({1: [0.0], "fc.bias": 2}) == {"1": [0.0], "fc": {"bias": 2}}
