"""The C side as a firmware engineer meets it: CMake, and the examples with one compiler command."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lenet_export import checkpoint
from needs import ROOT, missing, require

EXAMPLES = ROOT / "c_runtime/examples"
GENERATED = ROOT / "c_runtime/generated"
MODEL = ROOT / "export/lenet_export/models/mnist.safetensors"
BESIDE_PYTHON = Path(sys.executable).parent
EXPORT = f"-DLENET_EXPORT_EXECUTABLE={BESIDE_PYTHON / 'lenet-export'}"
CMAKE = ROOT / "export/lenet_export/cmake"
INCLUDE = f'include("{CMAKE}/lenet_add_model.cmake")\n'
SEARCHED = ("SYSTEM_ENVIRONMENT_PATH", "CMAKE_SYSTEM_PATH", "CMAKE_ENVIRONMENT_PATH")
CROSS = ("-DCMAKE_SYSTEM_NAME=Generic", "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY")
WHITE = "P5\n28 28\n255\n"


def run(*command, cwd=None, data=None, **environment):
    """Runs a command; a variable of None is unset. Its output is text, both streams in one."""
    variables = {"CI": None, "CC": None, "CFLAGS": None} | environment
    kept = {name: value for name, value in os.environ.items() if name not in variables}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        input=data,
        env=kept | {name: value for name, value in variables.items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


def text_of(done):
    """The output with each run of white space as one space, since CMake wraps its messages."""
    return " ".join(done.stdout.decode().split())


def passes(*command, **options):
    """Runs a command that must succeed; returns its output."""
    done = run(*command, **options)
    assert done.returncode == 0, done.stdout.decode()
    return done.stdout.decode()


def configure(source, *options, **environment):
    """Configures the project in ``source`` in its folder ``build``."""
    return run(require("cmake"), "-S", source, "-B", source / "build", *options, **environment)


def configured(source, *options, **environment):
    """Configures a project that must succeed; returns its build folder."""
    done = configure(source, EXPORT, *options, **environment)
    assert done.returncode == 0, done.stdout.decode()
    return source / "build"


def build(folder, **environment):
    return passes("cmake", "--build", folder, **environment)


def project(folder, text, languages="C"):
    """Writes a firmware's CMakeLists.txt."""
    folder.mkdir(exist_ok=True)
    head = f"cmake_minimum_required(VERSION 3.20)\nproject(firmware LANGUAGES {languages})\n"
    (folder / "CMakeLists.txt").write_text(head + text)
    return folder


def program(folder, prefixes):
    """Writes main.c, which prints the result of each model's self-test and its LENET_MIN_GAP."""
    includes = "".join(f'#include "{prefix}.h"\n' for prefix in prefixes)
    prints = "".join(
        f'    static {p}_workspace {p}_ws;\n    printf("{p} %d %ld\\n",'
        f" (int){p}_self_test(&{p}_ws), (long){p.upper()}_MIN_GAP);\n"
        for p in prefixes
    )
    source = f"#include <stdio.h>\n{includes}int main(void)\n{{\n{prints}    return 0;\n}}\n"
    (folder / "main.c").write_text(source)


# ---- The project itself ---------------------------------------------------------------------


def test_the_host_preset_builds_without_warnings_and_skips_no_test(tmp_path):
    passes(require("cmake"), "--preset", "host", "-B", tmp_path, EXPORT, cwd=ROOT)
    build(tmp_path)
    report = passes("ctest", "--test-dir", tmp_path, "--output-on-failure", CI="true")
    assert "100% tests passed" in report
    assert "Skipped" not in report
    assert re.search(r"two_models_read_the_digit \.+ +Passed", report)


