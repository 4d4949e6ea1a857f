"""``--with picture``: a picture of any size is prepared and read, in C as in the reference."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

import lenet_export
from lenet_export import UserError, prepare
from lenet_export.compiled import CompiledNetwork
from lenet_export.cpus.registry import lay_out
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from lenet_export.verdict import Verdict
from needs import ROOT, require, wide
from variables import drawn_for

from .builds import BUILDS
from .networks import named_model, random_model
from .pictures import differ, drawn, pictures, prepared_by, scene, written
from .test_contract import C_WARNINGS, WARNINGS, symbols_of

PICTURE = Options(parts=("picture",))
SOME = ("clang -O2", "gcc sanitized")
NO_INK, NO_PICTURE = 4, 6


@pytest.fixture(scope="module")
def plan():
    return make_plan(named_model("lenet"), "int8")


@pytest.fixture(scope="module")
def network(plan):
    return CompiledNetwork(plan, render_c(plan, PICTURE))


@pytest.fixture(scope="module")
def given():
    """Pictures, and what the reference finds in them."""
    made = pictures(300, 1)
    return made, [prepare(picture) for picture in made]


@pytest.fixture(scope="module")
def program(plan, tmp_path_factory):
    """A function that compiles the program in one of ``BUILDS``."""
    folder = written(render_c(plan, PICTURE), tmp_path_factory.mktemp("picture"))

    def build(name):
        compiler, *flags = BUILDS[name]
        out = folder / name.replace(" ", "")
        sources = [folder / "program.c", folder / "lenet.c"]
        command = [require(compiler), "-std=c99", *flags, "-o", out, *sources]
        subprocess.run(command, check=True)
        return out

    return build


@pytest.mark.parametrize("build", [*SOME, *wide(build for build in BUILDS if build not in SOME)])
def test_every_compiler_prepares_each_picture_as_the_reference_does(program, given, build):
    made, expected = given
    assert differ(prepared_by(program(build), made), expected) == []
    assert 150 < sum(found.has_ink for found in expected) < 290
    assert sum(found.is_dark for found in expected) > 50


@pytest.mark.parametrize("level", ["-O2", "-O3", *wide(["-O0", "-Os"])])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_it_compiles_without_a_warning_and_needs_nothing(plan, compiler, level, tmp_path):
    folder = written(render_c(plan, PICTURE), tmp_path)
    command = [require(compiler), "-std=c99", *WARNINGS, *C_WARNINGS, level, "-ffreestanding"]
    command += ["-c", folder / "lenet.c", "-o", folder / "lenet.o"]
    subprocess.run(command, check=True)
    symbols = symbols_of(folder / "lenet.o")
    assert [name for name, kind, _ in symbols if kind in "UdDbBC"] == []
    public = {name for name, kind, _ in symbols if kind == "T"}
    new = {"prepare", "prepare_rows", "read_picture", "read_picture_rows"}
    assert {f"lenet_{name}" for name in new} <= public
    assert all(name.startswith("lenet_") for name in public)


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_it_compiles_as_cpp17(plan, compiler, tmp_path):
    folder = written(render_c(plan, PICTURE), tmp_path)
    command = [require(compiler), "-std=c++17", *WARNINGS, "-x", "c++", "-c", folder / "lenet.c"]
    subprocess.run([*command, "-o", folder / "lenet.o"], check=True)


@pytest.mark.parametrize("cpu", wide(["z80", "stm8"]))
def test_sdcc_compiles_it(cpu, tmp_path):
    """Not for an 8051, whose calls through pointers take no arguments."""
    small = make_plan(random_model(named_model("one").stages, (12, 12, 1)), "int8")
    folder = written(render_c(small, PICTURE), tmp_path)
    command = [require("sdcc"), f"-m{cpu}", "--std-c99", "-c", "lenet.c"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    assert (folder / "lenet.rel").stat().st_size > 10_000


@pytest.mark.parametrize("seed", wide(range(100, 110)))
def test_ten_thousand_pictures_are_prepared_as_the_reference_does(program, seed):
    made = pictures(1000, seed)
    expected = list(map(prepare, made))
    for build in ("gcc -O2", "clang sanitized"):
        assert differ(prepared_by(program(build), made), expected) == []


def test_rows_may_be_apart_and_nothing_but_their_bytes_is_read(program, given):
    """Each picture ends where its memory does, which the address sanitizer watches."""
    made, expected = given
    found = prepared_by(program("gcc sanitized"), made[:100], stride=5)
    assert differ(found, expected[:100]) == []


@pytest.mark.parametrize("build", ["gcc -O2", *wide(["clang sanitized"])])
def test_a_network_of_another_size_gets_images_of_its_own(build, tmp_path):
    plan = make_plan(random_model(named_model("one").stages, (40, 40, 1)), "float32")
    folder = written(render_c(plan, PICTURE), tmp_path)
    compiler, *flags = BUILDS[build]
    sources = [folder / "program.c", folder / "lenet.c"]
    command = [require(compiler), "-std=c99", *flags, "-o", folder / "program", *sources]
    subprocess.run(command, check=True)
    made = pictures(60, 2)
    expected = [prepare(picture, (40, 40)) for picture in made]
    assert differ(prepared_by(folder / "program", made, side=40), expected) == []


def test_pictures_of_one_pixel_or_30_000_columns_are_told(network):
    ffi, lib = network._ffi, network._lib
    image, found = ffi.new("uint8_t[784]"), ffi.new("lenet_prepared *")
    ws, pixels = ffi.new("lenet_preparation *"), ffi.new("uint8_t[30000]")
    wrong = [
        (pixels, 1, 1, 1), (pixels, 1, 30000, 30000), (pixels, 30000, 1, 1), (pixels, 0, 28, 28),
        (pixels, 28, 0, 28), (pixels, -5, 28, 28), (pixels, 28, 28, 27), (pixels, 28, 28, -28),
        (pixels, 12, 1025, 1025), (pixels, 11, 20, 20), (ffi.NULL, 28, 28, 28),
    ]  # fmt: skip
    for pointer, *numbers in wrong:
        ffi.memmove(image, b"\1" * 784, 784)
        assert lib.lenet_prepare(ws, pointer, *numbers, image, found) == NO_PICTURE, numbers
        assert bytes(ffi.buffer(image)) == bytes(784)
        reading = lib.lenet_read_picture(ffi.new("lenet_picture *"), pointer, *numbers)
        assert (reading.digit, reading.accepted, reading.verdict) == (-1, 0, NO_PICTURE)


def test_pythons_verdicts_have_the_numbers_and_names_of_the_c():
    plan = make_plan(named_model("lenet"), "int8", is_hardened=True)
    network = CompiledNetwork(plan, render_c(plan, PICTURE))
    names = {verdict: verdict.name.lower().replace("_", " ") for verdict in Verdict}
    assert {verdict: network.verdict_name(verdict) for verdict in Verdict} == names


def test_one_grey_has_no_ink_and_no_digit(network):
    for grey in (0, 1, 128, 255):
        assert not prepare(np.full((50, 60), grey, np.uint8)).has_ink
        reading = network.read_picture(np.full((50, 60), grey, np.uint8))
        assert (reading.digit, reading.gap, reading.verdict) == (-1, 0, NO_INK)


def test_of_noise_little_is_taken_for_ink():
    rng = np.random.default_rng(0)
    noises = [np.clip(rng.normal(128, 25, (80, 90)), 0, 255).astype(np.uint8) for _ in range(40)]
    assert sum(prepare(noise).has_ink for noise in noises) <= 16


def test_a_reading_is_that_of_the_prepared_image(network, given):
    for picture, expected in zip(*given, strict=True):
        found, reading = network.prepare(picture), network.read_picture(picture)
        assert differ([found], [expected]) == []
        if expected.has_ink:
            own = network.function("read")(network.workspace, network.bytes_of(expected.image))
            assert (reading.digit, reading.gap) == (own.digit, own.gap)
            assert (reading.accepted, reading.verdict) == (own.accepted, own.verdict)
        else:
            assert (reading.digit, reading.verdict) == (-1, NO_INK)


def rows_of(network, row, rows, columns):
    """What is found in the picture whose rows the function ``row`` gives."""
    ffi = network._ffi
    image, found = ffi.new("uint8_t[784]"), ffi.new("lenet_prepared *")
    callback = ffi.callback("const uint8_t *(void *, int)", row)
    ws = ffi.new("lenet_preparation *")
    verdict = network._lib.lenet_prepare_rows(ws, callback, ffi.NULL, rows, columns, image, found)
    return verdict, np.frombuffer(ffi.buffer(image), np.uint8).reshape(28, 28).copy()


def test_rows_may_be_given_one_at_a_time_in_one_buffer(network, given):
    for picture, expected in list(zip(*given, strict=True))[:60]:
        buffer = network._ffi.new("uint8_t[]", picture.shape[1])
        asked = []

        def row(_, y, picture=picture, buffer=buffer, asked=asked):
            asked.append(y)
            network._ffi.memmove(buffer, picture[y].tobytes(), picture.shape[1])
            return buffer

        verdict, image = rows_of(network, row, *picture.shape)
        assert np.array_equal(image, expected.image)
        assert verdict == (0 if expected.has_ink else NO_INK)
        assert max(map(asked.count, set(asked))) <= 7


def test_a_row_that_is_null_ends_it_and_rows_that_change_do_no_harm(network):
    rng = np.random.default_rng(0)
    picture = scene(rng)
    for last in (0, 5, len(picture), 3 * len(picture), 5 * len(picture)):
        buffer, asked = network._ffi.new("uint8_t[]", picture.shape[1]), []

        def row(_, y, last=last, buffer=buffer, asked=asked):
            asked.append(y)
            network._ffi.memmove(buffer, picture[y].tobytes(), picture.shape[1])
            return buffer if len(asked) <= last else network._ffi.NULL

        verdict, image = rows_of(network, row, *picture.shape)
        assert (verdict, image.max(), len(asked)) == (NO_PICTURE, 0, last + 1)
    for _ in range(30):
        buffer = network._ffi.new("uint8_t[]", 90)

        def restless(*_, buffer=buffer):
            network._ffi.memmove(buffer, rng.integers(0, 256, 90).astype(np.uint8).tobytes(), 90)
            return buffer

        assert rows_of(network, restless, 70, 90)[0] in (0, NO_INK)


def test_the_workspace_of_a_preparation_is_within_4_kb(network):
    assert network._ffi.sizeof("lenet_preparation") <= 4096
    reading = network._ffi.sizeof("lenet_picture")
    assert reading <= 4096 + 784 + 64
    for page in ("README.md", "CHANGELOG.md"):
        assert f"{reading:,}" in (ROOT / page).read_text(), page


@pytest.mark.parametrize("digit", range(10))
def test_the_box_and_polarity_are_those_of_the_digit(digit):
    rng = np.random.default_rng(digit)
    ink = np.zeros((120, 150))
    ink[20:80, 50:110] = drawn(digit, 60, 0, rng)
    rows, columns = np.flatnonzero((ink > 0.5).any(1)), np.flatnonzero((ink > 0.5).any(0))
    box = np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])
    for is_dark in (False, True):
        picture = (220 - 150 * ink if is_dark else 30 + 150 * ink).astype(np.uint8)
        found = prepare(picture)
        assert found.has_ink and found.is_dark is is_dark
        assert np.abs(np.array(found.box) - box).max() <= 2
        assert 130 <= found.contrast <= 150


def test_an_image_is_in_the_convention_of_mnist():
    """Its longer side 20, its strongest 255, its centre of mass in the middle, ink light."""
    rng = np.random.default_rng(3)
    for _ in range(30):
        found = prepare(scene(rng, most=200))
        if not found.has_ink:
            continue
        rows, columns = np.flatnonzero(found.image.any(1)), np.flatnonzero(found.image.any(0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
        assert found.image.max() == 255
        mass = found.image.astype(float)
        centre = [(mass.sum(1 - axis) * np.arange(28)).sum() / mass.sum() for axis in (0, 1)]
        assert np.abs(np.array(centre) - 13.5).max() <= 1 or rows[0] * columns[0] == 0


def test_what_is_no_grey_picture_is_refused():
    sizes = [(28, 28, 3), (5, 50), (20, 1025), (0, 0)]
    for picture in [np.zeros((28, 28)), None, *(np.zeros(size, np.uint8) for size in sizes)]:
        with pytest.raises(UserError, match="picture: is"):
            prepare(picture)


def test_without_it_the_files_have_nothing_of_it(plan):
    files = render_c(plan, Options())
    assert all(b"icture" not in data for data in files.values())
    with_it = render_c(plan, PICTURE)
    assert b"--with picture" in with_it["lenet.c"] and b'"with": [' in with_it["lenet.json"]


@pytest.mark.parametrize("shape", [(28, 28, 3), (300, 2, 1), (6, 9, 1)])
def test_a_network_whose_images_are_no_pictures_is_refused(shape):
    plan = make_plan(random_model(named_model("one").stages, shape), "int8")
    with pytest.raises(UserError, match="--with picture: prepares grey images of 7 to 128"):
        render_c(plan, PICTURE)


@pytest.mark.parametrize("cpu", ["cortex-m4", "riscv32", "avr", "x86-64-v3"])
@pytest.mark.parametrize("single", [False, True])
def test_it_goes_with_each_cpu_and_prefix_and_in_one_file(cpu, single):
    plan = lay_out(make_plan(named_model("mlp"), "int8"), cpu, "speed")
    files = render_c(plan, Options("reader", single_file=single, parts=("picture",)))
    text = b"".join(files.values()).decode()
    assert "reader_read_picture(reader_picture *ws" in text
    assert "lenet_" not in text.replace("lenet_export", "") and "LENET_" not in text
    assert text.count("---- Pictures") == 2


def test_python_exports_it_and_refuses_other_parts(tmp_path):
    from flax import linen as nn

    module = nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(3)])

    params = drawn_for(module, (8, 8, 1))
    lenet_export.export(
        module, params, (8, 8, 1), tmp_path, dtype="float32", with_=["picture"], verify=False
    )
    assert "lenet_read_picture" in (tmp_path / "lenet.h").read_text()
    for wrong in ("pictures", ["picture", "amounts"], [3], 5):
        with pytest.raises(UserError, match=r"with_: is .*\n.*give a list of picture"):
            lenet_export.export(module, params, (8, 8, 1), tmp_path, with_=wrong)
    with pytest.raises(UserError, match="with_: goes with target c"):
        lenet_export.export(module, params, (8, 8, 1), tmp_path, target="npz", with_=["picture"])
