"""The bar chart of the README, from figures.json and others.json.

python benchmarks/chart.py    writes docs/instructions.png; chips.py --update does too
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

FOLDER = Path(__file__).parent
CHART = FOLDER.parent / "docs/instructions.png"
OURS, PLAIN, OTHERS = "#1f6f5c", "#8fbfb0", "#b8b8b8"
CORES = {
    "cortex-m0": "Cortex-M0",
    "cortex-m3": "Cortex-M3",
    "cortex-m55": "Cortex-M55",
    "riscv32": "RV32IMAC",
}
AVR = {"avr": "AVR"}


def main() -> None:
    """Draws the chart."""
    figures = json.loads((FOLDER / "figures.json").read_text())["figures"]
    others = json.loads((FOLDER / "others.json").read_text())
    figure, (left, middle, right) = pyplot.subplots(
        1, 3, figsize=(15, 5), width_ratios=(1, 1, 0.35), layout="constrained"
    )
    _cortex_m4(left, figures["cortex-m4"], others["cortex-m4"])
    _other_cores(middle, CORES, "thousand instructions for one image", figures, others["best"])
    middle.set_title("Other cores")
    # Its simulator counts cycles, and they are no instructions: an axis of their own.
    _other_cores(right, AVR, "thousand cycles for one image", figures, others["best"])
    _legend(middle)
    figure.savefig(CHART, dpi=110, metadata={"Software": None})


def _cortex_m4(axes: Any, ours: dict[str, Any], others: dict[str, float]) -> None:
    """Everything that runs LeNet on a Cortex-M4."""
    bars = [(name, count, OTHERS) for name, count in others.items()]
    for name, variant, colour in (
        ("this project, plain C", "generic", PLAIN),
        ("this project, --optimize ram", "cortex-m4 ram", OURS),
        ("this project, --cpu cortex-m4", "cortex-m4 speed", OURS),
    ):
        bars.append((name, ours[variant]["instructions"] / 1000, colour))
    bars.sort(key=lambda bar: -bar[1])
    names, counts, colours = zip(*bars, strict=True)
    drawn = axes.barh(names, counts, color=colours)
    axes.bar_label(drawn, [f"{count:,.0f}" for count in counts], padding=3)
    axes.set(title="Cortex-M4", xlabel="thousand instructions for one image")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)


def _other_cores(
    axes: Any, cores: dict[str, str], unit: str, figures: dict[str, Any], best: dict[str, Any]
) -> None:
    """The best other, naive C and this project on each of ``cores``."""
    for place, core in enumerate(cores):
        peer, peer_count, naive = best[core]
        own = figures[core][f"{core} speed"]["instructions"] / 1000
        for offset, count, colour, label in (
            (-0.3, naive, "#dddddd", "naive C"),
            (0, peer_count, OTHERS, peer),
            (0.3, own, OURS, "this project"),
        ):
            if count is not None:
                drawn = axes.bar(place + offset, count, 0.25, color=colour)
                axes.bar_label(drawn, [f"{count:,.0f}"], padding=2, fontsize=8)
                if colour == OTHERS:
                    axes.bar_label(drawn, [label], label_type="center", rotation=90, fontsize=8)
    axes.set_xticks(range(len(cores)), cores.values(), fontsize=9)
    axes.set(ylabel=unit)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(axes: Any) -> None:
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=c) for c in ("#dddddd", OTHERS, OURS)]
    axes.legend(handles, ["naive C, -O3", "best other", "this project"], frameon=False)


if __name__ == "__main__":
    main()
