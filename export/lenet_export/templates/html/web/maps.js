/* ---- Maps: each layer as tiles of its numbers ------------------------------------------------ */

/* How a layer is drawn: tiles of rows and columns, `across` of them beside each other. */
function tilingOf(shape, isLast) {
  const [rows, columns, channels] = shape.length === 3 ? shape : gridOf(shape[0], isLast);
  const across = shape.length === 3 ? divisorBelowRoot(channels) : 1;
  const down = Math.ceil(channels / across);
  return {
    rows,
    columns,
    channels,
    across,
    width: across * (columns + 1) + 1,
    height: down * (rows + 1) + 1,
  };
}

/* Units of a dense layer as a map: classes below each other, others as near a square as can be. */
function gridOf(units, isLast) {
  if (isLast && units <= 20) return [units, 1, 1];
  const columns = divisorBelowRoot(units);
  if (columns > 2) return [units / columns, columns, 1];
  const side = Math.ceil(Math.sqrt(units));
  return [Math.ceil(units / side), side, 1];
}

function divisorBelowRoot(number) {
  let divisor = Math.floor(Math.sqrt(number));
  while (number % divisor) divisor--;
  return divisor;
}

/* Where a value is in the drawing, in squares. */
function squareOf(tiling, y, x, c) {
  const tileY = Math.floor(c / tiling.across),
    tileX = c % tiling.across;
  return [1 + tileX * (tiling.columns + 1) + x, 1 + tileY * (tiling.rows + 1) + y];
}

/* The place of a value among all, and back. */
const indexOf = (tiling, { y, x, c }) => (y * tiling.columns + x) * tiling.channels + c;
function unitOf(tiling, index) {
  const c = index % tiling.channels,
    place = Math.floor(index / tiling.channels);
  return { y: Math.floor(place / tiling.columns), x: place % tiling.columns, c };
}

/* Draws values in the colours of a scale: a function of a value to [red, green, blue]. */
function paint(canvas, tiling, values, scale) {
  canvas.width = tiling.width;
  canvas.height = tiling.height;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(tiling.width, tiling.height);
  values.forEach((value, index) => {
    const { y, x, c } = unitOf(tiling, index);
    const [across, down] = squareOf(tiling, y, x, c);
    picture.data.set([...scale(value), 255], 4 * (down * tiling.width + across));
  });
  context.putImageData(picture, 0, 0);
}

