"""Packages: each ecosystem's as it takes them, built where its tools can be had, and run."""

from __future__ import annotations

import configparser
import hashlib
import itertools
import json
import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import kconfiglib
import numpy as np
import pytest
import yaml

from export.networks import named_model
from lenet_export import __version__, api, checkpoint, cli
from lenet_export.cpus.registry import CPUS, lay_out
from lenet_export.errors import UserError
from lenet_export.outputs.ecosystems import ECOSYSTEMS, words_of
from lenet_export.outputs.options import Options
from lenet_export.outputs.registry import OUTPUTS
from lenet_export.plan import make_plan
from needs import ROOT, missing, require, wide

DIGIT = ROOT / "c_runtime/examples/digit.pgm"
ARDUINO = Path("/usr/share/arduino")
MEGA = "mega:cpu=atmega2560"
BUILDER = Path("/usr/share/arduino-builder")
SYSTEMS = ROOT / "tests/ecosystems"
ALL = pytest.mark.parametrize("target", ECOSYSTEMS)


def exported(out, target, *arguments):
    """Exports by the command line, and unpacks what is a ZIP; the folder of the package."""
    options = ["--target", target, "--no-verify", "--out", out, *arguments]
    before = set(out.iterdir()) if out.exists() else set()
    assert cli.main(list(map(str, options))) == 0
    (package,) = [path for path in out.iterdir() if path not in before]
    if package.is_dir():
        return package
    _, name, *_ = package.name.split(".")
    with zipfile.ZipFile(package) as archive:
        archive.extractall(out / name)
    package.unlink()
    return out / name


