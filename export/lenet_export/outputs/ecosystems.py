"""``--target arduino`` and others: the C in the files that an ecosystem takes it with, as they are.

A package has the files of ``--target c`` in its folder ``src``, and around them those of
``templates/packages/<ecosystem>``, which are written for the prefix ``lenet``, as the C's are. The
folder's name is the prefix, so that two models lie side by side, and go into one project.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lenet_export import __version__
from lenet_export.errors import UserError
from lenet_export.outputs import c, templates
from lenet_export.outputs.options import Files, Options, Output, command
from lenet_export.plan import Plan

COMMAND, TITLE = "@command@", "@title@"  # stand for what is said, until the prefix is in its places
#: How a header declares its public names, by what they are of.
NAMES = {
    "types": r"^}} (\w+);",
    "functions": r"^\w[\w ]* \*?({prefix}_\w+)\(",
    "constants": r"^(?:#define|   ) ({PREFIX}_\w+)\b",
}


@dataclass(frozen=True)
class Ecosystem:
    """One that takes packages; its templates are in a folder of its name.

    Attributes:
        help: what is written, in a few words.
        boards: the CPUs that its boards have, each with its words for these boards, which the
            templates print; none: all boards.
        taken: prefixes that would hide a header or a part of its own, or that it refuses.
        longest: how long a prefix may be.
    """

    help: str
    boards: Mapping[str, tuple[str, ...]]
    taken: str = r"(?!)"
    longest: int = 64


ECOSYSTEMS = {
    "arduino": Ecosystem(
        "a library for Arduino's IDE and arduino-cli",
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
        taken="arduino.*|binary|client|eeprom|ethernet|hardwareserial|hid|ipaddress|keyboard|mouse|"
        "new|pins_arduino|pluggableusb|print|printable|sd|server|servo|softwareserial|spi|stepper|"
        "stream|udp|usbapi|usbcore|usbdesc|wcharacter|wifi|wire|wiring_private|wstring",
        longest=63,
    ),
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
    if re.fullmatch(of.taken, options.prefix) or len(options.prefix) > of.longest:
        raise UserError(
            f"--prefix {options.prefix}",
            f"cannot be the name of a package of --target {ecosystem}: it is taken, or has more "
            f"than {of.longest} letters",
            "take another --prefix",
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
    # In these no prefix is put.
    words = {COMMAND: command(plan, options), TITLE: c.title_of(plan.model.info)}
    package: Files = {}
    for name in environment.list_templates():
        if name.startswith(folder):
            path = name.removeprefix(folder).removesuffix(".j2").replace("lenet", prefix)
            text = c.rename(environment.get_template(name).render(context), prefix)
            for place, word in words.items():
                text = text.replace(place, word)
            package[path] = text.encode()
    manifest = f"{prefix}.json"
    package |= {f"src/{name}": data for name, data in files.items() if name != manifest}
    package[manifest] = files[manifest]
    return {f"{prefix}/{path}": data for path, data in package.items()}


def _context(ecosystem: str, plan: Plan, options: Options, files: Files) -> dict[str, Any]:
    """What the templates print beside the plan itself."""
    rows, columns, channels = plan.input_shape
    header = files[f"{options.prefix}.h"].decode()
    return {
        "name": options.prefix,
        "plan": plan,
        "version": __version__,
        "command": COMMAND,
        "title": TITLE,
        "size": f"{rows}x{columns}" if channels == 1 else f"{rows}x{columns}x{channels}",
        "pixels": rows * columns * channels,
        "row_bytes": columns * channels,
        "flash": f"{plan.constant_bytes:,}",
        "ram": f"{plan.workspace_bytes:,}",
        "boards": ECOSYSTEMS[ecosystem].boards[plan.cpu],
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
