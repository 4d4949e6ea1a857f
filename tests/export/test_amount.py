"""``--with amount``: a line of digits is read, in C as in the reference."""

from __future__ import annotations

import dataclasses
import mmap
import re
import subprocess

import numpy as np
import pytest

import amount_table
import lenet_export
from lenet_export import UserError, amount, checkpoint, cli, prepare
from lenet_export.checkpoint import Stage
from lenet_export.compiled import compiler
from lenet_export.gap_table import GapRow, GapTable
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from material import amounts
from needs import ROOT, require, wide
from variables import drawn_for

from .builds import BUILDS, EMULATED, compiled, optimized
from .lines import PROGRAM, line, lines, read_by
from .networks import named_model, random_model
from .test_contract import C_WARNINGS, WARNINGS, symbols_of

AMOUNT = Options(parts=("picture", "amount"))
SOME = ("gcc -O2", "clang sanitized")
ACCEPTED, UNSURE, NO_CLASS, NO_INK, NO_PICTURE = 0, 1, 3, 4, 6
MODELS = ROOT / "export/lenet_export/models"


def network_of(plan):
    """Its C that reads amounts."""
    return optimized(plan, render_c(plan, AMOUNT))


@pytest.fixture(scope="module")
def plan():
    return make_plan(checkpoint.load(MODELS / "mnist-modern.safetensors"), "int8")


@pytest.fixture(scope="module")
def network(plan):
    return network_of(plan)


def reference(network, picture):
    """What the specification reads: text, readings, score."""
    unit = amount.unit_of(network.plan.logit_scale)
    read = amount.read_amount(picture, lambda images: network.logits(images[..., None]), unit)
    return read.text, read.readings, read.score


def by_c(network, picture):
    """The same of the C."""
    read = network.read_amount(picture)
    return network._ffi.string(read.text).decode(), read.readings, read.score


@pytest.fixture(scope="module")
def given(network):
    """Lines, and what the reference reads in them."""
    made = lines(90, 1)
    return made, [reference(network, picture) for picture in made]


@pytest.mark.parametrize(
    "build", [*SOME, *wide(build for build in [*BUILDS, *EMULATED] if build not in SOME)]
)
def test_every_compiler_reads_each_line_as_the_reference_does(plan, given, build, tmp_path):
    made, expected = given
    command = compiled(render_c(plan, AMOUNT), PROGRAM, build, tmp_path)
    for stride in (0, 5):
        read = read_by(command, made, stride, is_big="powerpc" in build)
        assert [(text, readings, score) for text, _, readings, score, _ in read] == expected
    assert {verdict for _, verdict, *_ in read} <= {ACCEPTED, NO_CLASS, NO_INK}
    assert all((verdict == ACCEPTED) == is_accepted for _, verdict, _, _, is_accepted in read)
    assert sum(len(text) for text, *_ in expected) > 200
    assert max(readings for _, readings, _ in expected) > 15


def test_the_rows_may_lie_more_than_two_gigabytes_apart(network):
    """In all; memory that nobody writes to costs nothing."""
    picture = np.full((12, 40), 230, np.uint8)
    picture[2:10, 12:15] = picture[2:10, 26:28] = 20
    stride = 2**28
    with mmap.mmap(-1, stride * len(picture)) as memory:
        for y, row in enumerate(picture):
            memory[y * stride : y * stride + 40] = row.tobytes()
        far = network._ffi.from_buffer("uint8_t[]", memory)
        size = 12, 40, stride
        read = network.function("read_amount")(network._ffi.new("lenet_line *"), far, *size)
        near = network.read_amount(picture)
        assert (read.verdict, read.score) == (near.verdict, near.score)
        ws = network._ffi.new("lenet_picture *")
        seen = network.function("read_picture")(ws, far, *size)
        other = network.read_picture(picture)
        assert (seen.digit, seen.gap, seen.verdict) == (other.digit, other.gap, other.verdict)
        assert bytes(ws.image) == prepare(picture).image.tobytes()
        network._ffi.release(far)


def test_a_network_with_an_output_for_none_reads_as_the_reference_does():
    """One that guesses, so that any way through the lattice may be the best."""
    stages = Stage("conv1", "conv", 2, "relu", (5, 5), "SAME", "max", 4), Stage("fc", "dense", 11)
    model = dataclasses.replace(random_model(stages, (28, 28, 1), 3), none_output=True)
    network = network_of(make_plan(model, "int8"))
    made = lines(50, 2)
    assert [by_c(network, one) for one in made] == [reference(network, one) for one in made]


