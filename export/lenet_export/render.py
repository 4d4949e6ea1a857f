"""Plans to text: the only module that knows Jinja2, and the only one that knows C.

The templates are C with holes. They print what a plan tells, through the filters below, and do not
compute. They are written for the prefix ``lenet``; another one is put in its place in the text.
"""

from __future__ import annotations

import functools
import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import jinja2
import numpy as np

from lenet_export import __version__, blocks, layer_norm, reference
from lenet_export.c_text import (
    c_type,
    float_literal,
    format_table,
    parens,
    plus,
    spaced,
    tidy,
    times,
)
from lenet_export.checkpoint import Grid
from lenet_export.errors import UserError
from lenet_export.plan import (
    F32,
    Array,
    Buffer,
    DType,
    Layer,
    Packing,
    Plan,
    activations_of,
)
from lenet_export.targets import GENERIC, TARGETS

KNOWN_IMAGES = 4
STAMP = "@stamp@"  # stands for the command until the prefix is in its places
MAX_ERRORS = (0.01, 0.005, 0.002, 0.001)  # the choices that the header shows

C_WORDS = frozenset(
    "alignas alignof and asm auto bool break case catch char class compl concept const constexpr "  # noqa: SIM905
    "continue decltype default delete do double else enum explicit export extern false float for "
    "friend goto if inline int linux long mutable namespace new noexcept not nullptr operator or "
    "private protected public register requires restrict return short signed sizeof static struct "
    "switch template this throw true try typedef typeid typename union unix unsigned using virtual "
    "void volatile while xor "
    "and_eq bitand bitor char8_t char16_t char32_t co_await co_return co_yield const_cast "
    "consteval constinit dynamic_cast not_eq or_eq reinterpret_cast static_assert static_cast "
    "thread_local wchar_t xor_eq".split()
)

#: Prefixes that would hide a system header, or meet a static name of the templates.
TAKEN_PREFIXES = frozenset(
    "arm_acle arm_mve assert complex ctype errno fenv immintrin inttypes "  # noqa: SIM905
    "iso646 known limits locale math setjmp signal stdarg stdbool stddef "
    "stdint stdio stdlib string tgmath time wchar wctype".split()
)


@dataclass(frozen=True)
class Options:
    """What a user may choose of the printed files, beside what is in the plan.

    Attributes:
        prefix: what the names of the files and of all public names begin with.
        single_file: one header with the implementation in it, in place of two files.
    """

    prefix: str = "lenet"
    single_file: bool = False


def command(plan: Plan, options: Options) -> str:
    """The command line that prints the same files, less its paths."""
    return " ".join(
        ["lenet-export --target c"]
        + (["--dtype float32"] if plan.dtype == "float32" else [])
        + ([f"--cpu {plan.cpu}"] if plan.cpu != "generic" else [])
        + ([f"--optimize {plan.optimize}"] if plan.optimize != "speed" else [])
        + ([f"--prefix {options.prefix}"] if options.prefix != "lenet" else [])
        + ([f"--max-error {plan.max_error!r}"] if plan.max_error is not None else [])
        + (["--single-file"] if options.single_file else [])
    )


def check_prefix(prefix: str) -> None:
    """Checks that ``prefix`` makes C names.

    Raises:
        UserError: it does not.
    """
    pattern = r"[a-z][a-z0-9_]{0,63}"
    if not re.fullmatch(pattern, str(prefix)) or prefix in C_WORDS | TAKEN_PREFIXES:
        raise UserError(
            f"--prefix {prefix}",
            "cannot begin the names of C functions and files",
            "use lower-case letters, digits and _, a letter first, and no word or header of C",
        )


def check_names(plan: Plan, prefix: str) -> None:
    """Checks that the layers' names make C names, all different.

    What a layer gives the C at file scope are its name and its output's with a suffix; no other
    static name of the templates has one of these. Without a suffix they are members of a struct.

    Raises:
        UserError: a name cannot be used, or two would be the same.
    """
    rename = "rename it: letters, digits and _, a letter first"
    taken: dict[str, str] = {
        "image": "the image",
        "image_place": "a function",
        "row": "the row counter",
        "shared": "a union",
    }
    for layer in plan.layers:
        name, output = layer.name, layer.output
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in C_WORDS or name.isupper():
            raise UserError(f"layer {name!r}", "the name cannot be used in C", rename)
        suffixed = {
            f"{name}_{kind}"
            for kind in (
                *("sum", "sums", "copy", "pool", "step", "layer", "weight", "bias", "gain", "taps"),
                *("gelu", "gelu_table", "normalize", "norm_gain", "norm_bias"),
            )
        }
        for new in {output, f"{output}_row", f"{output}_place"} | suffixed:
            if new in taken or new.lower().startswith((f"{prefix}_", "lenet_")):
                raise UserError(
                    f"layer {name!r}",
                    f"would give the C the name {new}, which is that of "
                    + taken.get(new, "a public function"),
                    "rename the layer, or take another --prefix",
                )
            taken[new] = f"layer {name!r}"


