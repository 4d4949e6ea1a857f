/* ---- One unit: where it looks, and what it adds up ------------------------------------------ */

/* Of a window's places it is i, j; none: the one that its pool takes. */
let chosen = { layer: 0, y: 0, x: 0, c: 0, i: null, j: null, step: 0, isKept: false };
const LISTED = 4096; // terms of a sum, at most
const layerOf = (unit) => told.layers[unit.layer];
const isPool = (layer) => layer.kind === "pool";
const isDense = (layer) => layer.kind === "dense";
const partBefore = (layer) => figure[(layer + figure.length - 1) % figure.length];
const windowsOf = (layer) => (layer.pool === "none" || isPool(layer) ? 1 : layer.window);

function choose(unit) {
  const isSame = ["layer", "y", "x", "c"].every((name) => unit[name] === chosen[name]);
  if (!isSame) stop();
  chosen = { ...(isSame ? chosen : { i: null, j: null, step: 0, isKept: false }), ...unit };
  showUnit();
}

/* The place of term n in the layer before, or null beyond its border. */
function sourceOf(n) {
  const layer = layerOf(chosen);
  if (isDense(layer))
    return unitOf(
      layer.input.length > 1 ? tilingOf(layer.input) : partBefore(chosen.layer).tiling,
      n,
    );
  const { down, across } = corner;
  const [, columns] = layer.kernel;
  const inputs = layer.input[2];
  const isSingle = isNarrow(layer);
  const values = isSingle ? columns : columns * inputs;
  const row = Math.floor(n / values),
    value = n % values;
  const y = down + row,
    x = across + (isSingle ? value : Math.floor(value / inputs));
  if (y < 0 || x < 0 || y >= layer.input[0] || x >= layer.input[1]) return null;
  return { y, x, c: isSingle ? channelOf(layer) : value % inputs };
}

/* The one channel that a depthwise convolution or a pool looks at. */
function channelOf(layer) {
  const outputs = layer.output[2];
  return Math.floor(chosen.c / (outputs / layer.input[2]));
}

/* Row and column of the input at which the kernel of a place begins. */
let corner = { down: 0, across: 0 };
function cornerOf(layer, { i, j }) {
  if (isDense(layer)) return corner;
  const [down, across] = layer.strides,
    size = windowsOf(layer);
  return {
    down: (chosen.y * size + i) * down - layer.above,
    across: (chosen.x * size + j) * across - layer.left,
  };
}

/* The rows or columns, of the layer before, that those from `first` to `last` are made of. */
function spanOf(layer, axis, [first, last]) {
  const size = windowsOf(layer),
    step = layer.strides[axis];
  const before = axis ? layer.left : layer.above;
  return [
    first * size * step - before,
    (last * size + size - 1) * step - before + layer.kernel[axis] - 1,
  ];
}

/* Marks the unit, what it sees in the layer before, and what that saw in the image. */
function markUnit() {
  figure.forEach((part) => part.over.replaceChildren());
  const layer = layerOf(chosen);
  mark(figure[chosen.layer], "chosen", chosen.y, chosen.x, chosen.c);
  let spans = [
    [chosen.y, chosen.y],
    [chosen.x, chosen.x],
  ];
  for (let k = chosen.layer; k >= 0; k--) {
    const before = partBefore(k);
    const shape = told.layers[k].input;
    if (isDense(told.layers[k])) {
      if (shape.length === 1) continue;
      spans = [
        [0, shape[0] - 1],
        [0, shape[1] - 1],
      ];
    } else {
      spans = spans.map((span, axis) => spanOf(told.layers[k], axis, span));
    }
    if (k !== chosen.layer && k !== 0) continue;
    markSpans(
      before,
      shape,
      spans,
      k === chosen.layer && isNarrow(layer) ? channelOf(layer) : null,
    );
  }
  const term = chosen.step - kinds.indexOf(isPool(layer) ? "pooled" : "product");
  const source = ["product", "pooled"].includes(kinds[chosen.step]) && sourceOf(term);
  if (source) mark(partBefore(chosen.layer), "now", source.y, source.x, source.c);
}

const isNarrow = (layer) => layer.depthwise || isPool(layer);

function markSpans(part, shape, spans, only) {
  const [rows, columns] = spans.map(([first, last], axis) => [
    Math.max(first, 0),
    Math.min(last, shape[axis] - 1),
  ]);
  for (let c = 0; c < part.tiling.channels; c++) {
    if (only !== null && c !== only) continue;
    mark(part, "field", rows[0], columns[0], c, rows[1] - rows[0] + 1, columns[1] - columns[0] + 1);
  }
}

