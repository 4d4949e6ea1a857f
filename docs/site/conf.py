"""The documents as a site: what Sphinx is told. ``build_site.py`` runs it.

The source is the whole repository, so that a relative link is the same there and in the site. What
is a document becomes a page; other files that documents link to become pages too, of their text.
"""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments import highlight
from pygments.filter import simplefilter
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from pygments.lexers.special import TextLexer
from pygments.token import Number, Punctuation, Text, Whitespace
from pygments.util import ClassNotFound
from sphinx.addnodes import download_reference, pending_xref
from sphinx.application import Sphinx

from lenet_export import __version__

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent

project = "lenet-export"
author = "the lenet-export authors"
version = release = __version__
extensions = ["myst_parser"]
root_doc = "docs/index"
source_suffix = {".md": "markdown", ".ipynb": "markdown"}
include_patterns = ["*.md", "docs/**", "benchmarks/*.md", "c_runtime/**", "export/**", "train/**"]
# Folders that are not looked through at all.
exclude_patterns = [".*", "build", "shared", "tests", "cmake", "dist", "runs"]

myst_heading_anchors = 6
highlight_language = "none"

html_theme = "furo"
html_title = f"lenet-export {__version__}"
html_static_path = ["static"]
templates_path = ["templates"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_sidebars = {
    "**": [
        "sidebar/scroll-start.html",
        "sidebar/brand.html",
        "sidebar/search.html",
        "versions.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_use_index = False
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_search_summary = False  # It asks for each page that is found, which file:// refuses.

#: `make links` asks for the pages of others alone; the site's own are a test's.
linkcheck_ignore = [r"(?!https?:)"]

#: Files and folders that documents link to and that are no documents, by their paths below ROOT.
linked: set[str] = set()
#: What a browser shows by itself, and is copied as it is.
SHOWN = (".html", ".png", ".svg", ".pgm")
#: Characters of a cell that is not broken: those of ``aarch64-dotprod``.
SHORT = 15


def with_contents(_app: Sphinx, docname: str, source: list[str]) -> None:
    """The first page's lists of links, section by section, are the table of contents, too."""
    if docname != root_doc:
        return
    for section in re.split(r"^## ", source[0], flags=re.MULTILINE)[1:]:
        links = re.findall(r"^- \[(.+?)\]\((\S+?)(?:\.md|\.ipynb)\)", section, re.MULTILINE)
        entries = "\n".join(f"{text} <{page}>" for text, page in links)
        head = section.partition("\n")[0]
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {head}\n\n{entries}\n```\n"


def from_notebook(app: Sphinx, docname: str, source: list[str]) -> None:
    """A committed notebook as Markdown: its text, its code, and what that printed and drew."""
    if Path(app.env.doc2path(docname)).suffix == ".ipynb":
        source[0] = "\n\n".join(map(cell_text, json.loads(source[0])["cells"]))


def cell_text(cell: dict[str, Any]) -> str:
    """A cell of a notebook as Markdown."""
    text = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return text
    text = re.sub(r"^%.*\n+", "", text, flags=re.MULTILINE)  # what is told to Jupyter
    return "\n\n".join([f"```python\n{text}\n```", *map(output_text, cell["outputs"])])


def output_text(output: dict[str, Any]) -> str:
    """What a cell printed or drew, as Markdown."""
    data = output.get("data", {})
    if "image/png" in data:
        alt = html.escape("".join(data.get("text/plain", "a drawing")))
        return f'<img alt="{alt}" src="data:image/png;base64,{"".join(data["image/png"]).strip()}">'
    text = "".join(output.get("text", data.get("text/plain", "")))
    return f"```text\n{text.rstrip()}\n```"


def with_files(app: Sphinx, doctree: nodes.document) -> None:
    """Links to files that are no documents, and to folders, lead to pages of their text."""
    docname = app.env.docname
    links = doctree.findall(lambda node: isinstance(node, download_reference | pending_xref))
    for node in list(links):
        path = app.env.relfn2path(node["reftarget"], docname)[0]
        if isinstance(node, pending_xref) and not (ROOT / path).is_dir():
            continue
        if (ROOT / path / "README.md").exists():
            uri = app.builder.get_relative_uri(docname, f"{path}/README")
        else:
            linked.update({path, *(f"{path}/{one.name}" for one in (ROOT / path).glob("*.c"))})
            page = path if path.endswith(SHOWN) else f"{path}.html"
            uri = f"{'../' * docname.count('/')}{page}"
        text = nodes.literal if next(node.findall(nodes.literal), None) else nodes.inline
        node.replace_self(
            nodes.reference("", "", text("", node.astext()), refuri=uri, internal=True)
        )


def with_whole_cells(_app: Sphinx, doctree: nodes.document) -> None:
    """Short cells of tables are marked, whose lines are not to be broken."""
    for entry in doctree.findall(nodes.entry):
        if len(entry.astext()) <= SHORT:
            entry["classes"].append("short")


def with_levels(_app: Sphinx, _page: str, _of: str, context: dict[str, Any], _: Any) -> None:
    """The captions among the pages say how deep they are, as screen readers need."""
    navigation = context.get("furo_navigation_tree", "")
    captions = 'role="heading"', 'role="heading" aria-level="2"'
    context["furo_navigation_tree"] = navigation.replace(*captions)


def file_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The pages of the files that documents link to."""
    for path in sorted(linked):
        if path.endswith(SHOWN):
            target = Path(app.outdir, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, target)
        else:
            of = folder_text if (ROOT / path).is_dir() else file_text
            title = f'<h1><code class="path">{path}</code></h1>'
            yield path, {"title": Path(path).name, "body": title + of(path)}, "page.html"


def folder_text(path: str) -> str:
    """The names in a folder, as HTML, with links to the files that have pages."""
    lines = []
    for one in sorted((ROOT / path).iterdir()):
        name = f"<code>{one.name}{'/' * one.is_dir()}</code>"
        if f"{path}/{one.name}" in linked and not one.name.endswith(SHOWN):
            name = f'<a href="{Path(path).name}/{one.name}.html">{name}</a>'
        lines.append(f"<li>{name}</li>")
    return f"<ul>{''.join(lines)}</ul>"


def file_text(path: str) -> str:
    """The text of a file, as HTML, in colours, but for numbers: tables would be half spans."""
    text = (ROOT / path).read_text()
    try:
        lexer = get_lexer_for_filename(path.removesuffix(".j2"), stripnl=False)
    except ClassNotFound:
        lexer = TextLexer()
    lexer.add_filter(without_numbers())
    lexer.add_filter("tokenmerge")
    return highlight(text, lexer, HtmlFormatter())


@simplefilter
def without_numbers(_self: Any, _lexer: Any, stream: Any, _options: Any) -> Iterator[Any]:
    """Numbers and what stands between them as plain text."""
    for kind, value in stream:
        yield Text if kind in Number or kind in Punctuation or kind in Whitespace else kind, value


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx is to call."""
    app.add_lexer("ld", TextLexer)
    app.connect("source-read", with_contents)
    app.connect("source-read", from_notebook)
    app.connect("doctree-read", with_files, priority=1)  # before downloads are copied
    app.connect("doctree-read", with_whole_cells)
    app.connect("html-page-context", with_levels, priority=900)  # behind the theme
    app.connect("html-collect-pages", file_pages)
    return {"parallel_read_safe": False}