def render_c(plan: Plan, options: Options) -> dict[str, bytes]:
    """The generated files by name: ``lenet.h``, ``lenet.c`` (or one header), ``lenet.json``.

    Raises:
        UserError: the layers' names cannot be used in C.
    """
    prefix = options.prefix
    check_names(plan, prefix)
    environment = _environment(bool(TARGETS[plan.cpu].program_memory))
    context = _context(plan, options)
    header, body = (
        environment.get_template(name).render(context) for name in ("lenet.h.j2", "lenet.c.j2")
    )
    if options.single_file:
        texts = {f"{prefix}.h": header + body}
    else:
        texts = {f"{prefix}.h": header, f"{prefix}.c": body}
    stamp = command(plan, options)
    files = {
        name: tidy(_rename(text, prefix)).replace(STAMP, stamp).encode()
        for name, text in texts.items()
    }
    manifest = _manifest(plan, options, files)
    return files | {f"{prefix}.json": (json.dumps(manifest, indent=2) + "\n").encode()}


def known_images(plan: Plan) -> reference.Images:
    """The made-up images of the self-test, uint8 ``(4, rows, columns, channels)``.

    The same formula stands in the C, in ``known_logits``: circles around the top left corner.
    """
    rows, columns, channels = plan.input_shape
    y = np.arange(rows)[:, None]
    x = np.arange(columns * channels)[None, :]
    n = np.arange(KNOWN_IMAGES)[:, None, None]
    images = ((y * y + x * x) * (n + 1)) & 255
    return images.astype(np.uint8).reshape(KNOWN_IMAGES, rows, columns, channels)


def _rename(text: str, prefix: str) -> str:
    """Puts ``prefix`` in place of the templates' ``lenet``; prose and the tool's name stay."""
    text = re.sub(r"\blenet(?=_|\.[ch]\b)", prefix, text)
    return re.sub(r"\bLENET(?=_)", prefix.upper(), text)


