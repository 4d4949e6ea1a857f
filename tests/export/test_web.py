"""The page of ``--target web``, in a browser: it shows the reference's numbers, and can be used."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import shutil
import zlib
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import TimeoutError as TooLong

import lenet_export
from browsers import chromium, watched
from export import networks
from few_bits import on_grids
from lenet_export import bundled, cli, reference, wasm
from lenet_export.checkpoint import Stage
from lenet_export.cpus.registry import lay_out
from lenet_export.errors import UserError
from lenet_export.outputs import web
from lenet_export.outputs.options import Options
from lenet_export.plan import make_plan
from needs import ROOT, missing, require, wide

#: The page that is committed, and the command that renews it.
PAGE = ROOT / "docs/lenet.html"
COMMAND = (
    *("--target", "web", "--model", "mnist-field", "--with", "amount", "--max-error", "0.002"),
    *("--max-amount-error", "0.01", "--no-verify"),
)
MODULE = re.compile(r'(?<=<script type="text/plain" id="module">)[^<]*')
COUNTED = re.compile(r'(?<="bytes":)\d+|[\d,]+(?= bytes of WebAssembly)')
NOTHING = "\N{EN DASH}"
SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desktop": (1440, 900)}


def plan_of(model, **options):
    return lay_out(make_plan(model, "int8", **options), "generic", "speed")


def without_module(path):
    """A page less the compiled C and its length, as bytes."""
    return COUNTED.sub("", MODULE.sub("", path.read_text())).encode()


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def opened(browser, path, **options):
    """A page, whose errors and requests are kept."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
    page = watched(context.new_page())
    page.goto(path.as_uri())
    return page


@pytest.fixture
def page(browser):
    """The committed page, which tells no error and asks for nothing but itself."""
    page = opened(browser, PAGE)
    ready(page)
    frame(page)
    yield page
    assert page.told == [PAGE.as_uri()]
    page.context.close()


@pytest.fixture(scope="module")
def field():
    return plan_of(bundled.load("mnist-field"), max_error=0.002)


def ready(page):
    """Waits until the page runs; what it tells is asked for where it does not."""
    with contextlib.suppress(TooLong):
        page.wait_for_selector("#test:not(:empty), #failure:not([hidden])", timeout=10_000)
    assert page.inner_text("#test").startswith("Self-test passed"), page.told


