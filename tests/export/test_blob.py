"""``--tables blob``: what training decides as bytes that the C is bound to, and their update."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import subprocess

import numpy as np
import pytest

from few_bits import on_grids
from lenet_export import api, bundled, cli, reference, verify
from lenet_export.compiled import CompiledNetwork
from lenet_export.cpus.registry import lay_out
from lenet_export.crc import crc32c
from lenet_export.errors import UserError
from lenet_export.outputs import blob
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from needs import ROOT, require, wide

from .networks import CHAINS, MISCOUNTED, SHAPES, named_model, random_model
from .test_contract import C_WARNINGS, CROSS, WARNINGS, symbols_of
from .test_parity import can_run

BLOB = Options(tables="blob")
#: What a blob begins with; the CRC is of all that stands behind it.
HEAD = [*("magic", "format", "network", "layout", "code 0", "code 1", "bytes", "crc"), "release"]
SIZE = 4 * HEAD.index("release")
FILES = ("lenet.c", "lenet.h")


def planned(model, dtype="int8", cpu="generic", max_error=None, harden=False):
    return lay_out(make_plan(model, dtype, max_error, is_hardened=harden), cpu, "speed")


def files_of(model, options=BLOB, **chosen):
    return render_c(planned(model, **chosen), options)


def trained(chain="signed", seed=0):
    return random_model(CHAINS[chain], SHAPES[chain], seed)


@functools.cache
def tables_of(release=3, seed=0):
    """A blob of the small network, as it is trained for the ``seed``-th time."""
    return files_of(trained(seed=seed), Options(tables="blob", release=release))["lenet_tables.bin"]


def with_head(tables, **words):
    """``tables`` with other numbers in front, of 32 bits each."""
    head = np.frombuffer(tables, "<u4", len(HEAD)).copy()
    for name, value in words.items():
        head[HEAD.index(name.replace("_", " "))] = value
    return head.tobytes() + tables[4 * len(HEAD) :]


def with_crc(tables):
    """``tables`` with the CRC of what stands behind it."""
    return with_head(tables, crc=crc32c(tables[SIZE:]))


@pytest.fixture(scope="module")
def network():
    """The small network, compiled, with release 3 of its tables in force."""
    plan = planned(trained())
    return CompiledNetwork(plan, render_c(plan, Options(tables="blob", release=3)))


# ---- What is bound is the network ---------------------------------------------------------------

FEW = "few bits"
CASES = [
    ("lenet", "cortex-m4", "int8"),
    ("normed", "generic", "int8"),
    ("signed", "generic", "int8"),
    ("normed", "generic", "float32"),
    ("lenet", "x86-64-v3", "int8"),
    (FEW, "avr", "int8"),
]
MORE = [
    *((chain, "generic", dtype) for chain in CHAINS for dtype in ("int8", "float32")),
    *(("normed", cpu, "int8") for cpu in ("cortex-m55", "x86-64-v3", "x86-64-v3-vnni")),
    *(("lenet", cpu, "int8") for cpu in ("cortex-m0", "cortex-m3", "cortex-m55", "riscv32")),
    *(("lenet", cpu, "int8") for cpu in ("aarch64", "aarch64-dotprod", "x86-64-v4")),
    *(("lenet", cpu, "float32") for cpu in ("aarch64", "x86-64-v3", "x86-64-v4")),
    *(("separable", cpu, "int8") for cpu in ("cortex-m4", "aarch64-dotprod")),
    *((FEW, cpu, "int8") for cpu in ("cortex-m3", "cortex-m55")),
]


def model_of(chain):
    if chain == FEW:
        return on_grids(named_model("lenet"), ("4", "2", "1", "ternary", "8"))
    return named_model(chain)


@pytest.mark.parametrize(
    ("chain", "cpu", "dtype"), [*CASES, *wide(case for case in MORE if case not in CASES)]
)
def test_what_is_bound_computes_what_jax_does(chain, cpu, dtype):
    if not can_run(cpu):
        return
    plan = planned(model_of(chain), dtype, cpu)
    found = verify.verify(plan, render_c(plan, BLOB))
    assert found.images > 100
    if dtype == "int8":
        assert found.largest_difference == 0


def test_hardened_tables_and_pictures_and_amounts_are_bound_too():
    plan = planned(bundled.load("mnist-field"), max_error=0.002, harden=True)
    parts = ("picture", "amount")
    bound = CompiledNetwork(plan, render_c(plan, Options(tables="blob", parts=parts)))
    inside = CompiledNetwork(plan, render_c(plan, Options(parts=parts)))
    page = read_pgm(ROOT / "c_runtime/examples/page.pgm")
    for name in ("read_picture", "read_amount", "push_amount"):
        ours, theirs = (getattr(of, name)(page) for of in (bound, inside))
        for what in ("accepted", "verdict", "gap" if name == "read_picture" else "score"):
            assert getattr(ours, what) == getattr(theirs, what)
    assert bound.scan(page)[1].gap == inside.scan(page)[1].gap > 0
    assert bound.function("self_test")(bound.workspace) == 0


def read_pgm(path):
    magic, columns, rows, most = path.read_bytes().split(maxsplit=4)[:4]
    assert (magic, most) == (b"P5", b"255")
    pixels = path.read_bytes()[-int(rows) * int(columns) :]
    return np.frombuffer(pixels, np.uint8).reshape(int(rows), int(columns))


RETRAINED = [(chain, "generic", "int8") for chain in CHAINS]
MORE_RETRAINED = [
    *((chain, "generic", "float32") for chain in CHAINS),
    *((chain, cpu, "int8") for chain in CHAINS for cpu in ("cortex-m4", "cortex-m55")),
    *(("lenet", cpu, "int8") for cpu in ("cortex-m0", "x86-64-v4", "aarch64")),
]


@pytest.mark.parametrize(("chain", "cpu", "dtype"), [*RETRAINED, *wide(MORE_RETRAINED)])
def test_a_network_trained_again_changes_the_blob_alone(chain, cpu, dtype):
    first, again = (files_of(trained(chain, seed), dtype=dtype, cpu=cpu) for seed in (0, 1))
    changed = {name for name in first if first[name] != again[name]}
    assert changed == {"lenet_tables.bin", "lenet.json"}
    ids = slice(4 * HEAD.index("format"), 4 * HEAD.index("crc"))
    assert first["lenet_tables.bin"][ids] == again["lenet_tables.bin"][ids]


def test_one_code_reads_by_several_at_once_what_jax_reads_by_each(network):
    images = verify.stress_images(network.plan)
    own = network.tables
    plans = [planned(trained(seed=seed)) for seed in (0, 1)]
    others = own, network.bind(tables_of(release=3, seed=1))[1]
    assert others[1] is not None
    for plan, tables in zip([*plans, plans[0]], [*others, own], strict=True):
        network.tables = tables
        last = plan.layers[-1].name
        expected = reference.run_integers(plan, images, [last])[last]
        assert (network.logits(images) == expected).all()
        assert network.function("self_test")(network.workspace) == 0


# ---- What is not bound --------------------------------------------------------------------------

OTHERS = {
    "network": {"model": trained("strided")},
    "cpu": {"cpu": "cortex-m3"},
    "code": {"dtype": "float32"},
    "code of options": {"harden": True},
    "code of parts": {"options": Options(tables="blob", single_file=True)},
}


def test_each_failure_has_its_own_verdict_and_leaves_the_old_one(network):
    tables = tables_of(release=4)
    words = np.frombuffer(tables, "<u4")
    damaged = bytearray(tables)
    damaged[-1] ^= 1
    failures = {
        "short": tables[:-1],
        "short of a head": tables[: SIZE - 1],
        "byte order": words.byteswap().tobytes(),
        "no tables": b"\xff" * len(tables),
        "format": with_head(tables, format=blob.FORMAT + 1),
        "network": with_head(tables, network=1),
        "network, cut short": with_head(tables, network=1)[:-1],
        "cpu": with_head(tables, layout=1),
        "code": with_head(tables, code_1=1),
        "damaged": bytes(damaged),
        "damaged length": with_head(tables, bytes=len(tables) + 4),
        "older": tables_of(release=2),
        "older, or not told apart": tables_of(release=3, seed=1),
    }
    for name, other in OTHERS.items():
        given = {"model": trained()} | other
        found = files_of(**given)["lenet_tables.bin"]
        failures[f"{name}, exported"] = found
    for failure, given in failures.items():
        found, still = network.bind(given, network.tables)
        assert failure.startswith(found), (failure, found)
        assert still == network.tables
    for offset in (1, 2, 3):
        assert network.bind(tables, network.tables, offset) == ("misaligned", network.tables)
    assert network.bind(tables, network.tables, 4)[0] == "bound"
    assert network.function("self_test")(network.workspace) == 0


def test_options_that_are_of_the_tables_alone_change_no_code(network):
    for options, chosen in [
        (Options(prefix="digits", tables="blob", release=9), {}),
        (Options(tables="blob", release=9), {"max_error": 0.01}),
    ]:
        files = files_of(trained(), options, **chosen)
        tables = files[f"{options.prefix}_tables.bin"]
        assert network.bind(tables, network.tables)[0] == "bound"


def test_names_that_differ_by_a_blank_or_within_what_looks_like_a_comment_are_of_other_code():
    codes = set()
    for names in [
        ("zip  code", "/*", "a", "*/"),
        ("zip code", "/*", "a", "*/"),
        ("zip code", "/*", "b", "*/"),
    ]:
        model = trained("signed")
        names += tuple(map(str, range(model.classes - len(names))))
        files = files_of(dataclasses.replace(model, class_names=names))
        codes.add(json.loads(files["lenet.json"])["tables"]["code"])
    assert len(codes) == 3


def test_sums_that_need_other_types_are_of_other_code():
    model = trained("mlp")
    params = {
        name: of * np.float32(1e3 if name.endswith("bias") else 1)
        for name, of in model.params.items()
    }
    larger = dataclasses.replace(model, params=params)
    for cpu, is_same in (("generic", True), ("avr", False)):
        first, again = (
            json.loads(files_of(of, cpu=cpu)["lenet.json"])["tables"] for of in (model, larger)
        )
        assert (first["code"] == again["code"]) == is_same


def test_the_older_is_bound_where_nothing_is_and_the_newer_of_two_slots_is_in_force(network):
    old, new = tables_of(release=2), tables_of(release=7, seed=1)
    for slots in itertools.permutations([old, new, b"\xff" * len(old)]):
        bound = None
        for slot in slots:
            bound = network.bind(slot, bound)[1]
        description = described(network, bound)
        assert description.release == 7
    assert network.bind(old)[0] == "bound"
    model = bytes(described(network, bound).model).hex()
    assert model == planned(trained(seed=1)).model_id


def described(network, tables):
    description = network._ffi.new("lenet_description *")
    network._lib.lenet_describe(tables, description)
    return description


# ---- Mutations and torn writes ------------------------------------------------------------------


def mutated(rng, whole, others):
    """One of the ways in which a blob may be wrong."""
    given = bytearray(whole)
    place, end = sorted(map(int, rng.integers(0, len(given) + 1, 2)))
    kind = rng.integers(0, 12)
    if kind == 0:  # some bits
        for bit in rng.integers(0, 8 * len(given), rng.integers(1, 9)):
            given[bit // 8] ^= 1 << bit % 8
    elif kind == 1:  # bits of what is in front
        given[rng.integers(0, 36)] ^= 1 << int(rng.integers(0, 8))
    elif kind == 2:  # cut short
        given = given[:place]
    elif kind == 3:  # a part is erased, or never came
        given[place:end] = bytes([rng.choice([0, 255])]) * (end - place)
    elif kind == 4:  # a part is left out, and all behind it moves up
        given = given[:place] + given[end:] + given[: end - place]
    elif kind == 5:  # a part of another blob
        other = others[rng.integers(0, len(others))]
        given[place:end] = other[place:end]
    elif kind == 6:  # another's head, or another's tables
        other = others[rng.integers(0, len(others))]
        given = bytearray(other[:SIZE] + whole[SIZE:])
    elif kind == 7:  # bytes are exchanged
        at = rng.integers(0, len(given), 2)
        given[at[0]], given[at[1]] = given[at[1]], given[at[0]]
    elif kind == 8:  # a part came twice
        given = given[:end] + given[place:]
        given = given[: max(len(whole), place)]
    elif kind == 9:  # noise, some of it behind a right head
        noise = rng.integers(0, 256, len(given)).astype(np.uint8).tobytes()
        given = bytearray(whole[: int(rng.choice([0, 8, SIZE, place]))])
        given += noise[len(given) :]
    elif kind == 10:  # of another network, and whole
        given = bytearray(others[rng.integers(0, len(others))])
    else:  # a newline was made of two bytes, as a transfer of text does
        given = bytearray(bytes(given).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    return bytes(given)


@pytest.mark.parametrize("count", [1_000, *wide([10_000])])
def test_of_mutated_blobs_those_alone_are_bound_that_are_whole_and_of_this_code(count, network):
    rng = np.random.default_rng(count)
    own = [tables_of(release=4), tables_of(release=5, seed=1)]
    foreign = [
        files_of(trained(chain), options, **chosen)["lenet_tables.bin"]
        for chain, options, chosen in [
            ("strided", BLOB, {}),
            ("signed", BLOB, {"cpu": "cortex-m3"}),
            ("signed", BLOB, {"dtype": "float32"}),
            ("signed", BLOB, {"harden": True}),
        ]
    ]
    found = {}
    for _ in range(count):
        given = mutated(rng, own[rng.integers(0, 2)], own + foreign)
        verdict, bound = network.bind(given, network.tables)
        is_whole = any(given[: len(whole)] == whole for whole in own)
        assert (verdict == "bound") == is_whole
        assert is_whole or bound == network.tables
        found[verdict] = found.get(verdict, 0) + 1
    assert set(found) >= {"bound", "short", "no tables", "network", "cpu", "code", "damaged"}
    assert count - found["bound"] > 0.8 * count


def test_a_write_that_is_torn_at_any_byte_leaves_the_old_one_in_force(network):
    new = tables_of(release=4, seed=1)
    images = verify.stress_images(network.plan)[:3]
    expected = network.logits(images)
    before = {
        "erased": b"\xff" * len(new),
        "an older release": tables_of(release=2),
        "the same release as in force": tables_of(release=3),
    }
    for name, old in before.items():
        for place in range(len(new)):
            slot = new[:place] + old[place:]
            found, bound = network.bind(slot, network.tables)
            if found == "bound":
                whole = new, before["the same release as in force"]
                assert slot in whole, (name, place)  # the last bytes of both are unused
            else:
                assert bound == network.tables
        assert (network.logits(images) == expected).all()
    assert network.bind(new, network.tables)[0] == "bound"


def test_bits_that_change_once_it_is_bound_are_found_by_the_self_test(network):
    found, tables = network.bind(tables_of(release=3))
    assert found == "bound"
    held, own = network.tables, network._ffi.cast("uint8_t *", tables)
    network.tables = tables
    try:
        test = network.function("self_test")
        for bit in np.random.default_rng(0).integers(8 * SIZE, 8 * len(tables_of()), 20):
            own[int(bit) // 8] ^= 1 << int(bit) % 8
            assert test(network.workspace) == 1
            own[int(bit) // 8] ^= 1 << int(bit) % 8
        assert test(network.workspace) == 0
    finally:
        network.tables = held


# ---- Tables that change under a reading ---------------------------------------------------------


@pytest.mark.parametrize("changes", [(0,), (5,), (12,), (13,), (5, 6), (0, 13)])
def test_an_image_that_is_read_by_several_tables_is_miscounted(changes, network):
    other = network.bind(tables_of(release=4, seed=1))[1]
    own, rows = network.tables, network.plan.input_shape[0]
    assert rows == 13
    image = verify.stress_images(network.plan)[60]
    logits = network.numbers_of(network.new_logits())
    turns = [own]
    for step in range(rows + 1):
        turns.append((other if turns[-1] == own else own) if step in changes else turns[-1])
    lib, ws = network._lib, network.new_workspace()
    lib.lenet_begin(own, ws)
    for tables, row in zip(turns[1:], image, strict=False):
        lib.lenet_row(tables, ws, network.bytes_of(row))
    assert lib.lenet_finish(turns[-1], ws, logits) == MISCOUNTED
    lib.lenet_begin(own, ws)
    for row in image:
        lib.lenet_row(own, ws, network.bytes_of(row))
    assert lib.lenet_finish(own, ws, logits) != MISCOUNTED


def test_a_self_test_whose_tables_change_begins_anew(network):
    other = network.bind(tables_of(release=4, seed=1))[1]
    lib, test = network._lib, network._ffi.new("lenet_self_test_state *")
    for at in (1, 3, 20, 50):
        lib.lenet_self_test_begin(network.tables, test)
        for _ in range(at):
            assert lib.lenet_self_test_step(network.tables, test, network.workspace) == 3
        results = [3]
        while results[-1] == 3:
            results.append(lib.lenet_self_test_step(other, test, network.workspace))
        assert results[-1] == 0


# ---- The C --------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiler", ["gcc", *wide(["clang", "g++"])])
@pytest.mark.parametrize(("chain", "dtype"), [("normed", "int8"), ("deep", "float32")])
def test_it_compiles_without_a_warning_and_has_no_state(compiler, chain, dtype, tmp_path):
    write(files_of(named_model(chain), dtype=dtype), tmp_path)
    flags = ["-std=c++17", "-x", "c++"] if compiler == "g++" else ["-std=c99", *C_WARNINGS]
    command = [require(compiler), *flags, *WARNINGS, "-ffreestanding", "-c", "lenet.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    symbols = symbols_of(tmp_path / "lenet.o")
    assert [name for name, kind, _ in symbols if kind in "UdDbBC"] == []
    assert {name for name, kind, _ in symbols if kind == "T"} >= {"lenet_bind", "lenet_describe"}


@pytest.mark.parametrize("cpu", ["avr", *wide(cpu for cpu in CROSS if cpu != "avr")])
def test_it_compiles_for_each_cpu_without_a_warning(cpu, tmp_path):
    compiler, nm, flags = CROSS[cpu]
    write(files_of(model_of(FEW if cpu == "avr" else "normed"), cpu=cpu), tmp_path)
    warnings = ["-Wall", "-Wextra", "-Werror", "-Os", "-ffreestanding"]
    command = [require(compiler), "-std=c99", *flags.split(), *warnings, "-c", "lenet.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    sizes = {
        name: size for name, kind, size in symbols_of(tmp_path / "lenet.o", nm) if kind in "rR"
    }
    assert sum(sizes.values()) <= 512  # no table of the network is in the code


def write(files, folder):
    for name, data in files.items():
        (folder / name).write_bytes(data)


def test_functions_take_the_tables_first_and_pages_have_whole_lines():
    for parts, harden in (((), False), (("picture", "amount"), True)):
        options = Options(tables="blob", parts=parts)
        files = files_of(bundled.load("mnist-field"), options, harden=harden)
        for name in FILES:
            lines = files[name].decode().split("\n")
            assert not [line for line in lines if len(line) > 100 and " * GENERATED" not in line]
        header = files["lenet.h"].decode()
        assert "int lenet_predict(const lenet_tables *tables, lenet_workspace *ws, " in header
        assert "LENET_MIN_GAP" not in header + files["lenet.c"].decode()
        assert "lenet_begin(const lenet_tables *tables, lenet_workspace *ws);" in header


def test_a_file_has_what_the_header_says(network):
    head = dict(
        zip(HEAD, np.frombuffer(tables_of(release=3), "<u4", len(HEAD)).tolist(), strict=True)
    )
    assert tables_of().startswith(b"LNet")
    assert head["bytes"] == len(tables_of())
    assert head["release"] == 3
    assert head["crc"] == crc32c(tables_of()[SIZE:])
    assert network._ffi.sizeof("lenet_workspace") == network.plan.workspace_bytes + 4


# ---- The example: two slots ---------------------------------------------------------------------

SANITIZED = "-std=c99 -O1 -g1 -fsanitize=address,undefined".split()


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    """The example, which is given a blob, or only started: its exit status and what it says."""
    folder = tmp_path_factory.mktemp("device")
    write(files_of(trained()), folder)
    example = ROOT / "c_runtime/examples/update/update.c"
    command = [require("gcc"), *SANITIZED, *WARNINGS, "-I.", example, "lenet.c", "-o", "update"]
    subprocess.run(command, cwd=folder, check=True)

    def update(new=None):
        words = ["./update", "a", "b"]
        if new is not None:
            (folder / "new.bin").write_bytes(new)
            words.append("new.bin")
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return update


def test_the_example_keeps_the_old_release_until_a_newer_whole_one_is_there(device):
    first, second = tables_of(release=1), tables_of(release=2, seed=1)
    foreign = files_of(trained("strided"))["lenet_tables.bin"]
    empty = "{} is empty or cut short: send all of it\n"
    nothing = empty.format("a") + empty.format("b") + "nothing is in force: send tables\n"
    assert device() == (1, nothing, "")
    assert "release 1 is in force, in a" in device(first)[1]
    assert "release 2 is in force, in b" in device(second)[1]
    for new, why in [
        (second[:-1], "cut short"),
        (second[:-1] + bytes([second[-1] ^ 1]), "is damaged"),
        (foreign + bytes(len(second)), "another network"),
        (first, "no newer release"),
        (tables_of(release=2), "no newer release"),
    ]:
        status, said, wrong = device(new)
        assert (status, wrong) == (0, "")
        assert why in said
        assert "release 2 is in force, in b" in said
        assert "release 2 is in force, in b" in device()[1]
    chosen = bytearray(tables_of(release=9))
    chosen[-4] ^= 1  # a bias of the last layer: whole, but what it reads is not what it says
    assert "reads known images wrongly" in device(with_crc(bytes(chosen)))[1]
    assert "release 2 is in force, in b" in device()[1]


@pytest.mark.parametrize("count", [10, *wide([100])])
def test_whatever_numbers_somebody_chose_no_other_memory_is_touched(count, device):
    rng = np.random.default_rng(count)
    begins = 4 * len(HEAD) + 32  # behind the model's id
    for n in range(count):
        chosen = bytearray(tables_of(release=5))
        numbers = rng.integers(0, 256, len(chosen) - begins).astype(np.uint8)
        if n % 2:  # extremes
            numbers = np.where(numbers < 128, 0, 255).astype(np.uint8)
        chosen[begins:] = numbers.tobytes()
        status, said, wrong = device(with_crc(bytes(chosen)))
        assert status in (0, 1)
        assert "reads known images wrongly" in said
        assert "AddressSanitizer" not in wrong


@pytest.mark.wide
@pytest.mark.parametrize(
    ("compiler", "emulator", "status", "said"),
    [
        ("powerpc-linux-gnu-gcc", "qemu-ppc", 1, "new.bin has not the byte order of this CPU"),
        ("arm-linux-gnueabi-gcc", "qemu-arm", 0, "release 3 is in force, in a"),
    ],
)
def test_another_machine_takes_it_or_says_that_its_byte_order_is_another(
    compiler, emulator, status, said, tmp_path
):
    write(files_of(trained()) | {"new.bin": tables_of()}, tmp_path)
    example = ROOT / "c_runtime/examples/update/update.c"
    command = [require(compiler), "-std=c99", "-static", "-I.", example, "lenet.c", "-o", "update"]
    subprocess.run(command, cwd=tmp_path, check=True)
    words = [require(emulator), "./update", "a", "b", "new.bin"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert said in done.stdout


# ---- What a user says ---------------------------------------------------------------------------


def test_the_command_line_writes_a_blob_and_a_release(tmp_path, capsys):
    arguments = ["--tables", "blob", "--release", "12", "--verify", "--out", str(tmp_path)]
    assert cli.main(["--model", "mnist-tiny", *arguments]) == 0
    manifest = json.loads((tmp_path / "lenet.json").read_text())
    assert manifest["tables"]["release"] == 12
    assert manifest["workspace_bytes"] == planned(bundled.load("mnist-tiny")).workspace_bytes + 4
    assert "--release 12" in manifest["command"]
    assert "release" not in (tmp_path / "lenet.c").read_text().split("*/")[0]
    assert "lenet_tables.bin" in capsys.readouterr().out


WRONG = {
    "--tables apart --data-file": "--data-file: not allowed with argument --tables",
    "--release 1": "--release goes with --tables blob only",
    "--tables blob --release -1": "invalid number: '-1' (give 0 to 4294967295)",
    "--tables blob --release 4294967296": "invalid number",
    "--tables blob --evidence pages": "give --tables inside for it",
    "--tables blob --target arduino": "goes with --target c only",
    "--tables blob --target web": "goes with --target",
    "--tables blob --cpu avr": "avr-gcc takes objects of 32,767 at most",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_what_does_not_go_with_a_blob_is_told(arguments, tmp_path, capsys):
    words = [*arguments.split(), "--out", str(tmp_path), "--no-verify"]
    try:
        assert cli.main(words) == 1
    except SystemExit as status:
        assert status.code == 2
    assert WRONG[arguments] in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_python_writes_a_blob_and_tells_a_wrong_release(tmp_path):
    network = bundled.load("mnist-tiny")
    done = api.export(network, out=tmp_path, tables="blob", release=np.uint32(5), verify=False)
    image = np.zeros((1, *done.input_shape), np.uint8)
    expected = reference.run_logits(done.plan, image)
    assert (done.logits(image) == expected).all()
    for chosen, what in [
        ({"release": 1}, 'give tables="blob"'),
        ({"tables": "blob", "release": -1}, "give an integer from 0"),
        ({"tables": "blob", "release": 1.5}, "give an integer from 0"),
    ]:
        with pytest.raises(UserError, match=what):
            api.export(network, out=tmp_path, verify=False, **chosen)


def test_a_page_of_it_tells_where_its_tables_are(tmp_path):
    page = tmp_path / "page"
    arguments = ["--model", "mnist-tiny", "--data-file", "--no-verify"]
    assert cli.main([*arguments, "--report", str(page), "--out", str(tmp_path)]) == 0
    lines = (tmp_path / "lenet.c").read_text().split("\n")
    found = json.loads((page / "report.json").read_text())["trace"]
    for layer in found:
        names = [place["name"] for place in layer["tables"]]
        assert f"{layer['layer']}_weight" in names
        assert all(f" {of['name']}[" in lines[of["first"] - 1] for of in layer["tables"])
