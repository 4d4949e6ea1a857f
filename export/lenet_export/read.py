"""``lenet-read``: the digits in photographs, by the C that ``--with picture`` exports."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lenet_export import bundled, files, photos
from lenet_export.errors import printable
from lenet_export.parser import Parser, share
from lenet_export.plan import Plan
from lenet_export.program import exit_status
from lenet_export.reading import MAX_ERROR, Read, load, read

EPILOG = """\
examples:
  lenet-read photo.jpg
  lenet-read --show steps.png --max-error 0.001 scans/*.png
  lenet-read --layers layers.png photo.jpg
  lenet-read --json --model runs/digits/model.safetensors digit.pgm

exit status:
  0  the pictures are read, whatever is in them
  1  a mistake, which is told with its remedy
  2  wrong usage
  130  Ctrl-C
"""
KINDS = (".png", ".svg", ".pdf")
MOST_DRAWN = 200  # pictures, below one another


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 0, 1 for a mistake, 2 for wrong usage."""
    return exit_status("lenet-read", lambda: _run(_parse(arguments)), "no file is half written")


def command_line() -> Parser:
    """What reads the command line."""
    parser = Parser(
        "lenet-read",
        "Read the digit in each picture: dark or light, at any place, of any size.",
        EPILOG,
    )
    parser.add_argument(
        "pictures", nargs="+", type=Path, metavar="FILE", help="PNG, JPEG, PGM, one digit in each"
    )
    parser.add_argument(
        "--model",
        default=bundled.FOR_PICTURES,
        metavar="FILE",
        help="a model.safetensors of lenet-train, or a bundled model by its name: "
        f"{', '.join(bundled.names())} (default: %(default)s)",
    )
    parser.add_argument(
        "--max-error",
        type=share,
        metavar="E",
        help="accept what is so sure that of the accepted validation images at most this share was "
        f"wrong (default: {MAX_ERROR}, or the least that few validation images show)",
    )
    parser.add_argument("--json", action="store_true", help="print a list of JSON objects")
    parser.add_argument(
        "--show",
        type=Path,
        metavar="FILE",
        help="write a drawing, .png, .svg or .pdf, of each picture on its way to the digit",
    )
    return parser


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command_line()
    parser.add_argument(
        "--layers",
        type=Path,
        metavar="FILE",
        help="write a drawing, .png, .svg or .pdf, of what each layer makes of the one picture, in "
        "the integers of the C",
    )
    options = parser.parse_args(arguments)
    for option in ("show", "layers"):
        _check_drawing(parser, option, getattr(options, option), options.pictures)
    if options.show and len(options.pictures) > MOST_DRAWN:
        parser.error(f"--show {options.show}: at most {MOST_DRAWN} pictures are drawn at a time")
    if options.layers and len(options.pictures) > 1:
        parser.error(f"--layers {options.layers}: the layers of one picture are drawn at a time")
    if options.layers and options.show and options.layers.resolve() == options.show.resolve():
        parser.error(f"--layers {options.layers}: is what --show writes, too")
    return options


def _check_drawing(
    parser: Parser, option: str, drawing: Path | None, pictures: Sequence[Path]
) -> None:
    """Ends the program where such a drawing is of no kind that is drawn, or is a picture."""
    if drawing and drawing.suffix.lower() not in KINDS:
        parser.error(f"--{option} {drawing}: the file ends in none of {', '.join(KINDS)}")
    if drawing and drawing.resolve() in [path.resolve() for path in pictures]:
        parser.error(f"--{option} {drawing}: is one of the pictures, which it would replace")


def _run(options: argparse.Namespace) -> None:
    pictures = [(path, photos.read(path)) for path in options.pictures]
    network = load(options.model, options.max_error)
    results = [read(network, path, picture) for path, picture in pictures]
    if options.show or options.layers:
        files.write(_drawings(options, network.plan, results))
    if options.json:
        print(json.dumps([_as_json(result) for result in results], indent=2))
    else:
        print("\n".join(_as_text(result) for result in results))


def _drawings(
    options: argparse.Namespace, plan: Plan, results: Sequence[Read]
) -> dict[Path, bytes]:
    """What is drawn, by its files."""
    from lenet_export import steps  # takes matplotlib, which is slow to import

    drawn: dict[Path, bytes] = {}
    if options.show:
        drawn[options.show] = steps.steps(results, options.show.suffix[1:].lower())
    if options.layers:
        drawn[options.layers] = steps.layers(plan, results[0], options.layers.suffix[1:].lower())
    return drawn


def _as_text(result: Read) -> str:
    if result.digit < 0:
        return f"{printable(result.path)}: {result.verdict}"
    top, left, bottom, right = result.found.box
    ink = "dark" if result.found.is_dark else "light"
    where = f"{ink} ink, {right - left}x{bottom - top} pixels at column {left}, row {top}"
    reading = f"{printable(result.outputs[result.digit])}, gap {result.gap:,}, {result.verdict}"
    return f"{printable(result.path)}: {reading} ({where})"


def _as_json(result: Read) -> dict[str, Any]:
    box = dict(zip(("top", "left", "bottom", "right"), result.found.box, strict=True))
    return {
        "file": str(result.path),
        "digit": result.digit if result.digit >= 0 else None,
        "class": result.outputs[result.digit] if result.digit >= 0 else None,
        "gap": result.gap,
        "accepted": result.accepted,
        "verdict": result.verdict,
        "is_dark": result.found.is_dark,
        "contrast": result.found.contrast,
        "box": box if result.digit >= 0 else None,
    }
