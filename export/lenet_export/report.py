"""What an export is, costs and was proven to be: what the screen says, and the same in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenet_export.errors import printable
from lenet_export.outputs.bounds import Bound, bounds_of
from lenet_export.outputs.options import NOT_ASKED, Options, Output
from lenet_export.plan import Plan
from lenet_export.verdict import Verdict

if TYPE_CHECKING:
    from lenet_export.verify import Comparison


@dataclass(frozen=True)
class Report:
    """What is told of an export; as text it is one screen.

    Attributes:
        model: what was exported: a bundled model's name, a file, a network.
        model_id: SHA-256 (hex) over all that determines the outputs.
        dtype: ``int8`` or ``float32``.
        multiply_adds: of one image.
        constant_bytes: in flash, beside the code.
        workspace_bytes: in RAM, beside the stack.
        bounds: of every number that the integer C computes, over all images; none of float32.
        min_gap: the score gap, in units of the logits, from which on a reading is accepted.
        rejects: of the validation images that ``min_gap`` was chosen on: how many these are, how
            many it accepts, and how many of those are wrong; likewise of strangers. ``None``: it
            accepts all.
        trained: the share of test images that the float network read rightly when it was trained,
            if that is known.
        verified: what the comparison with JAX found; ``None``: not compared.
        not_verified: why not: that nobody asked for it, or what was missing and the remedy.
        notes: what a user should know of how the network was read, in sentences.
        doubts: what makes the network doubtful as it was read, in sentences.
        files: the paths of what was written.
        lines: of the screen: heads and texts.
    """

    model: str
    model_id: str
    dtype: str
    multiply_adds: int
    constant_bytes: int
    workspace_bytes: int
    bounds: tuple[Bound, ...]
    min_gap: float
    rejects: dict[str, int] | None
    trained: float | None
    verified: Comparison | None
    not_verified: str
    notes: tuple[str, ...]
    doubts: tuple[str, ...]
    files: tuple[Path, ...]
    lines: tuple[tuple[str, str], ...]

    @classmethod
    def of(
        cls,
        model: str,
        plan: Plan,
        output: Output,
        verified: Comparison | None,
        options: Options,
        files: tuple[Path, ...],
    ) -> Report:
        """The report of a plan that was written; see the attributes."""
        return cls(
            model=model,
            model_id=plan.model_id,
            dtype=plan.dtype,
            multiply_adds=plan.multiply_adds,
            constant_bytes=plan.constant_bytes,
            workspace_bytes=plan.workspace_bytes,
            bounds=tuple(bounds_of(plan)),
            min_gap=plan.threshold,
            rejects=_rejects(plan),
            trained=_trained(plan),
            verified=verified,
            not_verified=options.not_verified,
            notes=options.notes,
            doubts=options.doubts,
            files=files,
            lines=tuple(_lines(model, plan, output, verified, options, files)),
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes the export doubtful though the C is what was planned; in sentences."""
        told = self.doubts + (self.verified.warnings if self.verified else ())
        is_told = self.not_verified not in ("", NOT_ASKED)
        return (f"NOT VERIFIED: {self.not_verified}", *told) if is_told else told

    def as_json(self) -> dict[str, Any]:
        """What the screen says, as values of JSON."""
        values = asdict(replace(self, verified=None))
        del values["lines"]
        found = self.verified and self.verified.as_json()
        return values | {"verified": found, "files": [str(path) for path in self.files]}

    def __str__(self) -> str:
        """One screen: what was exported, how well it reads, what it costs, where it is."""
        return "\n".join(f"{head:<10}{printable(text)}" for head, text in self.lines)