def frame(page):
    """Waits until what changed is shown."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def image_of(page, shape=(28, 28, 1)):
    """What the network sees, as the page has it."""
    return np.array(page.evaluate("Array.from(lenet.image)"), np.uint8).reshape(1, *shape)


def read_by(page, images):
    """Every layer's numbers of each image, side by side, as the page's C computes them."""
    text = base64.b64encode(np.ascontiguousarray(images).tobytes()).decode()
    numbers = page.evaluate(
        """([text, count]) => {
          const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
          const size = bytes.length / count;
          let numbers = "";
          for (let k = 0; k < count; k++) {
            const { logits } = lenet.read(bytes.subarray(k * size, (k + 1) * size));
            const areSame = lenet.map();
            const maps = lenet.layers.flatMap((layer) => [...layer]);
            const row = [Number(areSame), ...logits, ...maps];
            const parts = new Uint8Array(Int32Array.from(row).buffer);
            numbers += Array.from(parts, (byte) => String.fromCharCode(byte)).join("");
          }
          return btoa(numbers);
        }""",
        [text, len(images)],
    )
    return np.frombuffer(base64.b64decode(numbers), np.int32).reshape(len(images), -1)


def expected_of(plan, images):
    layers = reference.run_integers(plan, images)
    flat = [layers[layer.name].reshape(len(images), -1) for layer in plan.layers]
    return np.concatenate([np.ones((len(images), 1)), flat[-1], *flat], axis=1)


def explained(page, plan, images, rng, units=12):
    """Compares what units are made of, of each layer, with the reference."""
    layers = reference.network(plan, images[:1])
    page.evaluate(
        "(bytes) => { lenet.read(Uint8Array.from(bytes)); lenet.map(); }",
        images[0].ravel().tolist(),
    )
    x = images[:1].astype(np.int32)
    for number, layer in enumerate(plan.layers):
        out = layers[layer.name]
        acc = code = None
        if layer.stage.learns:
            acc = reference.accumulate(layer, x, np)
            code = reference.activate(layer, reference.normalize(layer, acc, np), np)
        for _ in range(units):
            place = tuple(int(rng.integers(size)) for size in out.shape[1:])
            size = layer.stage.pool_size if layer.is_conv and layer.stage.pool != "none" else 1
            i, j = (int(k) for k in rng.integers(size, size=2))
            y, across, c = place if layer.reads_rows else (0, 0, place[0])
            found = page.evaluate(
                "(at) => { const f = lenet.explain(...at); return {...f, terms: [...f.terms]}; }",
                [number, y, across, c, i, j],
            )
            terms = np.array(found["terms"]).reshape(-1, 3)
            if not layer.stage.learns:
                assert found["code"] == out[(0, *place)]
                continue
            of = (0, y * size + i, across * size + j, c) if layer.reads_rows else (0, c)
            sums = found["bias"] + np.cumsum(terms[:, 0] * terms[:, 1])
            assert (sums == terms[:, 2]).all()
            assert found["sum"] == sums[-1] == acc[of]
            assert found["code"] == code[of]
        x = out.astype(np.int32)


def listed(page, plan, images):
    """Compares where the chosen unit's codes come from, as the page lists them, with the maps."""
    maps = {layer.output: of for layer, of in zip(plan.layers, maps_of(plan, images), strict=True)}
    name = page.inner_text("#unit b >> nth=0")
    (layer,) = (layer for layer in plan.layers if layer.name == name)
    before = maps.get(layer.source, images)[0]
    rows = page.eval_on_selector_all(
        "#sum tr",
        "(rows) => rows.map((row) => [...row.cells].slice(0, 2).map((of) => of.textContent))",
    )
    found = 0
    for where, code in rows:
        place = re.fullmatch(r"(?:(\d+): )?(\d+), (\d+)|unit (\d+)", where)
        if place:
            c, y, x, unit = (int(of or 0) for of in place.groups())
            assert int(code) == (before[unit] if before.ndim == 1 else before[y, x, c]), where
            found += 1
    return found


def maps_of(plan, images):
    return reference.network(plan, images[:1]).values()


@pytest.mark.parametrize("count", [200, *wide([2_000])])
def test_images_give_the_integers_of_jax_in_every_layer(page, field, mnist, count):
    images = mnist[0][:count]
    assert (read_by(page, images) == expected_of(field, images)).all()


def test_a_unit_is_the_sum_of_what_is_listed(page, field, mnist):
    explained(page, field, mnist[0][:1], np.random.default_rng(0))


def test_a_digit_drawn_with_the_mouse_is_read(page, field):
    page.click("#clear")
    box = page.locator("#paper").bounding_box()
    page.mouse.move(box["x"] + 150, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 230, steps=12)
    page.mouse.up()
    frame(page)
    logits = reference.run_logits(field, image_of(page))[0]
    assert page.inner_text("#says").split() == ["1", "accepted"]
    shown = page.locator("#logits .bar").all_inner_texts()
    assert [int(text.replace(",", "")) for text in shown] == logits.tolist()


def png_of(picture):
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "png")
    return data.getvalue()


