"""Prefixes and layers' names as names of C."""

from __future__ import annotations

import re

from lenet_export.activations import ACTIVATIONS
from lenet_export.cpus.registry import CPUS
from lenet_export.errors import UserError
from lenet_export.plan import Plan

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

#: Prefixes that would hide a system header: of C, or of the intrinsics of a CPU.
TAKEN_PREFIXES = frozenset(
    "assert complex ctype errno features fenv inttypes iso646 limits locale math setjmp "  # noqa: SIM905
    "signal stdalign stdarg stdatomic stdbit stdbool stdckdint stddef stdint stdio stdlib "
    "stdnoreturn string tgmath threads time uchar wchar wctype".split()
) | {header.removesuffix(".h") for cpu in CPUS.values() for header in cpu.headers}


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
        "shared": "a union",
    }
    taken |= {counter.name: "a counter" for counter in plan.counters + plan.ink_counters}
    own_tables = [name for name, of in ACTIVATIONS.items() if of.has_table_of_layer]
    for layer in plan.layers:
        name, output = layer.name, layer.output
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in C_WORDS or name.isupper():
            raise UserError(f"layer {name!r}", "the name cannot be used in C", rename)
        doubled = ("bias", "gain", "taps", "norm_gain", "norm_bias")
        suffixed = {
            f"{name}_{kind}"
            for kind in (
                *("sum", "sums", "part", "copy", "pool", "step", "layer"),
                *("weight", "normalize"),
                *(table + end for table in doubled for end in ("", "_inverted")),
                *(name + end for name in own_tables for end in ("", "_table")),
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


def check_printed(text: str, prefix: str) -> None:
    """Checks that no public name is one that the C has already, a static function's say.

    Args:
        text: of all files, with the prefix of the templates.
        prefix: that will be put in its place.

    Raises:
        UserError: one is.
    """
    if prefix == "lenet":
        return
    for old, new in (("lenet", prefix), ("LENET", prefix.upper())):
        public, others = (set(re.findall(rf"\b{of}_(\w+)", text)) for of in (old, new))
        for name in sorted(public & others):
            raise UserError(
                f"--prefix {prefix}",
                f"would give the C two meanings of {new}_{name}",
                "take another --prefix",
            )
