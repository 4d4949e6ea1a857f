"""What docs/measure-on-your-board.md says: a pin, rows between kicks, tables and code placed."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest

import firmware
import shared
from lenet_export import reference
from needs import ROOT, blocks, require

PAGE = (ROOT / "docs/measure-on-your-board.md").read_text()
FOLDER = ROOT / "c_runtime/firmware"
GENERATED = ROOT / "c_runtime/generated"


@pytest.fixture
def images():
    return np.random.RandomState(0).randint(0, 256, (3, 28, 28)).astype(np.uint8)


def test_a_pin_is_high_while_an_image_is_read_and_at_no_other_time(tmp_path, images):
    _, pins, *_ = blocks(PAGE, "c")
    names = re.findall(r"^#define (\w+)\(\)", pins, re.MULTILINE)
    head = tmp_path / "pin.h"
    head.write_text(
        "#include <stdio.h>\n"
        + "".join(f'#define {name}() fputs("{name} ", stderr)\n' for name in names)
    )
    program = tmp_path / "firmware"
    subprocess.run(
        [require("cc"), "-include", head, f"-I{FOLDER}", f"-I{GENERATED}", "-o", program,
         FOLDER / "main.c", FOLDER / "record.c", FOLDER / "boards/host/board.c",
         GENERATED / "lenet.c"],
        check=True,
    )  # fmt: skip
    (tmp_path / "images").write_bytes(images.tobytes())
    done = subprocess.run(
        [program, tmp_path / "images", tmp_path / "record"], check=True, capture_output=True
    )
    assert done.stderr.decode().split() == 3 * ["BOARD_PIN_HIGH", "BOARD_PIN_LOW"]


def test_rows_between_kicks_give_the_reading_of_the_image(tmp_path):
    _, _, rows, step = blocks(PAGE, "c")
    program = tmp_path / "main.c"
    program.write_text(
        f"""
        #include <stdio.h>
        #include "lenet.h"
        static int kicks, failures;
        static void kick_watchdog(void) {{ kicks++; }}
        static void enter_safe_state(void) {{ failures++; }}
        static lenet_workspace ws;
        static uint8_t image[LENET_ROWS * LENET_COLUMNS * LENET_CHANNELS];
        int main(void) {{
            for (unsigned i = 0; i < sizeof image; i++) image[i] = (uint8_t)(i * i);
            {rows}
            lenet_reading whole = lenet_read(&ws, image);
            printf("%d", kicks);
            lenet_self_test_state test;
            lenet_self_test_begin(&test);
            for (int n = 1; n <= 2 * LENET_SELF_TEST_STEPS; n++) {{
                {step}
                int is_last = n % LENET_SELF_TEST_STEPS == 0;
                if ((result == LENET_SELF_TEST_PASSED) != is_last) return 1;
            }}
            return failures || reading.digit != whole.digit || reading.gap != whole.gap;
        }}"""
    )
    subprocess.run(
        [require("cc"), f"-I{GENERATED}", "-o", tmp_path / "rows", program, GENERATED / "lenet.c"],
        check=True,
    )
    done = subprocess.run([tmp_path / "rows"], check=True, capture_output=True)
    assert done.stdout == b"28"


def sections_of(path):
    """Those of an object file of Arm that take memory."""
    command = [require("arm-none-eabi-objdump"), "-h", path]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = re.findall(r"^ +\d+ (\S+) +(\w+) .*\n +CONTENTS, ALLOC", done.stdout, re.MULTILINE)
    return {name for name, size in found if int(size, 16)}


@pytest.mark.parametrize("tables", [".rodata.fc1_weight", ".rodata .rodata.*", ".external"])
def test_a_linker_script_puts_tables_outside_and_the_code_into_ram(
    tables, tmp_path, images, int8_plan
):
    """The lines of the page in the firmware's own script, on an emulated Cortex-M4.

    Of the sections that the C's own macros name, the script's other lines need not know.
    """
    require("arm-none-eabi-gcc")
    require("qemu-system-arm")
    external, others, code = blocks(PAGE, "ld")
    assert f"`{tables}`" in PAGE or f"({tables})" in external or f'"{tables}"' in PAGE
    external = external.replace("(.rodata.fc1_weight)", f"({tables})")
    attributes = []
    if tables == ".external":
        attributes = re.findall(r"-DLENET_\w+='\S+'", PAGE)[:2]
        others, code = (
            "        *(.text* .rodata*)\n",
            code.replace("*lenet.o(.text .text.*)", "*(.fast)"),
        )
    script = (FOLDER / "cores/arm.ld").read_text()
    for old, new in (
        ("    .text :\n", external + "\n    .text :\n"),
        ("        *(.text* .rodata*)\n", others),
        ("        data_start = .;\n", "        data_start = .;\n" + code),
    ):
        assert script.count(old) == 1
        script = script.replace(old, new)
    memory = (FOLDER / "boards/mps2/memory.ld").read_text()
    outside = "    EXTERNAL : ORIGIN = 0x21000000, LENGTH = 16M\n}"
    (tmp_path / "memory.ld").write_text(memory.replace("}", outside, 1))
    (tmp_path / "board.ld").write_text(script)

    flags = ["-mcpu=cortex-m4", "-mthumb", "-O2", "-ffreestanding", f"-I{FOLDER}",
             f"-I{FOLDER / 'cores'}", f"-I{GENERATED}"]  # fmt: skip
    compiler = require("arm-none-eabi-gcc")
    lenet, program = tmp_path / "lenet.o", tmp_path / "firmware"
    subprocess.run(
        [compiler, *flags, "-fdata-sections", *(word.replace("'", "") for word in attributes),
         "-c", "-o", lenet, GENERATED / "lenet.c"],
        check=True,
    )  # fmt: skip
    if attributes:
        assert sections_of(lenet) == {".fast", ".external"}
    sources = ["main.c", "record.c", "boards/mps2/board.c", "cores/arm.c", "cores/arm.S",
               "cores/semihosting.c"]  # fmt: skip
    subprocess.run(
        [compiler, *flags, "-nostdlib", f"-L{tmp_path}", f"-T{tmp_path / 'board.ld'}",
         "-o", program, *(FOLDER / source for source in sources), lenet, "-lgcc"],
        check=True,
    )  # fmt: skip
    listed = subprocess.run(
        [require("arm-none-eabi-nm"), program], check=True, capture_output=True, text=True
    )
    at = {name: int(place, 16) for place, _, name in map(str.split, listed.stdout.splitlines())}
    assert at["fc1_weight"] >> 24 == 0x21
    assert at["lenet_logits"] >> 24 == 0x20
    assert at["main"] < 1 << 22
    assert (at["sigmoid_table"] < 1 << 22) == (tables == ".rodata.fc1_weight")

    board = shared.firmware_of("cortex-m4", "generic", None, None)
    (tmp_path / "emulate").symlink_to(board.folder / "emulate")
    record = firmware.Firmware(tmp_path).run(images)
    expected = reference.run_integers(int8_plan, images[..., None])[int8_plan.layers[-1].name]
    np.testing.assert_array_equal(record.logits, expected)
    assert record.self_test == 0
