"""``docs/formats.md``: the files that the programs write, as far as possible by their own words.

python docs/site/formats.py    writes it again; tests hold it to the code and to the files
"""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path

import jinja2

from lenet_export import checkpoint
from lenet_export.evidence.registry import CHECKS
from lenet_export.outputs import npz

HERE = Path(__file__).parent
PAGE = HERE.parent / "formats.md"


def page() -> str:
    """The whole page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    return environment.get_template("formats.md.j2").render(
        checkpoint=listed(inspect.getdoc(checkpoint).partition("\n\n")[2]),
        stage=listed(inspect.getdoc(checkpoint.Stage).partition("Attributes:\n")[2]),
        npz=npz.readme().rstrip(),
        checks=CHECKS,
    )


def listed(docstring: str) -> str:
    """What a docstring says of names, as a list in Markdown, and the text around it."""
    text = textwrap.dedent(docstring).strip()
    text = re.sub(r":\w+:`[~.]*(?:\w+\.)*(\w+)`", r"`\1`", text).replace("``", "`")
    return re.sub(
        r"^(?:`(\w+)`\n|(\w+): )(.*\n?(?:    .*\n?)*)", item, text, flags=re.MULTILINE
    ).rstrip()


def item(found: re.Match[str]) -> str:
    """A name and what it is."""
    text = f"- `{found[1] or found[2]}`: {' '.join(found[3].split())}"
    return textwrap.fill(text, 118, subsequent_indent="  ", break_on_hyphens=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(PAGE)
