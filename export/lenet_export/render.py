"""Plans to text: the only module that knows Jinja2.

The templates are C with holes. All that they print is worked out here: names, shapes and numbers.
They are written for the prefix ``lenet``; another one is put in its place in the printed text.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt

from lenet_export import reference
from lenet_export.errors import UserError
from lenet_export.plan import RESERVED, TOOL_VERSION, Layer, Plan

KNOWN_IMAGES = 4
WIDTH = 100
MAX_ERRORS = (0.01, 0.005, 0.002, 0.001)
C_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "uint16": "uint16_t", "int32": "int32_t"} | {
    "float32": "float"
}


@dataclass(frozen=True)
class Options:
    """What a user may choose of the printed files; all of it is in their stamp.

    Attributes:
        prefix: of every public name and of the files.
        single_file: one header with the implementation in it, in place of two files.
        max_error: as given to the plan; ``None`` accepts every reading.
    """

    prefix: str = "lenet"
    single_file: bool = False
    max_error: float | None = None

    def command(self, dtype: str) -> str:
        """The command line that prints the same files, less its paths."""
        return " ".join(
            ["lenet-export --target c"]
            + (["--dtype float32"] if dtype == "float32" else [])
            + ([f"--prefix {self.prefix}"] if self.prefix != "lenet" else [])
            + ([f"--max-error {self.max_error:g}"] if self.max_error is not None else [])
            + (["--single-file"] if self.single_file else [])
        )


def check_prefix(prefix: str) -> None:
    """Checks that ``prefix`` makes C names.

    Raises:
        UserError: it does not.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", prefix) or prefix in RESERVED:
        raise UserError(
            f"--prefix {prefix}",
            "cannot begin the names of C functions and files",
            "use lower-case letters, digits and _, a letter first, and no word of C",
        )


def render_c(plan: Plan, options: Options) -> dict[str, bytes]:
    """The generated files by name: ``lenet.h``, ``lenet.c`` (or one header), ``lenet.json``."""
    prefix = options.prefix
    context = _context(plan, options)
    environment = _environment()
    names = [f"{prefix}.h"] if options.single_file else [f"{prefix}.h", f"{prefix}.c"]
    texts = [environment.get_template("lenet.h.j2").render(context)]
    body = environment.get_template("lenet.c.j2").render(context)
    if options.single_file:
        texts[0] += body
    else:
        texts.append(body)
    files = {
        name: _rename(text, prefix).encode() for name, text in zip(names, texts, strict=True)
    }  # fmt: skip
    manifest = _manifest(plan, options, files)
    files[f"{prefix}.json"] = (json.dumps(manifest, indent=2) + "\n").encode()
    return files


def known_images(plan: Plan) -> reference.Images:
    """The made-up images of the self-test, uint8 ``(4, rows, columns, channels)``.

    The same formula stands in the C, in ``known_logits``: circles around the top left corner.
    """
    rows, columns, channels = plan.layers[0].input_shape
    y = np.arange(rows)[:, None]
    x = np.arange(columns * channels)[None, :]
    n = np.arange(KNOWN_IMAGES)[:, None, None]
    images = ((y * y + x * x) * (n + 1)) & 255
    return images.astype(np.uint8).reshape(KNOWN_IMAGES, rows, columns, channels)


def workspace_bytes(plan: Plan) -> int:
    """``sizeof(lenet_workspace)`` where types have their natural alignment."""
    value = 4 if plan.dtype == "float32" else 1
    rings = sum(_ring_bytes(plan, layer) for layer in plan.convs)
    units = sum(layer.outputs for layer in plan.denses[:-1]) * value
    first = plan.denses[0]
    kept = first.inputs * (1 if first.source == "image" else value)
    align = 4 if plan.dtype == "float32" and (plan.convs or units) else 2
    return _round_up(
        _round_up(kept, align if value == 4 else 1) + _round_up(max(rings, units), value) + 2,
        align,
    )