@pytest.mark.parametrize(("ci", "status"), [("", "***Skipped"), ("true", "***Failed")])
def test_without_lenet_export_its_test_is_skipped_but_in_ci_fails(tmp_path, ci, status):
    nowhere = [f"-DCMAKE_FIND_USE_{place}=OFF" for place in SEARCHED]
    tools = [
        f"-DCMAKE_MAKE_PROGRAM={require('make')}",
        f"-DCMAKE_C_COMPILER={require('cc')}",
        "-G",
        "Unix Makefiles",
    ]
    passes(require("cmake"), "-S", ROOT, "-B", tmp_path, *nowhere, *tools)
    done = run("ctest", "--test-dir", tmp_path, "-R", "two_models", "-V", CI=ci)
    assert status in done.stdout.decode()
    assert "lenet-export is not found in PATH: pip install lenet-export" in text_of(done)


@pytest.mark.parametrize(
    "take",
    [
        f'add_subdirectory("{ROOT}" lenet)\n',
        f'include(FetchContent)\nFetchContent_Declare(lenet SOURCE_DIR "{ROOT}")\n'
        "FetchContent_MakeAvailable(lenet)\n",
    ],
    ids=["add_subdirectory", "FetchContent"],
)
def test_a_firmware_that_takes_the_project_gets_the_library_alone(tmp_path, take):
    program(tmp_path, ["lenet"])
    text = f"""enable_testing()
{take}
add_executable(firmware main.c)
target_link_libraries(firmware PRIVATE lenet::lenet)
"""
    folder = configured(project(tmp_path, text))
    build(folder)
    assert passes(folder / "firmware").startswith("lenet 0 ")
    assert not list(folder.rglob("*predict_pgm*"))
    assert "Total Tests: 0" in passes("ctest", "--test-dir", folder, "-N")


def test_a_firmware_can_ask_for_the_examples_too(tmp_path):
    text = f'enable_testing()\nset(LENET_BUILD_EXAMPLES ON)\nadd_subdirectory("{ROOT}" lenet)\n'
    folder = configured(project(tmp_path, text))
    assert "predict_pgm_reads_the_digit" in passes("ctest", "--test-dir", folder, "-N")


def test_a_cross_build_makes_the_library_alone_which_is_installed_and_found(tmp_path):
    compiler = f"-DCMAKE_C_COMPILER={require('cc')}"
    made, place = tmp_path / "made", tmp_path / "usr"
    passes(require("cmake"), "-S", ROOT, "-B", made, *CROSS, compiler)
    build(made)
    assert (made / "liblenet.a").exists()
    assert not list(made.rglob("*predict_pgm*"))
    passes("cmake", "--install", made, "--prefix", place)
    assert {str(file.relative_to(place)) for file in place.glob("[il]*/*.?")} == {
        "include/lenet.h",
        "lib/liblenet.a",
    }
    firmware = tmp_path / "firmware"
    text = """find_package(lenet_export 0.1 REQUIRED)
add_executable(firmware main.c)
target_link_libraries(firmware PRIVATE lenet::lenet)
lenet_add_model(TARGET own PREFIX own)
"""
    project(firmware, text)
    program(firmware, ["lenet"])
    folder = configured(firmware, f"-DCMAKE_PREFIX_PATH={place}")
    passes("cmake", "--build", folder, "--target", "firmware")
    assert passes(folder / "firmware").startswith("lenet 0 ")


@pytest.mark.parametrize(("asked", "found"), [("0.1", True), ("0.1.9", False), ("0.2", False)])
def test_the_package_has_a_version(tmp_path, asked, found):
    text = f"find_package(lenet_export {asked} REQUIRED)\n"
    done = configure(project(tmp_path, text, "NONE"), f"-Dlenet_export_DIR={CMAKE}")
    assert (done.returncode == 0) == found, done.stdout.decode()


# ---- lenet_add_model ------------------------------------------------------------------------


def test_a_bundled_model_is_given_by_its_name(tmp_path):
    place = passes(BESIDE_PYTHON / "lenet-export", "--cmake-dir").strip()
    found = "find_package(lenet_export REQUIRED)\n"
    text = f"{found}lenet_add_model(TARGET digits MODEL mnist-modern CPU cortex-m0)\n"
    folder = configured(project(tmp_path, text), f"-Dlenet_export_DIR={place}")
    build(folder)
    manifest = json.loads((folder / "lenet-export/digits/lenet.json").read_text())
    assert manifest["command"].endswith("--model mnist-modern --cpu cortex-m0")


