/* ---- The paper: what one draws on, and pictures that are dropped, pasted or chosen ----------- */

/* Digits as strokes of a pen, from 0 to 100 across and down; a point that is twice there is sharp. */
const EXAMPLES = [
  "50,12 34,16 26,50 34,84 50,88 66,84 74,50 66,16 50,12",
  "38,30 54,14 54,14 50,88",
  "28,30 44,14 66,20 68,38 46,62 26,84 74,84",
  "30,18 62,16 68,30 46,46 68,60 64,80 30,84",
  "56,12 26,60 26,60 78,58|62,38 60,90",
  "70,16 36,16 36,16 32,46 32,46 58,40 74,62 58,86 28,82",
  "66,14 42,34 30,66 44,86 66,78 66,58 46,54 32,66",
  "26,18 72,16 72,16 52,50 44,88",
  "62,20 40,18 34,34 66,60 64,80 42,86 34,72 66,34 62,20",
  "66,32 48,16 34,30 46,48 66,38 66,30 64,86",
].map((strokes) =>
  strokes
    .split("|")
    .map((stroke) => stroke.split(" ").map((point) => point.split(",").map(Number))),
);

const paper = at("paper");
const pen = paper.getContext("2d", { willReadFrequently: true });
const PEN_STEP = 0.04; // of the shorter side, that an arrow key moves the pen
let keyed = null; // where the pen is that keys move

function layPaper(columns, rows) {
  paper.width = columns;
  paper.height = rows;
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, columns, rows);
  pen.strokeStyle = pen.fillStyle = "#14212b";
  pen.lineCap = pen.lineJoin = "round";
  pen.lineWidth = Math.min(columns, rows) / 13;
  keyed = null;
}

/* A stroke through the middles between points, round. */
function strike(...points) {
  pen.beginPath();
  pen.moveTo(...points[0]);
  points.slice(1).forEach(([x, y], k) => {
    const [a, b] = points[k];
    pen.quadraticCurveTo(a, b, (a + x) / 2, (b + y) / 2);
  });
  pen.lineTo(...points.at(-1));
  pen.stroke();
  changed();
}

function drawExample(digit) {
  layPaper(paper.width, paper.height);
  const side = Math.min(paper.width, paper.height);
  const left = (paper.width - side) / 2,
    top = (paper.height - side) / 2;
  for (const stroke of EXAMPLES[digit]) {
    strike(...stroke.map(([x, y]) => [left + (x * side) / 100, top + (y * side) / 100]));
  }
}

function placeOf(event) {
  const box = paper.getBoundingClientRect();
  return [
    ((event.clientX - box.left) * paper.width) / box.width,
    ((event.clientY - box.top) * paper.height) / box.height,
  ];
}

function drawByPointer() {
  let last = null;
  paper.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    paper.setPointerCapture(event.pointerId);
    last = placeOf(event);
    strike(last, last);
  });
  paper.addEventListener("pointermove", (event) => {
    if (!last) return;
    const points = (event.getCoalescedEvents?.() ?? [event]).map(placeOf);
    strike(last, ...points, placeOf(event));
    last = placeOf(event);
  });
  for (const end of ["pointerup", "pointercancel"])
    paper.addEventListener(end, () => (last = null));
}

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function drawByKeys() {
  paper.addEventListener("keydown", (event) => {
    const { width, height } = paper;
    keyed ??= { x: width / 2, y: height / 4, isDown: false };
    const move = MOVES[event.key],
      step = PEN_STEP * Math.min(width, height);
    if (move) {
      const from = [keyed.x, keyed.y];
      keyed.x = clamp(keyed.x + move[0] * step, 0, width);
      keyed.y = clamp(keyed.y + move[1] * step, 0, height);
      if (keyed.isDown) strike(from, [keyed.x, keyed.y]);
    } else if (event.key === " ") {
      keyed.isDown = !keyed.isDown;
      if (keyed.isDown) strike([keyed.x, keyed.y], [keyed.x, keyed.y]);
    } else if (event.key === "Delete") {
      clearPaper();
    } else {
      return;
    }
    event.preventDefault();
    showBoxes();
  });
  paper.addEventListener("blur", () => {
    keyed = null;
    showBoxes();
  });
}

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

function clearPaper() {
  layPaper(...modes[mode()].sheet);
  changed();
}

/* The paper becomes a picture, smaller if it is large. */
async function take(file) {
  if (!file) return;
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) {
    const name = file.name || "what was given";
    fail(`${name} is no picture that this browser can read: give a PNG or JPEG`);
    return;
  }
  const [most, high] = modes[mode()].room;
  const scale = Math.min(1, most / picture.width, high / picture.height);
  layPaper(
    Math.max(1, Math.round(picture.width * scale)),
    Math.max(1, Math.round(picture.height * scale)),
  );
  pen.drawImage(picture, 0, 0, paper.width, paper.height);
  fail("");
  changed();
}

function takePictures() {
  at("file").addEventListener("change", (event) => {
    take(event.target.files[0]);
    event.target.value = "";
  });
  addEventListener("paste", (event) =>
    take([...event.clipboardData.files].find((file) => file.type.startsWith("image/"))),
  );
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
}

/* The pixels of a canvas as grey, of the eye's weights in 256ths. */
function greyOf(context) {
  const { width, height } = context.canvas;
  const { data } = context.getImageData(0, 0, width, height);
  return Uint8Array.from(
    { length: width * height },
    (_, k) => (77 * data[4 * k] + 150 * data[4 * k + 1] + 29 * data[4 * k + 2]) >> 8,
  );
}

/* The paper scaled to the network's image: where the C has no function to prepare it. */
function scaledPaper() {
  const small = make("canvas", { width: told.columns, height: told.rows }).getContext("2d");
  small.imageSmoothingQuality = "high";
  small.drawImage(paper, 0, 0, told.columns, told.rows);
  if (told.channels === 1) return greyOf(small);
  const { data } = small.getImageData(0, 0, told.columns, told.rows);
  return data.filter((_, k) => k % 4 < 3);
}