def _ring_bytes(plan: Plan, layer: Layer) -> int:
    value = 4 if plan.dtype == "float32" and layer.source != "image" else 1
    size = layer.ring_rows * layer.row_values * value
    return _round_up(size, 4 if plan.dtype == "float32" else 1)


def _round_up(size: int, step: int) -> int:
    return -(-size // step) * step


def _rename(text: str, prefix: str) -> str:
    """Puts ``prefix`` in place of the templates' ``lenet``; prose and the tool's name stay."""
    text = re.sub(r"\blenet(?=_|\.[ch]\b)", prefix, text)
    return re.sub(r"\bLENET(?=_)", prefix.upper(), text)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lenet_export", "templates/c"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters.update(
        table=format_table,
        dims=lambda shape: "".join(f"[{size}]" for size in shape),
        bits=lambda c_type: {"int8_t": 8, "uint8_t": 8, "uint16_t": 16, "int32_t": 32}[c_type],
        times=lambda name, factor: name if factor == 1 else f"{factor} * {name}",
        plus=lambda name, number: f"{name} + {number}" if number else name,
        parens=lambda text: f"({text})" if " " in text else text,
        grouped=lambda number: f"{number:,}".replace(",", " "),
        left=lambda text, width: str(text).ljust(width),
        right=lambda text, width: str(text).rjust(width),
    )
    return environment


def format_table(values: npt.NDArray[Any]) -> str:
    """A C initializer: braces for each axis, the innermost rows wrapped to the page."""
    if values.dtype == np.float32:
        numbers = np.array([_float_literal(v) for v in values.ravel()], object)
    else:
        numbers = np.array([str(v) for v in values.ravel().tolist()], object)
    return _braces(numbers.reshape(values.shape), 0)


def _float_literal(value: np.float32) -> str:
    """The shortest decimal that reads back as ``value``."""
    text = str(value)
    return text + ("f" if "." in text or "e" in text or "n" in text else ".0f")


