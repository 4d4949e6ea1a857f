"""``--target arduino`` and others: the C in the files that an ecosystem takes it with, as they are.

A package has the files of ``--target c`` in its folder ``src``, and around them those of
``templates/packages/<ecosystem>``, which are written for the prefix ``lenet``, as the C's are. The
folder's name is the prefix, so that two models lie side by side, and go into one project.
"""

from __future__ import annotations

import functools
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lenet_export import __version__
from lenet_export.cpus.registry import CPUS
from lenet_export.errors import UserError
from lenet_export.files import zip_of
from lenet_export.outputs import c, templates
from lenet_export.outputs.options import Files, Options, Output
from lenet_export.plan import Plan

TITLE = "@title@"  # stands for what the network is, in which no prefix is put
#: How a header declares its public names, by what they are of.
NAMES = {
    "types": r"^}} (\w+);",
    "functions": r"^\w[\w ]* \*?({prefix}_\w+)\(",
    "constants": r"^(?:#define|   ) ({PREFIX}_\w+)\b",
}


def _cores(*names: str) -> tuple[str, ...]:
    """Conditions of CMSIS-Pack for cores."""
    return tuple(f'Dcore="Cortex-{name}"' for name in names)


@dataclass(frozen=True)
class Ecosystem:
    """One that takes packages; its templates are in a folder of its name.

    Attributes:
        help: what is written, in a few words.
        boards: the CPUs that its boards have, each with its words for these boards, which the
            templates print; none: all boards.
        examples: a board for each of these CPUs, where a file of the package names one.
        taken: a pattern of prefixes that it refuses, or that would hide a part of its own.
        longest: how long a prefix may be.
        archive: the name of the one file that it takes, a ZIP; empty: it takes a folder.
    """

    help: str
    boards: Mapping[str, tuple[str, ...]]
    examples: Mapping[str, str] = field(default_factory=dict)
    taken: str = ""
    longest: int = 64
    archive: str = ""