@functools.cache
def _environment(program_memory: bool) -> jinja2.Environment:
    """The templates and their filters, for a CPU whose tables lie in program memory or not."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lenet_export", "templates/c"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )

    def acc_type(layer: Layer) -> str:
        """The type of a layer's accumulators: the narrowest that holds them, where that pays.

        What a norm makes of them is larger than they are.
        """
        if program_memory and layer.integers and not layer.norm:
            for bits, name in ((16, "int16_t"), (24, "int24")):
                if layer.fits(bits):
                    return name
        return c_type(layer.bias.dtype)

    def narrow_sums(layer: Layer) -> list[dict[str, int]]:
        """The bits and bounds of sums that a kernel keeps in fewer than 32; none or one."""
        assert layer.integers is not None
        offset = layer.bias if layer.layout.kernel == "smlad_bytes" else 0
        narrow = {"int16_t": 16, "int24": 24}
        bits = 24 if layer.layout.kernel == "smlad_bytes" else narrow.get(acc_type(layer), 32)
        low, high = layer.integers.acc_min - offset, layer.integers.acc_max - offset
        bounds = {"min": int(low.min()), "max": int(high.max())}
        limits = {"bits": bits, "least": -(2 ** (bits - 1)), "most": 2 ** (bits - 1) - 1}
        return [bounds | limits] if bits < 32 else []

    def row_type(layer: Layer) -> str:
        """The type of a sum over one row of a convolution's kernel, likewise."""
        return "int16_t" if layer.row_fits(16) else acc_type(layer)

    def flash(value: str, dtype: DType, is_copy: object = None) -> str:
        """``value``, an element of a table or of its copy in RAM, read from where it is."""
        return _from_flash(value, dtype) if program_memory and not is_copy else value

    def weight_at(layer: Layer, row: str, index: str) -> str:
        """The weight for input ``index`` in ``row`` of a table in which each output has its own."""
        packing = layer.layout.packing
        if packing is None:
            return flash(f"{row}[{index}]", layer.weight.dtype)
        word = flash(f"{row}[{index} / {packing.values}]", packing.word)
        shift = times(f"({index} % {packing.values})", packing.grid.bits)
        return f"({_unpacked(packing.grid, f'{word} >> {shift}')})"

    def weight_of(layer: Layer, output: int, index: str) -> str:
        """The weight of the ``output``-th of a block, whose value is ``index``."""
        packing = layer.layout.packing
        if packing is None:
            place = plus(times(index, layer.layout.block.outputs), output)
            return flash(f"weight[{place}]", layer.weight.dtype)
        return f"(int8_t)({_unpacked(packing.grid, _field(packing, output))})"

    def factor_of(layer: Layer, output: int, index: str) -> str:
        """What a value is multiplied by for the ``output``-th of a block: its weight or field."""
        packing = layer.layout.packing
        if packing is None:
            return weight_of(layer, output, index)
        return f"({_field(packing, output)} & {2**packing.grid.bits - 1}u)"

    def sum_type(layer: Layer) -> str:
        """The type of a dense layer's sums of values and factors."""
        if layer.layout.packing is None:
            return acc_type(layer)
        if program_memory and layer.packed_fits(16):
            return "uint16_t"
        return f"u{acc_type(layer)}"

    def selects(layer: Layer) -> bool:
        """Whether a bit says that a value is added: cheaper where a CPU can skip an instruction."""
        packing = layer.layout.packing
        return program_memory and packing is not None and packing.grid.bits == 1

    def first_of(layer: Layer, unit: str) -> str:
        """What the sum of a dense layer's unit begins with."""
        if layer.layout.packing:
            return "0"
        return narrowed(flash(f"{layer.name}_bias[{unit}]", layer.bias.dtype), layer)

    def acc_of(layer: Layer, sum_: str, unit: str) -> str:
        """The accumulator of a unit whose sum of values and factors is ``sum_``."""
        packing = layer.layout.packing
        if packing is None:
            return sum_
        bias = flash(f"{layer.name}_bias[{unit}]", layer.bias.dtype)
        product = times(f"({acc_type(layer)}){sum_}", packing.grid.spacing)
        return narrowed(bias, layer) + f" + ({product} - {times('total', packing.grid.peak)})"

    def narrowed(value: str, layer: Layer) -> str:
        """``value`` in the type of a layer's accumulators."""
        acc = acc_type(layer)
        return value if acc == c_type(layer.bias.dtype) else f"({acc}){value}"

    environment.filters.update(
        acc_type=acc_type,
        acc_of=acc_of,
        narrowed=narrowed,
        and_border=lambda layer: " and its border" if layer.is_padded else "",
        bit_length=int.bit_length,
        bits=lambda dtype: dtype.itemsize * 8,
        by=lambda shape: "x".join(map(str, shape)),
        c_type=c_type,
        block=blocks.block,
        count_of=lambda noun, count: f"{count} {noun}{'s' if count > 1 else ''}",
        declared=_declared,
        dims=lambda shape: "".join(f"[{size}]" for size in shape),
        does=does,
        function=_function,
        factor=factor_of,
        field_bits=lambda layer: layer.layout.packing.grid.bits * layer.layout.block.outputs,
        first_of=first_of,
        flash=flash,
        gathers=blocks.gathers,
        narrow_sums=narrow_sums,
        ignores_row=_ignores_row,
        inputs_read=lambda layer: layer.inputs + layer.layout.slack,
        half_window=lambda layer: layer.stage.pool_size**2 // 2,
        kernel_size=lambda layer: layer.layout.block.outputs * layer.weight[0].size,
        last_row=lambda layer: layer.output_shape[0] - 1,
        left=lambda text, width: str(text).ljust(width),
        member=_member,
        over=lambda name, number: name if number == 1 else f"{name} / {number}",
        parens=parens,
        plus=plus,
        place_in=_place_in,
        vectors=blocks.vectors,
        quads=blocks.quads,
        fold_lanes=lambda layer: [
            q * layer.stage.features for q in range(1, layer.layout.vector_block.fold)
        ],
        reciprocal=blocks.reciprocal,
        columns_step=lambda layer: layer.layout.block.columns // layer.row_step,
        taps_read=blocks.taps_read,
        vector_at=blocks.vector_at,
        remark=lambda buffer: f" /* {buffer.about} */" if buffer.about else "",
        product=lambda number, other: number * other,
        right=lambda text, width: str(text).rjust(width),
        row_type=row_type,
        row_outputs=lambda layer: layer.output_shape[1] * layer.output_shape[2],
        selected=lambda _, output: f"word & {1 << output}",
        selects=selects,
        short=lambda dtype: (
            "float" if dtype == F32 else f"{dtype.kind.replace('i', 's')}{dtype.itemsize * 8}"
        ),
        spaced=spaced,
        table=format_table,
        times=times,
        window=lambda layer: layer.stage.pool_size**2,
        unit_pairs=blocks.unit_pairs,
        sum_type=sum_type,
        weight=weight_of,
        weight_at=weight_at,
        weights=_weights,
        window_top=_window_top,
        window_start=lambda layer: times("x", layer.row_step * layer.input_shape[2]),
        window_left=lambda layer: times(
            f"{times('x', layer.row_step)} + {times('j', layer.stage.stride)}",
            layer.input_shape[2],
        ),
    )
    return environment


