"""``--target web``: one page with the exported C in it, as WebAssembly, and all its numbers."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lenet_export import __version__, wasm
from lenet_export.c_text import plus, times
from lenet_export.errors import UserError
from lenet_export.outputs import templates
from lenet_export.outputs.c import does, render_beside, render_c, title_of
from lenet_export.outputs.options import Files, Options, Output, command, parts_of
from lenet_export.plan import Layer, Plan
from lenet_export.preparation import is_prepared_for

if TYPE_CHECKING:
    from lenet_export.plan import Array
    from lenet_export.reference import Images
    from lenet_export.verify import Comparison

#: Pixels of the longer side of a picture, and of the sides of a line, that the page hands over.
PICTURE, LINE = 512, (960, 160)
#: Of the maps and units together: all are drawn anew while one draws.
MOST_VALUES = 65_536
LEAST_SIDE = 7  # of an image that one can draw
#: Functions of the C that move memory or bits about, and so explain no number.
HELPERS = re.compile(r"\w+_place|sign_bit")
#: With lines of its own. The script's are for readers of its templates.
COMMENT = r"/\*(?:[^*]|\*(?!/))*\*/\n"
FUNCTION = re.compile(
    rf"(?:{COMMENT})?(?:\w+_CODE_ATTR\n)?static [^\n;]*?\b(\w+)\([^;]*?\n\{{\n.*?\n\}}", re.DOTALL
)


def render(plan: Plan, options: Options) -> Files:
    """The page, ``lenet.html``.

    Raises:
        UserError: the network is none that one can draw for and look at, or there is no compiler
            for WebAssembly.
    """
    _check(plan)
    parts = parts_of([*options.parts, *(["picture"] if is_prepared_for(plan.input_shape) else [])])
    of_c = replace(options, target="c", parts=parts)
    files = render_c(plan, of_c)
    shown = _shown(plan)
    page = f"{options.prefix}_page.c"
    files[page] = render_beside(
        *("lenet_page.c", plan, of_c),
        shown=shown,
        map_bytes=sum(layer.outputs for layer in plan.layers[:-1]) or 1,
        most_terms=max(_terms(layer) for layer in plan.layers),
        picture_bytes=max(PICTURE * PICTURE, math.prod(LINE) if "amount" in parts else 0),
    )
    module = wasm.compiled(files, page)
    source = files[f"{options.prefix}.c"]
    told = _told(plan, options, source.decode()) | {"command": command(plan, of_c), "parts": parts}
    told |= {"bytes": len(module), "sha256": hashlib.sha256(source).hexdigest()}
    return {f"{options.prefix}.html": _written(told, module).encode()}


def _check(plan: Plan) -> None:
    """Checks that one can draw images of the network, and look at all that it computes.

    Raises:
        UserError: one cannot.
    """
    rows, columns, channels = plan.input_shape
    values = sum(layer.outputs for layer in plan.layers)
    remedy = "export it as C: leave --target out"
    if plan.dtype != "int8":
        raise UserError("--target web", f"shows integers, not {plan.dtype}", "leave --dtype out")
    if channels not in (1, 3) or min(rows, columns) < LEAST_SIDE:
        what = f"{LEAST_SIDE} rows and columns or more, grey or of 3 colours"
        what = f"is drawn in, so takes images of {what}, not {rows}x{columns}x{channels}"
        raise UserError("--target web", what, remedy)
    if values > MOST_VALUES:
        what = f"draws each value of each layer, {MOST_VALUES:,} at most, and there are {values:,}"
        raise UserError("--target web", what, remedy)


def _terms(layer: Layer) -> int:
    """How many products a sum of the layer adds up; of a pool, how many codes."""
    if layer.stage.learns:
        return int(layer.weight[0].size)
    assert layer.stage.kernel is not None
    return math.prod(layer.stage.kernel)


def _shown(plan: Plan) -> dict[str, dict[str, Any]]:
    """What the C beside ``lenet.c`` is told of each layer: see ``lenet_page.c.j2``."""
    shown: dict[str, dict[str, Any]] = {}
    begins, source = 0, "lenet_page_image"
    for layer in plan.layers:
        gain = index = "0"
        if layer.integers and layer.integers.requantize:
            of = layer.integers.requantize
            gain = "1" if layer.norm else f"{layer.name}_gain[{'c' if layer.is_conv else 'o'}]"
            index = f"requantize(acc, {gain}, {of.shift}, {of.activation.top})"
        output = plus("lenet_page_maps", begins)
        shown[layer.name] = {"input": source, "output": output, "gain": gain, "index": index}
        if layer.reads_rows:
            step = "0" if layer.strip_is_whole else times("y", layer.row_step)
            shown[layer.name]["first"] = plus(step, -layer.above)
        begins, source = begins + layer.outputs, output
    return shown


def _told(plan: Plan, options: Options, source: str) -> dict[str, Any]:
    """What the page knows beside the C, as values of JSON."""
    begins = 0
    layers = []
    functions = functions_of(source)
    for layer in plan.layers:
        first = f"{layer.output}_row" if layer.reads_rows else f"{layer.name}_layer"
        told = _told_of(layer) | {"begins": begins, "functions": _called(first, functions)}
        layers.append(told)
        begins += layer.outputs
    shown = {name for layer in layers for name in layer["functions"]}
    rows, columns, channels = plan.input_shape
    return {
        "tool": f"lenet-export {__version__}",
        "prefix": options.prefix,
        "name": _name(plan.model.info),
        "title": title_of(plan.model.info),
        "model_id": plan.model_id,
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "names": [*plan.model.names, *(["none"] if plan.none_output else [])],
        "classes": plan.classes,
        "logit_scale": plan.logit_scale,
        "min_gap": int(plan.threshold),
        "multiply_adds": plan.multiply_adds,
        "picture": PICTURE,
        "line": LINE,
        "layers": layers,
        "functions": {name: functions[name] for name in functions if name in shown},
    }


def _name(info: dict[str, Any]) -> str:
    """What the network is called in a head."""
    name = str(info.get("arch", "")).partition(" ")[0]
    return {"": "A network", "lenet": "LeNet"}.get(name, name)


def _told_of(layer: Layer) -> dict[str, Any]:
    """What a layer is, where its units look, and how their sums become codes."""
    stage, integers = layer.stage, layer.integers
    told = {
        "name": layer.name,
        "kind": stage.kind,
        "does": does(layer),
        "input": layer.input_shape,
        "output": layer.output_shape,
        "norm": layer.norm is not None,
        "pool": stage.pool,
        "window": stage.pool_size,
    }
    if layer.reads_rows:
        (above, _), (left, _) = layer.padding
        told |= {"kernel": stage.kernel, "strides": stage.strides, "above": above, "left": left}
        told |= {"depthwise": layer.is_depthwise}
    if integers and integers.requantize:
        of = integers.requantize
        told |= {"shift": of.shift, "top": of.activation.top}
        told |= {"activation": stage.activation, "table": of.activation.table is not None}
    return told


def functions_of(source: str) -> dict[str, dict[str, Any]]:
    """The static functions of C that explain a number: the line that each begins at, its text."""
    found = {}
    for match in FUNCTION.finditer(source):
        if not HELPERS.fullmatch(match[1]):
            line = source.count("\n", 0, match.start()) + 1
            found[match[1]] = {"line": line, "text": match[0]}
    return found


def _called(name: str, functions: dict[str, dict[str, Any]]) -> list[str]:
    """A function, and those that it calls, each once, in the order in which they run first."""
    found = [name]
    for place in found:
        body = functions[place]["text"].partition("\n{\n")[2]
        for called in re.findall(r"\b(\w+)\(", body):
            if called in functions and called not in found:
                found.append(called)
    return found


def _written(told: dict[str, Any], module: bytes) -> str:
    """The page; its policy allows its own style and script alone, and no connection."""
    environment = templates.environment("html")
    style, script = (
        re.sub(f"(?m)^ *{COMMENT}", "", environment.get_template(f"web/{name}").render(told=told))
        for name in ("page.css", "page.js.j2")
    )
    hashes = {
        name: "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for name, text in (("style", style), ("script", script))
    }
    # No letter of it ends the element that it is in.
    network = json.dumps(told, separators=(",", ":")).replace("<", "\\u003c")
    return environment.get_template("web/page.html.j2").render(
        told=told,
        network=network,
        style=style,
        script=script,
        hashes=hashes,
        module=base64.b64encode(zlib.compress(module, 9)).decode(),
    )


def _verify(
    plan: Plan, _page: Files, prefix: str, images: Images | None, labels: Array | None
) -> Comparison:
    """The network of the C that is in the page, compared with JAX."""
    from lenet_export.verify import verify  # compilers and JAX, which take their time to import

    return verify(plan, render_c(plan, Options(prefix)), prefix, images, labels)


OUTPUT = Output(
    "lenet.html, the C in one page to draw in",
    render,
    frozenset({"parts", "verify", "images"}),
    _verify,
)
