/* ---- The page: what happens when something is drawn ------------------------------------------ */

const VERDICTS = [
  () => "accepted",
  () => `not accepted: unsure, the gap is below ${spaced(told.min_gap)}`,
  () => "not accepted: not the rows of one image",
  () => "not accepted: none of the classes",
  () => "not accepted: hardly any ink",
  () => "not accepted: other ink than the training images have",
  () => "no picture that can be read: too small or too narrow",
];
const UNSURE = 1,
  NO_INK = 4,
  NO_PICTURE = 6;
const prepares = told.parts.includes("picture");
let network, figure, shades;
let asked = 0; // the frame that shows what changed
let boxes = []; // over the paper: what was found in it

/* What the page can read: how large the paper is, and a picture at most, as columns and rows; what
 * shows it, and draws an example. */
const side = 280 / Math.max(told.rows, told.columns);
const modes = {
  digit: {
    sheet: [Math.round(told.columns * side), Math.round(told.rows * side)],
    room: [told.picture, told.picture],
    show: showDigit,
    example: () => drawExample((example = (example + 1) % 10)),
  },
};
let example = 2;

const mode = () => document.querySelector("[name=mode]:checked")?.value ?? "digit";

function fail(text) {
  at("failure").hidden = !text;
  at("failure").textContent = text;
}

/* What is on the paper changed: it is read before the next frame. */
function changed() {
  if (network) asked ||= requestAnimationFrame(show);
}

function show() {
  asked = 0;
  modes[mode()].show();
  showBoxes();
}

function showDigit() {
  boxes = [];
  const found = prepares ? network.prepare(greyOf(pen), paper.height, paper.width) : { verdict: 0 };
  if (!prepares) network.image.set(scaledPaper());
  else if (found.verdict === 0) boxes = [found];
  at("found").textContent = prepares
    ? foundText(found)
    : `${told.rows}×${told.columns}, scaled by the browser`;
  const reading = network.read();
  const areSame = network.map();
  if (!areSame) fail("The maps do not lead to the logits: please report this page as a bug.");
  paintImage(at("image"), network.image);
  showReading(reading, found.verdict);
  paintFigure();
  showUnit();
}

function foundText({ verdict, isDark, contrast, top, left, bottom, right }) {
  if (verdict === NO_INK) return "Nothing stands out from the paper.";
  if (verdict === NO_PICTURE) return VERDICTS[NO_PICTURE]();
  const ink = `${isDark ? "Dark" : "Light"} ink, contrast ${contrast}`;
  const size = `${right - left}×${bottom - top} pixels of the paper`;
  return `${ink}, ${size}, made ${told.rows}×${told.columns} by the C.`;
}

function showReading({ logits, digit, gap, verdict }, prepared) {
  const isRead = prepared === 0;
  const why = isRead ? verdict : prepared;
  at("digit").textContent = isRead ? told.names[digit] : "–";
  at("verdict").textContent = VERDICTS[why]();
  at("says").className = why === 0 ? "good" : "bad";
  at("gap").textContent =
    `gap ${spaced(gap)}` + (told.min_gap ? `, accepted from ${spaced(told.min_gap)} on` : "");
  const shares = probabilities(logits);
  at("logits").replaceChildren(
    ...logits.map((logit, k) => logitRow(logit, k, shares[k], isRead && k === digit)),
  );
}

function logitRow(logit, k, part, isBest) {
  const bar = make("span", { className: "bar" }, spaced(logit));
  bar.style.setProperty("--share", `${100 * part}%`);
  return make(
    "tr",
    { className: isBest ? "this" : "" },
    make("th", { scope: "row" }, told.names[k]),
    make("td", { className: "n" }, bar),
    make("td", { className: "n" }, `${(100 * part).toFixed(1)} %`),
  );
}

/* The box of the ink, and the pen that keys move. */
function showBoxes() {
  const over = at("sheet").querySelector(".over");
  over.replaceChildren(
    ...boxes.map(({ left, top, right, bottom }) =>
      boxOver(paper, "found", left, top, right - left, bottom - top),
    ),
  );
  if (keyed) over.append(boxOver(paper, keyed.isDown ? "pen down" : "pen", keyed.x, keyed.y, 0, 0));
}

function changeTheme() {
  shades = scales();
  changed();
}

/* How long an image takes here, in milliseconds: the least of some, each the mean of ten. */
function timed() {
  const times = Array.from({ length: 5 }, () => {
    const begin = performance.now();
    for (let k = 0; k < 10; k++) network.read();
    return (performance.now() - begin) / 10;
  });
  return Math.min(...times);
}

function listen() {
  drawByPointer();
  drawByKeys();
  takePictures();
  at("clear").addEventListener("click", clearPaper);
  at("example").addEventListener("click", () => modes[mode()].example());
  at("step").addEventListener("input", () => goTo(Number(at("step").value)));
  at("run").addEventListener("click", run);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") choose({ ...chosen, isKept: false });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changeTheme);
}

const middleOf = ({ rows, columns }) => ({ y: rows >> 1, x: columns >> 1, c: 0 });

async function start() {
  document.querySelector("main").hidden = false;
  network = window.lenet = await load();
  shades = scales();
  figure = buildFigure();
  chosen = { ...chosen, ...middleOf(figure[0].tiling) };
  layPaper(...modes.digit.sheet);
  listen();
  at("example").hidden = !EXAMPLES.every((_, digit) => told.names[digit] === `${digit}`);
  if (at("example").hidden) changed();
  else modes.digit.example();
  setTimeout(check, 50); // after the first reading
}

function check() {
  const result = network.selfTest() ? "Self-test passed" : "SELF-TEST FAILED";
  const time = `An image takes ${timed().toFixed(2)} ms here.`;
  at("test").textContent = `${result}: the C's own, of its tables and of known answers. ${time}`;
}
