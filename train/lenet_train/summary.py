"""What a network is made of: each layer's output shape and parameter count."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from rich.table import Table

from lenet_export.pools import POOLS
from lenet_train.architectures import Architecture


@dataclass(frozen=True)
class Row:
    """A line of the summary.

    Attributes:
        layer: the layer's name; empty where nothing is learned.
        what: what is computed.
        shape: of one image's output.
        parameters: that the layer learns.
    """

    layer: str
    what: str
    shape: tuple[int, ...]
    parameters: int = 0

    @property
    def shape_text(self) -> str:
        """The shape as people write it, e.g. ``28x28x6``."""
        return "x".join(map(str, self.shape))


def rows(architecture: Architecture) -> Iterator[Row]:
    """The lines of a network, input first."""
    shape: tuple[int, ...] = architecture.input_shape
    yield Row("", "input", shape)
    for stage in architecture.stages:
        if stage.kind == "dense" and len(shape) > 1:
            shape = (math.prod(shape),)
            yield Row("", "flatten", shape)
        parameters = architecture.weights(stage, shape)
        what = "dense"
        if stage.name in architecture.subsampling:
            what = "2x2 subsampling"
        elif stage.kernel:
            what = f"{stage.kernel[0]}x{stage.kernel[1]} convolution, {stage.padding}"
            what += f", stride {stage.stride}" if stage.stride > 1 else ""
        if architecture.norm != "none" and stage != architecture.stages[-1]:
            what += f", {architecture.norm} norm"
        if stage.activation != "none":
            what += f", {stage.activation}"
        before_pool = stage.conv_shape(shape) if stage.kernel else (stage.features,)
        shape = stage.output_shape(shape)
        yield Row(stage.name, what, before_pool, parameters)
        if stage.pool != "none":
            size = stage.pool_size
            yield Row("", f"{size}x{size} {POOLS[stage.pool].noun} pool", shape)


def parameters(architecture: Architecture) -> int:
    """How many parameters the network learns."""
    return sum(row.parameters for row in rows(architecture))


def table(architecture: Architecture) -> Table:
    """The summary for a terminal."""
    total = f"{parameters(architecture):,}"
    result = Table(title=f"{architecture.title}, {total} parameters", show_footer=True)
    result.add_column("layer", footer="total")
    result.add_column("computes")
    result.add_column("output", justify="right")
    result.add_column("parameters", justify="right", footer=total)
    for row in rows(architecture):
        count = f"{row.parameters:,}" if row.parameters else ""
        result.add_row(row.layer, row.what, row.shape_text, count)
    return result