const NOUNS = { avg: "mean", max: "largest" };

/* The parts of the sum, each with the kind of line that computes it in the C. */
function stepsOf(layer, found, value) {
  const steps = [];
  const add = (kind, where, numbers) => steps.push({ kind, where, numbers });
  if (!isPool(layer)) add("bias", "bias", { sum: found.bias });
  addTerms(layer, found, add);
  if (layer.norm) add("norm", "after the norm", { sum: found.acc });
  if (layer.shift !== undefined) {
    const product = `${spaced(found.acc)} × ${spaced(found.gain)}`;
    add("index", `index: ${product} >> ${layer.shift}, 0 to ${layer.top}`, { sum: found.index });
    const taken = layer.table ? `_table[${found.index}]` : ": the index";
    add("code", layer.activation + taken, { code: found.code });
  }
  const isPooled = isPool(layer) || windowsOf(layer) > 1;
  if (isPooled) add("pool", `the ${NOUNS[layer.pool]} of all`, { code: value });
  return steps;
}

function addTerms(layer, { terms, sum }, add) {
  const count = terms.length / 3;
  for (let n = 0; n < Math.min(count, LISTED); n++) {
    const [code, weight, soFar] = terms.subarray(3 * n, 3 * n + 3);
    const source = sourceOf(n);
    const where = source ? nameOf(layer, source) : "border";
    if (isPool(layer)) add("pooled", where, { code });
    else add("product", where, { code, weight, product: code * weight, sum: soFar });
  }
  if (count > LISTED) add("product", `and ${spaced(count - LISTED)} more`, { sum });
}

function nameOf(layer, { y, x, c }) {
  if (layer.input.length === 1) return `unit ${y * partBefore(chosen.layer).tiling.columns + x}`;
  return `${layer.input[2] > 1 ? `${c}: ` : ""}${y}, ${x}`;
}

/* Each place of the pool's window, as the C computes it. */
function placesOf(layer) {
  const size = windowsOf(layer),
    places = [];
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      places.push({
        i,
        j,
        found: network.explain(chosen.layer, chosen.y, chosen.x, unitNumber(), i, j),
      });
    }
  }
  return places;
}

/* What the C counts units of a dense layer by. */
function unitNumber() {
  const { tiling } = figure[chosen.layer];
  return isDense(layerOf(chosen)) ? indexOf(tiling, chosen) : chosen.c;
}

/* The place of the window that is shown. */
function shownOf(layer, places) {
  const most = Math.max(...places.map(({ found }) => found.code));
  const taken = layer.pool === "max" ? places.find(({ found }) => found.code === most) : places[0];
  return places.find(({ i, j }) => i === chosen.i && j === chosen.j) ?? taken;
}

function showUnit() {
  const layer = layerOf(chosen);
  const places = placesOf(layer);
  const shown = shownOf(layer, places);
  const value = network.layers[chosen.layer][indexOf(figure[chosen.layer].tiling, chosen)];
  at("unit").ariaLive = chosen.isKept ? "polite" : "off";
  at("unit").replaceChildren(...sentenceOf(layer, places, value));
  at("places").replaceChildren(
    ...(places.length > 1 ? places.map((place) => placeButton(place, place === shown)) : []),
  );
  corner = cornerOf(layer, shown);
  const steps = stepsOf(layer, shown.found, value);
  showWindows(layer, shown.found);
  at("from").textContent =
    layer.input.length === 1 ? "from" : layer.input[2] > 1 ? "map: row, column" : "row, column";
  at("sum").replaceChildren(...steps.map(rowOf));
  at("step").max = steps.length - 1;
  const isNew = showCode(layer);
  showStep(steps, Math.min(chosen.step, steps.length - 1));
  if (isNew) reveal(at("code"), at("code").querySelector(".this"));
}

function sentenceOf(layer, places, value) {
  const isLast = chosen.layer === told.layers.length - 1;
  const name = isDense(layer)
    ? isLast
      ? `the logit of “${told.names[unitNumber()]}”`
      : `unit ${unitNumber()}`
    : `map ${chosen.c}, row ${chosen.y}, column ${chosen.x}`;
  const codes = places.map(({ found }) => found.code).join(", ");
  const pool =
    places.length > 1 ? `, the ${NOUNS[layer.pool]} of ${places.length} places: ${codes}` : "";
  const kept = chosen.isKept ? " (kept: Escape lets go)" : "";
  return [make("b", {}, layer.name), `, ${name}: `, make("b", {}, spaced(value)), pool, kept];
}

