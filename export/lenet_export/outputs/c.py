"""``--target c``: plans to text. Beside ``templates.py`` the only module that knows Jinja2.

The templates are C with holes. They print what a plan tells, through the filters below, and do not
compute. They are written for the prefix ``lenet``; another one is put in its place in the text.
"""

from __future__ import annotations

import functools
import json
import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import jinja2
import numpy as np

from lenet_export import __version__, amount, bundled, layer_norm, reference
from lenet_export.activations import ACTIVATIONS, Activation, slope_of, word_of
from lenet_export.c_text import (
    WIDTH,
    all_ones,
    c_type,
    float_literal,
    format_table,
    parens,
    passage,
    placed,
    plus,
    short_type,
    spaced,
    tidy,
    times,
)
from lenet_export.cpus import operands
from lenet_export.cpus.kernel import kernel_of
from lenet_export.cpus.registry import CPUS
from lenet_export.crc import crc32c
from lenet_export.errors import UserError
from lenet_export.files import hashes_of
from lenet_export.ink import SHARES
from lenet_export.outputs import blob, templates
from lenet_export.outputs.bounds import bounds_of
from lenet_export.outputs.c_names import check_names, check_printed
from lenet_export.outputs.options import Options, Output, command
from lenet_export.outputs.vocabulary import Vocabulary
from lenet_export.plan import (
    F32,
    S8,
    S32,
    U8,
    U16,
    U32,
    Array,
    Buffer,
    DType,
    Layer,
    Plan,
    activations_of,
)
from lenet_export.preparation import is_prepared_for
from lenet_export.quantize import WEIGHT_MAX
from lenet_export.verdict import Readings, Verdict, readings, verdicts_of_ink

if TYPE_CHECKING:
    from lenet_export.verify import Comparison

KNOWN_IMAGES = 4
SLICE_BYTES = 256  # of the constants, that a step of the self-test reads
STAMP = "@stamp@"  # stands for the command until the prefix is in its places
PAIR = "@pair@"  # for what tells the files of one export, until all else of them is known
NAMES = "@names@"  # for the names of the classes, in which no prefix is put
INDEX = "@index@"  # for the list of the sections, until their lines are known
STRUCT, BINDING = "@struct@", "@binding@"  # for the bound tables, until it is known which those are
HASHED = "@hashed@"  # for how many bytes of them the CRC is of
CODES = ("@code_0@", "@code_1@")  # for the id of this code, until all of it is known
INT16_MAX = 2**15 - 1
#: Numbers that are macros of the header, where training's are not in a blob.
DESCRIBED = ("logit_scale", "min_gap", "cost_unit", "min_score")
MAX_ERRORS = (0.01, 0.005, 0.002, 0.001)  # the choices that the header shows


def render_c(plan: Plan, options: Options) -> dict[str, bytes]:
    """The generated files by name: ``lenet.h``, ``lenet.c`` (or one header), ``lenet.json``.

    Raises:
        UserError: the layers' names or the prefix cannot be used in C, or the options contradict
            each other.
    """
    prefix = options.prefix
    plan = replace(plan, is_bound=options.tables == "blob")
    _check(plan, options)
    stamp, names = _stamp(plan, options), _named(plan.model.class_names)
    printed, tables = _printed(plan, options, names)
    check_printed("".join(printed.values()), prefix)
    texts = {
        prefix + end: _indexed(
            tidy(rename(text, prefix)).replace(f" {STAMP}", stamp).replace(NAMES, names)
        )
        for end, text in printed.items()
    }
    # Any tables of the same code will do: they are whole.
    code = [text for name, text in texts.items() if not name.endswith("_tables.h")]
    pair = sha256("".join(code).encode()).hexdigest()[:16].upper()
    files = {name: text.replace(PAIR, pair).encode() for name, text in texts.items()}
    if tables:
        files[f"{prefix}_tables.bin"] = tables.data
    return files | {f"{prefix}.json": _json(_manifest(plan, options, files, tables))}


def _check(plan: Plan, options: Options) -> None:
    """Checks that the options go together, and with the plan.

    Raises:
        UserError: they do not.
    """
    if options.single_file and options.tables == "apart":
        raise UserError(
            "--tables apart", "is a file more than --single-file allows", "leave one of them out"
        )
    if plan.is_bound and options.target != "c":
        raise UserError(
            "--tables blob",
            f"goes with --target c only: the examples of {options.target} bind no tables",
            "take --target c, or leave it out",
        )
    check_names(plan, options.prefix)
    if "amount" in options.parts:
        _check_amount(plan)
    if "picture" in options.parts:
        _check_picture(plan)
    _check_room(plan, options)