def _member(name: str, plan: Plan) -> str:
    """Where a dense layer's input or output is, in C."""
    if name == "logits":
        return name
    is_unit = any(name == unit.name for unit in plan.units)
    return f"ws->shared.units.{name}" if is_unit else f"ws->{name}"


def _from_flash(value: str, dtype: DType) -> str:
    """``value``, an element of a table, read from program memory."""
    if dtype == F32:
        return f"pgm_read_float(&{value})"
    reader = {1: "byte", 2: "word", 4: "dword"}[dtype.itemsize]
    return f"({c_type(dtype)})pgm_read_{reader}(&{value})"


def _field(packing: Packing, output: int) -> str:
    """What has the field of the ``output``-th of a block in its lowest bits, in C."""
    return f"word >> {packing.grid.bits * output}" if output else "word"


def _unpacked(grid: Grid, place: str) -> str:
    """A weight, from a word in C whose lowest bits are its field."""
    return f"{times(f'({place} & {2**grid.bits - 1})', grid.spacing)} - {grid.peak}"


def _weights(layer: Layer, index: str) -> str:
    """The weights of block ``index`` (in C) of a layer, which may lie in several tables."""
    parts = [c for c in layer.constants if c.name.startswith(f"{layer.name}_weight")]
    text, end = "", 0
    for part in parts[:-1]:
        start, end = end, end + len(part.values)
        text += f"{index} < {end} ? {part.name}[{plus(index, -start)}] : "
    text += f"{parts[-1].name}[{plus(index, -end)}]"
    return f"({text})" if parts[1:] else text


def _place_in(row: str, layer: Layer) -> str:
    """Where row ``row`` (in C) of the input of ``layer``, its border included, goes."""
    if layer.rows_moved:
        return f"{layer.source}_place(ws, {row})"
    place = row
    if not layer.strip_is_whole:
        place = f"({row}) % {layer.strip_rows}" if layer.strip_rows > 1 else "0"
    return f"ws->shared.rows.{layer.source}[{place}]"


def _ignores_row(layer: Layer, following: Layer) -> bool:
    """Whether every row of ``layer`` comes from the same rows of a strip, and goes to one row."""
    goes_to_one = not following.strip_is_whole and following.strip_rows == 1
    return goes_to_one and not following.rows_moved and not layer.strip_is_whole


def _window_top(layer: Layer, row: str = "") -> str:
    """The row of the strip, in C, that row ``row`` of the pool window of output ``y`` begins at."""
    top = times("y", layer.row_step) if layer.strip_is_whole else ""
    down = times(row, layer.stage.stride) if row else ""
    return " + ".join(part for part in (top, down) if part) or "0"


def does(layer: Layer) -> str:
    """What a layer does, in a few words: ``5x5 SAME, sigmoid, 2x2 avg``."""
    stage, size = layer.stage, layer.stage.pool_size
    words = [f"{stage.kernel[0]}x{stage.kernel[1]} {stage.padding}"] if stage.kernel else ["dense"]
    words += [f"stride {stage.stride}"] if stage.stride > 1 else []
    words += [f"{stage.norm} norm"] if stage.norm != "none" else []
    words += [] if stage.activation == "none" else [stage.activation]
    words += [] if stage.pool == "none" else [f"{size}x{size} {stage.pool}"]
    return ", ".join(words)