function placeButton({ i, j, found }, isPressed) {
  const button = make(
    "button",
    { type: "button", ariaPressed: String(isPressed) },
    `place ${i}, ${j}: ${found.code}`,
  );
  button.addEventListener("click", () => {
    choose({ ...chosen, i, j, isKept: true });
    at("places").querySelector("[aria-pressed=true]").focus();
  });
  return button;
}

/* What the unit sees, its weights, and their products, as pictures. */
function showWindows(layer, { terms }) {
  const shape = isDense(layer)
    ? layer.input
    : [...layer.kernel, isNarrow(layer) ? 1 : layer.input[2]];
  const tiling = tilingOf(shape);
  const column = (of) =>
    Array.from({ length: terms.length / 3 }, (_, n) => of(terms[3 * n], terms[3 * n + 1]));
  const weights = column((_, weight) => weight),
    products = column((code, weight) => code * weight);
  const drawings = [["codes", column((code) => code), shades.code]];
  if (!isPool(layer)) {
    drawings.push(
      ["weights", weights, shades.signed(largest(weights))],
      ["products", products, shades.signed(largest(products))],
    );
  }
  at("windows").replaceChildren(
    ...drawings.map(([name, values, scale]) => {
      const canvas = make("canvas", { ariaLabel: `${name}, as the table below tells them` });
      canvas.setAttribute("role", "img");
      paint(canvas, tiling, values, scale);
      const side = clamp(Math.floor(150 / Math.max(tiling.width, tiling.height)), 1, 18);
      canvas.style.width = `${tiling.width * side}px`;
      return make("figure", {}, canvas, make("figcaption", {}, name));
    }),
  );
}

function rowOf({ where, numbers }, place) {
  const cells = ["code", "weight", "product", "sum"].map((name) =>
    make("td", { className: "n" }, name in numbers ? spaced(numbers[name]) : ""),
  );
  const row = make("tr", {}, make("th", { scope: "row" }, where), ...cells);
  row.addEventListener("pointerenter", () => {
    if (!running) showStep(null, place);
  });
  return row;
}

/* ---- The C, and the line of it that a step is ------------------------------------------------ */

const LINES = {
  bias: /acc = \w+_bias\[/,
  product: /acc \+= /,
  norm: /_normalize\(sums/,
  index: /index = .*>> shift/,
  code: /^ {4}return .*requantize\(/,
  pool: /out\[.*\] = /,
  pooled: /sum \+= |most = larger/,
};
let kinds = [];
let running = 0;

function showCode(layer) {
  if (at("code").dataset.layer === layer.name) return false;
  at("code").dataset.layer = layer.name;
  at("code").replaceChildren(
    ...layer.functions.map((name) => {
      const { line, text } = told.functions[name];
      const lines = text.split("\n").map((of) => make("span", {}, `${of}\n`));
      return make(
        "div",
        {},
        make("p", { className: "note" }, `${told.prefix}.c, line ${spaced(line)}`),
        make("pre", {}, ...lines),
      );
    }),
  );
  return true;
}

function showStep(steps, number) {
  if (steps) kinds = steps.map(({ kind }) => kind);
  chosen.step = number;
  at("step").value = number;
  at("step").ariaValueText = at("sum").children[number].textContent;
  at("place").textContent = `${number + 1} of ${kinds.length}`;
  const rows = at("sum").children;
  for (const row of at("sum").querySelectorAll(".this")) row.classList.remove("this");
  rows[number].classList.add("this");
  for (const line of at("code").querySelectorAll("span"))
    line.classList.toggle("this", LINES[kinds[number]].test(line.textContent));
  markUnit();
}

/* Brings a row or line into view, within its own box alone. */
function reveal(box, element) {
  if (!element) return;
  const top = element.offsetTop - box.clientHeight / 2;
  if (Math.abs(box.scrollTop - top) > box.clientHeight / 3) box.scrollTop = top;
}

function goTo(number) {
  showStep(null, number);
  reveal(document.querySelector(".sum"), at("sum").children[number]);
  reveal(at("code"), at("code").querySelector(".this"));
}

function run() {
  if (running) {
    stop();
    return;
  }
  at("run").textContent = "Stop";
  chosen.isKept = true;
  let number = chosen.step >= kinds.length - 1 ? 0 : chosen.step;
  running = setInterval(
    () => {
      goTo(number++);
      if (number >= kinds.length) stop();
    },
    Math.max(20, 4000 / kinds.length),
  );
}

function stop() {
  clearInterval(running);
  running = 0;
  at("run").textContent = "Run";
}
