"""What a layer adds up, as C reads and declares it: weights, biases, sums."""

from __future__ import annotations

from lenet_export.c_text import c_type, plus, short_type, times
from lenet_export.checkpoint import Grid
from lenet_export.plan import F32, S32, U8, DType, Layer, Packing


def acc_type(layer: Layer) -> str:
    """The type of a layer's accumulators: the narrowest that holds them, where that pays.

    What a norm makes of them is larger than they are.
    """
    if layer.layout.in_program_memory and layer.integers and not layer.norm:
        for bits, name in ((16, "int16_t"), (24, "int24")):
            if layer.fits(bits):
                return name
    return c_type(layer.bias.dtype)


def row_type(layer: Layer) -> str:
    """The type of a sum over one row of a convolution's kernel, likewise."""
    return "int16_t" if layer.row_fits(16) else acc_type(layer)


def sum_type(layer: Layer) -> str:
    """The type of a dense layer's sums of values and factors."""
    if layer.layout.packing is None:
        return acc_type(layer)
    if layer.layout.in_program_memory and layer.packed_fits(16):
        return "uint16_t"
    return f"u{acc_type(layer)}"


def value_type(layer: Layer) -> str:
    """The type of a value that is multiplied by a weight: signed as that is, and as wide as a sum.

    An AVR multiplies bytes, to 16 bits.
    """
    is_cast = layer.source_dtype == U8 and not layer.layout.in_program_memory
    return c_type(S32 if is_cast and layer.integers else layer.source_dtype)


def signed(layer: Layer, value: str) -> str:
    """``value``, of a layer's input, in the type in which it is multiplied by a weight."""
    type_ = value_type(layer)
    return value if type_ == c_type(layer.source_dtype) else f"({type_}){value}"


def from_program_memory(value: str, dtype: DType) -> str:
    """``value``, an element of a table, read from an AVR's program memory."""
    if dtype == F32:
        return f"pgm_read_float(&{value})"
    reader = {1: "byte", 2: "word", 4: "dword"}[dtype.itemsize]
    return f"({c_type(dtype)})pgm_read_{reader}(&{value})"


def as_it_is(value: str, dtype: DType) -> str:
    """``value``, an element of a table, read from flash even if the compiler knows its number."""
    table, _, rest = value.partition("[")
    return f"as_it_is_{short_type(dtype)}({table})[{rest}"


def weights(layer: Layer, index: str) -> str:
    """The weights of block ``index`` (in C) of a layer, which may lie in several tables."""
    parts = [c for c in layer.constants if c.name.startswith(f"{layer.name}_weight")]
    text, end = "", 0
    for part in parts[:-1]:
        start, end = end, end + len(part.values)
        text += f"{index} < {end} ? {part.name}[{plus(index, -start)}] : "
    text += f"{parts[-1].name}[{plus(index, -end)}]"
    return f"({text})" if parts[1:] else text


def weight_at(layer: Layer, row: str, index: str) -> str:
    """The weight for input ``index`` in ``row`` of a table in which each output has its own."""
    packing = layer.layout.packing
    if packing is None:
        return _read(layer, f"{row}[{index}]", layer.weight.dtype)
    word = _read(layer, f"{row}[{index} / {packing.values}]", packing.word)
    shift = times(f"({index} % {packing.values})", packing.grid.bits)
    return f"({_unpacked(packing.grid, f'{word} >> {shift}')})"


def weight(layer: Layer, output: int, index: str) -> str:
    """The weight of the ``output``-th of a block, whose value is ``index``."""
    packing = layer.layout.packing
    if packing is None:
        place = plus(times(index, layer.layout.block.outputs), output)
        return _read(layer, f"weight[{place}]", layer.weight.dtype)
    return f"(int8_t)({_unpacked(packing.grid, _field(packing, output))})"


def factor(layer: Layer, output: int, index: str) -> str:
    """What a value is multiplied by for the ``output``-th of a block: its weight or field."""
    packing = layer.layout.packing
    if packing is None:
        return weight(layer, output, index)
    return f"({_field(packing, output)} & {2**packing.grid.bits - 1}u)"


def selects(layer: Layer) -> bool:
    """Whether a bit says that a value is added: cheaper where a CPU can skip an instruction."""
    packing = layer.layout.packing
    return layer.layout.in_program_memory and packing is not None and packing.grid.bits == 1


def first_of(layer: Layer, unit: str) -> str:
    """What the sum of a dense layer's unit begins with."""
    return "0" if layer.layout.packing else bias(layer, unit)


def acc_of(layer: Layer, sum_: str, unit: str) -> str:
    """The accumulator of a unit whose sum of values and factors is ``sum_``."""
    packing = layer.layout.packing
    if packing is None:
        return sum_
    product = times(f"({acc_type(layer)}){sum_}", packing.grid.spacing)
    return f"{bias(layer, unit)} + ({product} - {times('total', packing.grid.peak)})"


def bias(layer: Layer, output: str) -> str:
    """The bias of channel or unit ``output`` (in C), in the type of the layer's accumulators."""
    value = f"{layer.name}_bias[{output}]"
    if layer.layout.is_hardened and not layer.layout.in_program_memory:
        value = as_it_is(value, layer.bias.dtype)
    else:
        value = _read(layer, value, layer.bias.dtype)
    acc = acc_type(layer)
    return value if acc == c_type(layer.bias.dtype) else f"({acc}){value}"


def unpacked(layer: Layer, word: str) -> str:
    """The weight, of few bits, that the lowest bits of ``word`` (in C) stand for; else ``word``."""
    packing = layer.layout.packing
    return _unpacked(packing.grid, word) if packing else word


def _read(layer: Layer, value: str, dtype: DType) -> str:
    """``value``, an element of a table of ``layer``."""
    return from_program_memory(value, dtype) if layer.layout.in_program_memory else value


def _field(packing: Packing, output: int) -> str:
    """What has the field of the ``output``-th of a block in its lowest bits, in C."""
    return f"word >> {packing.grid.bits * output}" if output else "word"


def _unpacked(grid: Grid, place: str) -> str:
    """A weight, from a word in C whose lowest bits are its field."""
    return f"{times(f'({place} & {2**grid.bits - 1})', grid.spacing)} - {grid.peak}"
