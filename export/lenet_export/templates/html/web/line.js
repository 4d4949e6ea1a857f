/* ---- A line of digits ------------------------------------------------------------------------ */

modes.line = { sheet: told.line, room: told.line, show: showAmount, example: drawLine };
document
  .querySelectorAll("[name=mode]")
  .forEach((input) => input.addEventListener("change", changeMode));

function changeMode() {
  document
    .querySelectorAll("[data-mode]")
    .forEach((part) => (part.hidden = part.dataset.mode !== mode()));
  document.body.classList.toggle("line", mode() === "line");
  clearPaper();
}

/* A picture, of grey bytes, is read as a line. */
function readAmount(pixels, rows, columns) {
  const { c, bytes, words } = network;
  bytes("picture", pixels.length).set(pixels);
  c.read_amount(rows, columns);
  const [digits, score, least, verdict] = words("amount", 4);
  return { text: String.fromCharCode(...bytes("text", digits)), score, least, verdict };
}

function showAmount() {
  boxes = [];
  const { text, score, least, verdict } = readAmount(greyOf(pen), paper.height, paper.width);
  const why = verdict === UNSURE ? "not accepted: unsure" : VERDICTS[verdict]();
  at("digit").textContent = text || "–";
  at("verdict").textContent =
    why + (text ? `; score ${spaced(score)}, accepted from ${spaced(least)} on` : "");
  at("says").className = verdict === 0 ? "good" : "bad";
}

function drawLine() {
  clearPaper();
  const { width, height } = paper;
  pen.lineWidth = height / 12;
  [1, 7, 0, 9].forEach((digit, place) => {
    for (const stroke of EXAMPLES[digit]) {
      strike(
        ...stroke.map(([x, y]) => [
          width / 2 + (place - 2 + x / 110) * height * 0.8,
          height * (0.1 + y / 125),
        ]),
      );
    }
  });
}