def _declared(buffer: Buffer) -> str:
    dims = "".join(f"[{size}]" for size in buffer.shape)
    return f"{c_type(buffer.dtype)} {buffer.name}{dims};"


def _function(activation: str) -> str:
    """The C function of an activation: its name, unless C's own library has a function of it."""
    return "tanh_of" if activation == "tanh" else activation


#: What the float functions of activations call.
CALLS = {"tanh": ("sigmoid",), "scaled_tanh": ("sigmoid", "tanh"), "gelu": ("sigmoid",)}


def _float_functions(layers: list[Layer]) -> list[str]:
    """The activations of ``layers`` and those that they call, callers last."""
    found = {layer.stage.activation for layer in layers} - {"none"}
    found |= {name for activation in found for name in CALLS.get(activation, ())}
    return sorted(found, key=lambda name: (len(CALLS.get(name, ())), name))


def _context(plan: Plan, options: Options) -> dict[str, Any]:
    """What the templates print beside the plan itself."""
    rows, columns, channels = plan.input_shape
    info = plan.model.info
    vector_blocks = [layer.layout.vector_block for layer in plan.layers]
    context = {
        "plan": plan,
        "options": options,
        "version": __version__,
        "command": STAMP,
        "title": _words(" trained on ".join(str(info[k]) for k in ("arch", "dataset") if k in info))
        or "image classifier",
        "images": _words(info.get("images", "")),
        "parameters": sum(layer.weight.size + layer.bias.size for layer in plan.layers),
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "row_bytes": columns * channels,
        "pixels": f"{columns} bytes" if channels == 1 else f"{columns} pixels of {channels} bytes",
        "row_dims": _product(columns, channels),
        "image_dims": _product(rows, columns, channels),
        "last_class": plan.classes - 1,
        "last_image_row": rows - 1,
        "logit": c_type(plan.logit_dtype),
        "logit_scale": float_literal(np.float32(plan.logit_scale)),
        "target": TARGETS[plan.cpu],
        "is_small": TARGETS[plan.cpu].in_order and plan.optimize == "flash",
        "kernels": list(dict.fromkeys(layer.layout.kernel for layer in plan.layers)),
        "dtype_template": f"{plan.dtype}.c.j2",
        "strip_width": max((len(_declared(strip)) for strip in plan.strips), default=0),
        "first": plan.layers[0],
        "convs": list(zip(plan.convs, plan.layers[1:], strict=False)),
        "border_types": list(
            dict.fromkeys(layer.source_dtype for layer in plan.convs if layer.is_padded)
        ),
        "layer_norm": layer_norm,
        "has_norm": any(layer.norm for layer in plan.layers),
        "has_zero_point": any(activation.zero_point for activation in plan.activations),
        "moved_types": list(
            dict.fromkeys(layer.source_dtype for layer in plan.convs if layer.rows_moved)
        ),
        "is_packed": any(layer.layout.packing for layer in plan.layers),
        "sums_fields": any(
            layer.layout.packing and layer.layout.kernel != GENERIC.template
            for layer in plan.layers
        ),
        "scales_lanes": any(
            layer.layout.vector_block and layer.stage.pool == "avg" for layer in plan.layers
        ),
        "has_fold": any(block and block.fold > 1 for block in vector_blocks),
        "name_width": max(len(layer.name) for layer in plan.layers),
        "finish_multiply_adds": sum(layer.multiply_adds for layer in plan.dense_layers),
        "crc_types": list(dict.fromkeys(constant.values.dtype for constant in plan.constants)),
        "constants_crc": _crc(constant.values for constant in plan.constants),
        "known_images": KNOWN_IMAGES,
    }
    in_lanes = [layer for layer in plan.layers if layer.layout.kernel in ("lanes", "columns")]
    scalar = [layer for layer in plan.layers if layer not in in_lanes]
    return (
        context | _functions("scalar", scalar) | _functions("lane", in_lanes)
        | _answers(plan) | _reject(plan)
    )  # fmt: skip


