"""The documents as a site: whole, without a network, for every reader."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag

import pytest
from axe_playwright_python.sync_playwright import Axe

import build_site
import conf
from browsers import chromium, watched
from lenet_export import __version__
from needs import ROOT

BUILD = ROOT / "docs/site/build_site.py"


def built(folder):
    return subprocess.run(
        [sys.executable, BUILD, folder], capture_output=True, text=True, cwd=folder
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, which Sphinx had nothing to say of."""
    folder = tmp_path_factory.mktemp("site")
    done = built(folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


class Page(HTMLParser):
    """What a page asks a browser for, where it leads, and the names of its places."""

    def __init__(self, path):
        super().__init__()
        self.asked, self.links, self.names = [], [], set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.names |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.asked.append(given["href"])
        elif "src" in given:
            self.asked.append(given["src"])


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.rglob("*.html") if path.name != "lenet.html"}


def test_each_link_of_the_site_has_its_target_and_place(site, pages):
    wrong = []
    for path, page in pages.items():
        for link in page.links:
            file, place = urldefrag(link)
            if "://" in file:
                continue
            target = (path.parent / unquote(file)).resolve() if file else path
            named = pages[target].names if target in pages else ()
            if not target.is_file() or (place and unquote(place) not in named):
                wrong.append(f"{path.relative_to(site)}: {link}")
    assert wrong == []
    assert sum(len(page.links) for page in pages.values()) > 3000


def test_the_site_asks_for_nothing_but_its_own_files(site, pages):
    for path, page in pages.items():
        for name in page.asked:
            if not name.startswith("data:"):
                target = (path.parent / name.partition("?")[0]).resolve()
                assert target.is_relative_to(site) and target.is_file(), (path, name)


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def page(browser):
    """A page whose errors and requests are kept."""
    return watched(browser.new_page(viewport={"width": 390, "height": 844}))


@pytest.mark.parametrize(
    "name", ["docs/index.html", "docs/tutorial.html", "search.html?q=stranger"]
)
def test_every_reader_can_use_the_site(page, site, name):
    page.told.clear()
    page.goto(f"{site.as_uri()}/{__version__}/{name}")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, options={"preload": False}).response["violations"]
        assert [one for one in found if one["impact"] in ("serious", "critical")] == [], scheme
    assert [told for told in page.told if not told.startswith(site.as_uri())] == []


def test_what_is_searched_is_found(page, site):
    page.goto(f"{site.as_uri()}/{__version__}/docs/index.html")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.fill("input[name=q]", "stranger")
    page.press("input[name=q]", "Enter")
    page.wait_for_selector("#search-results a")
    assert "Glossary" in page.inner_text("#search-results")


def test_versions_stand_beside_each_other(page, site):
    """Each page offers all that there are, those too that came after its own."""
    assert (site / "versions.js").read_text() == f'window.versions = ["{__version__}"];\n'
    assert f'href="{__version__}/docs/index.html"' in (site / "index.html").read_text()
    start = f"{site.as_uri()}/{__version__}/docs/numerics.html"
    page.goto(start)
    assert not page.is_visible("#versions")
    (site / "versions.js").write_text(f'window.versions = ["9.0", "{__version__}"];\n')
    page.goto(start)
    assert page.locator("#versions option").all_inner_texts() == ["9.0", __version__]
    assert page.input_value("#versions select") == __version__
    with page.expect_request("**/9.0/docs/index.html"):
        page.select_option("#versions select", "9.0")


def test_a_notebook_is_its_text_its_code_and_what_that_printed_and_drew():
    png = "iVBORw0KGgo="
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "text"]},
        {
            "cell_type": "code",
            "source": ["%%capture\n", "\n", "print(1)"],
            "outputs": [
                {"output_type": "stream", "text": ["1\n"]},
                {"output_type": "display_data", "data": {"image/png": png, "text/plain": "<F>"}},
            ],
        },
    ]
    texts = [conf.cell_text(cell) for cell in cells]
    assert texts[0] == "# Title\ntext"
    assert texts[1] == (
        "```python\nprint(1)\n```\n\n```text\n1\n```\n\n"
        f'<img alt="&lt;F&gt;" src="data:image/png;base64,{png}">'
    )


def test_versions_are_sorted_by_their_numbers():
    assert sorted(["0.10.0", "0.9.1", "0.9"], key=build_site.order) == ["0.9", "0.9.1", "0.10.0"]
