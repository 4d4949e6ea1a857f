"""``lenet_scan_begin``, ``_row``, ``_finish``: a picture is read whose rows come once."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from lenet_export import UserError, prepare, prepare_scan
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from lenet_export.preparation import SCAN, scanned
from lenet_export.verdict import Verdict
from needs import ROOT, wide

from .builds import BUILDS, EMULATED, compiled, optimized
from .guarded import Guarded
from .networks import named_model, random_model
from .pictures import differ, drawn, found_in, pictures, program, records, scene
from .test_picture import PICTURE

SCANS = 250
SOME = ("gcc -O2", "clang sanitized", "arm-linux-gnueabi-gcc -Os")
#: Prints what was found in each picture; a row lies in memory of its own that ends with it.
PROGRAM = program(
    "lenet_scan",
    """\
        uint8_t *row = malloc((size_t)head[1]);
        lenet_scan_begin(&ws, head[0], head[1]);
        for (int y = 0; y < head[0]; y++) {
            for (int x = 0; x < head[1]; x++) {
                row[x] = pixels[(size_t)head[2] * (size_t)y + (size_t)x];
            }
            lenet_scan_row(&ws, row);
        }
        lenet_reading reading = lenet_scan_finish(&ws);
        lenet_prepared *found = &ws.prepared;
        int32_t numbers[] = {reading.digit < 0 ? (int32_t)reading.verdict : 0, found->is_dark,
                             found->top, found->left, found->bottom, found->right,
                             found->contrast};
        fwrite(numbers, sizeof numbers, 1, stdout);
        fwrite(ws.shared.read.image, sizeof ws.shared.read.image, 1, stdout);
        free(row);""",
)


def scans(count, seed):
    """Pictures of which one side is at most 16 times the other; the first ones as far as can be."""
    rng = np.random.default_rng(seed)
    shapes = [(12, 192), (192, 12), (64, 1024), (1024, 64), (1024, 1024), (64, 64), (64, 65)]
    made = [rng.integers(0, 2, shape).astype(np.uint8) * 255 for shape in shapes]
    made += [one for one in pictures(count, seed) if max(one.shape) <= 16 * min(one.shape)]
    return made[:count]


@pytest.fixture(scope="module")
def plan():
    return make_plan(named_model("lenet"), "int8")


@pytest.fixture(scope="module")
def network(plan):
    return optimized(plan, render_c(plan, PICTURE))


@pytest.fixture(scope="module")
def given():
    """Pictures, and what the reference finds in them."""
    made = scans(SCANS, 1)
    return made, [prepare_scan(picture) for picture in made]


def found_by(build, plan, made, folder, side=28):
    """What the program, compiled in one of the builds, finds in pictures."""
    command = compiled(render_c(plan, PICTURE), PROGRAM, build, folder)
    done = subprocess.run(command, input=records(made), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    size = 28 + side * side
    return [found_in(done.stdout[at : at + size]) for at in range(0, len(done.stdout), size)]


@pytest.mark.parametrize(
    ("build", "count"),
    [
        *((build, 60 if build in EMULATED else SCANS) for build in SOME),
        *wide((build, SCANS) for build in BUILDS if build not in SOME),
        *wide((build, SCANS) for build in SOME if build in EMULATED),
    ],
)
def test_every_compiler_prepares_each_scan_as_the_reference_does(
    build, count, plan, given, tmp_path
):
    made, expected = (of[:count] for of in given)
    assert differ(found_by(build, plan, made, tmp_path), expected) == []
    assert 0.4 * count < sum(found.has_ink for found in expected) < 0.96 * count


@pytest.mark.parametrize("seed", wide(range(100, 110)))
def test_ten_thousand_scans_are_prepared_as_the_reference_does(network, seed):
    made = scans(1000, seed)
    assert differ([network.scan(one)[0] for one in made], list(map(prepare_scan, made))) == []


@pytest.mark.parametrize("build", ["gcc -O2", *wide(["clang sanitized"])])
def test_a_network_of_another_size_gets_images_of_its_own(build, tmp_path):
    plan = make_plan(random_model(named_model("one").stages, (40, 40, 1)), "float32")
    made = scans(60, 2)
    found = found_by(build, plan, made, tmp_path, side=40)
    assert differ(found, [prepare_scan(one, (40, 40)) for one in made]) == []


def test_a_reading_is_that_of_the_prepared_image(network, given):
    for picture, expected in zip(*given, strict=True):
        found, reading = network.scan(picture)
        assert differ([found], [expected]) == []
        if expected.has_ink:
            own = network.function("read")(network.workspace, network.bytes_of(expected.image))
            assert (reading.digit, reading.gap) == (own.digit, own.gap)
            assert (reading.accepted, reading.verdict) == (own.accepted, own.verdict)
        else:
            assert (reading.digit, reading.accepted, reading.verdict) == (-1, 0, Verdict.NO_INK)


def test_what_is_small_is_kept_whole_and_else_the_mean_of_its_areas(given):
    for picture, expected in zip(*given, strict=True):
        kept = scanned(picture)
        if max(picture.shape) <= SCAN:
            assert kept is picture and differ([prepare(picture)], [expected]) == []
        else:
            assert max(kept.shape) == SCAN
    picture = np.random.default_rng(0).integers(0, 256, (150, 192)).astype(np.uint8)
    means = picture.reshape(50, 3, 64, 3).mean((1, 3))
    assert np.abs(scanned(picture) - means).max() <= 0.5
    assert scanned(picture[:149]).shape == (50, 64)


def test_a_box_is_one_of_the_picture():
    ink = np.zeros((200, 250))
    ink[30:150, 50:170] = drawn(8, 120, 0, np.random.default_rng(5))
    for picture in (40 + 150 * ink, 220 - 150 * ink):
        found, other = (find(picture.astype(np.uint8)) for find in (prepare_scan, prepare))
        assert np.abs(np.subtract(found.box, other.box)).max() <= 8
        assert found.is_dark is other.is_dark


def test_the_memory_of_a_scan_is_within_6_and_a_half_kb(network):
    """That of LeNet in int8 included."""
    size = network._ffi.sizeof("lenet_scan")
    assert size <= 6656
    for page in ("README.md", "CHANGELOG.md", "docs/preparation.md"):
        assert f"{size:,}" in (ROOT / page).read_text(), page


class Scan(Guarded):
    """A scan in C, in memory of any bytes."""

    def __init__(self, network, rng=None):
        super().__init__(network, "lenet_scan", ("scan_begin", "scan_row", "scan_finish"), rng)

    def verdict(self):
        """Of a reading that is none."""
        reading = self.finish()
        assert (reading.digit, reading.gap, reading.accepted) == (-1, 0, 0)
        assert not any(bytes(self.ws.shared.read.image)) and self.ws.prepared.bottom == 0
        return reading.verdict


@pytest.fixture
def picture():
    return scene(np.random.default_rng(8), most=100)


def test_rows_too_few_or_too_many_or_null_are_miscounted(network, picture):
    scan, size = Scan(network), picture.shape
    expected = network.scan(picture)[1]
    rows = list(picture)
    for wrong in ([], rows[:-1], [*rows, rows[0]], [*rows[:5], None, *rows[6:]], [*rows, None]):
        scan.begin(*size)
        scan.give(wrong)
        assert scan.verdict() == Verdict.MISCOUNTED
        scan.begin(*size)
        scan.give(rows)
        read = scan.finish()
        assert (read.digit, read.gap) == (expected.digit, expected.gap)
        assert read.verdict == expected.verdict


def test_a_scan_that_does_not_begin_is_told(network, picture):
    scan = Scan(network)
    scan.give(picture)
    assert scan.verdict() == Verdict.NO_PICTURE
    scan.begin(*picture.shape)
    scan.give(picture)
    assert scan.finish().digit >= 0
    assert scan.verdict() == Verdict.MISCOUNTED
    scan.give(picture)
    assert scan.verdict() == Verdict.MISCOUNTED


def test_memory_of_any_bytes_is_never_accepted_without_a_beginning(network):
    rng = np.random.default_rng(3)
    row = rng.integers(0, 256, 1024).astype(np.uint8)
    for _ in range(300):
        scan = Scan(network, rng)
        arrival = scan.ws.arrival
        arrival.lines, arrival.size = rng.integers(12, 200, 2).tolist()
        arrival.given, arrival.left = rng.integers(-5, 200, 2).tolist()
        scan.give([row] * 3)
        assert scan.verdict() in (Verdict.MISCOUNTED, Verdict.NO_PICTURE)


@pytest.mark.parametrize(
    "size",
    [(0, 0), (11, 28), (28, 11), (-28, 28), (28, -28), (1025, 100), (100, 1025), (12, 193),
     (1024, 63), (2**31 - 1, 2**31 - 1), (1, 30_000)],
)  # fmt: skip
def test_sizes_that_are_no_scans_are_told(network, size):
    scan, row = Scan(network), np.zeros(12, np.uint8)
    scan.begin(*size)
    scan.give([row] * 5)
    assert scan.verdict() == Verdict.NO_PICTURE
    with pytest.raises(UserError, match="picture: is"):
        prepare_scan(np.zeros([min(max(side, 0), 1025) for side in size], np.uint8))


def test_a_picture_may_be_any_that_numpy_reads():
    picture = np.random.default_rng(0).integers(0, 256, (70, 90)).astype(np.uint8)
    assert differ([prepare_scan(memoryview(picture))], [prepare_scan(picture)]) == []


def test_without_it_the_file_has_nothing_of_it(plan):
    assert all(b"scan" not in data for data in render_c(plan, Options()).values())
