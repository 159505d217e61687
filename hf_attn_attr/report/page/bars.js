// Bars: word part and context part stacked, a tick at the influence, a line for the interval.

// What must fit on the common scale of some [word, label] cells.
function extent(matrix, cells) {
  let low = 0, high = 0;
  for (const [word, label] of cells) {
    const {parts, ends} = barValues(matrix, word, label);
    for (const value of [...ends, ...stacked(parts).flat()]) {
      if (Number.isNaN(value)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return {low, high: high === low ? low + 1 : high};
}

function barValues(matrix, word, label) {
  const split = matrix.has("word_part");
  const parts = split
    ? [matrix.at("word_part", word, label), matrix.at("context_part", word, label)]
    : [matrix.at("influence", word, label)];
  return {parts, ends: matrix.interval(word, label)};
}

// Stretches of the parts: those of one sign begin where the last one of that sign ended.
function stacked(parts) {
  const end = {"1": 0, "-1": 0};
  return parts.map(part => {
    const side = part < 0 ? -1 : 1, start = end[side];
    end[side] += Number.isNaN(part) ? 0 : part;
    return [start, end[side]];
  });
}

function influenceBar(matrix, word, label, {low, high}) {
  const at = value => 100 * (value - low) / (high - low);
  const {parts, ends} = barValues(matrix, word, label);
  const shapes = stacked(parts).map(([from, to], index) => drawing("rect", {
    class: `${to < from || (to === from && from < 0) ? "against" : "for"} ${index ? "context" : "own"}`,
    x: Math.min(at(from), at(to)), width: Math.abs(at(to) - at(from)), y: 5, height: 10,
  }));
  shapes.unshift(line("zero", at(0), 0, at(0), 20));
  if (!Number.isNaN(ends[0])) {
    shapes.push(line("interval", at(ends[0]), 10, at(ends[1]), 10));
    for (const end of ends) shapes.push(line("interval", at(end), 7, at(end), 13));
    const mean = (ends[0] + ends[1]) / 2;
    shapes.push(line("mean", at(mean), 8, at(mean), 12));
  }
  const influence = matrix.at("influence", word, label);
  shapes.push(line("influence", at(influence), 3, at(influence), 17));
  const split = parts.length === 2
    ? `word part ${formatted(matrix, "word_part", parts[0])}, context part ` +
      formatted(matrix, "context_part", parts[1])
    : "";
  return element("div", {class: "bar", title: split},
    bars(shapes), element("span", {class: "spoken"}, split));
}

// A plain bar from 0, for measures other than influence.
function valueBar(value, largest, signed) {
  const width = largest > 0 ? 100 * Math.abs(value) / largest : 0;
  const kind = !signed ? "plain" : value < 0 ? "against" : "for";
  return element("div", {class: "bar"}, bars([drawing("rect", {class: kind, x: 0, width, y: 5, height: 10})]));
}

function bars(shapes) {
  return drawing("svg", {
    viewBox: "0 0 100 20", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false",
  }, ...shapes);
}

function line(kind, x1, y1, x2, y2) {
  return drawing("line", {class: kind, x1, y1, x2, y2});
}

function partsTitle(matrix) {
  return matrix.has("word_part") ? "word and context part" : "influence";
}

function barLegend(matrix) {
  const key = (kind, text) => element("span", {class: "key"},
    element("span", {class: `swatch ${kind}`, "aria-hidden": "true"}), text);
  const parts = matrix.has("word_part")
    ? [key("own", "word part"), key("context", "context part")] : [];
  return element("p", {class: "legend"}, ...parts,
    key("tick", "influence: both parts, drawn towards 0 for few texts"),
    key("whisker", "raw mean and its 95% interval"));
}

function intervalText(matrix, word, label) {
  const ends = matrix.interval(word, label);
  if (Number.isNaN(ends[0])) return "–";
  return ends.map(end => signedNumber(end, matrix.digits)).join(" … ");
}
