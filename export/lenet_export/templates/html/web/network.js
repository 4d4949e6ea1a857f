/* What the page is told of the network, and elements by their ids. */
const told = JSON.parse(document.getElementById("network").textContent);
const at = (id) => document.getElementById(id);

/* An element with its properties; what it contains is text or elements. */
function make(tag, properties, ...content) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...content);
  return element;
}

const spaced = (number) => (number || 0).toLocaleString("en"); // -0 is 0

/* ---- The C: its functions, and what it leaves in memory -------------------------------------- */

async function load() {
  const packed = Uint8Array.from(atob(at("module").textContent), (char) => char.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const { instance } = await WebAssembly.instantiate(await new Response(stream).arrayBuffer());
  // By their names, less what all begin with.
  const named = Object.entries(instance.exports).map(([name, of]) => [
    name.replace(`${told.prefix}_page_`, ""),
    of,
  ]);
  return networkOf(Object.fromEntries(named));
}

function networkOf(c) {
  const memory = c.memory.buffer;
  const bytes = (name, size) => new Uint8Array(memory, c[name].value, size);
  const words = (name, size) => new Int32Array(memory, c[name].value, size);
  const image = bytes("image", told.rows * told.columns * told.channels);
  const maps = told.layers
    .slice(0, -1)
    .map((layer) => new Uint8Array(memory, c.maps.value + layer.begins, sizeOf(layer.output)));
  const logits = words("logits", told.names.length);
  const reading = words("reading", 4);
  const unit = words("unit", 6);

  return {
    c,
    bytes,
    words,
    image,
    layers: [...maps, logits],
    selfTest: () => c.self_test() === 0,

    /* Reads an image, bytes of [row][column][channel], or the one that is there. */
    read(given) {
      if (given) image.set(given);
      c.read();
      const [digit, gap, verdict] = reading;
      return { logits: Array.from(logits), digit, gap, verdict };
    },

    /* Makes all maps of the image that was read; returns whether they lead to its logits. */
    map() {
      c.map();
      return reading[3] === 1;
    },

    /* A picture, of grey bytes, becomes the image; returns what was found in it. */
    prepare(pixels, rows, columns) {
      bytes("picture", pixels.length).set(pixels);
      const verdict = c.prepare(rows, columns);
      const [isDark, top, left, bottom, right, contrast] = words("found", 6);
      return { verdict, isDark, top, left, bottom, right, contrast };
    },

    /* What the unit of a layer at place i, j of its pool's window is made of. */
    explain(layer, y, x, c_, i, j) {
      const count = c.explain(layer, y, x, c_, i, j);
      const [bias, sum, acc, gain, index, code] = unit;
      return { terms: words("terms", 3 * count).slice(), bias, sum, acc, gain, index, code };
    },
  };
}

const sizeOf = (shape) => shape.reduce((size, of) => size * of, 1);

/* Of logits, by their scale. */
function probabilities(logits) {
  const most = Math.max(...logits);
  const shares = logits.map((logit) => Math.exp((logit - most) * told.logit_scale));
  const all = shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share) => share / all);
}