@pytest.mark.parametrize("spacing", amounts.SPACINGS)
@pytest.mark.parametrize("ruled", [0, *wide([1])])
def test_lines_of_mnist_are_read_as_the_reference_does(network, written, spacing, ruled):
    made = amounts.lines(written, spacing, 20, 31, "camera", ruled)
    assert [by_c(network, one.picture) for one in made] == [
        reference(network, one.picture) for one in made
    ]


@pytest.mark.parametrize("spacing", wide(amounts.SPACINGS))
def test_two_thousand_lines_of_mnist_are_read_as_the_reference_does(network, written, spacing):
    made = amounts.lines(written, spacing, 500, 32)
    assert [by_c(network, one.picture) for one in made] == [
        reference(network, one.picture) for one in made
    ]


def test_most_amounts_are_read_and_their_commas_and_ruled_lines_left_out(network, written):
    for ruled, least in ((0, 0.9), (1, 0.85)):
        made = amounts.lines(written, "spaced", 80, 33, ruled=ruled)
        read = [by_c(network, one.picture) for one in made]
        right = [text == one.text for (text, *_), one in zip(read, made, strict=True)]
        assert np.mean(right) >= least
        # The surer half are surer to be right.
        order = np.argsort([score for *_, score in read])
        assert np.mean(np.array(right)[order[40:]]) >= np.mean(right)
        readings = sum(readings for _, readings, _ in read)
        assert readings <= 2 * sum(len(one.text) for one in made)


def test_what_is_no_line_is_told_and_not_read(network):
    ffi, lib = network._ffi, network._lib
    ws, pixels = ffi.new("lenet_line *"), ffi.new("uint8_t[30000]")
    wrong = [
        (pixels, 1, 1, 1), (pixels, 1, 30000, 30000), (pixels, 30000, 1, 1), (pixels, 0, 28, 28),
        (pixels, 28, 0, 28), (pixels, -5, 28, 28), (pixels, 28, 28, 27), (pixels, 28, 28, -28),
        (pixels, 12, 4097, 4097), (pixels, 513, 20, 20), (ffi.NULL, 28, 28, 28),
    ]  # fmt: skip
    for pointer, *numbers in wrong:
        read = lib.lenet_read_amount(ws, pointer, *numbers)
        assert (read.verdict, read.accepted) == (NO_PICTURE, 0), numbers
        assert (ffi.string(read.text), read.digits, read.readings, read.score) == (b"", 0, 0, 0)
    for grey in (0, 1, 128, 255):
        read = network.read_amount(np.full((50, 60), grey, np.uint8))
        assert (read.verdict, read.accepted, read.readings) == (NO_INK, 0, 0)
    assert amount.read_amount(np.full((50, 60), 7, np.uint8), lambda _: None, 1) == amount.NOTHING


def test_more_than_twelve_digits_are_no_amount(network):
    one = np.zeros((32, 20), np.uint8)
    one[4:28, 8:11] = 255
    for count in (1, 11, 12, 13, 20):
        text, *_ = by_c(network, np.tile(one, count))
        assert text == ("1" * count if count <= amount.DIGITS else "")
    read = network.read_amount(np.tile(one, 13))
    assert (read.verdict, read.digits) == (NO_CLASS, 0)


def test_the_memory_of_a_line_is_what_the_header_tells(plan, network):
    """That of LeNet in int8 included, and no more than 8 KB."""
    size = network._ffi.sizeof("lenet_line")
    assert size <= 8192
    assert size_told(plan, "lenet_line") == size
    assert f"{size:,}" in (ROOT / "docs/amounts.md").read_text()


WIDE = Stage("conv1", "conv", 90, "relu", (5, 5)), Stage("fc", "dense", 10)
FLAT = (Stage("fc", "dense", 10),)