def _printed(plan: Plan, options: Options, names: str) -> tuple[dict[str, str], blob.Blob | None]:
    """The files as the templates print them, by how their names end; and tables to bind, if any.

    Args:
        plan: of the files.
        options: likewise.
        names: of the classes, in C.
    """
    environment = _environment()
    context = _context(plan, options) | {"vocabulary": _vocabulary(plan, environment)}

    def printed(name: str) -> str:
        return environment.get_template(f"{name}.j2").render(context)

    body, tables = printed("lenet.c"), None  # it tells which of its numbers training decides
    if plan.is_bound:
        tables = context["blob"] = _blob(plan, options, context)
    header = printed("lenet.h")
    if tables:
        body, header = _bound(tables, body, header)
        body = body.replace(STRUCT, printed("lenet_struct.c"))
        body = body.replace(BINDING, printed("lenet_bind.c"))
        body = body.replace(HASHED, str(tables.size - blob.CRC_BEHIND))
    body = placed(body)
    if tables:
        tables = replace(tables, code=blob.code_id([header, body], names))
        for mark, part in zip(CODES, tables.code, strict=True):
            body = body.replace(mark, f"0x{part:08X}")
    texts = {".h": header + body} if options.single_file else {".h": header, ".c": body}
    if options.tables == "apart":
        texts["_tables.h"] = printed("lenet_tables.h")
    return texts, tables