def _functions(kind: str, layers: list[Layer]) -> dict[str, Any]:
    """What ``layers`` call: only that is printed, for a compiler warns of the rest."""
    activations = activations_of(layers)
    return {
        f"{kind}_activations": activations,
        f"{kind}_functions": _float_functions(layers),
        f"has_{kind}_table": any(activation.about for activation in activations),
        f"has_{kind}_mirror": any(activation.mirror for activation in activations),
        f"has_{kind}_other_table": any(
            activation.about and not activation.mirror for activation in activations
        ),
        f"has_{kind}_mean": any(layer.stage.pool == "avg" for layer in layers),
        f"has_{kind}_maximum": any(layer.stage.pool == "max" for layer in layers),
    }


def _words(text: object) -> str:
    """Words of the model's file, safe in a C comment."""
    return re.sub(r"[^\w ,.()-]", "_", str(text), flags=re.ASCII)


def _product(*sizes: int) -> str:
    """Sizes as ``28 * 28``; a last size of 1 is left out."""
    return " * ".join(str(s) for s in (sizes[:-1] if sizes[-1] == 1 else sizes))


def _crc(tables: Iterable[Array]) -> str:
    """CRC-32 (hex) of numbers, lowest byte first."""
    crc = 0
    for table in tables:
        little = np.ascontiguousarray(table, table.dtype.newbyteorder("<"))
        crc = zlib.crc32(little.tobytes(), crc)
    return f"{crc:08X}"


def _answers(plan: Plan) -> dict[str, Any]:
    """The known answers of the self-test: a CRC of integers, or rounded floats."""
    answers = reference.network(plan, known_images(plan))[plan.layers[-1].name]
    if plan.dtype == "int8":
        return {"answers_crc": _crc([answers.astype(np.int32)])}
    if not np.abs(answers).max() < np.finfo(np.float32).max:
        raise UserError(
            plan.layers[-1].name, "has logits beyond float32", "train with weight decay"
        )
    rounded = np.array([[float(f"{v:.6g}") for v in row] for row in answers], np.float32)
    tolerance = np.float32(f"{max(1.0, float(np.abs(answers).max())) * 1e-3:.1g}")
    return {"answers": rounded, "answers_tolerance": float_literal(tolerance)}


def _reject(plan: Plan) -> dict[str, Any]:
    """The threshold, and the other choices that the header offers."""
    table = plan.model.gap_table
    choices = []
    for max_error in MAX_ERRORS if table else ():
        row = table.row(max_error) if table else None
        if table and row and plan.to_threshold(row.gap) <= plan.largest_gap:
            rejected, wrong = (f"{text[:-1]} %" for text in table.describe(row))
            threshold = _number(plan, plan.to_threshold(row.gap))
            choices.append(
                {
                    "max_error": f"{max_error:g}",
                    "threshold": threshold,
                    "rejected": rejected,
                    "wrong": wrong,
                }
            )
    return {
        "max_error": repr(plan.max_error),
        "threshold": _number(plan, plan.threshold),
        "gap_images": table.images if table else 0,
        "gap_choices": choices,
    }


def _number(plan: Plan, logit: float) -> str:
    """A logit as a C literal."""
    return str(logit) if plan.dtype == "int8" else float_literal(np.float32(logit))


def _manifest(plan: Plan, options: Options, files: dict[str, bytes]) -> dict[str, Any]:
    """What ``lenet.json`` holds."""
    return {
        "tool": f"lenet-export {__version__}",
        "command": command(plan, options),
        "model_id": plan.model_id,
        "dtype": plan.dtype,
        "cpu": plan.cpu,
        "optimize": plan.optimize,
        "prefix": options.prefix,
        "single_file": options.single_file,
        "max_error": plan.max_error,
        "min_gap": plan.threshold,
        "logit_scale": plan.logit_scale,
        "multiply_adds": plan.multiply_adds,
        "constant_bytes": plan.constant_bytes,
        "workspace_bytes": plan.workspace_bytes,
        "stages": [_manifest_of(layer) for layer in plan.layers],
        "training": plan.model.info,
        "files": {name: sha256(data).hexdigest() for name, data in files.items()},
    }


def _manifest_of(layer: Layer) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": layer.name,
        "kind": layer.stage.kind,
        "input": list(layer.input_shape),
        "output": list(layer.output_shape),
        "does": does(layer),
        "multiply_adds": layer.multiply_adds,
        "constant_bytes": sum(constant.values.nbytes for constant in layer.constants),
    }
    if layer.integers is not None:
        low, high = layer.integers.acc_min.min(), layer.integers.acc_max.max()
        entry["accumulator"] = {"min": int(low), "max": int(high)}
    return entry