def files_of(folder):
    """The files below a folder, by their paths there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture
def small(tmp_path):
    """The file of a small network of float32 and int8."""
    path = tmp_path / "deep.safetensors"
    checkpoint.save(named_model("deep"), path)
    return path


# ---- Every ecosystem ------------------------------------------------------------------------


@ALL
def test_a_package_holds_the_c_of_its_command(target, small, tmp_path):
    package = exported(tmp_path / "out", target, "--model", small, "--tables", "apart")
    manifest = json.loads((package / "lenet.json").read_text())
    assert manifest["command"].startswith(f"lenet-export --target {target} ")
    names = {"lenet.h", "lenet.c", "lenet_tables.h"}
    assert set(manifest["files"]) == {path.name for path in (package / "src").iterdir()} == names
    plain = ["--model", str(small), "--tables", "apart", "--no-verify", "--out", str(tmp_path)]
    assert cli.main(plain) == 0
    for name, sha256 in manifest["files"].items():
        data = (package / "src" / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == sha256
        theirs = (tmp_path / name).read_text()
        assert less_the_command(data.decode(), target) == less_the_command(theirs, "c")


def less_the_command(text, target):
    """A file of C without what differs where only the target does."""
    text = re.sub(r"_EXPORT_[0-9A-F]{16}", "", text)
    return re.sub(rf"lenet-export --target {target}\s(\s\*\s+)?", "", text)


@ALL
def test_packages_of_two_prefixes_lie_side_by_side_and_share_no_name(target, small, tmp_path):
    one = exported(tmp_path, target, "--model", small)
    other = exported(tmp_path, target, "--model", small, "--prefix", "digits")
    assert (one.name, other.name) == ("lenet", "digits")
    assert len(files_of(one)) == len(files_of(other)) > 5
    for path, data in files_of(other).items():
        assert "lenet" not in path.replace("lenet-export", "")
        text = data.decode().replace("lenet_export", "").replace("LENET_EXPORT", "")
        assert not re.search(r"lenet(?!-export)\b|LENET_|lenet_", text), path
        assert not re.search(r"\{[{%]|@title@", text), path


@ALL
def test_a_package_is_the_same_bytes_twice(target, small, tmp_path):
    for folder in ("a", "b"):
        arguments = ["--target", target, "--model", str(small), "--no-verify", "--out"]
        assert cli.main([*arguments, str(tmp_path / folder)]) == 0
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


@ALL
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_every_cpu_of_an_ecosystem_gives_a_package(target, dtype):
    model, output, of = named_model("one"), OUTPUTS[target], ECOSYSTEMS[target]
    assert set(of.boards) <= set(CPUS)
    assert set(of.examples) in (set(), set(of.boards))
    for cpu in of.boards:
        if CPUS[cpu].ram and dtype == "float32":
            continue
        plan = lay_out(make_plan(model, dtype), cpu, "speed")
        options = Options(target=target)
        files = output.packed(plan, options, output.files(plan, options))
        last = list(files)[-1]
        assert last == of.archive.format(name="lenet", version=__version__) or (
            last == "lenet/lenet.json" and "lenet/src/lenet.c" in files and len(files) > 5
        )


@ALL
def test_what_an_ecosystem_does_not_take_is_told_and_nothing_is_written(target, tmp_path, capsys):
    of = ECOSYSTEMS[target]
    foreign = [cpu for cpu in CPUS if cpu not in of.boards]
    refused = []
    if foreign:
        refused.append((["--cpu", foreign[-1], "--model", "mnist-tiny"], "is of no board of"))
    if of.longest < 64:
        refused.append((["--prefix", "x" * (of.longest + 1)], "cannot name a package"))
    for prefix in of.taken.replace(".*", "").split("|") if of.taken else ():
        refused.append((["--prefix", prefix.replace(".", "x")], "--prefix"))
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
    library = exported(tmp_path, "arduino", "--model", small, "--cpu", cpu, "--prefix", "digits")
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


# ---- PlatformIO -----------------------------------------------------------------------------


@pytest.mark.parametrize("cpu", ["generic", "cortex-m4"])
def test_a_platformio_library_has_a_manifest_and_arduino_s_examples(cpu, small, tmp_path):
    library = exported(tmp_path, "platformio", "--model", small, "--cpu", cpu)
    manifest = json.loads((library / "library.json").read_text())
    assert set(manifest) == {
        "name", "version", "description", "keywords", "authors", "license", "headers",
        "frameworks", "platforms", "examples",
    }  # fmt: skip
    # As PlatformIO's own schema has it.
    assert re.fullmatch(r"[^:;/,@<>]{1,100}", manifest["name"])
    assert 0 < len(manifest["description"]) <= 1000
    assert all(re.fullmatch(r"[a-z\d_+. -]{1,50}", word) for word in manifest["keywords"])
    assert manifest["platforms"] == "*" or all(
        re.fullmatch(r"[a-z\d_-]{1,50}", platform) for platform in manifest["platforms"]
    )
    assert [(library / "src" / name).is_file() for name in manifest["headers"]] == [True]
    sketches = exported(tmp_path / "arduino", "arduino", "--model", small, "--cpu", cpu)
    for example in manifest["examples"]:
        folder = library / example["base"]
        assert {str(path.relative_to(folder)) for path in folder.rglob("*.*")} == {
            *example["files"]
        }
        sketch = sketches / f"examples/{example['name']}/{example['name']}.ino"
        text = (folder / "src/main.cpp").read_text()
        assert text == "#include <Arduino.h>\n\n" + sketch.read_text()
        settings = configparser.ConfigParser()
        settings.read(folder / "platformio.ini")
        (section,) = settings.sections()
        fields = settings[section]
        assert section == f"env:{fields['board']}"
        assert manifest["platforms"] == "*" or fields["platform"] in manifest["platforms"]
        assert fields["lib_deps"] == "lenet=symlink://../.."


#: What PlatformIO's builder of atmelavr gives the compilers for a Uno.
ATMELAVR = (
    "-mmcu=atmega328p -Os -Wall -ffunction-sections -fdata-sections -flto -DF_CPU=16000000L "
    "-DARDUINO=10808 -DARDUINO_AVR_UNO -DARDUINO_ARCH_AVR"
).split()
ATMELAVR_C = ("-std=gnu11", "-fno-fat-lto-objects")
ATMELAVR_CXX = "-fno-exceptions -fno-threadsafe-statics -fpermissive -std=gnu++11".split()
ATMELAVR_CXX.append("-DDECIMAL_DIG=__DECIMAL_DIG__")  # which Debian's gcc 5 has for C alone


def test_a_platformio_library_is_a_program_with_its_builder_s_words(tmp_path):
    core = ARDUINO / "hardware/arduino/avr/cores/arduino"
    if not core.is_dir():
        missing("arduino-core-avr")
    library = exported(tmp_path, "platformio", "--model", "mnist-uno", "--cpu", "uno")
    includes = [f"-I{path}" for path in (core, core.parents[1] / "variants/standard")]
    includes.append(f"-I{library / 'src'}")
    sources = [*core.glob("*.c"), *core.glob("*.cpp"), *library.glob("src/*.c")]
    sources.append(library / "examples/rows/src/main.cpp")
    objects = []
    for source in sources:
        is_c = source.suffix == ".c"
        command = [require("avr-gcc" if is_c else "avr-g++"), *ATMELAVR]
        objects.append(tmp_path / f"{source.parent.name}-{source.name}.o")
        command += [*(ATMELAVR_C if is_c else ATMELAVR_CXX), *includes]
        subprocess.run([*command, "-c", source, "-o", objects[-1]], check=True)
    program = tmp_path / "program.elf"
    linked = [require("avr-gcc"), *ATMELAVR, "-Wl,--gc-sections", *objects, "-lm"]
    subprocess.run([*linked, "-o", program], check=True)
    sizes = (
        subprocess.run([require("avr-size"), program], check=True, capture_output=True, text=True)
        .stdout.splitlines()[1]
        .split()
    )
    text, data, bss = map(int, sizes[:3])
    assert 20_000 < text + data < 32_256  # below the Uno's bootloader
    assert data + bss < 2_048


# ---- CMake, ESP-IDF and Zephyr --------------------------------------------------------------


def built(source, *options, **environment):
    """What the program of a CMake project prints, built with the host's compiler."""
    build = source / "build"
    cmake = require("cmake")
    for command in (
        [cmake, "-S", source, "-B", build, "-DCMAKE_BUILD_TYPE=Debug", *options],
        [cmake, "--build", build],
    ):
        done = subprocess.run(
            [*map(str, command)], env=os.environ | environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    program = next(path for path in (build / "program", build / "read") if path.exists())
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout


#: Where each has its example, and what stands for its build system.
EXAMPLES = {
    "cmake": ("examples/read", {}),
    "esp-idf": ("examples/read", {"IDF_PATH": str(SYSTEMS / "esp-idf")}),
    "zephyr": ("samples/read", {"ZEPHYR_BASE": str(SYSTEMS / "zephyr")}),
}


@pytest.mark.parametrize("target", EXAMPLES)
def test_the_example_of_a_package_builds_and_reads_a_stroke(target, tmp_path):
    arguments = ["--model", "mnist-tiny", "--prefix", "digits", "--tables", "apart"]
    package = exported(tmp_path, target, *arguments)
    example, environment = EXAMPLES[target]
    assert built(package / example, **environment) == "self-test passed\nclass 1, accepted\n"


TWO = """
#include "one.h"
#include "two.h"
#include <stdio.h>

{main}
{{
    static one_workspace first;
    static two_workspace second;
    printf("%d %d\\n", (int)one_self_test(&first), (int)two_self_test(&second));
    {end}
}}
"""
#: A project's files, of two packages in the folders one and two.
PROJECTS = {
    "cmake": {
        "CMakeLists.txt": """cmake_minimum_required(VERSION 3.20)
project(both LANGUAGES C)
find_package(one 0.1 REQUIRED PATHS "${CMAKE_CURRENT_LIST_DIR}/..")
find_package(two REQUIRED PATHS "${CMAKE_CURRENT_LIST_DIR}/..")
add_subdirectory(below)
add_executable(program main.c)
target_link_libraries(program PRIVATE one::one two::two)
""",
        "below/CMakeLists.txt": 'find_package(one PATHS "${CMAKE_CURRENT_LIST_DIR}/../..")\n',
        "main.c": TWO.format(main="int main(void)", end="return 0;"),
    },
    "esp-idf": {
        "CMakeLists.txt": """cmake_minimum_required(VERSION 3.20)
set(EXTRA_COMPONENT_DIRS ../one ../two)
include($ENV{IDF_PATH}/tools/cmake/project.cmake)
project(both)
""",
        "main/CMakeLists.txt": 'idf_component_register(SRCS "main.c" PRIV_REQUIRES one two)\n',
        "main/main.c": TWO.format(main="void app_main(void)", end=""),
    },
    "zephyr": {
        "CMakeLists.txt": """cmake_minimum_required(VERSION 3.20)
set(EXTRA_ZEPHYR_MODULES ../one ../two)
find_package(Zephyr REQUIRED HINTS $ENV{ZEPHYR_BASE})
project(both LANGUAGES C)
target_sources(app PRIVATE main.c)
""",
        "prj.conf": "CONFIG_ONE_MODEL=y\nCONFIG_TWO_MODEL=y\n",
        "main.c": TWO.format(main="int main(void)", end="return 0;"),
    },
}


@pytest.mark.parametrize("target", ["cmake", *wide(["esp-idf", "zephyr"])])
def test_two_packages_go_into_one_program(target, small, tmp_path):
    for prefix in ("one", "two"):
        exported(tmp_path, target, "--model", small, "--prefix", prefix)
    for name, text in PROJECTS[target].items():
        path = tmp_path / "both" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert built(tmp_path / "both", **EXAMPLES[target][1]) == "0 0\n"


def test_a_project_without_c_is_told_by_find_package(small, tmp_path):
    exported(tmp_path, "cmake", "--model", small)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(none LANGUAGES NONE)\n"
        'find_package(lenet REQUIRED PATHS "${CMAKE_CURRENT_LIST_DIR}")\n'
    )
    command = [require("cmake"), "-S", tmp_path, "-B", tmp_path / "build"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode
    assert "has not enabled the language C" in " ".join(done.stderr.split())


def kconfig(path, *settings, above=""):
    """The symbols of a Kconfig file, once it is set as told."""
    root, given = path.parent / "Kconfig.root", path.parent / "given.conf"
    root.write_text(f'{above}\nsource "{path}"\n')
    given.write_text("\n".join(settings))
    known = kconfiglib.Kconfig(str(root), warn=False)
    known.load_config(str(given))
    assert known.missing_syms == []
    return {name: symbol.str_value for name, symbol in known.syms.items() if symbol.nodes}


def test_a_component_s_kconfig_has_what_its_linker_fragment_asks(small, tmp_path):
    package = exported(tmp_path, "esp-idf", "--model", small, "--prefix", "digits")
    symbols = kconfig(package / "Kconfig")
    fragment = (package / "linker.lf").read_text()
    assert set(re.findall(r"if (\w+) = y:\n {8}digits \(noflash_\w+\)", fragment)) == set(symbols)
    assert set(symbols.values()) == {"n"}
    assert "archive: libdigits.a" in fragment
    manifest = yaml.safe_load((package / "idf_component.yml").read_text())
    assert set(manifest) == {"version", "description", "license", "dependencies"}
    other = exported(tmp_path, "esp-idf", "--model", small, "--cpu", "esp32c3")
    chips = yaml.safe_load((other / "idf_component.yml").read_text())["targets"]
    assert "esp32c3" in chips and "esp32" not in chips


@pytest.mark.parametrize("cpu", ["generic", "cortex-m4"])
def test_a_module_s_kconfig_asks_for_its_cpu(cpu, small, tmp_path):
    package = exported(tmp_path, "zephyr", "--model", small, "--cpu", cpu, "--prefix", "digits")
    module = yaml.safe_load((package / "zephyr/module.yml").read_text())
    assert module == {
        "name": "digits", "build": {"cmake": ".", "kconfig": "Kconfig"}, "samples": ["samples"],
    }  # fmt: skip
    settings = (package / "samples/read/prj.conf").read_text().splitlines()
    cores = ["config MAIN_STACK_SIZE\n\tint"]
    cores += [
        f"config {core}\n\tbool" for core in ("CPU_CORTEX_M4", "CPU_CORTEX_M7", "ARMV8_M_DSP")
    ]
    for core, expected in (("CPU_CORTEX_M7", "y"), ("", "y" if cpu == "generic" else "n")):
        above = "\n".join(
            text + ("\n\tdefault y" if core and core in text else "") for text in cores
        )
        assert kconfig(package / "Kconfig", *settings, above=above)["DIGITS_MODEL"] == expected
    sample = yaml.safe_load((package / "samples/read/sample.yaml").read_text())
    assert set(sample) == {"sample", "tests"}
    (test,) = sample["tests"].values()
    assert test["harness_config"] == {"type": "one_line", "regex": ["self-test passed"]}
    # A text: lists are for a newer twister.
    assert test.get("platform_allow") == (None if cpu == "generic" else "mps2/an386")


# ---- CMSIS-Pack -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cpu", "flags"),
    [
        ("cortex-m0", "-mcpu=cortex-m0plus -mthumb"),
        ("cortex-m4", "-mcpu=cortex-m33 -mthumb"),
        ("cortex-m55", "-mcpu=cortex-m55 -mthumb -mfloat-abi=hard"),
    ],
)
def test_the_component_of_a_pack_compiles_with_its_template(cpu, flags, small, tmp_path):
    package = exported(tmp_path, "cmsis-pack", "--model", small, "--cpu", cpu, "--prefix", "digits")
    (description,) = package.glob("*.pdsc")
    root = ElementTree.parse(description).getroot()
    vendor, name = root.findtext("vendor"), root.findtext("name")
    assert description.name == f"{vendor}.{name}.pdsc" and name == "digits"
    # What PACK.xsd has in its root, and must have.
    assert [child.tag for child in root] == [
        "vendor", "name", "description", "url", "license", "releases", "keywords", "conditions",
        "components",
    ]  # fmt: skip
    assert (package / root.findtext("license")).is_file()
    (component,) = root.iter("component")
    assert set(component.attrib) == {"Cclass", "Cgroup", "Cversion", "condition"}
    for name in ("Cclass", "Cgroup"):
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_ ]{1,31}", component.attrib[name])
    (condition,) = root.iter("condition")
    assert condition.attrib["id"] == component.attrib["condition"]
    cores = {accepted.attrib["Dcore"].lower() for accepted in condition.iter("accept")}
    assert flags.split()[0].removeprefix("-mcpu=").replace("plus", "+") in cores
    listed = {file.attrib["name"]: file.attrib["category"] for file in component.iter("file")}
    assert {name: (package / name).is_file() for name in listed} == dict.fromkeys(listed, True)
    sources = [package / name for name, category in listed.items() if category == "sourceC"]
    assert len(sources) == 2
    folders = {(package / name).parent for name, of in listed.items() if of == "header"}
    # Debian's compiler has no C library beside it, which the template prints by.
    (tmp_path / "stdio.h").write_text("int printf(const char *format, ...);\n")
    command = [require("arm-none-eabi-gcc"), *flags.split(), "-O1", "-std=c99", "-Wall", "-Wextra"]
    command += ["-Werror", "-ffreestanding", f"-I{tmp_path}", *(f"-I{of}" for of in folders), "-c"]
    done = subprocess.run([*command, *sources], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in tmp_path.glob("*.o")} == {"digits", "digits_main"}