def test_a_word_that_is_no_file_is_left_to_lenet_export_as_the_name_of_a_bundled_model(tmp_path):
    """So that a bundled model may have any name: here a lenet-export that only says what it got."""
    tool, given = tmp_path / "lenet-export", tmp_path / "given"
    tool.write_text(f'#!/bin/sh\necho "$@" >> "{given}"\nexit 1\n')
    tool.chmod(0o755)
    (tmp_path / "kmnist").mkdir()
    text = f'set(LENET_EXPORT_EXECUTABLE "{tool}")\n{INCLUDE}'
    for target, model in (("a", "fashion_2"), ("b", "kmnist")):
        text += f"lenet_add_model(TARGET {target} PREFIX {target} MODEL {model})\n"
    assert configure(project(tmp_path, text)).returncode == 0
    assert run("cmake", "--build", tmp_path / "build", "--", "-k").returncode != 0
    lines = given.read_text().splitlines()
    assert [re.search("--model (.*?) ", line)[1] for line in lines] == ["fashion_2", "kmnist"]


def test_a_file_whose_name_is_a_word_is_taken_for_a_file(tmp_path):
    shutil.copy(MODEL, tmp_path / "reader")
    text = INCLUDE + "lenet_add_model(TARGET digits MODEL reader)\n"
    folder = configured(project(tmp_path, text))
    build(folder)
    assert (folder / "lenet-export/digits/lenet.h").exists()


def test_flags_of_an_interface_target_come_by_linking_it_as_zephyrs_do(tmp_path):
    """Zephyr's flags are on an INTERFACE target alone; without them the C says which it needs."""
    zephyr = f"""add_library(zephyr_interface INTERFACE)
target_compile_options(zephyr_interface INTERFACE -mcpu=cortex-m4 -mthumb -ffreestanding)
{INCLUDE}lenet_add_model(TARGET digits CPU cortex-m4)
"""
    link = "target_link_libraries(digits PRIVATE zephyr_interface)\n"
    assert link.strip() in (CMAKE / "lenet_add_model.cmake").read_text()
    compiler = f"-DCMAKE_C_COMPILER={require('arm-none-eabi-gcc')}"
    for text, status in ((zephyr, False), (zephyr + link, True)):
        folder = configured(project(tmp_path, text), *CROSS, compiler)
        done = run("cmake", "--build", folder)
        assert (done.returncode == 0) == status, done.stdout.decode()
        assert ("compile it with its flags, as -mcpu=cortex-m4 -mthumb" in text_of(done)) != status


@pytest.mark.parametrize("source", ["", "c_runtime/examples/two_models"])
@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ([], ["-O3"]),
        (["-DCMAKE_BUILD_TYPE=Debug"], []),
        (["-DCMAKE_C_FLAGS=-Os"], ["-Os"]),
    ],
)
def test_without_a_build_type_a_project_is_optimized_and_says_so(tmp_path, source, options, flags):
    asked = ["-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", EXPORT, *options]
    said = passes(require("cmake"), "-S", ROOT / source, "-B", tmp_path, *asked, CFLAGS=None)
    assert ("-- CMAKE_BUILD_TYPE is not set: Release" in said) == (options == [])
    for entry in json.loads((tmp_path / "compile_commands.json").read_text()):
        levels = [part for part in shlex.split(entry["command"]) if part.startswith("-O")]
        assert levels == flags


def test_the_build_type_of_a_firmware_is_its_own(tmp_path):
    text = f'add_subdirectory("{ROOT}" lenet)\n'
    done = configure(project(tmp_path, text), "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON")
    assert done.returncode == 0
    assert "CMAKE_BUILD_TYPE" not in text_of(done)
    (entry,) = json.loads((tmp_path / "build/compile_commands.json").read_text())
    assert "-O" not in entry["command"]