def _braces(values: npt.NDArray[Any], depth: int) -> str:
    indent = " " * (4 * depth)
    if values.ndim > 1:
        inner = "\n".join(f"{indent}    {_braces(row, depth + 1)}," for row in values)
        return f"{{\n{inner}\n{indent}}}"
    line = ", ".join(values)
    if len(indent) + len(line) + 3 <= (WIDTH if depth else WIDTH // 2):
        return f"{{{line}}}"
    lines, room = [""], WIDTH - len(indent) - 4
    for text in values:
        if len(lines[-1]) + len(text) + 1 > room:
            lines.append("")
        lines[-1] += f"{text}, "
    inner = "\n".join(f"{indent}    {text.rstrip()}" for text in lines)
    return f"{{\n{inner}\n{indent}}}"


def _context(plan: Plan, options: Options) -> dict[str, Any]:
    """Everything that a template prints."""
    rows, columns, channels = plan.layers[0].input_shape
    is_int = plan.dtype == "int8"
    first, last = plan.layers[0], plan.layers[-1]
    views = [_layer_view(plan, place) for place in range(len(plan.layers))]
    convs = [view for view in views if view["is_conv"]]
    (above, below), (side, _) = first.padding
    tables = [_table_view(plan, name, table) for name, table in plan.constants.items()]
    answers = reference.network(plan, known_images(plan))["logits"]
    context = {
        "version": TOOL_VERSION,
        "command": options.command(plan.dtype),
        "title": _title(plan),
        "dtype": plan.dtype,
        "single_file": options.single_file,
        "model_id": plan.model_id,
        "parameters": sum(value.size for value in plan.model.params.values()),
        "multiply_adds": sum(layer.multiply_adds for layer in plan.layers),
        "constant_bytes": plan.constant_bytes,
        "workspace_bytes": workspace_bytes(plan),
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "pixel": "bytes" if channels == 1 else f"pixels of {channels} bytes",
        "row_values": columns * channels,
        "row_dims": _product(columns, channels),
        "image_dims": _product(rows, columns, channels),
        "image_above": above,
        "image_left": side * channels,
        "rows_with_border": rows + below,
        "classes": last.outputs,
        "last_class": last.outputs - 1,
        "code": "uint8_t" if is_int else "float",
        "acc": "int32_t" if is_int else "float",
        "sum": "unsigned" if is_int else "float",
        "dtype_template": f"{plan.dtype}.c.j2",
        "layers": views,
        "convs": convs,
        "denses": [view for view in views if not view["is_conv"]],
        "name_width": max(len(layer.name) for layer in plan.layers),
        "activation_names": sorted({layer.stage.activation for layer in plan.layers} - {"none"}),
        "kept": _kept_view(plan),
        "rings": [_ring_view(layer, view) for layer, view in zip(plan.convs, convs, strict=True)],
        "units": [{"name": layer.output, "length": layer.outputs} for layer in plan.denses[:-1]],
        "clears": any(any(map(any, layer.padding)) for layer in plan.convs),
        "tables": tables,
        "table_types": _table_types(plan, tables),
        "tables_crc": _crc(plan.constants.values()),
        "known_images": KNOWN_IMAGES,
        "logit_scale": _float_literal(np.float32(plan.logit_scale)),
        "finish_multiply_adds": sum(layer.multiply_adds for layer in plan.denses),
        "images": _sentence(plan.model.info.get("images", "")),
    }
    if is_int:
        context["answers_crc"] = _crc([answers.astype(np.int32)])
    else:
        context["answers"] = np.array(
            [[float(f"{v:.6g}") for v in row] for row in answers], np.float32
        )
        tolerance = np.float32(f"{max(1.0, float(np.abs(answers).max())) * 1e-3:.1g}")
        context["answers_tolerance"] = _float_literal(tolerance)
    return context | _reject_view(plan, options)


def _title(plan: Plan) -> str:
    """``lenet trained on mnist``, of what the model's file tells."""
    info = plan.model.info
    words = [str(info[key]) for key in ("arch", "dataset") if key in info]
    return _sentence(" trained on ".join(words)) or "image classifier"


def _sentence(text: object) -> str:
    """Words of the model's file that are safe in a C comment."""
    return re.sub(r"[^\w ,.()-]", "_", str(text), flags=re.ASCII)


def _product(*sizes: int) -> str:
    """Sizes as ``28 * 28``; a last size of 1 is left out."""
    return " * ".join(str(s) for s in (sizes[:-1] if sizes[-1] == 1 else sizes))


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _layer_view(plan: Plan, place: int) -> dict[str, Any]:
    """One layer as the templates see it."""
    layer = plan.layers[place]
    stage, numbers = layer.stage, layer.numbers
    code = "uint8_t" if plan.dtype == "int8" else "float"
    size = stage.pool_size
    view: dict[str, Any] = {
        "name": layer.name,
        "is_conv": layer.is_conv,
        "source": layer.source,
        "output": layer.output,
        "source_type": "uint8_t" if layer.source == "image" else code,
        "output_type": ("int32_t" if numbers else "float") if layer.output == "logits" else code,
        "input_text": _text(layer.input_shape),
        "output_text": _text(layer.output_shape),
        "does": _does(layer),
        "bound": "",
        "activation": stage.activation,
        "channels": stage.features,
        "inputs": layer.inputs,
        "pool": "unpooled" if stage.pool == "none" else stage.pool,
        "pool_size": size,
        "places": size * size,
        "half_places": size * size // 2,
    }
    if numbers is not None:
        low, high = int(numbers.acc_min.min()), int(numbers.acc_max.max())
        view |= {"acc_min": low, "acc_max": high, "shift": numbers.shift}
        view["product_max"] = 0
        if numbers.gain is not None:
            view["product_max"] = int((np.maximum(numbers.acc_max, 0) * numbers.gain).max())
        view["bound"] = f"{_spaced(low)} <= acc <= {_spaced(high)} for every possible input."
    if layer.is_conv:
        view |= _conv_view(layer, plan.layers[place + 1])
    else:
        view["source_member"] = _member(plan, layer.source)
        view["output_member"] = _member(plan, layer.output)
    return view


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _conv_view(layer: Layer, following: Layer) -> dict[str, Any]:
    assert layer.stage.kernel is not None
    view: dict[str, Any] = {
        "kernel_rows": layer.stage.kernel[0],
        "kernel_values": layer.stage.kernel[1] * layer.input_shape[2],
        "in_channels": layer.input_shape[2],
        "ring_rows": layer.ring_rows,
        "output_columns": layer.output_shape[1],
        "output_row_values": layer.output_shape[1] * layer.output_shape[2],
        "last_row": layer.output_shape[0] - 1,
        "border_text": " and its border" if any(map(any, layer.padding)) else "",
        "next_is_conv": following.is_conv,
        "next_below": 0,
    }
    if following.is_conv:
        (above, below), (side, _) = following.padding
        view |= {
            "next_name": following.name,
            "next_above": above,
            "next_left": side * layer.output_shape[2],
            "next_ring_rows": following.ring_rows,
            "next_rows_after_first": above + 1,
            "next_below": below,
            "next_first_below": above + layer.output_shape[0],
            "next_padded_rows": above + layer.output_shape[0] + below,
        }
    return view


def _does(layer: Layer) -> str:
    """What a layer does, in a few words: ``5x5 SAME, sigmoid, 2x2 avg``."""
    stage = layer.stage
    words = []
    if stage.kernel is not None:
        words.append(f"{_text(stage.kernel)} {stage.padding}")
    if stage.activation != "none":
        words.append(stage.activation)
    if stage.pool != "none":
        words.append(f"{stage.pool_size}x{stage.pool_size} {stage.pool}")
    return ", ".join(words) or "weighted sums"


def _member(plan: Plan, name: str) -> str:
    """Where a dense layer's input or output is: a unit, the kept map or image, or the argument."""
    if name == "logits":
        return name
    units = {layer.output for layer in plan.denses[:-1]}
    return f"ws->share.units.{name}" if name in units else f"ws->{name}"


def _kept_view(plan: Plan) -> dict[str, Any]:
    first = plan.denses[0]
    is_byte = first.source == "image" or plan.dtype == "int8"
    return {
        "type": "uint8_t" if is_byte else "float",
        "name": first.source,
        "length": first.inputs if len(first.input_shape) == 1 else _product(*first.input_shape),
        "comment": "the whole image" if first.source == "image" else "rows, columns, channels",
    }  # fmt: skip


def _ring_view(layer: Layer, view: dict[str, Any]) -> dict[str, Any]:
    border = any(map(any, layer.padding))
    columns, channels = layer.input_shape[1:]
    what = f"{columns} values" if channels == 1 else f"{columns} pixels of {channels} channels"
    return {
        "type": view["source_type"],
        "name": layer.source,
        "rows": layer.ring_rows,
        "width": layer.row_values,
        "bordered": border,
        "comment": f"the last {layer.ring_rows} rows: {what}"
        + (", zeros around" if border else ""),
    }


def _table_view(plan: Plan, name: str, table: npt.NDArray[Any]) -> dict[str, Any]:
    """One constant array; a convolution's columns and input channels are one axis in C."""
    shape = (*table.shape[:2], -1) if table.ndim == 4 else table.shape
    values = table.reshape(shape)
    c_type = C_TYPES[table.dtype.name]
    return {
        "name": name,
        "type": c_type,
        "shape": values.shape,
        "data": values,
        "count": values.size,
        "comment": _table_comment(plan, name, table),
    }


def _table_comment(plan: Plan, name: str, table: npt.NDArray[Any]) -> str:
    owner, _, kind = name.rpartition("_")
    if kind == "table":
        return f"255 * {owner}(z), z from -6.4 in steps of 1/40"
    layer = next(layer for layer in plan.layers if layer.name == owner)
    if kind == "gain":
        assert layer.numbers is not None
        return f"{owner}: index steps of one accumulator step, times 2^{layer.numbers.shift}"
    if kind == "bias":
        offset = layer.numbers and layer.numbers.activation
        return f"{owner}: bias" + (", with the offset of the index in it" if offset else "")
    if table.ndim == 2:
        return f"{owner}: weights [unit][input]"
    inner = "column" if table.shape[3] == 1 else f"column, {table.shape[3]} input channels"
    return f"{owner}: weights [channel][kernel row][kernel {inner}]"


def _table_types(plan: Plan, tables: list[dict[str, Any]]) -> list[str]:
    """The types that the self-test takes CRCs of, each once, in the order of the file."""
    types = [table["type"] for table in tables] + (["int32_t"] if plan.dtype == "int8" else [])
    return list(dict.fromkeys(types))


def _crc(tables: Iterable[npt.NDArray[Any]]) -> str:
    """CRC-32 (hex) of numbers, lowest byte first."""
    crc = 0
    for table in tables:
        little = np.ascontiguousarray(table, table.dtype.newbyteorder("<"))
        crc = zlib.crc32(little.tobytes(), crc)
    return f"{crc:08X}"


def _reject_view(plan: Plan, options: Options) -> dict[str, Any]:
    """The threshold and the other choices that the header offers."""
    table = plan.model.gap_table
    view: dict[str, Any] = {
        "threshold": _threshold_text(plan, plan.threshold),
        "threshold_row": None,
        "max_error": f"{options.max_error or 0:g}",
        "gap_images": _spaced(table.images) if table else "0",
        "gap_choices": [],
    }
    if plan.threshold_row is not None:
        _, accepted, errors = plan.threshold_row
        view["threshold_row"] = {"accepted": _spaced(accepted), "errors": errors}
    for max_error in MAX_ERRORS if table else ():
        row = table.row(max_error) if table else None
        if table and row:
            gap, accepted, errors = row
            view["gap_choices"].append(
                {
                    "max_error": f"{max_error:g}",
                    "threshold": _threshold_text(plan, plan.to_threshold(gap)),
                    "rejected": f"{100 * (1 - accepted / table.images):.2f} %",
                    "wrong": f"{100 * errors / accepted:.2f} %",
                }
            )
    return view


def _threshold_text(plan: Plan, threshold: float) -> str:
    if plan.dtype == "int8":
        return str(int(threshold))
    return _float_literal(np.float32(threshold))


def _manifest(plan: Plan, options: Options, files: dict[str, bytes]) -> dict[str, Any]:
    """What ``lenet.json`` holds."""
    layers = []
    for layer in plan.layers:
        entry: dict[str, Any] = {
            "name": layer.name,
            "kind": layer.stage.kind,
            "input": list(layer.input_shape),
            "output": list(layer.output_shape),
            "does": _does(layer),
            "multiply_adds": layer.multiply_adds,
            "constant_bytes": sum(table.nbytes for table in layer.constants().values()),
        }
        if layer.numbers is not None:
            entry["accumulator"] = {
                "min": int(layer.numbers.acc_min.min()),
                "max": int(layer.numbers.acc_max.max()),
            }
        layers.append(entry)
    return {
        "tool": f"lenet-export {TOOL_VERSION}",
        "command": options.command(plan.dtype),
        "model_id": plan.model_id,
        "dtype": plan.dtype,
        "prefix": options.prefix,
        "single_file": options.single_file,
        "max_error": options.max_error,
        "min_gap": int(plan.threshold) if plan.dtype == "int8" else plan.threshold,
        "logit_scale": plan.logit_scale,
        "multiply_adds": sum(layer.multiply_adds for layer in plan.layers),
        "constant_bytes": plan.constant_bytes,
        "workspace_bytes": workspace_bytes(plan),
        "stages": layers,
        "training": plan.model.info,
        "files": {name: sha256(data).hexdigest() for name, data in files.items()},
    }
