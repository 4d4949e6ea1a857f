"""``--target npz``: every number of a plan, named by layer, with its documentation inside."""

from __future__ import annotations

import io
import textwrap
from typing import Any

import numpy as np

from lenet_export import __version__
from lenet_export.activations import ACTIVATIONS
from lenet_export.files import zip_of
from lenet_export.outputs.options import Output
from lenet_export.plan import Array, Layer, Plan
from lenet_export.pools import POOLS

README = """\
Everything that is needed to compute this network, without lenet-export. In Python:
numpy.load("lenet.npz"); print(data["README"]). Every layer has its keys as "<layer>/<key>".

readme_version   1
tool             what wrote the file
model_id         SHA-256 over the numbers, the same as in the generated C
dtype            "int8" or "float32"
layers           the layers' names, first to last
input_shape      rows, columns, channels of the image; its bytes are 0 (background) to 255 (ink)
logit_scale      the value of logit 1 in units of the float network's logits
classes          how many there are: the class that is read is that of the largest of so many logits
@class_names@none_output      whether one more logit, the last, stands for "none of these"
min_gap          a reading is accepted if (logit of the class that is read - largest of all other
                 logits) >= min_gap; below 0 the image is of none of the classes
ink_least, ink_most, ink_peak, ink_border, ink_share
                 if there are limits of ink: a reading is accepted only where ink_least <= ink <=
                 ink_most, the image's largest byte >= ink_peak, and border <= ((ink >> 8) + 1) *
                 ink_share. ink is the sum of its bytes, border that of those in its first and last
                 ink_border rows and columns

<layer>/kind     "conv" (cross-correlation); "depthwise" (likewise, but output channel c sees input
                 channel c // (outputs // inputs) alone, and its weights have one input channel);
                 "dense" (the input flattened in C order: row, column, channel); or "pool": one
                 whose windows overlap, have a border or are no squares. It has padding, border and
                 pool, as below, window and strides, and nothing else
<layer>/window, <layer>/strides   pool: rows and columns of a window, and that it moves on by
<layer>/weight   conv, depthwise: [output channel][kernel row][kernel column][input channel];
                 dense: [unit][input]. One number each, whatever bits it was trained for
<layer>/bits     int8: what its weights were trained for: "8" (then the export rounded them), "4"
                 (-7 to 7), "2" (-3, -1, 1, 3), "1" (-1, 1), "ternary" (-1, 0, 1)
<layer>/bias     [output channel or unit]
<layer>/stride   conv, depthwise: rows and columns of input between two outputs: one number, or two
                 where they differ
<layer>/padding  not dense: rows and columns added to the input, [[above, below], [left, right]]
<layer>/border   what stands in them: the input's code of 0; of a "max" pool the least number
<layer>/norm     "none", or "layer": LayerNorm in front of the activation
<layer>/activation  @activations@
                 or "none"; "leaky_relu(0.1)" has 0.1 in place of 0.01
<layer>/pool, <layer>/pool_size  @pools@ or "none"; side and stride of the square window; rows
                 and columns that fill no window are dropped

int8. All integers, of 32 bits: neither acc nor acc * gain overflows for any input. ">>" is
an arithmetic shift (floor), "//" divides and floors:

    acc   = bias + sum(weight * input code), with a norm then what layer_norm below makes of it
    index = min(max((acc * gain) >> shift, 0), top)
    code  = table[index] if the layer has a table, otherwise index     0 to 255
    pool  @pool_formulas@

The codes are the next layer's input; the image's bytes are the first one's. The last layer has
neither gain nor pool: its acc are the logits. A code stands for (code - zero point) * scale; a zero
point other than 0 have only codes of @signed@. The biases of the next layer take it off.

<layer>/gain, <layer>/shift, <layer>/top, <layer>/table   as used above
<layer>/acc_min, <layer>/acc_max   [channel], what acc cannot leave for any input: bias + sum(...),
                 before a norm; with a norm it is never negative
<layer>/input_scale, <layer>/weight_scale, <layer>/output_scale   the scale of input codes, of
                 weights (by channel), of output codes (or of logits). To compute, none is needed.

A layer with norm "layer" has norm_gain, norm_bias, drop, factor, mean_shift and least. Over the n
channels of a place, or the units:

    u = acc >> drop;  near = sum(u) * factor >> mean_shift
    mean = near + ((sum(u) - n * near) * factor + (1 << mean_shift) // 2 >> mean_shift)
    d = u - mean;  x = sum(d * d) + least;  places = 0
    15 times: if x < 2**30: x = 4 * x, places = places + 1
    x = x >> 16;  root = 35000 - (x * 5000 >> 14)
    twice: root = root * (98304 - (x * (root * root >> 15) >> 14)) >> 16
    e = d * root + (32768 << 16 - places)
    acc = norm_bias + norm_gain * (e >> 16 - places)

Its numbers for any input; all but x and e fit 32 bits with a sign, those 32 bits without:

    u, near, mean   0 to 32767
    d               -32767 to 32767
    x               1 to 4294967295
    root            16382 to 32762
    e               0 to 4294967295

float32. The same chain in floats; a norm is (acc - mean) / sqrt(variance + 1e-6) * norm_gain +
norm_bias; the pool "avg" is the mean, not rounded. The first layer's weights are divided by 255, so
that it reads the image's bytes: out = activation(bias + sum(weight * input)), with

@formulas@
"""