def test_a_firmware_exports_its_checkpoint_beside_the_committed_model(tmp_path):
    shutil.copy(MODEL, tmp_path / "my model.safetensors")
    program(tmp_path, ["lenet", "digits"])
    text = f'''add_subdirectory("{ROOT}" lenet)
lenet_add_model(
    TARGET model MODEL "my model.safetensors" PREFIX digits CPU cortex-m0 MAX_ERROR 0.002 HARDEN)
add_executable(firmware main.c)
target_link_libraries(firmware PRIVATE model lenet::lenet)
'''
    folder = configured(project(tmp_path, text), "-DCMAKE_C_FLAGS=-Wall -Wextra -pedantic -Werror")
    build(folder)
    lines = dict(line.split(" ", 1) for line in passes(folder / "firmware").splitlines())
    assert lines["lenet"].startswith("0 ")
    assert re.fullmatch("0 [1-9][0-9]*", lines["digits"])
    manifest = json.loads((folder / "lenet-export/model/digits.json").read_text())
    assert manifest["command"] == (
        "lenet-export --target c --model 'my model.safetensors' --cpu cortex-m0 --prefix digits "
        "--max-error 0.002 --harden"
    )


def configured_with_a_model(folder, options=""):
    """The path of a model of its own, and the build folder of a firmware that exports it."""
    path = folder / "model.safetensors"
    shutil.copy(MODEL, path)
    program(folder, ["lenet"])
    text = INCLUDE + (
        f"lenet_add_model(TARGET digits MODEL model.safetensors {options})\n"
        "add_executable(firmware main.c)\ntarget_link_libraries(firmware PRIVATE digits)\n"
    )
    return path, configured(project(folder, text))


def test_tables_apart_are_a_file_of_the_library_and_alone_change_with_the_model(tmp_path):
    path, folder = configured_with_a_model(tmp_path, "TABLES apart")
    files = [folder / f"lenet-export/digits/lenet{end}" for end in (".c", ".h", "_tables.h")]
    build(folder)
    before = [file.read_bytes() for file in files]
    model = checkpoint.load(path)
    model.params["fc3/kernel"][0] *= -1
    checkpoint.save(model, path)
    build(folder)
    assert [file.read_bytes() == old for file, old in zip(files, before, strict=True)] == [
        True,
        True,
        False,
    ]
    assert passes(folder / "firmware").startswith("lenet 0 ")


def test_with_picture_the_library_reads_pictures(tmp_path):
    _, folder = configured_with_a_model(tmp_path, "WITH picture")
    build(folder)
    manifest = json.loads((folder / "lenet-export/digits/lenet.json").read_text())
    assert manifest["command"].endswith(" --with picture") and manifest["with"] == ["picture"]
    symbols = passes(require("nm"), folder / "libdigits.a")
    assert " T lenet_read_picture\n" in symbols


def test_a_model_is_exported_again_when_its_file_changes_and_only_then(tmp_path):
    path, folder = configured_with_a_model(tmp_path)
    header = folder / "lenet-export/digits/lenet.h"
    assert "Exporting lenet.c and lenet.h for digits" in build(folder)
    before = header.read_text()
    assert "Exporting" not in build(folder)

    model = checkpoint.load(path)
    model.params["fc3/kernel"][0] *= -1
    checkpoint.save(model, path)
    assert "Exporting lenet.c and lenet.h for digits" in build(folder)
    ids = [re.search("Model ([0-9a-f]{64})", text)[1] for text in (before, header.read_text())]
    assert ids[0] != ids[1]
    assert passes(folder / "firmware").startswith("lenet 0 ")


