"""Packages: each ecosystem's as it takes them, built where its tools can be had, and run."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from export.networks import named_model
from lenet_export import api, checkpoint, cli
from lenet_export.cpus.registry import CPUS, lay_out
from lenet_export.errors import UserError
from lenet_export.outputs.ecosystems import ECOSYSTEMS, words_of
from lenet_export.outputs.options import Options
from lenet_export.outputs.registry import OUTPUTS
from lenet_export.plan import make_plan
from needs import ROOT, missing, require

DIGIT = ROOT / "c_runtime/examples/digit.pgm"
ARDUINO = Path("/usr/share/arduino")
MEGA = "mega:cpu=atmega2560"
BUILDER = Path("/usr/share/arduino-builder")
ALL = pytest.mark.parametrize("target", ECOSYSTEMS)


def exported(out, target, *arguments):
    """Exports by the command line; the paths below ``out`` of what was written."""
    before = {path for path in out.rglob("*") if path.is_file()}
    options = ["--target", target, "--no-verify", "--out", out, *arguments]
    assert cli.main(list(map(str, options))) == 0
    return {path.relative_to(out) for path in out.rglob("*") if path.is_file()} - {
        path.relative_to(out) for path in before
    }


@pytest.fixture
def small(tmp_path):
    """The file of a small network of float32 and int8."""
    path = tmp_path / "deep.safetensors"
    checkpoint.save(named_model("deep"), path)
    return path


# ---- Every ecosystem ------------------------------------------------------------------------


@ALL
def test_a_package_holds_the_c_of_its_command(target, small, tmp_path):
    out = tmp_path / "out"
    exported(out, target, "--model", small, "--tables", "apart")
    manifest = json.loads((out / "lenet/lenet.json").read_text())
    assert manifest["command"].startswith(f"lenet-export --target {target} ")
    assert set(manifest["files"]) == {"lenet.h", "lenet.c", "lenet_tables.h"}
    for name, sha256 in manifest["files"].items():
        data = (out / "lenet/src" / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == sha256
    exported(tmp_path / "c", "c", "--model", small, "--tables", "apart")
    command, theirs = manifest["command"], (tmp_path / "c/lenet_tables.h").read_text()
    ours = (out / "lenet/src/lenet_tables.h").read_text()
    assert without_pair(ours.replace(command, "it")) == without_pair(
        theirs.replace(command.replace(target, "c"), "it")
    )


def without_pair(text):
    return re.sub(r"_EXPORT_[0-9A-F]{16}", "", text)


@ALL
def test_packages_of_two_prefixes_lie_side_by_side_and_share_no_name(target, small, tmp_path):
    one = exported(tmp_path / "out", target, "--model", small)
    other = exported(tmp_path / "out", target, "--model", small, "--prefix", "digits")
    assert {path.parts[0] for path in one} == {"lenet"}
    assert {path.parts[0] for path in other} == {"digits"}
    assert len(one) == len(other) > 5
    for path in other:
        assert "lenet" not in str(path)
        text = (tmp_path / "out" / path).read_text().replace("lenet_export", "")
        assert not re.search(r"\blenet(?!-export)\b|\bLENET_|lenet_", text), path
        assert "{{" not in text and "{%" not in text and "@" not in text.replace("@x", "")


@ALL
def test_a_package_is_the_same_bytes_twice(target, small, tmp_path):
    for folder in ("a", "b"):
        exported(tmp_path / folder, target, "--model", small)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert files == sorted(
        path.relative_to(tmp_path / "b") for path in (tmp_path / "b").rglob("*.*")
    )
    for path in files:
        one, other = tmp_path / "a" / path, tmp_path / "b" / path
        assert one.is_dir() or one.read_bytes() == other.read_bytes()


@ALL
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_every_cpu_of_an_ecosystem_gives_a_package(target, dtype):
    model, output = named_model("one"), OUTPUTS[target]
    assert set(ECOSYSTEMS[target].boards) <= set(CPUS)
    for cpu in ECOSYSTEMS[target].boards:
        if CPUS[cpu].ram and dtype == "float32":
            continue
        plan = lay_out(make_plan(model, dtype), cpu, "speed")
        options = Options(target=target)
        files = output.packed(plan, options, output.files(plan, options))
        assert list(files)[-1] == "lenet/lenet.json"
        assert "lenet/src/lenet.c" in files


@ALL
def test_what_an_ecosystem_does_not_take_is_told_and_nothing_is_written(target, tmp_path, capsys):
    of = ECOSYSTEMS[target]
    foreign = [cpu for cpu in CPUS if cpu not in of.boards]
    refused = []
    if foreign:
        refused.append((["--cpu", foreign[-1], "--model", "mnist-tiny"], "is of no board of"))
    if of.longest < 64:
        refused.append((["--prefix", "x" * 64], "cannot be the name of a package"))
    for prefix in re.findall(r"\w+", of.taken):
        refused.append((["--prefix", prefix], "--prefix"))
    for arguments, says in refused:
        options = ["--target", target, "--no-verify", "--out", str(tmp_path / "out"), *arguments]
        try:
            assert cli.main(options) == 1, arguments
        except SystemExit as ended:  # a word of C
            assert ended.code == 2
        assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@ALL
def test_what_is_not_of_packages_is_told(target, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--target", target, "--single-file"])
    assert ended.value.code == 2
    assert "--single-file goes with --target c only" in capsys.readouterr().err


def test_a_package_is_compared_with_jax_before_it_is_written(tmp_path):
    done = api.export(named_model("one"), out=tmp_path, target="arduino", prefix="digits")
    assert done.report.verified.largest_difference == 0
    assert tmp_path / "digits/src/digits.c" in done.files
    manifest = json.loads((tmp_path / "digits/digits.json").read_text())
    assert manifest["verified"]["largest_difference"] == 0
    assert done.computed_by.startswith("the C")


def test_a_folder_in_the_place_of_a_file_below_is_told_and_nothing_is_written(tmp_path):
    (tmp_path / "lenet/src/lenet.c").mkdir(parents=True)
    (tmp_path / "digits").write_text("precious")
    for prefix in ("lenet", "digits"):
        with pytest.raises(UserError, match="cannot be written"):
            api.export(named_model("one"), None, None, tmp_path, target="arduino", prefix=prefix,
                       verify=False)  # fmt: skip
    assert (tmp_path / "digits").read_text() == "precious"
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "digits"]


def test_the_public_names_of_a_header_are_those_of_the_manual():
    words = words_of((ROOT / "c_runtime/generated/lenet.h").read_text(), "lenet")
    assert {"lenet_workspace", "lenet_reading", "lenet_verdict"} < set(words["types"])
    assert {"lenet_read", "lenet_predict", "lenet_decide", "lenet_row"} < set(words["functions"])
    assert {"LENET_ROWS", "LENET_ACCEPTED", "LENET_MIN_GAP"} < set(words["constants"])
    names = list(itertools.chain(*words.values()))
    assert len(names) == len(set(names))
    assert not [name for name in names if "EXPORT" in name or name == "LENET_H"]


# ---- Arduino --------------------------------------------------------------------------------


def properties(path):
    """The fields of a library.properties."""
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


@pytest.mark.parametrize("cpu", ["generic", "cortex-m4", "atmega328p"])
def test_an_arduino_library_has_what_its_specification_asks(cpu, small, tmp_path):
    exported(tmp_path, "arduino", "--model", small, "--cpu", cpu, "--prefix", "digits")
    library = tmp_path / "digits"
    fields = properties(library / "library.properties")
    # url may be empty until a library is published.
    assert set(fields) == {
        "name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url",
        "architectures", "includes",
    }  # fmt: skip
    assert re.fullmatch(r"[A-Za-z0-9][\w .-]{0,62}", fields["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", fields["version"])
    assert fields["category"] == "Data Processing"
    assert re.fullmatch(r"\*|[\w,]+", fields["architectures"])
    assert (library / "src" / fields["includes"]).is_file()
    assert all(fields[name] for name in fields if name != "url")
    for line in (library / "keywords.txt").read_text().splitlines():
        assert not line or re.fullmatch(r"# .*|\w+\t(KEYWORD[12]|LITERAL1)", line)
    for sketch in (library / "examples").iterdir():
        assert (sketch / f"{sketch.name}.ino").is_file()


@pytest.fixture(scope="session")
def sketch(tmp_path_factory):
    """A function that builds a sketch as Arduino's IDE does, and runs it in simavr."""
    for package in (ARDUINO / "hardware/arduino/avr/cores", BUILDER):
        if not package.exists():
            missing(package, "install the packages arduino-core-avr and arduino-builder")
    folder = tmp_path_factory.mktemp("sketch")
    terminal = folder / "terminal"
    source = ROOT / "tests/arduino/terminal.c"
    subprocess.run(
        [require("cc"), "-std=c99", "-O2", "-o", terminal, source, "-lsimavr"], check=True
    )

    def run(libraries, board, sketch, answer, images):
        """The lines that the sketch prints behind what asks for bytes."""
        chip = {"uno": "atmega328p", MEGA: "atmega2560"}[board]
        build = tmp_path_factory.mktemp("build")
        done = subprocess.run(
            [
                *(require("arduino-builder"), "-compile", "-warnings", "all"),
                *("-hardware", BUILDER, "-hardware", ARDUINO / "hardware", "-tools", BUILDER),
                # Debian's avr-gcc knows the core's DECIMAL_DIG by this name only.
                "-prefs=compiler.cpp.extra_flags=-DDECIMAL_DIG=__DECIMAL_DIG__",
                *("-libraries", libraries, "-fqbn", f"arduino:avr:{board}"),
                *("-build-path", build, sketch),
            ],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert f"{libraries}" not in done.stderr, "a warning of the library"
        (build / "images").write_bytes(images.tobytes())
        ran = subprocess.run(
            [terminal, chip, build / f"{sketch.name}.elf", str(answer), build / "images"],
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return [line.lstrip(">") for line in ran.stdout.splitlines() if line.startswith(">")]

    return run


@pytest.fixture(scope="session")
def digit():
    """The picture of a 3."""
    return np.frombuffer(DIGIT.read_bytes()[-784:], np.uint8).reshape(28, 28)


def test_an_arduino_uno_reads_digits_by_the_library_s_example(sketch, digit, tmp_path):
    exported(tmp_path, "arduino", "--cpu", "uno", "--model", "mnist-uno")
    rows = tmp_path / "lenet/examples/rows/rows.ino"
    images = np.stack([digit, np.zeros_like(digit)])
    assert sketch(tmp_path, "uno", rows, 28, images)[0] == "3"


@pytest.mark.wide
@pytest.mark.parametrize("cpu", ["mega", "generic"])
def test_an_arduino_mega_reads_digits_by_the_library_s_example(cpu, sketch, digit, tmp_path):
    # avr-gcc takes no table as long as fc1's of 8 bits, but in program memory it does.
    model = "mnist" if cpu == "mega" else "mnist-tiny"
    exported(tmp_path, "arduino", "--cpu", cpu, "--model", model)
    image = tmp_path / "lenet/examples/image/image.ino"
    (line, _) = sketch(tmp_path, MEGA, image, 784, digit)
    assert re.fullmatch(r"3, gap \d+, accepted, \d+ us", line)


@pytest.mark.wide
def test_two_models_go_into_one_sketch(sketch, digit, tmp_path):
    for prefix, model in (("tiny", "mnist-tiny"), ("large", "mnist-uno")):
        exported(tmp_path, "arduino", "--cpu", "mega", "--model", model, "--prefix", prefix)
    text = (tmp_path / "tiny/examples/image/image.ino").read_text()
    both = tmp_path / "both/both.ino"
    both.parent.mkdir()
    both.write_text(
        text.replace("#include <tiny.h>", "#include <tiny.h>\n#include <large.h>\n"
                     "static large_workspace its;")
        .replace("Serial.print(reading.digit);",
                 "Serial.print(reading.digit);\n    Serial.print(large_predict(&its, image));")
    )  # fmt: skip
    (line, _) = sketch(tmp_path, MEGA, both, 784, digit)
    assert line.startswith("33, gap ")