@pytest.mark.parametrize(
    ("stages", "shape", "options"),
    [
        (FLAT, (28, 28, 1), AMOUNT),
        (WIDE, (28, 28, 1), AMOUNT),
        (FLAT, (7, 128, 1), Options(parts=("picture",))),
        (FLAT, (61, 43, 1), Options(parts=("picture",))),
    ],
)
def test_the_table_at_the_head_tells_the_bytes_of_each_memory(tmp_path, stages, shape, options):
    files = render_c(make_plan(random_model(stages, shape), "int8"), options)
    (tmp_path / "lenet.h").write_bytes(files["lenet.h"])
    told = re.findall(r"^ \*     .* (lenet_[a-z]+) +([0-9 ]+)$", files["lenet.h"].decode(), re.M)
    assert len(told) == (8 if "amount" in options.parts else 6)
    sizes = "".join(f'printf("%d ", (int)sizeof({memory}));' for memory, _ in told)
    main = f'#include "lenet.h"\n#include <stdio.h>\nint main(void) {{ {sizes} return 0; }}\n'
    (tmp_path / "main.c").write_text(main)
    program = tmp_path / "sizes"
    subprocess.run([*compiler(), "-o", program, tmp_path / "main.c"], check=True)
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    assert printed.split() == [size.replace(" ", "") for _, size in told]


def size_told(plan, memory):
    """The bytes that the header tells of a struct, at most."""
    header = render_c(plan, AMOUNT)["lenet.h"].decode()
    above = header[: header.index(f"\nstruct {memory} {{")].rpartition("/*")[2]
    return int("".join(re.search(r"At most ([0-9 ]+) bytes", above)[1].split()))


@pytest.mark.parametrize(
    ("compiler", "level"),
    [("gcc", "-O2"), ("clang", "-Os"), *wide([("gcc", "-Os"), ("clang", "-O2")])],
)
def test_it_compiles_without_a_warning_and_needs_nothing(plan, compiler, level, tmp_path):
    for name, data in render_c(plan, AMOUNT).items():
        (tmp_path / name).write_bytes(data)
    command = [require(compiler), "-std=c99", *WARNINGS, *C_WARNINGS, level, "-ffreestanding"]
    command += ["-c", tmp_path / "lenet.c", "-o", tmp_path / "lenet.o"]
    subprocess.run(command, check=True)
    symbols = symbols_of(tmp_path / "lenet.o")
    assert [name for name, kind, _ in symbols if kind in "UdDbBC"] == []
    public = {name for name, kind, _ in symbols if kind == "T"}
    assert "lenet_read_amount" in public and all(name.startswith("lenet_") for name in public)


def test_it_compiles_as_cpp17(plan, tmp_path):
    for name, data in render_c(plan, AMOUNT).items():
        (tmp_path / name).write_bytes(data)
    command = [require("g++"), "-std=c++17", *WARNINGS, "-x", "c++", "-c", tmp_path / "lenet.c"]
    subprocess.run([*command, "-o", tmp_path / "lenet.o"], check=True)


def test_an_amount_brings_pictures_and_other_names_and_tables_go_with_it(plan):
    files = render_c(plan, Options("reader", parts=("picture", "amount"), tables="apart"))
    text = b"".join(files.values()).decode()
    assert "reader_read_amount(reader_line *ws" in text and "reader_read_picture(" in text
    assert "lenet_" not in text.replace("lenet_export", "") and "LENET_" not in text
    unit = amount.unit_of(plan.logit_scale)
    assert f"#define READER_COST_UNIT {unit}\n" in files["reader_tables.h"].decode()


def test_without_it_the_files_have_nothing_of_it(plan):
    files = render_c(plan, Options(parts=("picture",)))
    assert all(b"mount" not in data and b"COST" not in data for data in files.values())


@pytest.mark.parametrize("name", ["mlp", "deep", "lenet"])
def test_a_network_that_reads_no_digits_is_refused(name):
    model = named_model(name)
    dtype = "float32" if model.classes == 10 and model.input_shape == (28, 28, 1) else "int8"
    with pytest.raises(UserError, match="--with amount: reads amounts by an int8 network"):
        render_c(make_plan(model, dtype), AMOUNT)