def test_a_model_is_exported_again_when_lenet_export_is_installed_anew(tmp_path):
    tool = tmp_path / "lenet-export"
    shutil.copy(BESIDE_PYTHON / "lenet-export", tool)
    folder = configured(
        project(tmp_path, INCLUDE + "lenet_add_model(TARGET digits)\n"),
        f"-DLENET_EXPORT_EXECUTABLE={tool}",
    )
    build(folder)
    assert "Exporting" not in build(folder)
    later = (folder / "lenet-export/digits/lenet.c").stat().st_mtime + 1
    os.utime(tool, (later, later))
    assert "Exporting" in build(folder)


def test_variables_of_the_firmware_do_not_reach_lenet_add_model(tmp_path):
    names = ("model", "arg_MODEL", "arg_PREFIX", "options", "command", "tool_files", "folder")
    variables = "".join(f"set({name} no_such_thing)\n" for name in names)
    folder = configured(project(tmp_path, f"{variables}{INCLUDE}lenet_add_model(TARGET digits)\n"))
    build(folder)
    assert (folder / "lenet-export/digits/lenet.h").exists()


def test_the_library_asks_for_c99_and_sets_no_other_flag(tmp_path):
    text = INCLUDE + "lenet_add_model(TARGET digits)\n"
    folder = configured(project(tmp_path, text), "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON")
    (entry,) = json.loads((folder / "compile_commands.json").read_text())
    flags = [part for part in shlex.split(entry["command"]) if part.startswith("-")]
    assert [flag for flag in flags if flag[:2] not in ("-I", "-o", "-c")] == ["-std=c99"]


def test_verify_runs_on_the_host_even_if_cc_is_a_cross_compiler(tmp_path):
    text = INCLUDE + "lenet_add_model(TARGET digits VERIFY)\n"
    folder = configured(project(tmp_path, text), *CROSS, f"-DCMAKE_C_COMPILER={require('cc')}")
    output = " ".join(build(folder, CC="arm-none-eabi-no-such-gcc").split())
    assert "logits differ from the JAX integer reference" in output


def test_two_models_of_one_prefix_do_not_link_into_one_program(tmp_path):
    program(tmp_path, ["lenet"])
    text = f'''add_subdirectory("{ROOT}" lenet)
lenet_add_model(TARGET digits)
add_executable(firmware main.c)
target_link_libraries(firmware PRIVATE digits lenet::lenet)
'''
    done = configure(project(tmp_path, text), EXPORT)
    assert done.returncode != 0
    assert "LENET_MODEL_WITH_PREFIX_lenet" in text_of(done)


def test_two_models_of_one_prefix_may_be_in_two_programs(tmp_path):
    program(tmp_path, ["lenet"])
    text = f'''add_subdirectory("{ROOT}" lenet)
lenet_add_model(TARGET digits)
add_executable(one main.c)
target_link_libraries(one PRIVATE digits)
add_executable(two main.c)
target_link_libraries(two PRIVATE lenet::lenet)
'''
    configured(project(tmp_path, text))