def a_seven():
    """A light seven on dark paper."""
    picture = np.full((120, 90), 40, np.uint8)
    picture[20:30, 20:70] = 220
    for y in range(30, 100):
        picture[y, 65 - y // 3 : 75 - y // 3] = 220
    return picture


GIVEN = """([event, type, text, name]) => {
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type }));
  const init = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data };
  const made = event === "drop" ? new DragEvent(event, init) : new ClipboardEvent(event, init);
  document.body.dispatchEvent(made);
}"""


@pytest.mark.parametrize("way", ["drop", "paste", "choose"])
def test_a_picture_is_prepared_as_in_python(page, way):
    page.click("#clear")
    data = png_of(a_seven())
    if way == "choose":
        page.set_input_files("#file", {"name": "7.png", "mimeType": "image/png", "buffer": data})
    else:
        text = base64.b64encode(data).decode()
        page.evaluate(GIVEN, [way, "image/png", text, "7.png"])
    page.locator("#digit", has_text="7").wait_for()
    found = lenet_export.prepare(a_seven(), (28, 28))
    assert (image_of(page)[0, ..., 0] == found.image).all()
    assert "Light ink" in page.inner_text("#found")


def test_what_is_no_picture_is_told_with_a_remedy(page):
    text = base64.b64encode(b"no picture").decode()
    page.evaluate(GIVEN, ["drop", "image/png", text, "notes.txt"])
    page.wait_for_selector("#failure:not([hidden])")
    assert "notes.txt is no picture" in page.inner_text("#failure")
    assert "PNG or JPEG" in page.inner_text("#failure")


def test_a_picture_too_narrow_for_the_c_is_told(page):
    text = base64.b64encode(png_of(np.full((400, 9), 128, np.uint8))).decode()
    page.evaluate(GIVEN, ["drop", "image/png", text, "narrow.png"])
    page.locator("#found", has_text="too small or too narrow").wait_for()
    assert page.inner_text("#digit") == NOTHING


def test_an_empty_paper_is_not_read(page):
    page.click("#clear")
    frame(page)
    assert page.inner_text("#digit") == NOTHING
    assert "not accepted: hardly any ink" in page.inner_text("#says")


def test_a_line_of_digits_is_read_as_an_amount(page):
    page.click("text=a line of digits")
    page.click("#example")
    frame(page)
    assert page.inner_text("#digit") == "1709"
    assert not page.is_visible("#figure")


def test_pointing_shows_a_unit_and_keys_move_it(page, field):
    canvas = page.locator("#figure canvas").nth(1)
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 5)
    first = page.inner_text("#unit")
    assert re.match(r"conv1, map 0, row \d+, column \d+: \d+, the largest of 4 places", first)
    canvas.click(position={"x": box["width"] / 4, "y": box["height"] / 5})
    page.keyboard.press("ArrowRight")
    page.keyboard.press("PageDown")
    moved = page.inner_text("#unit")
    assert "map 1" in moved and moved != first
    assert page.locator("#sum tr").count() == 29  # bias, 25 products, index, code, pool
    assert page.locator("#figure .field").count() == 1
    page.locator("#step").press("ArrowRight")
    assert listed(page, field, image_of(page)) == 25
    running = page.locator("#code .this").all_inner_texts()
    assert len(running) == 1 and "acc += " in running[0]
    assert page.locator("#figure .now").count() == 1


def test_a_sum_runs_step_by_step_until_another_unit_is_chosen(page):
    page.locator("#figure canvas").nth(3).click()
    page.click("#run")
    page.locator("#place", has_text=re.compile(r"^([5-9]|\d\d+) of 403")).wait_for()
    assert page.locator("#sum .this").count() == 1
    page.locator("#figure canvas").nth(5).click()
    assert page.inner_text("#run") == "Run"
    assert page.inner_text("#place") == "1 of 85"
    assert "the logit of" in page.inner_text("#unit")


def test_a_digit_can_be_drawn_with_keys_alone(page):
    page.click("#clear")
    page.locator("#paper").focus()
    page.keyboard.press(" ")
    for _ in range(12):
        page.keyboard.press("ArrowDown")
    frame(page)
    assert page.inner_text("#says").split() == ["1", "accepted"]
    page.keyboard.press("Delete")
    frame(page)
    assert page.inner_text("#digit") == NOTHING