/* The theme's colours, as they are named in the style. */
function colour(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const hex = text.length === 4 ? text.replace(/[^#]/g, "$&$&") : text;
  return [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
}

const between = (from, to, share) =>
  from.map((value, k) => Math.round(value + (to[k] - value) * share));

/* Codes, from none to all; and numbers with a sign, from the one colour over none to the other. */
function scales() {
  const none = colour("--none"),
    all = colour("--all"),
    less = colour("--less"),
    more = colour("--more");
  const codes = Array.from({ length: 256 }, (_, code) => between(none, all, code / 255));
  const signed = (most) => (value) =>
    between(none, value < 0 ? less : more, Math.min(1, Math.abs(value) / most));
  return { code: (value) => codes[value], signed };
}

/* An image of three colours is shown in these. */
function paintImage(canvas, image) {
  if (told.channels === 1) {
    paint(canvas, tilingOf([told.rows, told.columns, 1]), image, shades.code);
    return;
  }
  canvas.width = told.columns + 2;
  canvas.height = told.rows + 2;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(told.columns, told.rows);
  for (let k = 0; k < told.rows * told.columns; k++)
    picture.data.set([...image.slice(3 * k, 3 * k + 3), 255], 4 * k);
  context.putImageData(picture, 1, 1);
}

/* ---- The figure: image, maps, units, logits ------------------------------------------------- */

const SQUARE = 208; // pixels of a drawing's height, about
const titleOf = (shape) =>
  shape.length === 3 ? `${shape[2]}@${shape[0]}×${shape[1]}` : `${shape[0]}`;

function buildFigure() {
  const image = partOf(-1, "image", "what the network sees", [
    told.rows,
    told.columns,
    told.channels,
  ]);
  const parts = told.layers.map((layer, k) =>
    partOf(k, layer.name, layer.does, layer.output, k === told.layers.length - 1),
  );
  at("figure").replaceChildren(image.element, ...parts.flatMap((part) => [arrow(), part.element]));
  return [...parts, image]; // so that parts[-1 + length] is the image
}

const arrow = () => make("span", { className: "arrow", ariaHidden: "true" }, "→");

function partOf(layer, name, does, shape, isLast = false) {
  const tiling = layer < 0 ? tilingOf([told.rows, told.columns, 1]) : tilingOf(shape, isLast);
  const side = clamp(Math.floor(SQUARE / tiling.height), 1, 15);
  const canvas = make("canvas", { width: tiling.width, height: tiling.height });
  const over = make("div", { className: "over" });
  const stack = make("div", { className: "stack" }, canvas, over);
  stack.style.width = `${tiling.width * side}px`;
  const labels = isLast && tiling.columns === 1 ? [labelsOf(side)] : [];
  const element = make(
    "figure",
    {},
    make("div", { className: "beside" }, stack, ...labels),
    make("figcaption", {}, make("b", {}, name), ` ${titleOf(shape)}`, make("br"), does),
  );
  const part = { layer, name, tiling, canvas, over, element };
  if (layer >= 0) makePointable(part, shape);
  else (canvas.setAttribute("role", "img"), (canvas.ariaLabel = "The image"));
  return part;
}

function labelsOf(side) {
  const list = make(
    "ol",
    { className: "classes", ariaHidden: "true" },
    ...told.names.map((name) => make("li", {}, name)),
  );
  list.style.setProperty("--side", `${side}px`);
  return list;
}

function makePointable(part, shape) {
  const { canvas, tiling } = part;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.ariaLabel = `${part.name}, ${titleOf(shape)}: arrow keys choose a unit`;
  canvas.addEventListener("pointermove", (event) => {
    const unit = event.pointerType === "mouse" && !chosen.isKept && unitAt(part, event);
    if (unit) choose({ ...unit, layer: part.layer });
  });
  canvas.addEventListener("click", (event) => {
    const unit = unitAt(part, event);
    if (unit) choose({ ...unit, layer: part.layer, isKept: true });
  });
  canvas.addEventListener("focus", () => {
    if (chosen.layer !== part.layer) choose({ ...unitOf(tiling, 0), layer: part.layer });
  });
  canvas.addEventListener("keydown", (event) => {
    const unit = chosen.layer === part.layer && moved(tiling, chosen, event.key);
    if (!unit) return;
    event.preventDefault();
    if (countOf(part.layer) > indexOf(tiling, unit))
      choose({ ...unit, layer: part.layer, isKept: true });
  });
}

const countOf = (layer) => sizeOf(told.layers[layer].output);

/* The unit that a pointer is at; none between tiles. */
function unitAt({ canvas, tiling, layer }, event) {
  const box = canvas.getBoundingClientRect();
  const across = Math.floor(((event.clientX - box.left) / box.width) * tiling.width) - 1;
  const down = Math.floor(((event.clientY - box.top) / box.height) * tiling.height) - 1;
  const x = across % (tiling.columns + 1),
    y = down % (tiling.rows + 1);
  const c =
    Math.floor(down / (tiling.rows + 1)) * tiling.across +
    Math.floor(across / (tiling.columns + 1));
  if (x < 0 || y < 0 || x === tiling.columns || y === tiling.rows || c >= tiling.channels)
    return null;
  return indexOf(tiling, { y, x, c }) < countOf(layer) ? { y, x, c } : null;
}

/* The unit that a key leads to. */
function moved(tiling, { y, x, c }, key) {
  const move = MOVES[key];
  if (move)
    return {
      y: clamp(y + move[1], 0, tiling.rows - 1),
      x: clamp(x + move[0], 0, tiling.columns - 1),
      c,
    };
  if (key === "PageDown") return { y, x, c: clamp(c + 1, 0, tiling.channels - 1) };
  if (key === "PageUp") return { y, x, c: clamp(c - 1, 0, tiling.channels - 1) };
  return null;
}

function paintFigure() {
  for (const { layer, canvas, tiling } of figure) {
    if (layer < 0) {
      paintImage(canvas, network.image);
      continue;
    }
    const values = network.layers[layer];
    const isLast = layer === told.layers.length - 1;
    paint(
      canvas,
      tiling,
      values,
      isLast ? shades.signed(largest(values.subarray(0, told.classes))) : shades.code,
    );
  }
}

const largest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 1);

/* Draws a box over values of a part, given as rows and columns from `y, x` on. */
function mark({ tiling, over }, className, y, x, c, rows = 1, columns = 1) {
  const [across, down] = squareOf(tiling, y, x, c % tiling.channels);
  over.append(boxOver(tiling, className, across, down, columns, rows));
}

/* A box over a drawing, whose width and height are those of `whole`, as it is scaled. */
function boxOver(whole, className, left, top, width, height) {
  const box = make("span", { className });
  Object.assign(box.style, {
    left: share(left, whole.width),
    top: share(top, whole.height),
    width: share(width, whole.width),
    height: share(height, whole.height),
  });
  return box;
}

const share = (part, whole) => `${(100 * part) / whole}%`;