UNKNOWN = (
    "it takes TARGET, MODEL, PREFIX, DTYPE, CPU, OPTIMIZE, TABLES, RELEASE, WITH, MAX_ERROR, "
    "HARDEN and VERIFY"
)
MISTAKES = {
    "no target": (
        "PREFIX digits",
        "lenet_add_model: TARGET is missing name the library to make: "
        "lenet_add_model(TARGET digits)",
    ),
    "target exists": (
        "TARGET taken",
        "(TARGET taken): there is a target of this name already choose another TARGET",
    ),
    "unknown word": ("TARGET d MODELS a b", f"(TARGET d): unknown arguments: MODELS a b {UNKNOWN}"),
    "empty value": (
        'TARGET d MODEL "${NO_SUCH_VARIABLE}"',
        "(TARGET d): MODEL has no value give one, or leave MODEL out",
    ),
    "no value": (
        "TARGET d DTYPE VERIFY",
        "(TARGET d): DTYPE has no value give one, or leave DTYPE out",
    ),
    "last without value": ("TARGET d PREFIX", "(TARGET d): PREFIX has no value"),
    "no file": (
        "TARGET d MODEL none.safetensors",
        "firmware/none.safetensors is not a file give a model.safetensors of lenet-train, "
        "or the name of a bundled model, as mnist",
    ),
    "folder": ("TARGET d MODEL .", "firmware is not a file give a model.safetensors"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_lenet_add_model_says_where_what_and_the_remedy(tmp_path, arguments, message):
    text = f"{INCLUDE}add_custom_target(taken)\nlenet_add_model({arguments})\n"
    done = configure(project(tmp_path / "firmware", text), EXPORT)
    assert done.returncode != 0
    assert message in text_of(done)


@pytest.mark.parametrize("path", ["/no/such/lenet-export", "/"])
def test_a_wrong_lenet_export_executable_is_named(tmp_path, path):
    text = f'set(LENET_EXPORT_EXECUTABLE "{path}")\n{INCLUDE}lenet_add_model(TARGET digits)\n'
    done = configure(project(tmp_path, text))
    assert done.returncode != 0
    assert (
        f"(TARGET digits): LENET_EXPORT_EXECUTABLE {path} is not the full path of a file "
        "correct it, or unset it to search PATH"
    ) in text_of(done)


def test_a_missing_lenet_export_is_named_with_how_to_install_it(tmp_path):
    no_path = "".join(f"set(CMAKE_FIND_USE_{place} OFF)\n" for place in SEARCHED)
    text = f"{no_path}{INCLUDE}lenet_add_model(TARGET digits)\n"
    done = configure(project(tmp_path, text))
    assert done.returncode != 0
    assert (
        "(TARGET digits): lenet-export is not found in PATH pip install lenet-export, "
        "or set LENET_EXPORT_EXECUTABLE to its full path"
    ) in text_of(done)


def test_a_project_without_the_language_c_is_told_to_enable_it(tmp_path):
    require("c++")
    text = INCLUDE + "lenet_add_model(TARGET digits)\n"
    done = configure(project(tmp_path, text, "CXX"), EXPORT)
    assert done.returncode != 0
    assert "the project has not enabled the language C add it: project(... LANGUAGES C)" in text_of(
        done
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("PREFIX Digits", "argument --prefix: 'Digits' cannot begin the names of C functions"),
        ("CPU z80", "argument --cpu: invalid choice: 'z80'"),
        ("DTYPE int4", "argument --dtype: invalid choice: 'int4'"),
        ("MAX_ERROR 5", "argument --max-error: '5' is not a share between 0 and 1"),
        ("MODEL CMakeLists.txt", "lenet-export: error: "),
        ("MODEL mnist-un", "lenet-export: error: --model mnist-un: "),
    ],
)
def test_a_value_that_lenet_export_refuses_fails_the_build_in_its_words(
    tmp_path, arguments, message
):
    folder = configured(project(tmp_path, f"{INCLUDE}lenet_add_model(TARGET digits {arguments})\n"))
    done = run("cmake", "--build", folder)
    assert done.returncode != 0
    assert message in text_of(done)


# ---- The examples ---------------------------------------------------------------------------


def cc_line(example):
    """The command at the top of an example."""
    (line,) = re.findall(r"^ \*     (cc .*)$", example.read_text(), re.MULTILINE)
    return line


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """A copy of c_runtime in an empty folder, and each example built there by its own command."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "c_runtime", folder / "c_runtime")
    require("cc")
    for example in EXAMPLES.glob("*.c"):
        output = passes("sh", "-c", f"{cc_line(example)} -Wall -Wextra -Werror", cwd=folder)
        assert output == ""
    return folder


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("./predict_pgm c_runtime/examples/digit.pgm", r"digit 3, gap \d+, accepted\n"),
        (
            "tail -c 784 c_runtime/examples/digit.pgm | ./push_rows",
            r"digit 3, logits( -?\d+){10}\n",
        ),
        ("./self_test", r"self-test passed\n"),
    ],
)
def test_an_example_does_what_its_top_comment_shows(examples, command, output):
    name = re.search(r"\./(\w+)", command)[1]
    assert f" *     {command}\n" in (EXAMPLES / f"{name}.c").read_text()
    assert re.fullmatch(output, passes("sh", "-c", command, cwd=examples))


def lines_of(example):
    """The commands at the top of an example: to export, to compile, with warnings, and to run."""
    text = (EXAMPLES / example).read_text()
    lines = re.findall(r"^ \*     (\S.*)$", text, re.MULTILINE)
    lines[1] += " -Wall -Wextra -Werror"
    return lines


def out_of(lines, folder):
    """What commands print in ``folder``."""
    path = f"{BESIDE_PYTHON}:{os.environ['PATH']}"
    return passes("sh", "-ec", "\n".join(lines), cwd=folder, PATH=path)


@pytest.fixture(scope="module")
def pictured(tmp_path_factory):
    """A copy of c_runtime beside the export that both examples of pictures begin with."""
    folder = tmp_path_factory.mktemp("pictured")
    shutil.copytree(ROOT / "c_runtime", folder / "c_runtime")
    first, second = (lines_of(f"picture/{name}_picture.c")[0] for name in ("read", "scan"))
    assert first == second
    out_of([first], folder)
    return folder


def test_the_example_of_pictures_does_what_its_top_comment_shows(pictured):
    out = out_of(lines_of("picture/read_picture.c")[1:], pictured)
    assert out.endswith("\ndigit 3 in dark ink, accepted\n")
    (pictured / "grey.pgm").write_bytes(b"P5\n90 50\n255\n" + bytes([200]) * 4500)
    done = run("./read_picture", "grey.pgm", cwd=pictured)
    assert (done.returncode, text_of(done)) == (1, "no ink")
    (pictured / "short.pgm").write_bytes(b"P5\n90 50\n255\n" + bytes([200]) * 4000)
    done = run("./read_picture", "short.pgm", cwd=pictured)
    assert (done.returncode, text_of(done)) == (1, "no picture of 12x12 to 1024x1024")


def test_the_example_of_scans_does_what_its_top_comment_shows(pictured):
    out = out_of(lines_of("picture/scan_picture.c")[1:], pictured)
    assert re.search(r"(^|\n)digit 3 in rows 3\d to 7\d, columns 6\d to 9\d, accepted\n$", out)
    for data, told in [
        (bytes([200]) * 4500, "no ink"),
        (bytes([200]) * 4490, "not as many rows as were told"),
        (bytes([200]) * 4590, "not as many rows as were told"),
    ]:
        (pictured / "grey.pgm").write_bytes(b"P5\n90 50\n255\n" + data)
        done = run("sh", "-c", "./scan_picture < grey.pgm", cwd=pictured)
        assert (done.returncode, text_of(done)) == (1, told)


def test_the_example_of_amounts_does_what_its_top_comment_shows(examples):
    pixels = 255 - np.tile(sample().reshape(28, 28), 4)
    (examples / "line.pgm").write_bytes(b"P5\n112 28\n255\n" + pixels.tobytes())
    out = out_of(lines_of("amount/read_line.c"), examples)
    assert re.search(r"(^|\n)3333, score \d+, accepted\n$", out)
    for data, told in [
        (bytes([200]) * 4500, "no ink"),
        (bytes([200]) * 4000, "read_line: the picture ends before its last pixel"),
    ]:
        (examples / "grey.pgm").write_bytes(b"P5\n90 50\n255\n" + data)
        done = run("./read_line", "grey.pgm", cwd=examples)
        assert (done.returncode, text_of(done)) == (1, told)


def sample():
    """The pixels of digit.pgm, uint8 (784,)."""
    return np.frombuffer((EXAMPLES / "digit.pgm").read_bytes()[-784:], np.uint8)


def test_invert_reads_dark_ink_on_light_paper_as_the_same_picture(examples):
    picture = examples / "inverted.pgm"
    picture.write_bytes(WHITE.encode() + (255 - sample()).tobytes())
    same = passes("./predict_pgm", "c_runtime/examples/digit.pgm", cwd=examples)
    assert passes("./predict_pgm", "--invert", picture, cwd=examples) == same
    assert passes("./predict_pgm", picture, cwd=examples) != same


@pytest.mark.parametrize(
    "header",
    [
        "P5 28 28 5 ",
        "P5\n# 1 2 3\n28\t28 # width and height\n#\n#\n5\n",
        "P5# comment\r28# comment\n 28\n5# comment\n",
    ],
)
def test_a_picture_of_any_maxval_with_comments_is_scaled_to_255(examples, header):
    steps = sample() // 51
    coarse, full = examples / "coarse.pgm", examples / "full.pgm"
    coarse.write_bytes(header.encode() + steps.tobytes())
    full.write_bytes(WHITE.encode() + (steps * np.uint8(51)).tobytes())
    same = passes("./predict_pgm", full, cwd=examples)
    assert same.startswith("digit 3, ")
    assert passes("./predict_pgm", coarse, cwd=examples) == same


def test_a_picture_that_is_not_there_is_named(examples):
    done = run("./predict_pgm", "none.pgm", cwd=examples)
    assert done.returncode == 1
    assert done.stdout == (
        b"predict_pgm: error: none.pgm: No such file or directory\n  give the path of a PGM file\n"
    )


def test_push_rows_reads_one_digit_after_the_other(examples):
    one = passes("./push_rows", cwd=examples, data=sample().tobytes())
    blank = passes("./push_rows", cwd=examples, data=bytes(784))
    assert one != blank
    three = sample().tobytes() + bytes(784) + sample().tobytes()
    assert passes("./push_rows", cwd=examples, data=three) == one + blank + one
    (examples / "rows").write_bytes(three)
    assert passes("./push_rows", "rows", cwd=examples) == one + blank + one


@pytest.mark.parametrize(
    ("size", "place"),
    [
        (0, "row 1 of digit 1"),
        (783, "row 28 of digit 1"),
        (785, "row 1 of digit 2"),
        (812, "row 2 of digit 2"),
    ],
)
def test_push_rows_says_where_an_unfinished_digit_ends(examples, size, place):
    done = run("./push_rows", cwd=examples, data=bytes(size))
    assert done.returncode == 1
    assert f"push_rows: error: stdin: ends in {place}\n" in done.stdout.decode()


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"(\n {8}if .*\^ 0xFFFFFFFFu\) != 0x)\w+", "the constants are not those of the model"),
        (r"(\n {12}if .*\^ 0xFFFFFFFFu\) != 0x)\w+", "known images are read wrongly"),
    ],
)
def test_self_test_says_which_part_is_broken(examples, tmp_path, pattern, message):
    shutil.copytree(examples / "c_runtime", tmp_path / "c_runtime")
    source = tmp_path / "c_runtime/generated/lenet.c"
    text, places = re.subn(pattern, r"\g<1>12345678", source.read_text())
    assert places == 1
    source.write_text(text)
    passes("sh", "-c", cc_line(EXAMPLES / "self_test.c"), cwd=tmp_path)
    done = run("./self_test", cwd=tmp_path)
    assert done.returncode == 1
    assert re.match(f"self-test failed: .*{message}", done.stdout.decode())


def test_the_examples_are_formatted_as_clang_format_does_it():
    formatter = BESIDE_PYTHON / "clang-format"
    if not formatter.exists():
        missing("clang-format", 'pip install "lenet-export[test]"')
    passes(formatter, "--dry-run", "-Werror", *EXAMPLES.rglob("*.c"))


def test_the_generated_header_has_the_same_format():
    formatter = BESIDE_PYTHON / "clang-format"
    if not formatter.exists():
        missing("clang-format", 'pip install "lenet-export[test]"')
    passes(formatter, "--dry-run", "-Werror", GENERATED / "lenet.h")