@pytest.mark.parametrize("theme", ["light", *wide(["dark"])])
def test_nothing_hinders_those_who_see_or_point_otherwise(browser, theme):
    page = opened(browser, PAGE, color_scheme=theme)
    ready(page)
    found = Axe().run(page).response["violations"]
    assert [(of["id"], of["nodes"][0]["html"]) for of in found if of["impact"] in WORST] == []
    for name, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    page.context.close()


WORST = ("serious", "critical")


def test_nothing_can_be_asked_for_elsewhere(browser):
    page = opened(browser, PAGE)
    assert page.evaluate("fetch('https://example.org/').then(() => 'sent', () => 'refused')") == (
        "refused"
    )
    assert any("Content Security Policy" in text for text in page.told)
    page.context.close()


def test_without_javascript_the_page_says_so(browser):
    page = opened(browser, PAGE, java_script_enabled=False)
    assert "needs JavaScript" in page.inner_text("body")
    assert not page.is_visible("main")
    page.context.close()


def test_the_committed_page_is_what_the_exporter_writes(tmp_path):
    """But for the module: its bytes are the compiler's."""
    require("wasm-ld")
    assert cli.main([*COMMAND, "--out", str(tmp_path)]) == 0
    ours, theirs = map(without_module, (tmp_path / PAGE.name, PAGE))
    renewal = f"lenet-export {' '.join(COMMAND)} --out docs"
    assert ours == theirs, f"renew it by: {renewal}"


@pytest.mark.parametrize(
    ("model", "most"), [("mnist", 150_000), *wide([("mnist-uno", 90_000)])], ids=str
)
def test_a_page_is_small_and_imports_nothing(model, most, tmp_path):
    require("wasm-ld")
    assert (
        cli.main(["--target", "web", "--model", model, "--out", str(tmp_path), "--no-verify"]) == 0
    )
    (file,) = tmp_path.iterdir()
    assert file.name == "lenet.html" and file.stat().st_size <= most
    module = zlib.decompress(base64.b64decode(MODULE.search(file.read_text())[0]))
    assert module[:4] == b"\0asm"
    # Sections are a number, a length and bytes; 2 is that of imports.
    place, sections = 8, []
    while place < len(module):
        sections.append(module[place])
        length, shift, place = 0, 0, place + 1
        while True:
            length |= (module[place] & 127) << shift
            shift, place = shift + 7, place + 1
            if module[place - 1] < 128:
                break
        place += length
    assert 1 in sections and 2 not in sections


@pytest.mark.parametrize(
    ("chain", "shape"),
    wide(
        [
            ("strided", (60, 57, 1)),
            ("gap", (19, 20, 1)),
            ("normed", (14, 15, 3)),
            ("pooled", (25, 44, 1)),
            ("separable", (13, 28, 1)),
            ("signed", (13, 11, 3)),
            ("lenet of few bits", (28, 28, 1)),
            ("mlp", (9, 8, 3)),
        ]
    ),
    ids=str,
)
def test_a_page_of_any_chain_shows_the_integers_of_the_reference(browser, chain, shape, tmp_path):
    of = chain.partition(" ")[0]
    model = networks.random_model(networks.CHAINS[of], shape)
    if of != chain:
        model = on_grids(model, ("4", "2", "1", "ternary", "8"))
    names = ["</script><i>", *(f"class {k}" for k in range(1, model.classes))]
    plan = plan_of(replace(model, class_names=tuple(names)))
    (page_file,) = web.render(plan, Options(prefix="page")).items()
    path = tmp_path / page_file[0]
    path.write_bytes(page_file[1])
    page = opened(browser, path)
    ready(page)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, *shape), np.uint8)
    assert (read_by(page, images) == expected_of(plan, images)).all()
    explained(page, plan, images, rng, units=5)
    assert page.locator("#logits th").all_inner_texts() == names
    for number in range(len(plan.layers)):
        page.locator("#figure canvas").nth(number + 1).focus()
        assert page.inner_text("#unit b >> nth=0") == plan.layers[number].name
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowRight")
        assert listed(page, plan, images[:1])
    assert page.told == [path.as_uri()]
    page.context.close()


