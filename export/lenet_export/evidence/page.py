"""The page of an export's facts: one HTML file that needs no other."""

from __future__ import annotations

import json
import math
from typing import Any

from lenet_export.evidence.facts import Facts
from lenet_export.evidence.kernels import EXHAUSTION, PLAIN, TESTS
from lenet_export.outputs import templates
from lenet_export.outputs.options import Files

#: The files of a report: the page, and its numbers; and those of one with checks.
REPORT = "index.html", "report.json"
EVIDENCE = "index.html", "evidence.json"
#: Of the curves' plot, in its own units: the plane, and the room for numbers left and below.
WIDTH, HEIGHT, LEFT, BELOW = 560, 240, 58, 40
#: Steps between two marks of an axis.
STEPS = (0.0002, 0.0005, 0.001, 0.002, 0.0025, 0.005, 0.01, 0.02, 0.025, 0.05, 0.1, 0.2, 0.25)


def files_of(facts: Facts) -> Files:
    """The page and the facts that it is made of, by their names: ``REPORT`` or ``EVIDENCE``."""
    names = EVIDENCE if facts["checks"] else REPORT
    facts = finite(facts)
    page = templates.environment("html").get_template("report.html.j2")
    words = {"share": _share, "sizes": _sizes, "percent": _percent, "words": _words}
    text = page.render(facts=facts, numbers=names[1], **_drawn(facts), **words)
    data = json.dumps(facts, indent=1, allow_nan=False) + "\n"
    # Of a path that is no text there are letters that cannot be written.
    written = (of.encode(errors="backslashreplace") for of in (text, data))
    return dict(zip(names, written, strict=True))


def finite(value: Any) -> Any:
    """A value of JSON, in which what is no number is told as text."""
    if isinstance(value, dict):
        return {name: finite(of) for name, of in value.items()}
    if isinstance(value, list | tuple):
        return [finite(of) for of in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _drawn(facts: Facts) -> dict[str, Any]:
    """What the page draws beside the facts: lengths and places."""
    sizes = dict.fromkeys(PARTS, 0)
    for member in facts["workspace"]:
        sizes[member["part"]] += member["bytes"]
    return {
        "what_for": PARTS,
        "held": HELD,
        "shared": max(sizes["strips"], sizes["units"]) if all(sizes.values()) else 0,
        "most": {
            column: max(stage[column] for stage in facts["stages"])
            for column in ("multiply_adds", "constant_bytes")
        },
        "most_of_a_row": max(facts["rows"]),
        "plot": _plot(facts),
        "status_of": {
            of["name"]: of["status"] for of in (facts["checks"] or {"results": []})["results"]
        },
        "errors": _errors(facts["readings"]),
    }


PARTS = {
    "kept": "input of the first dense layer",
    "strips": "the last rows of each map, while rows come in",
    "units": "units of the dense layers, in the place of the strips",
    "counters": "counters",
}
HELD = {
    PLAIN: "plain C, with which other kernels are compared",
    EXHAUSTION: "the project's tests: equal to plain C for all images that a small layer of this "
    "kind can be given (test_exhaustive.py)",
    TESTS: "the project's tests: compared with the reference, on drawn images and those made up to "
    "find differences (test_parity.py)",
}


def _errors(readings: Facts) -> int:
    """The most images of a class that were taken for one other class."""
    counts = readings.get("confusion", [])
    pairs = [
        count
        for label, row in enumerate(counts)
        for digit, count in enumerate(row)
        if label != digit
    ]
    return max(pairs, default=0)


def _plot(facts: Facts) -> dict[str, Any] | None:
    """The curves of the reject option, and the marks of their axes; ``None`` without a curve."""
    told = {"validation images": facts["reject"], "test images": facts["readings"]}
    curves = {name: section["curve"] for name, section in told.items() if section.get("curve")}
    if not curves:
        return None
    chosen = facts["reject"].get("chosen")
    points = [point for curve in curves.values() for point in curve] + ([chosen] if chosen else [])
    right = _top(max(point["rejected"] for point in points))
    top = _top(max(point["wrong"] for point in points))

    def at(point: Facts) -> tuple[float, float]:
        across, up = point["rejected"] / right, point["wrong"] / top
        return round(LEFT + WIDTH * across, 1), round(HEIGHT - HEIGHT * up, 1)

    return {
        "lines": {
            name: " ".join(f"{x},{y}" for x, y in map(at, curve)) for name, curve in curves.items()
        },
        "chosen": at(chosen) if chosen else None,
        "across": [(_share(m), round(LEFT + WIDTH * m / right, 1)) for m in _marks(right)],
        "up": [(_share(m), round(HEIGHT - HEIGHT * m / top, 1)) for m in _marks(top)],
        "box": f"0 -12 {LEFT + WIDTH + 24} {HEIGHT + BELOW + 12}",
        "left": LEFT,
        "right": LEFT + WIDTH,
        "bottom": HEIGHT,
    }


def _top(most: float) -> float:
    """The end of an axis that holds ``most``."""
    return next((4 * step for step in STEPS if 4 * step >= most), 1.0)


def _marks(top: float) -> list[float]:
    """Where an axis has its marks."""
    return [top * quarter / 4 for quarter in range(5)]


def _share(value: float) -> str:
    """A share in percent, in as many digits as it needs: 0.15 %, 12 %."""
    return f"{100 * value:.3g} %"


def _percent(part: int, whole: int) -> str:
    """The length of a bar."""
    return f"{100 * part / (whole or 1):.4g}%"


def _sizes(shape: list[int]) -> str:
    """A shape as text: 14x14x6."""
    return "x".join(map(str, shape))


def _words(value: Any) -> str:
    """What a model's file tells of its training, as text: of several values each with its name."""
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    if not isinstance(value, dict):
        return str(value)
    return "; ".join(f"{name} {_words(of)}" for name, of in value.items())