def _lines(
    name: str,
    plan: Plan,
    output: Output,
    verified: Comparison | None,
    options: Options,
    files: tuple[Path, ...],
) -> list[tuple[str, str]]:
    lines = [("model", f"{name}, {_arithmetic(plan)}, id {plan.model_id[:12]}")]
    lines += output.costs(plan)
    table, info, trained = plan.model.gap_table, plan.model.info, _trained(plan)
    if plan.gap_row and table:
        rejected, wrong = table.describe(plan.gap_row)
        of = f"{table.images:,} validation images"
        lines.append(("reject", f"{rejected} rejected, {wrong} of the rest wrong ({of})"))
        if table.strangers:
            accepted = table.describe_strangers(plan.gap_row)
            lines.append(("", f"{accepted} of {table.strangers:,} strangers accepted"))
    known = verified is not None and verified.float_accuracy is not None
    if trained is not None and not known:
        images = info.get("test_images")
        of = f"{images:,} test images" if isinstance(images, int) else "test images"
        # A network of few bits was trained, and read them, with the integers of the C.
        few = any(stage.bits != "8" for stage in plan.model.stages)
        kind = "quantized" if few else "float"
        lines.append(("accuracy", f"{kind} {trained:.2%} of {of}, when trained"))
    if verified is not None:
        lines += _compared(plan, verified)
    elif options.not_verified == NOT_ASKED:
        lines.append(("verified", f"no ({NOT_ASKED})"))
    elif options.not_verified:
        lines.append(("verified", f"NOT VERIFIED: {options.not_verified}"))
    lines += [("note", note) for note in options.notes]
    return lines + [("files" if place == 0 else "", str(path)) for place, path in enumerate(files)]


def _trained(plan: Plan) -> float | None:
    """The share of test images that were read rightly in training, if the file tells one."""
    share = plan.model.info.get("test_accuracy")
    return share if isinstance(share, float) and 0 <= share <= 1 else None


def _rejects(plan: Plan) -> dict[str, int] | None:
    """What the score gap of ``max_error`` did to validation images: see :class:`Report`."""
    table, row = plan.model.gap_table, plan.gap_row
    if not row or not table:
        return None
    counts = {"images": table.images, "accepted": row.accepted, "wrong": row.errors}
    if table.strangers:
        counts |= {"strangers": table.strangers, "strangers_accepted": row.strangers}
    return counts


def _arithmetic(plan: Plan) -> str:
    """What the C computes in, and how many bits a weight has where these are fewer than 8."""
    stages = plan.model.stages
    bits = {stage.bits for stage in stages}
    if plan.dtype != "int8" or bits == {"8"}:
        return plan.dtype
    if bits == {"ternary"}:
        return "int8 with ternary weights"
    if len(bits) == 1:
        return f"int8 with weights of bits {bits.pop()}"
    return f"int8 with weights of bits {','.join(f'{s.name}={s.bits}' for s in stages)}"


def _compared(plan: Plan, found: Comparison) -> list[tuple[str, str]]:
    """How the C reads beside the float network, and beside its reference."""
    lines = []
    if found.float_accuracy is not None:
        lines.append(
            ("accuracy", f"float {found.float_accuracy:.2%}, C {found.c_accuracy:.2%}"
             f" of {found.real_images:,} test images")
        )  # fmt: skip
    if found.real_images:
        lines.append(
            ("classes", f"{found.real_images - found.same_class} of {found.real_images:,}"
             " test images get another class than from JAX float32")
        )  # fmt: skip
    if found.real_images and found.verdicts[Verdict.ACCEPTED] < found.real_images:
        lines.append(("accepted", _accepted(found)))
    if plan.dtype == "int8":
        same = f"0 of {found.logits:,} logits differ from the JAX integer reference"
    else:
        same = f"{found.logits:,} logits within {found.largest_difference:.1e} of JAX float32"
    lines.append(("verified", f"{same} ({found.images:,} images)"))
    return lines


#: Why the C does not accept an image, in a few words.
REASONS = {
    Verdict.UNSURE: "unsure",
    Verdict.NO_CLASS: "none of the classes",
    Verdict.NO_INK: "hardly any ink",
    Verdict.OUTSIDE: "other ink than the training images",
}


def _accepted(found: Comparison) -> str:
    """How many of the user's images the C accepts, and why not the others."""
    told = f"{found.verdicts[Verdict.ACCEPTED]:,} of {found.real_images:,} test images"
    if found.accepted_wrong is not None:
        told += f", {found.accepted_wrong:,} of them wrong"
    counts = {why: found.verdicts[verdict] for verdict, why in REASONS.items()}
    return f"{told}; not {', '.join(f'{n:,}: {why}' for why, n in counts.items() if n)}"