ECOSYSTEMS = {
    "arduino": Ecosystem(
        "a library for Arduino",
        {
            "generic": (),
            "cortex-m0": ("samd", "rp2040", "mbed_rp2040", "stm32"),
            "cortex-m3": ("sam", "stm32"),
            "cortex-m4": (
                *("samd", "rp2040", "mbed_nano", "mbed_giga", "mbed_portenta"),
                *("renesas_uno", "nrf52", "teensy", "stm32"),
            ),
            "riscv32": ("esp32",),
            "avr": ("avr", "megaavr"),
            "atmega328p": ("avr",),
            "attiny85": ("avr", "attiny"),
        },
        # Headers of cores and of libraries that come with them; names of Arduino's own.
        taken="arduino.*|binary|client|eeprom|ethernet|hardwareserial|hid|ipaddress|keyboard|mouse|"
        "new|pins_arduino|pluggableusb|print|printable|sd|server|servo|softwareserial|spi|stepper|"
        "stream|udp|usbapi|usbcore|usbdesc|wcharacter|wifi|wire|wiring_private|wstring",
        longest=63,
    ),
    "platformio": Ecosystem(
        "one for PlatformIO",
        {
            "generic": (),
            "cortex-m0": ("atmelsam", "nordicnrf51", "raspberrypi", "ststm32"),
            "cortex-m3": ("atmelsam", "ststm32"),
            "cortex-m4": (
                *("atmelsam", "nordicnrf52", "raspberrypi", "renesas-ra", "ststm32", "teensy"),
            ),
            "riscv32": ("espressif32", "gd32v"),
            "avr": ("atmelavr", "atmelmegaavr"),
            "atmega328p": ("atmelavr",),
            "attiny85": ("atmelavr",),
        },
        examples={
            "generic": "espressif32/esp32dev",
            "cortex-m0": "raspberrypi/pico",
            "cortex-m3": "ststm32/bluepill_f103c8",
            "cortex-m4": "nordicnrf52/nano33ble",
            "riscv32": "espressif32/esp32-c3-devkitm-1",
            "avr": "atmelavr/megaatmega2560",
            "atmega328p": "atmelavr/uno",
            "attiny85": "atmelavr/attiny85",
        },
        taken="arduino.*|eeprom|servo|spi|wire|wifi",
    ),
    "esp-idf": Ecosystem(
        "a component for ESP-IDF",
        {
            "generic": (),
            "riscv32": (
                *("esp32c2", "esp32c3", "esp32c5", "esp32c6", "esp32c61", "esp32h2", "esp32p4"),
            ),
        },
        examples={"generic": "esp32", "riscv32": "esp32c3"},
        # A component of a project takes the place of ESP-IDF's of that name.
        taken="app_trace|app_update|bootloader.*|bt|cmock|console|cxx|driver|efuse|"
        "esp.*|fatfs|freertos|hal|heap|"
        "http_parser|idf.*|ieee802154|json|linux|log|lwip|main|mbedtls|mqtt|newlib|nvs.*|openthread|"
        "partition_table|perfmon|protocomm|pthread|riscv|rt|sdmmc|soc|spi_flash|spiffs|"
        "tcp_transport|touch_element|ulp|unity|usb|vfs|"
        "wear_levelling|wifi_provisioning|wpa_supplicant|xtensa",
    ),
    "zephyr": Ecosystem(
        "a module for Zephyr",
        {
            "generic": (),
            "cortex-m0": ("CPU_CORTEX_M",),
            "cortex-m3": ("ARMV7_M_ARMV8_M_MAINLINE",),
            "cortex-m4": ("CPU_CORTEX_M4", "CPU_CORTEX_M7", "ARMV8_M_DSP"),
            "cortex-m55": ("ARMV8_1_M_MVEI",),
            "riscv32": ("RISCV",),
        },
        examples={
            "generic": "qemu_cortex_m3",
            "cortex-m0": "qemu_cortex_m0",
            "cortex-m3": "qemu_cortex_m3",
            "cortex-m4": "mps2/an386",
            "cortex-m55": "mps3/corstone300/fvp",
            "riscv32": "qemu_riscv32",
        },
        # Modules that come with it, by whose names it knows them.
        taken="acpica|bsim|canopennode|chre|cmsis.*|edtt|fatfs|hal_.*|hostap|liblc3|"
        "libmetal|libsbc|littlefs|loramac_node|lvgl|lz4|mbedtls|"
        "mcuboot|mipi_sys_t|nanopb|net_tools|nrf_.*|open_amp|openthread|percepio|picolibc|segger|"
        "sof|tflite_micro|thrift|tinycrypt|trusted_firmware.*|uoscore_uedhoc|zcbor|zephyr|zscilib",
    ),
    "cmsis-pack": Ecosystem(
        "a CMSIS-Pack",
        {
            "generic": (),
            "cortex-m0": _cores("M0", "M0+", "M1", "M23"),
            "cortex-m3": _cores("M3", "M4", "M7", "M33", "M35P"),
            "cortex-m4": (
                *_cores("M4", "M7"),
                *(f'{core} Ddsp="DSP"' for core in _cores("M33", "M35P")),
            ),
            "cortex-m55": _cores("M52", "M55", "M85"),
        },
        taken=".|cmsis.*|rte_components",
        longest=32,
        archive="lenet-export.{name}.{version}.pack",
    ),
    "cmake": Ecosystem("a package for CMake", dict.fromkeys(CPUS, ()), taken="lenet_export"),
}


def check(ecosystem: str, plan: Plan, options: Options) -> None:
    """Checks that an ecosystem has boards with the plan's CPU, and takes the prefix.

    Raises:
        UserError: it has none, or does not.
    """
    of = ECOSYSTEMS[ecosystem]
    if plan.cpu not in of.boards:
        raise UserError(
            f"--cpu {plan.cpu}",
            f"is of no board of --target {ecosystem}",
            f"give one of {', '.join(of.boards)}, or --target c",
        )
    if (of.taken and re.fullmatch(of.taken, options.prefix)) or len(options.prefix) > of.longest:
        raise UserError(
            f"--prefix {options.prefix}",
            f"cannot name a package of --target {ecosystem}: it is the name of a part of that, or "
            "too short or long",
            f"take another --prefix, of at most {of.longest} letters",
        )