def _blob(plan: Plan, options: Options, context: dict[str, Any]) -> blob.Blob:
    """The tables that the code is bound to, and all other numbers that training decides.

    Raises:
        UserError: this CPU's compiler does not take so many as one object.
    """
    number = blob.Member.number
    numbers = [
        number("logit_scale", np.float32(plan.logit_scale), F32),
        number("min_gap", context["threshold"], plan.logit_dtype),
    ]
    if "amount" in options.parts:
        numbers += [
            number("cost_unit", context["cost_unit"], U32),
            number("min_score", context["min_score"], S32),
        ]
    numbers += context["trained"].values()
    tables = [blob.Member.of(constant) for constant in plan.constants]
    if plan.dtype == "float32":
        about = "of each made-up image of the self-test: its logits, its gap, and its digit's logit"
        tables.append(blob.Member("known_answers", context["answers"], about))
    cpu = CPUS[plan.cpu]
    found = blob.Blob(
        *(plan.model_id, options.release, tuple(numbers), tuple(tables), context["alignment"]),
        *(bool(cpu.program_memory), blob.network_id(plan), blob.layout_id(plan)),
    )
    found.check()
    context["self_test_steps"] += -(-(found.size - blob.CRC_BEHIND) // SLICE_BYTES)
    return found


def _bound(tables: blob.Blob, body: str, header: str) -> tuple[str, str]:
    """The code and its header, of which each function that reads tables is passed them."""
    for member in tables.numbers:
        if member.name in DESCRIBED:
            macro, place = f"LENET_{member.name.upper()}", f"tables->{member.name}"
            if tables.is_avr:
                place = operands.from_program_memory(place, member.values.dtype)
            body, header = body.replace(macro, place), header.replace(macro, member.name)
    body = body.replace("see the bounds", "see the tables")
    return blob.bind(body, header, [member.name for member in tables.tables])


def render_beside(name: str, plan: Plan, options: Options, **more: Any) -> bytes:
    """C that goes with the files of the same plan and options, in their names.

    Args:
        name: of its template, less the suffix.
        plan: likewise.
        options: likewise.
        more: what the template is told beside.
    """
    context = _context(plan, options) | {"vocabulary": Vocabulary()} | more
    text = _environment().get_template(f"{name}.j2").render(context)
    return tidy(rename(text, options.prefix)).encode()


def with_record(files: dict[str, bytes], prefix: str, record: dict[str, Any]) -> dict[str, bytes]:
    """The files with what a comparison found, ``verified``, in their manifest, if they have one."""
    manifest = f"{prefix}.json"
    if manifest not in files:
        return files
    return files | {manifest: _json(json.loads(files[manifest]) | {"verified": record})}


def _json(manifest: dict[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=2, allow_nan=False) + "\n").encode()


def costs(plan: Plan) -> list[tuple[str, str]]:
    """What the C takes on its device, for the summary."""
    return [
        ("flash", f"{plan.constant_bytes:,} bytes of constants, and the code"),
        ("RAM", f"{plan.workspace_bytes:,} bytes of workspace, and the stack"),
    ]


def known_images(plan: Plan) -> reference.Images:
    """The made-up images of the self-test, uint8 ``(4, rows, columns, channels)``.

    The same formula stands in the C, in ``draw_circles``. The last row of the last image is not
    given there, and so is background.
    """
    rows, columns, channels = plan.input_shape
    y = np.arange(rows)[:, None]
    x = np.arange(columns * channels)[None, :]
    n = np.arange(1, KNOWN_IMAGES + 1)[:, None, None]
    images = ((y * y + x * x) * n) & 255
    images[-1, -1] = 0
    return images.astype(np.uint8).reshape(KNOWN_IMAGES, rows, columns, channels)


def _check_picture(plan: Plan) -> None:
    """Checks that pictures can be prepared for the network.

    Raises:
        UserError: its images are none of grey, or too small or large.
    """
    rows, columns, channels = plan.input_shape
    if not is_prepared_for(plan.input_shape):
        raise UserError(
            "--with picture",
            f"prepares grey images of 7 to 128 rows and columns, not {rows}x{columns}x{channels}",
            "leave it out, and prepare the network's images in your own program",
        )


def _check_amount(plan: Plan) -> None:
    """Checks that the network can read the digits of an amount.

    Raises:
        UserError: it has not 10 classes of 28x28 grey pixels, or its logits are no integers.
    """
    is_digits = plan.input_shape == (28, 28, 1) and plan.classes == amount.CLASSES
    if not is_digits or plan.dtype != "int8":
        raise UserError(
            "--with amount",
            "reads amounts by an int8 network of 28x28 grey pixels and the classes 0 to 9",
            "leave it out, or export a model that is trained on MNIST, in int8",
        )


def _check_room(plan: Plan, options: Options) -> None:
    """Checks that a CPU of little RAM can hold what the parts of an export need, beside no image.

    Raises:
        UserError: not even the smallest struct of a part fits.
    """
    ram = CPUS[plan.cpu].ram
    for part in reversed(options.parts) if ram else ():  # one that needs another behind it
        least = min(use.size for use in _memories(plan, options) if use.part == part)
        if least > ram:
            raise UserError(
                f"--with {part}",
                f"needs {least:,} bytes of RAM; --cpu {plan.cpu} has room for {ram:,}",
                "leave it out, and send images that are prepared elsewhere, or take another --cpu",
            )


class Memory(NamedTuple):
    """What is read, of which part, by which functions, in which struct, and its bytes."""

    part: str
    what: str
    functions: str
    struct: str
    size: int


def _uses(plan: Plan, options: Options) -> list[str]:
    """What is read by which functions, in which memory: a table for a header with parts."""
    return [
        f"{use.what:20} {use.functions:36} {use.struct:17} {spaced(use.size):>6}"
        for use in _memories(plan, options)
    ]


def _memories(plan: Plan, options: Options) -> list[Memory]:
    """What can be read. Bytes are those of structs as a CPU of 64 bits lays them out."""
    rows, columns, _ = plan.input_shape
    image, network = rows * columns, plan.workspace_bytes
    view = _up(156 + 512 + 4 * max(20 * 20, (rows * 5 // 7) * (columns * 5 // 7)))
    preparation = _up(view + 1714)
    of_line = max(0, network - 1600)
    uses = [
        Memory("", "an image", "lenet_read, _predict", "lenet_workspace", network),
        Memory("", "  by its rows", "lenet_begin, _row, _finish", "lenet_workspace", network),
    ]
    if "picture" in options.parts:
        of = functools.partial(Memory, "picture")
        whole = _up(24 + image) + max(preparation, _up(network))
        rows_too = "lenet_read_picture_rows"
        pushed = _up(188 + view + max(64 * 64, _up(image, 4) + network))
        uses.append(of("a picture", "lenet_read_picture", "lenet_picture", whole))
        uses.append(of("  asked for its rows", rows_too, "lenet_picture", whole))
        uses.append(of("  by its rows", "lenet_scan_begin, _row, _finish", "lenet_scan", pushed))
        uses.append(of("  into an image", "lenet_prepare, _rows", "lenet_preparation", preparation))
    if "amount" in options.parts:
        of = functools.partial(Memory, "amount")
        begin = "lenet_amount_begin, _column, _finish"
        uses.append(of("a line", "lenet_read_amount", "lenet_line", _up(7904 + of_line)))
        uses.append(of("  by its columns", begin, "lenet_columns", _up(8080 + of_line)))
    return uses


def _up(size: int, unit: int = 8) -> int:
    """``size`` rounded up to a multiple of ``unit``."""
    return -(-size // unit) * unit


def _amounts(plan: Plan, options: Options) -> dict[str, Any]:
    """How amounts are weighed, and from which score on they are accepted.

    Raises:
        UserError: ``max_amount_error`` cannot be reached, or there is no table to choose from.
    """
    table, asked, row = plan.model.amount_table, options.max_amount_error, None
    if asked is not None:
        where = f"--max-amount-error {asked:g}"
        if table is None:
            raise UserError(
                where,
                "the model has no table of amounts to choose from",
                "measure one with benchmarks/amount_table.py, or leave it out and compare scores",
            )
        row = table.row(asked)
        if row is None:
            raise UserError(
                where,
                f"cannot be reached: the table was measured on {table.images:,} lines, and no "
                "score shows so small an error on them",
                f"ask for at least {math.ceil(1e4 * table.smallest_error()) / 1e4:g}",
            )
    return {
        "cost_unit": amount.unit_of(plan.logit_scale),
        "min_score": math.ceil(row.gap) if row else 0,
        "max_amount_error": asked,
        "amount_lines": table.images if table else 0,
        "amount_row": row,
    }


def _stamp(plan: Plan, options: Options) -> str:
    """The command, safe in a C comment; that of a user's network or model has lines of its own."""
    if plan.is_bound:  # What training decides is not told of code that any tables of it fit.
        plan = replace(plan, max_error=None)
        options = replace(options, release=0, max_amount_error=None, model=None)
    safe = re.sub(r"[^ -~]|(?<=\*)/|(?<=/)\*|(?<=\?)\?", "_", command(plan, options))
    if not (options.call or options.network) and options.model in (None, *bundled.names()):
        return f" {safe}"
    indent = "\n *     "
    return indent + indent.join(textwrap.wrap(safe, WIDTH - len(indent), break_on_hyphens=False))


def rename(text: str, prefix: str) -> str:
    """Puts ``prefix`` in place of the templates' ``lenet``; prose and the tool's name stay."""
    # A pattern that begins with letters is sought ten times faster than one that begins with \b.
    text = re.sub(r"lenet(?<!\wlenet)(?=_|\.[ch]\b)", prefix, text)
    return re.sub(r"LENET(?<!\wLENET)(?=_)", prefix.upper(), text)


def _indexed(text: str) -> str:
    """``text`` with its index: the sections that it has, and the lines that they begin at."""
    section = re.compile(r"/\* -{4} (.+?)(?::| -{2})")
    found = [(n, section.match(line)) for n, line in enumerate(text.split("\n"), 1)]
    sections = [(n, match[1]) for n, match in found if match]
    # The index is one line yet; in its place there is one for each section.
    more = len(sections) - 1
    width = max((len(name) for _, name in sections), default=0)
    lines = [f" *     {name:<{width}}  line {n + more:5}" for n, name in sections]
    return text.replace(INDEX, "\n".join(lines))


@functools.cache
def _environment() -> jinja2.Environment:
    """The templates and their filters."""
    environment = templates.environment()
    environment.filters.update(
        # Text
        after_words=lambda code, vocabulary: vocabulary.before(code),
        bit_length=int.bit_length,
        by=lambda shape: "x".join(map(str, shape)),
        count_of=lambda noun, count: f"{count} {noun}{'s' if count > 1 else ''}",
        left=lambda text, width: str(text).ljust(width),
        passage=passage,
        right=lambda text, width: str(text).rjust(width),
        spaced=spaced,
        # C
        all_as_it_is=_all_as_it_is,
        all_ones=all_ones,
        as_it_is=_as_it_is,
        bits=lambda dtype: dtype.itemsize * 8,
        called=_called,
        c_type=c_type,
        declared=_declared,
        dedent=lambda text: re.sub(r"(?m)^ {4}", "", text),
        indented=lambda text: re.sub(r"(?m)^ ", "     ", text),
        dims=lambda shape: "".join(f"[{size}]" for size in shape),
        flash=_flash,
        function=_function,
        member=_member,
        over=lambda name, number: name if number == 1 else f"{name} / {number}",
        plus=plus,
        product=lambda number, other: number * other,
        remark=lambda buffer: f" /* {buffer.about} */" if buffer.about else "",
        short=short_type,
        step=lambda name, number: f"{name}++" if number == 1 else f"{name} += {number}",
        table=format_table,
        trained=_trained,
        times=times,
        # A layer
        border=_border,
        and_border=lambda layer: " and its border" if layer.is_padded else "",
        does=does,
        ignores_row=_ignores_row,
        last_row=lambda layer: layer.output_shape[0] - 1,
        place_in=_place_in,
        # What its kernel tells
        view=lambda layer: SimpleNamespace(**kernel_of(layer).view(layer)),
    )
    return environment


def _vocabulary(plan: Plan, environment: jinja2.Environment) -> Vocabulary:
    """The words of the CPU's instruction set for ``plan``, and those that every such set makes.

    What is hardened reads its tables by words of its own, with or without such a set.
    """
    simd, loader = CPUS[plan.cpu].simd, environment.loader
    if loader is None:
        return Vocabulary()
    names: list[str] = []
    if simd:
        sets = [name for of in (simd.name, simd.extends) for name in (of, f"{of}_{plan.dtype}")]
        names = [f"simd/{name}.c" for name in (*sets, plan.dtype)]
    known = loader.list_templates()
    texts = [loader.get_source(environment, name)[0] for name in names if name in known]
    if plan.is_hardened:
        of_s32 = loader.get_source(environment, "hardened.c")[0]
        texts += [
            of_s32.replace("int32_t", c_type(of)).replace("s32", short_type(of))
            for of in _doubled_types(plan)
        ]
    return Vocabulary("\n".join(texts))


def _doubled_types(plan: Plan) -> list[DType]:
    """The types of the numbers that stand twice, each once."""
    return list(dict.fromkeys(table.values.dtype for table, _ in plan.doubled))


@jinja2.pass_context
def _trained(context: jinja2.runtime.Context, value: Any, name: str, layer: str = "") -> str:
    """``value``, a number in the code that training decides; with tables apart, a name for it."""
    plan, trained = context["plan"], context["trained"]
    if plan.is_bound:
        borders = {of.name: of.source_dtype for of in plan.layers}
        dtype = borders[layer] if name == "BORDER" else blob.TYPES[name]
        member = blob.Member.number(f"{name.lower()}_{layer}".rstrip("_"), value, dtype)
        trained[member.name] = member
        return _flash(context, f"tables->{member.name}", dtype)
    if context["options"].tables != "apart":
        return str(value)
    named = f"LENET_{name}_{layer}" if layer else f"LENET_{name}"
    trained[named] = value
    return named


@jinja2.pass_context
def _flash(
    context: jinja2.runtime.Context, value: str, dtype: DType, is_copy: object = None
) -> str:
    """``value``, an element of a table or of its copy in RAM, read from where it is."""
    is_far = context["cpu"].program_memory and not is_copy
    return operands.from_program_memory(value, dtype) if is_far else value


@jinja2.pass_context
def _as_it_is(context: jinja2.runtime.Context, value: str, dtype: DType) -> str:
    """``value``, an element of a table of a layer, no weight, read from where it is."""
    if context["plan"].is_hardened and not context["cpu"].program_memory:
        return operands.as_it_is(value, dtype)
    return _flash(context, value, dtype)


@jinja2.pass_context
def _all_as_it_is(context: jinja2.runtime.Context, place: str, dtype: DType) -> str:
    """``place``, where numbers of such a table begin that are loaded at once."""
    name = f"as_it_is_{short_type(dtype)}"
    return f"{name}({place})" if context["plan"].is_hardened else place


def _member(name: str, plan: Plan) -> str:
    """Where a dense layer's input or output is, in C."""
    if name == "logits":
        return name
    is_unit = any(name == unit.name for unit in plan.units)
    return f"ws->shared.units.{name}" if is_unit else f"ws->{name}"


def _place_in(row: str, layer: Layer) -> str:
    """Where row ``row`` (in C) of the input of ``layer``, its border included, goes."""
    if layer.rows_moved:
        return f"{layer.source}_place(ws, {row})"
    place = row
    if not layer.strip_is_whole:
        place = f"{parens(row)} % {layer.strip_rows}" if layer.strip_rows > 1 else "0"
    return f"ws->shared.rows.{layer.source}[{place}]"


def _border(layer: Layer) -> int | str:
    """What a value of the border of a layer's input is, in C."""
    if isinstance(layer.pad_code, float):
        return float_literal(np.float32(layer.pad_code))
    if layer.source_dtype == S8:
        return layer.pad_code - 128
    bits = layer.layout.pair_bits
    return layer.pad_code * (1 + 2**bits) if bits else layer.pad_code


def _ignores_row(layer: Layer, following: Layer) -> bool:
    """Whether every row of ``layer`` comes from the same rows of a strip, and goes to one row."""
    goes_to_one = not following.strip_is_whole and following.strip_rows == 1
    return goes_to_one and not following.rows_moved and not layer.strip_is_whole


def does(layer: Layer) -> str:
    """What a layer does, in a few words: ``5x5 SAME, sigmoid, 2x2 avg``."""
    stage, size = layer.stage, layer.stage.pool_size
    strides = "x".join(map(str, dict.fromkeys(stage.strides)))
    padding = stage.padding if stage.border is None else f"border {stage.padding}"
    if stage.kernel and not stage.learns:
        return f"{stage.kernel[0]}x{stage.kernel[1]} {stage.pool} {padding}, stride {strides}"
    words = [f"{stage.kernel[0]}x{stage.kernel[1]} {padding}"] if stage.kernel else ["dense"]
    words += ["depthwise"] if layer.is_depthwise else []
    words += [f"stride {strides}"] if max(stage.strides) > 1 else []
    words += [f"{stage.norm} norm"] if stage.norm != "none" else []
    words += [] if stage.activation == "none" else [stage.activation]
    words += [] if stage.pool == "none" else [f"{size}x{size} {stage.pool}"]
    return ", ".join(words)


def _declared(buffer: Buffer) -> str:
    dims = "".join(f"[{size}]" for size in buffer.shape)
    return f"{c_type(buffer.dtype)} {buffer.name}{dims};"


def _called(activation: str, value: str, end: str = "") -> str:
    """The call of an activation of floats in C; ``end`` is that of its function's name."""
    slope = slope_of(activation)
    arguments = value if slope is None else f"{value}, {float_literal(np.float32(slope))}"
    return f"{word_of(activation) + end if end else _function(word_of(activation))}({arguments})"


def _function(activation: str) -> str:
    """The C function of an activation: its name, unless C's own library has a function of it."""
    return "tanh_of" if activation == "tanh" else activation


def _context(plan: Plan, options: Options) -> dict[str, Any]:
    """What the templates print beside the plan itself."""
    rows, columns, channels = plan.input_shape
    info = plan.model.info
    bounds = bounds_of(plan)
    kernels = [kernel_of(layer) for layer in plan.layers]
    unpacked = {
        layer.is_conv
        for kernel, layer in zip(kernels, plan.layers, strict=True)
        if layer.layout.packing and kernel.sums_fields
    }
    cpu = CPUS[plan.cpu]
    counters = plan.counters + plan.ink_counters
    context = {
        "plan": plan,
        "options": options,
        "version": __version__,
        "command": STAMP,
        "pair": PAIR,
        "index": INDEX,
        "bounds": bounds,
        "bound_width": max((len(bound.number) for bound in bounds), default=0),
        "title": title_of(info),
        "images": _words(info.get("images", "")),
        "parameters": sum(layer.weight.size + layer.bias.size for layer in plan.layers),
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "row_bytes": columns * channels,
        "row_stride": _long(columns * channels, rows * columns * channels),
        "pixels": f"{columns} bytes" if channels == 1 else f"{columns} pixels of {channels} bytes",
        "row_dims": _product(columns, channels),
        "image_dims": _product(rows, columns, channels),
        "last_class": plan.classes - 1,
        "class_names": NAMES if plan.model.class_names else "",
        "last_image_row": rows - 1,
        "logit": c_type(plan.logit_dtype),
        "logit_scale": float_literal(np.float32(plan.logit_scale)),
        "cpu": cpu,
        "alignment": cpu.simd.alignment if cpu.simd else 0,
        "reloads": any(layer.is_conv and layer.layout.reload for layer in plan.layers),
        "is_small": cpu.in_order and plan.optimize == "flash",
        "adds_in_order": cpu.in_order
        and plan.dtype == "int8"
        and any(kernel.adds_in_order for kernel in kernels),
        "has_own_addresses": not cpu.anchors and plan.optimize != "flash",
        "templates": list(dict.fromkeys(kernel.template for kernel in kernels)),
        "notes": [
            *dict.fromkeys(note for kernel in kernels for note in kernel.notes),
            *_hardened(plan),
        ],
        "pragmas": list(dict.fromkeys(kernel.pragma for kernel in kernels if kernel.pragma)),
        "dtype_template": f"{plan.dtype}.c.j2",
        "counters": counters,
        "counter_width": max(len(_declared(counter)) for counter in counters),
        "strip_width": max((len(_declared(strip)) for strip in plan.strips), default=0),
        "first": plan.layers[0],
        "row_layers": list(zip(plan.row_layers, plan.layers[1:], strict=False)),
        "filled_types": list(dict.fromkeys(layer.source_dtype for layer in _filled(plan))),
        "slack_of_rows": [
            (layer, layer.strip_values - layer.layout.slack)
            for layer in plan.row_layers
            if layer.layout.slack and not layer.is_padded
        ],
        "slack_of_inputs": [layer for layer in plan.dense_layers if layer.layout.slack],
        "layer_norm": layer_norm,
        "has_norm": any(layer.norm for layer in plan.layers),
        "doubled_types": _doubled_types(plan),
        "weight_peak": max(layer.grid.peak if layer.grid else WEIGHT_MAX for layer in plan.layers),
        "index_is": _index_is(plan),
        "has_tables": any(activation.has_table for activation in plan.activations),
        "has_zero_point": any(activation.zero_point for activation in plan.activations),
        "moved_types": list(
            dict.fromkeys(layer.source_dtype for layer in plan.row_layers if layer.rows_moved)
        ),
        "is_packed": any(layer.layout.packing for layer in plan.layers),
        "wide_codes": cpu.saturates
        and any(layer.output_dtype in (U16, U32) for layer in plan.layers),
        "sums_fields": False in unpacked,
        "copies_weights": True in unpacked,
        "name_width": max(len(layer.name) for layer in plan.layers),
        "reads_any_byte": not plan.dense_inputs_begin_words
        or any(kernel_of(layer).reads_any_byte for layer in plan.row_layers),
        "signed_dtype": S8,
        "puts_codes": _puts_codes(plan),
        "trained": {},
        "known_images": KNOWN_IMAGES,
        "slice_bytes": SLICE_BYTES,
        "byte_dtype": U8,
        "word_dtype": U32,
        "lane_dtype": S32,
    }
    in_lanes = [layer for layer in plan.layers if kernel_of(layer).codes_in_lanes]
    scalar = Calls([layer for layer in plan.layers if not kernel_of(layer).in_vectors])
    if plan.is_bound:
        context |= _binding(plan)
    context["takes_signs"] = plan.ink is not None or (
        plan.dtype == "int8"
        and (
            (bool(scalar.functions) and not cpu.saturates)
            or "max" in scalar.pools
            or context["has_norm"]
        )
    )
    return (
        context | {"scalar": scalar, "in_lanes": Calls(in_lanes)}
        | _self_test(plan) | _reject(plan) | _ink(plan) | _amounts(plan, options)
        | {"uses": _uses(plan, options)}
    )  # fmt: skip


def _binding(plan: Plan) -> dict[str, Any]:
    """What code that tables are bound to prints of them."""
    crc = "tables->crc"
    return {
        "struct": STRUCT,
        "binding": BINDING,
        "blob_crc": operands.from_program_memory(crc, U32)
        if CPUS[plan.cpu].program_memory
        else crc,
        "hashed_bytes": HASHED,
        "blob_format": blob.FORMAT,
        "magic": f"0x{blob.MAGIC:08X}",
        "magic_swapped": f"0x{int.from_bytes(blob.MAGIC.to_bytes(4, 'little'), 'big'):08X}",
        "network_id": f"0x{blob.network_id(plan):08X}",
        "layout_id": f"0x{blob.layout_id(plan):08X}",
        "code_ids": CODES,
        "described": DESCRIBED,
    }


def _hardened(plan: Plan) -> list[str]:
    """What a caller must know of numbers that stand twice."""
    if not plan.is_hardened:
        return []
    copies = [copy.values for _, copy in plan.doubled]
    size, count = sum(of.nbytes for of in copies), sum(of.size for of in copies)
    return [
        "Biases and gains, all of the layers' numbers but their weights, stand twice: of the "
        f"constants {spaced(size)} bytes are an inverted copy. lenet_finish compares these "
        f"{spaced(count)} numbers in each image, whatever the image is."
    ]


def _filled(plan: Plan) -> list[Layer]:
    """The layers whose input has a border, or slack that is read before it is written."""
    return [
        layer
        for layer in plan.layers
        if layer.layout.slack or (layer.reads_rows and layer.is_padded)
    ]


def _puts_codes(plan: Plan) -> bool:
    """Whether codes are put into words one by one: other than of an image of even rows, grey."""
    _, columns, channels = plan.input_shape
    is_simple = columns % 2 == 0 and channels == 1
    written = any(layer.output_pair_bits for layer in plan.layers)
    return written or (plan.layers[0].layout.pair_bits > 0 and not is_simple)


@dataclass(frozen=True)
class Calls:
    """What some layers call: only that is printed, for a compiler warns of the rest."""

    layers: Sequence[Layer]

    @property
    def activations(self) -> list[Activation]:
        """Those of integers."""
        return activations_of(self.layers)

    @property
    def functions(self) -> list[str]:
        """The activations in float32 and those that they call, callers last."""
        found = {word_of(layer.stage.activation) for layer in self.layers} - {"none"}
        found |= {name for activation in found for name in ACTIVATIONS[activation].calls}
        return sorted(found, key=lambda name: (len(ACTIVATIONS[name].calls), name))

    @property
    def pools(self) -> list[str]:
        """The pools."""
        return sorted({layer.stage.pool for layer in self.layers} - {"none"})


def _index_is(plan: Plan) -> str:
    """What the index of an activation is, by whether it has a table."""
    kinds = [
        ("the code itself", [a.name for a in plan.activations if not a.has_table]),
        ("the place in a table", [a.name for a in plan.activations if a.has_table]),
    ]
    return " or ".join(f"{what} ({', '.join(names)})" for what, names in kinds if names)


def title_of(info: dict[str, Any]) -> str:
    """What the network is: ``lenet (relu, max, batch, he) trained on mnist``."""
    name, *parts = str(info.get("arch", "")).split() or ["image classifier"]
    parted = f" ({', '.join(parts)})" if parts else ""
    trained = f" trained on {info['dataset']}" if "dataset" in info else ""
    return _words(name + parted + trained)


def _words(text: object) -> str:
    """Words of the model's file, safe in a C comment."""
    return re.sub(r"[^\w ,.()=-]", "_", str(text), flags=re.ASCII)


def _named(names: tuple[str, ...]) -> str:
    r"""The names of classes as C's strings, a line each, joined for a macro.

    What is not plain ASCII is in octal, as UTF-8 has it, and so is what trigraphs are of, and what
    stands for something else until the files are whole.
    """
    strings = []
    for name in names:
        escaped = [
            chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?@' else f"\\{byte:03o}"
            for byte in name.encode()
        ]
        strings.append(f'"{"".join(escaped)}"')
    return ", \\\n    ".join(strings)


def _product(*sizes: int) -> str:
    """Sizes as ``28 * 28``; a last size of 1 is left out.

    Nothing where that is beyond an int of 16 bits: no small CPU has so large an array.
    """
    if math.prod(sizes) > INT16_MAX:
        return ""
    return " * ".join(str(s) for s in (sizes[:-1] if sizes[-1] == 1 else sizes))


def _long(number: int, most: int) -> str:
    """``number``, a factor of what may become ``most``: an int has 16 bits on small CPUs."""
    return f"{number}L" if most > INT16_MAX else str(number)


def _bytes_of(tables: Iterable[Array]) -> bytes:
    """Numbers as the self-test takes them, lowest byte first."""
    little = [np.ascontiguousarray(of, of.dtype.newbyteorder("<")) for of in tables]
    return b"".join(table.tobytes() for table in little)


def _self_test(plan: Plan) -> dict[str, Any]:
    """How long the self-test is, and what it must find.

    Raises:
        UserError: a logit is beyond float32.
    """
    # Of tables that are bound, the blob has a CRC of its own.
    own = [] if plan.is_bound else plan.own_constants
    constants = _bytes_of(constant.values for constant in own)
    crc = crc32c(constants)
    found, answers = _answers(plan)
    rows = plan.multiply_adds_of_rows
    finish = sum(layer.multiply_adds for layer in plan.dense_layers)
    image_steps = len(rows) + 1  # one to finish
    # The last image has a row less.
    steps = -(-len(constants) // SLICE_BYTES) + KNOWN_IMAGES * image_steps - 1
    return found | {
        "constants_crc": f"0x{crc:08X}u",
        "hashed": len(constants) if plan.is_hardened else "LENET_CONSTANT_BYTES",
        "answers_crc": f"0x{crc32c(answers, crc):08X}u",
        "image_steps": image_steps,
        "self_test_steps": steps,
        "step_type": "int" if steps <= INT16_MAX and not plan.is_bound else "int32_t",
        "behind_logits": [plan.outputs + place for place in range(4)],
        "row_multiply_adds": max(rows),
        "finish_multiply_adds": finish,
        "step_multiply_adds": max(*rows, finish + rows[-1]),
    }


def _answers(plan: Plan) -> tuple[dict[str, Any], bytes]:
    """What is known of the made-up images: a table of floats, and what goes into the CRC.

    Of integers all goes into it: logits, verdict, digit, gap, and whether the gap suffices.

    Raises:
        UserError: a logit is beyond float32.
    """
    images = known_images(plan)
    logits = reference.network(plan, images)[plan.layers[-1].name]
    verdicts = verdicts_of_ink(plan, images)
    verdicts[-1] = Verdict.MISCOUNTED
    read = readings(plan, images, logits)
    if plan.dtype == "int8":
        others = verdicts, read.digits, read.gaps, read.gaps >= plan.threshold
        return {}, _bytes_of([np.column_stack([logits, *others]).astype(np.int32)])
    is_right = np.ones(KNOWN_IMAGES)
    hashed = np.column_stack([verdicts, is_right]).astype(np.uint8)
    return _float_answers(plan, logits, read), hashed.tobytes()


def _float_answers(plan: Plan, logits: Array, read: Readings) -> dict[str, Any]:
    """The table of logits, gaps and best logits, and how far from it others may be.

    Raises:
        UserError: a logit is beyond float32.
    """
    if not np.abs(logits).max() < np.finfo(np.float32).max:
        raise UserError(
            plan.layers[-1].name, "has logits beyond float32", "train with weight decay"
        )
    best = np.take_along_axis(logits, read.digits[:, None], axis=1)
    known = np.column_stack([logits, read.gaps, best])
    rounded = np.array([[float(f"{v:.6g}") for v in row] for row in known], np.float32)
    tolerance = np.float32(f"{max(1.0, float(np.abs(logits).max())) * 1e-3:.1g}")
    return {"answers": rounded, "answers_tolerance": float_literal(tolerance)}


def _reject(plan: Plan) -> dict[str, Any]:
    """The threshold, and the other choices that the header offers."""
    table = plan.model.gap_table
    choices: list[dict[str, str]] = []
    for max_error in MAX_ERRORS if table else ():
        row = table.row(max_error) if table else None
        if table and row and plan.to_threshold(row.gap) <= plan.largest_gap:
            rejected, wrong = (f"{text[:-1]} %" for text in table.describe(row))
            threshold = _number(plan, plan.to_threshold(row.gap))
            choice = {"threshold": threshold, "rejected": rejected, "wrong": wrong}
            choice["strangers"] = table.describe_strangers(row).replace("%", " %")
            # The strictest error stands for all that one threshold reaches.
            if choices and choices[-1].items() >= choice.items():
                choices.pop()
            choices.append({"max_error": f"{max_error:g}"} | choice)
    return {
        "max_error": repr(plan.max_error),
        "threshold": _number(plan, plan.threshold),
        "gap_images": table.images if table else 0,
        "strangers": table.strangers if table else 0,
        "gap_choices": choices,
    }


def _ink(plan: Plan) -> dict[str, Any]:
    """The limits of ink, in the words of the header and the numbers of the code."""
    ink = plan.ink
    if ink is None:
        return {}
    rows, columns, channels = plan.input_shape
    rejected = f"{ink.outside / ink.images:.2%}".replace("%", " %") if ink.images else ""
    return {
        "ink_rejected": rejected,
        "ink_share": ink.share < SHARES and f"{ink.share / SHARES:.1%}".replace("%", " %"),
        # What makes a byte of the least peak 256; without such a limit, it is dark to begin with.
        "ink_rise": 256 - max(ink.peak, 1),
        "ink_dark": 256 * (ink.peak == 0),
        "ink_rows_end": rows - ink.border,
        "ink_left": ink.border * channels,
        "ink_values": (columns - 2 * ink.border) * channels,
    }


def _number(plan: Plan, logit: float) -> str:
    """A logit as a C literal."""
    return str(logit) if plan.dtype == "int8" else float_literal(np.float32(logit))


def _manifest(
    plan: Plan, options: Options, files: dict[str, bytes], tables: blob.Blob | None
) -> dict[str, Any]:
    """What ``lenet.json`` holds."""
    manifest = {
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
        "classes": plan.classes,
        **({"class_names": list(plan.model.class_names)} if plan.model.class_names else {}),
        "none_output": plan.none_output,
        "ink": None if plan.ink is None else asdict(plan.ink),
        "logit_scale": plan.logit_scale,
        "multiply_adds": plan.multiply_adds,
        "constant_bytes": plan.constant_bytes,
        "workspace_bytes": plan.workspace_bytes,
        "stages": [told_of(layer) for layer in plan.layers],
        "training": plan.model.info,
        "files": hashes_of(files),
    }
    rest: dict[str, Any] = {
        "hardened": plan.is_hardened,
        "with": options.parts,
        "notes": options.notes + options.doubts,
        "not_verified": options.not_verified,
        "tables": tables and {"release": tables.release, "code": tables.code_in_hex},
    }
    return manifest | {name: of for name, of in rest.items() if of}


def told_of(layer: Layer) -> dict[str, Any]:
    """What ``lenet.json`` and a report tell of a layer."""
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


def _verify(
    plan: Plan, files: dict[str, bytes], prefix: str, images: Any, labels: Array | None
) -> Comparison:
    from lenet_export.verify import verify  # compilers and JAX, which take their time to import

    return verify(plan, files, prefix, images, labels)


OUTPUT = Output(
    "lenet.c, lenet.h, lenet.json",
    render_c,
    frozenset(
        {
            *("cpu", "optimize", "single_file", "tables", "parts", "harden"),
            *("verify", "images", "evidence"),
        }
    ),
    _verify,
    costs,
)
