"""The documents as a site, which needs no server and no network.

python docs/site/build_site.py [FOLDER]    writes build/site/<version>/, beside other versions

``build/site`` is what a web server is given. Its first page leads to the newest version, and
versions.js tells the pages of each, older ones too, which there are.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

from lenet_export import __version__

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FIRST = "docs/index.html"
LEAD = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={to}">
<title>lenet-export</title>
<p><a href="{to}">lenet-export</a></p>
</html>
"""


def build(folder: Path) -> int:
    """Makes the site of this version below ``folder``; returns the exit status.

    What is there of this version is replaced, that of others is left. Whatever Sphinx warns of is
    a mistake: a link without a target, a document that the table of contents leaves out.
    """
    own = folder / __version__
    shutil.rmtree(own, ignore_errors=True)
    doctrees = folder / ".doctrees"
    options = ["--quiet", "--fresh-env", "--fail-on-warning", "--conf-dir", HERE, "-d", doctrees]
    status = build_main([*map(str, options), str(ROOT), str(own)])
    shutil.rmtree(doctrees, ignore_errors=True)
    if status == 0:
        (own / "index.html").write_text(LEAD.format(to=FIRST))
        found = sorted((path.parts[-3] for path in folder.glob(f"*/{FIRST}")), key=order)
        (folder / "versions.js").write_text(f"window.versions = {json.dumps(found[::-1])};\n")
        (folder / "index.html").write_text(LEAD.format(to=f"{found[-1]}/{FIRST}"))
    return status


def order(version: str) -> list[int]:
    """What versions are sorted by: 0.10.0 comes after 0.9.1."""
    return [int(number) for number in re.findall(r"\d+", version)]


if __name__ == "__main__":
    sys.exit(build(Path(*sys.argv[1:]) if sys.argv[1:] else ROOT / "build/site"))