def printed(ecosystem: str, plan: Plan, options: Options) -> Files:
    """The C of a package, by name; see :func:`lenet_export.outputs.c.render_c`.

    Raises:
        UserError: the ecosystem does not take it, or the C cannot be printed.
    """
    check(ecosystem, plan, options)
    return c.render_c(plan, options)


def packed(ecosystem: str, plan: Plan, options: Options, files: Files) -> Files:
    """The package by paths, of the C that :func:`printed` gave; its manifest is the last.

    Args:
        ecosystem: a name in :data:`ECOSYSTEMS`.
        plan: what the C was printed from.
        options: of it.
        files: the C, and its manifest.
    """
    prefix, folder = options.prefix, f"{ecosystem}/"
    environment = templates.environment("packages")
    context = _context(ecosystem, plan, options, files)
    title = textwrap.shorten(c.title_of(plan.model.info), 100)
    package: Files = {}
    for name in environment.list_templates():
        if name.startswith(folder):
            path = re.sub("lenet(?!-export)", prefix, name.removeprefix(folder).removesuffix(".j2"))
            text = c.rename(environment.get_template(name).render(context), prefix)
            package[path] = text.replace(TITLE, title).encode()
    manifest = f"{prefix}.json"
    package |= {f"src/{name}": data for name, data in files.items() if name != manifest}
    package[manifest] = files[manifest]
    archive = ECOSYSTEMS[ecosystem].archive.format(name=prefix, version=__version__)
    if archive:
        return {archive: zip_of(package)}
    return {f"{prefix}/{path}": data for path, data in package.items()}


def _context(ecosystem: str, plan: Plan, options: Options, files: Files) -> dict[str, Any]:
    """What the templates print beside the plan itself."""
    rows, columns, channels = plan.input_shape
    header = files[f"{options.prefix}.h"].decode()
    return {
        "name": options.prefix,
        "symbol": f"{options.prefix.upper()}_MODEL",
        "plan": plan,
        "version": __version__,
        "title": TITLE,
        "size": f"{rows}x{columns}" if channels == 1 else f"{rows}x{columns}x{channels}",
        "pixels": rows * columns * channels,
        "row_bytes": columns * channels,
        "flash": f"{plan.constant_bytes:,}",
        "ram": f"{plan.workspace_bytes:,}",
        "boards": ECOSYSTEMS[ecosystem].boards[plan.cpu],
        "example": ECOSYSTEMS[ecosystem].examples.get(plan.cpu),
        "headers": [file for file in files if file.endswith(".h")],
        "is_float": plan.dtype == "float32",
        "words": words_of(header, options.prefix),
    }


def words_of(header: str, prefix: str) -> dict[str, list[str]]:
    """The public names of a header: its types, functions and constants."""
    given = {"prefix": prefix, "PREFIX": prefix.upper()}
    found = {
        kind: dict.fromkeys(re.findall(pattern.format(**given), header, re.MULTILINE))
        for kind, pattern in NAMES.items()
    }
    guards = {f"{prefix.upper()}_H", *re.findall(r"\w+_EXPORT_[0-9A-F]{16}\b", header)}
    return {kind: [name for name in names if name not in guards] for kind, names in found.items()}


#: A package's files are named by its ecosystem: there is no single file in it.
OUTPUTS: dict[str, Output] = {
    name: replace(
        c.OUTPUT,
        help=ecosystem.help,
        files=functools.partial(printed, name),
        packed=functools.partial(packed, name),
        options=c.OUTPUT.options - {"single_file"},
    )
    for name, ecosystem in ECOSYSTEMS.items()
}