def test_a_line_is_made_by_its_seed():
    one, other = (line(np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, other)


#: As it would be of lines: many are wrong where the score is small.
TABLE = GapTable(1000, (GapRow(0.0, 1000, 80), GapRow(39.5, 900, 10), GapRow(80.0, 500, 1)))


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A model with a table of amounts."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    model = checkpoint.load(MODELS / "mnist.safetensors")
    checkpoint.save(dataclasses.replace(model, amount_table=TABLE), path)
    return path


def test_the_file_holds_the_table_of_amounts_where_there_is_one(model_file):
    assert checkpoint.load(model_file).amount_table == TABLE
    assert checkpoint.load(MODELS / "mnist.safetensors").amount_table is None


def test_the_least_score_is_the_tables(model_file, tmp_path):
    given = ["--model", str(model_file), "--with", "amount", "--no-verify", "--out", str(tmp_path)]
    assert cli.main([*given, "--max-amount-error", "0.02"]) == 0
    header = (tmp_path / "lenet.h").read_text()
    assert "#define LENET_MIN_SCORE 40\n" in header
    assert "With this threshold 900 of 1 000 lines" in header and "accepted; 10 of them" in header
    assert "--max-amount-error 0.02" in (tmp_path / "lenet.json").read_text()
    assert cli.main(given) == 0
    assert "#define LENET_MIN_SCORE 0\n" in (tmp_path / "lenet.h").read_text()


def test_an_amount_below_the_least_score_is_unsure(model_file, written):
    plan = make_plan(checkpoint.load(model_file), "int8")
    asked = dataclasses.replace(AMOUNT, max_amount_error=0.02)
    strict = optimized(plan, render_c(plan, asked))
    read = [strict.read_amount(one.picture) for one in amounts.lines(written, "near", 40, 34)]
    assert {(one.score >= 40, one.verdict == ACCEPTED) for one in read if one.digits} == {
        (True, True),
        (False, False),
    }
    assert all(one.verdict in (ACCEPTED, UNSURE, NO_CLASS) for one in read)


def test_python_exports_the_least_score_of_a_table_that_it_is_given(tmp_path):
    from flax import linen as nn

    module = nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(10)])
    params = drawn_for(module, (28, 28, 1))

    def export(**options):
        lenet_export.export(module, params, (28, 28, 1), tmp_path, verify=False, **options)

    # As an export without a threshold scores lines: of the 40 below 8, ten are wrong.
    scores = np.repeat(np.float32([5, 20]), [40, 60])
    table = lenet_export.GapTable.of(scores, np.arange(100) < 10)
    export(with_=["amount"], max_amount_error=0.05, amount_table=table)
    least = int(re.search(r"MIN_SCORE (\d+)\n", (tmp_path / "lenet.h").read_text())[1])
    assert 5 < least <= 20
    for message, options in {
        "max_amount_error 0.05: the model has no table": {"with_": ["amount"]},
        "max_amount_error: goes with amounts only": {"amount_table": table},
        "amount_table: is 3": {"with_": ["amount"], "amount_table": 3},
    }.items():
        with pytest.raises(UserError, match=message):
            export(max_amount_error=0.05, **options)
    with pytest.raises(UserError, match="max_amount_error: is 2"):
        export(with_=["amount"], max_amount_error=2)


def test_an_error_that_cannot_be_shown_is_told(model_file, capsys, tmp_path):
    bundled = ["--with", "amount", "--max-amount-error", "0.01", "--out", str(tmp_path)]
    assert cli.main(bundled) == 1
    assert "the model has no table of amounts" in capsys.readouterr().err
    asked = ["--model", str(model_file), "--with", "amount", "--max-amount-error", "0.0001"]
    assert cli.main([*asked, "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "was measured on 1,000 lines" in error and "ask for at least 0.004" in error
    with pytest.raises(SystemExit):
        cli.main(["--max-amount-error", "0.01", "--out", str(tmp_path)])
    assert "--max-amount-error goes with --with amount only" in capsys.readouterr().err


def test_the_table_counts_wrong_texts_by_their_score(by_five):
    """A reader that knows each text, but the first in 10, of which it is less sure."""
    lines = amounts.lines(by_five, "mix", 50, 3)
    known = {one.picture.tobytes(): (k, one.text) for k, one in enumerate(lines)}

    def read(picture):
        k, text = known[picture.tobytes()]
        return ("?", 1.0) if k % 10 == 0 else (text, 5.0 + k)

    table = amount_table.measure(read, by_five, 50, 3)
    assert (table.images, table.rows[0]) == (50, GapRow(0.0, 50, 5))
    assert table.rows[-1][1:3] == (45, 0) and 1 < table.rows[-1].gap < 6