def readme(has_names: bool = False) -> str:
    """The file's documentation: the text above, with what the registries say in its places.

    Args:
        has_names: whether the classes have names.
    """
    signed = [name for name, of in ACTIVATIONS.items() if of.codes(1.0, "").zero_point]
    words = {
        "activations": textwrap.fill(
            ", ".join(f'"{name}"' for name in ACTIVATIONS), 78, subsequent_indent=17 * " "
        ),
        "class_names": "class_names      what each of them is called\n" if has_names else "",
        "pools": ", ".join(f'"{name}"' for name in POOLS),
        "pool_formulas": ";  ".join(f'"{name}": {of.formula}' for name, of in POOLS.items()),
        "signed": ", ".join(signed),
        "formulas": "\n".join(f"    {name}(z) = {of.formula}" for name, of in ACTIVATIONS.items()),
    }
    text = README
    for place, word in words.items():
        text = text.replace(f"@{place}@", word)
    return text


def render_npz(plan: Plan) -> bytes:
    """The ``.npz`` file of ``plan``, as :func:`readme` tells; the same bytes for the same plan."""
    arrays: dict[str, Any] = {
        "README": readme(bool(plan.model.class_names)),
        "readme_version": 1,
        "tool": f"lenet-export {__version__}",
        "model_id": plan.model_id,
        "dtype": plan.dtype,
        "layers": [layer.name for layer in plan.layers],
        "input_shape": plan.input_shape,
        "logit_scale": plan.logit_scale,
        "classes": plan.classes,
        "none_output": plan.none_output,
        "min_gap": plan.threshold,
    }
    if plan.model.class_names:
        arrays["class_names"] = plan.model.class_names
    if plan.ink:
        for limit in ("least", "most", "peak", "border", "share"):
            arrays[f"ink_{limit}"] = getattr(plan.ink, limit)
    for layer in plan.layers:
        arrays |= {f"{layer.name}/{key}": value for key, value in _arrays(layer).items()}
    return zip_of({f"{name}.npy": _saved(np.asanyarray(value)) for name, value in arrays.items()})


def _saved(array: Array) -> bytes:
    """An array as a file of NumPy's own, of which ``np.savez`` makes its ZIP too."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _arrays(layer: Layer) -> dict[str, Any]:
    """The entries of one layer, without its name."""
    if not layer.stage.learns:
        return {
            "kind": layer.stage.kind,
            "window": layer.stage.kernel,
            "strides": layer.stage.strides,
            "padding": layer.padding,
            "border": layer.pad_code,
            "pool": layer.stage.pool,
        }
    arrays: dict[str, Any] = {
        "kind": layer.stage.kind,
        "weight": layer.weight,
        "bias": layer.bias,
        "stride": layer.stage.strides if layer.stage.column_stride else layer.stage.stride,
        "padding": layer.padding,
        "border": layer.pad_code,
        "norm": layer.stage.norm,
        "activation": layer.stage.activation,
        "pool": layer.stage.pool,
        "pool_size": layer.stage.pool_size,
    }
    integers = layer.integers
    if layer.norm:
        arrays |= {"norm_gain": layer.norm.gain, "norm_bias": layer.norm.bias}
    if layer.norm and integers:
        fields = ("drop", "factor", "mean_shift", "least")
        arrays |= {field: getattr(layer.norm, field) for field in fields}
    if integers is None:
        return arrays
    arrays |= {
        "bits": layer.stage.bits,
        "acc_min": integers.acc_min,
        "acc_max": integers.acc_max,
        "input_scale": integers.input_scale,
        "weight_scale": integers.weight_scale,
        "output_scale": integers.output_scale,
    }
    requantize = integers.requantize
    if requantize is not None:
        top, table = requantize.activation.top, requantize.activation.table
        arrays |= {"gain": requantize.gain, "shift": requantize.shift, "top": top}
        arrays |= {} if table is None else {"table": table}
    return arrays


OUTPUT = Output(
    "every number, documented inside",
    lambda plan, options: {f"{options.prefix}.npz": render_npz(plan)},
)