def test_without_a_compiler_the_remedies_are_told_and_nothing_is_written(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(wasm, "compilers", list)
    arguments = ["--target", "web", "--out", str(tmp_path / "out"), "--no-verify"]
    assert cli.main(arguments) == 1
    said = capsys.readouterr().err
    assert "apt-get install clang lld" in said and 'pip install "lenet-export[web]"' in said
    assert not (tmp_path / "out").exists()


def test_a_cc_that_is_no_command_is_told(monkeypatch):
    monkeypatch.setenv("CC", "clang '")
    with pytest.raises(UserError, match="CC=clang ': is not a command"):
        wasm.compilers()


def test_zigs_compiler_alone_makes_a_page_of_the_same_integers(browser, tmp_path, monkeypatch):
    """Where there is no clang: all but the compiled C is the same, and its size is alike."""
    if find_spec("ziglang") is None:
        missing("ziglang", 'pip install "lenet-export[web]"')
    arguments = ["--target", "web", "--model", "mnist-tiny", "--no-verify", "--quiet", "--out"]
    assert cli.main([*arguments, str(tmp_path / "clang")]) == 0
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if "clang" in name else which(name))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert [command[1:3] for command in wasm.compilers()] == [["-m", "ziglang"]]
    assert cli.main([*arguments, str(tmp_path / "zig")]) == 0
    assert not (tmp_path / "home").exists()
    clang, zig = (tmp_path / by / "lenet.html" for by in ("clang", "zig"))
    assert without_module(clang) == without_module(zig)
    assert 0.9 < zig.stat().st_size / clang.stat().st_size < 1.1
    plan = plan_of(bundled.load("mnist-tiny"))
    images = np.random.default_rng(0).integers(0, 256, (20, *plan.input_shape), np.uint8)
    page = opened(browser, zig)
    ready(page)
    assert (read_by(page, images) == expected_of(plan, images)).all()
    page.context.close()


@pytest.mark.wide
def test_the_c_of_a_page_is_verified(tmp_path, capsys):
    assert cli.main(["--target", "web", "--verify", "--out", str(tmp_path)]) == 0
    assert "logits differ from the JAX integer reference" in capsys.readouterr().out


def test_what_a_compiler_says_is_told(monkeypatch):
    monkeypatch.setattr(wasm, "compilers", lambda: [["false"]])
    with pytest.raises(UserError, match="false: it says nothing"):
        wasm.compiled({"page.c": b""}, "page.c")


@pytest.mark.parametrize(
    ("model", "dtype", "what"),
    [
        ("mnist", "float32", "shows integers, not float32"),
        ("deep", "int8", "grey or of 3 colours, not 22x17x2"),
        ("tall", "int8", "7 rows and columns or more"),
        ("large", "int8", "65,536 at most"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(model, dtype, what):
    if model == "mnist":
        model = bundled.load(model)
    elif model == "large":
        chain = (Stage("conv", "conv", 8, "relu", (1, 1)), Stage("last", "dense", 2))
        model = networks.random_model(chain, (100, 100, 1))
    else:
        model = networks.named_model(model)
    with pytest.raises(UserError, match=re.escape(what)):
        web.render(make_plan(model, dtype), Options())


def test_the_page_knows_the_lines_of_its_c():
    source = (
        "\n/* What it is. */\nLENET_CODE_ATTR\nstatic int twice(int a)\n{\n    return 2 * a;\n}\n"
    )
    assert web.functions_of(source) == {"twice": {"line": 2, "text": source.strip()}}
    told = json.loads(re.search(r'id="network">(.*?)</script>', PAGE.read_text(), re.DOTALL)[1])
    assert told["functions"]["fc1_layer"]["text"].count("acc += ") == 1
    assert [layer["functions"][0] for layer in told["layers"]] == [
        *("pool1_row", "pool2_row", "fc1_layer", "fc2_layer", "fc3_layer")
    ]
