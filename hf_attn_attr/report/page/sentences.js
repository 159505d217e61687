// Example texts, highlighted word by word.

class Examples {
  constructor(packed) {
    const {header, arrays} = packed ?? {header: {texts: [], available: 0, classes: [], steps: {}}, arrays: {}};
    this.texts = header.texts;
    this.available = header.available;
    this.classes = header.classes;
    this.word = arrays.word ?? new Uint32Array();
    this.probabilities = arrays.probabilities && fromSteps(arrays.probabilities, header.steps.share);
    this.attention = arrays.attention && fromSteps(arrays.attention, header.steps.share);
    this.attribution = arrays.attribution && fromSteps(arrays.attribution, header.steps.attribution);
    this.digits = this.attribution ? digitsOf(header.steps.attribution) : 3;
    let start = 0;
    this.containing = new Map();  // word -> texts
    this.texts.forEach((text, number) => {
      text.number = number;
      text.start = start;
      text.length = (text.pieces.length - 1) / 2;
      text.lower = text.pieces.join("").toLowerCase();
      for (let i = start; i < start + text.length; i++) {
        const word = this.word[i] - 1;
        if (word < 0) continue;
        if (!this.containing.has(word)) this.containing.set(word, new Set());
        this.containing.get(word).add(text);
      }
      start += text.length;
    });
  }

  get signed() {
    return Boolean(this.attribution);
  }

  amount(mark) {
    return this.signed ? signedNumber(mark, this.digits) : mark.toFixed(this.digits);
  }

  // What each word of a text did for a class; without signs, its attention.
  marks(text, label) {
    const column = this.classes.indexOf(label), wide = this.classes.length;
    const marks = new Float32Array(text.length);
    for (let i = 0; i < text.length; i++) {
      const at = text.start + i;
      marks[i] = this.attribution
        ? column < 0 ? 0 : this.attribution[at * wide + column]
        : this.attention?.[at] ?? 0;
    }
    return marks;
  }

  // Texts that hold a word, with what it did there in all, most first.
  pushes(word, label) {
    const found = [...this.containing.get(word) ?? []].map(text => {
      const marks = this.marks(text, label);
      let total = 0;
      marks.forEach((mark, i) => { if (this.word[text.start + i] - 1 === word) total += mark; });
      return {text, total};
    });
    return found.sort((a, b) => b.total - a.total);
  }

  probability(text, label) {
    if (!this.probabilities) return NaN;
    return this.probabilities[text.number * (this.probabilities.length / this.texts.length) + label];
  }
}

const isSet = value => value !== null && value !== undefined;

function classNumbers(value) {
  return isSet(value) ? [value].flat() : [];
}

// Whether gold and predicted label differ; undefined where that cannot be said.
function isError(text, regression) {
  if (regression || !isSet(text.gold)) return undefined;
  const [gold, predicted] = [text.gold, text.predicted].map(value => classNumbers(value).sort().join());
  return gold !== predicted;
}

// A text with its words highlighted for a class. `about`: the word it is shown for, if any; long
// texts are then cut around its first occurrence.
const AROUND = 40;

function sentence(matrix, examples, text, label, about = -1) {
  const marks = examples.marks(text, label);
  const largest = marks.reduce((most, mark) => Math.max(most, Math.abs(mark)), 0);
  const first = about < 0 ? -1 : examples.word.subarray(text.start, text.start + text.length).indexOf(about + 1);
  const from = first < 0 ? 0 : Math.max(0, first - AROUND);
  const to = first < 0 ? text.length : Math.min(text.length, first + AROUND);
  const line = element("p", {class: "text", dir: "auto"}, from > 0 ? "… " : "");
  for (let i = from; i < to; i++) {
    line.append(shown(text.pieces[2 * i]));
    line.append(marked(matrix, examples, text, i, marks[i], largest, about));
  }
  line.append(to < text.length ? " …" : shown(text.pieces[2 * to]));
  return element("div", {}, line, strongest(matrix, examples, text, marks));
}

function marked(matrix, examples, text, i, mark, largest, about) {
  const place = examples.word[text.start + i] - 1, word = text.pieces[2 * i + 1];
  const amount = examples.amount(mark);
  const share = largest > 0 ? Math.abs(mark) / largest : 0;
  const kind = share < 0.1 ? "" : mark < 0 ? "against" : "for";
  const node = element("a", {class: `mark ${kind} ${place === about && about >= 0 ? "about" : ""}`, title: amount},
    shown(word));
  if (place >= 0) node.href = link("word", {word: matrix.words[place]});
  node.tabIndex = -1;  // the line below has the same links for the keyboard
  node.style.setProperty("--strength", kind ? (0.08 + 0.5 * share).toFixed(3) : "0");
  return node;
}

// In words, the five that did most: what the colours say, for those who do not see them.
function strongest(matrix, examples, text, marks) {
  const order = [...marks.keys()].filter(i => marks[i]).sort((a, b) => Math.abs(marks[b]) - Math.abs(marks[a]));
  if (!order.length) return null;
  const parts = order.slice(0, 5).flatMap((i, n) => {
    const place = examples.word[text.start + i] - 1, word = text.pieces[2 * i + 1];
    return [
      n ? ", " : "", place >= 0 ? wordLink(matrix, place) : isolated(word),
      ` ${examples.amount(marks[i])}`,
    ];
  });
  return element("p", {class: "strongest"}, examples.signed ? "Strongest: " : "Most attention: ", ...parts);
}

// Gold and predicted label, and whether they differ.
function verdict(matrix, examples, text, label) {
  const regression = matrix.header.overview.kind === "regression";
  const names = value => regression
    ? [signedNumber(value, 2)]
    : classNumbers(value).flatMap((number, n) => [n ? ", " : "", labelName(matrix, number)]);
  const wrong = isError(text, regression);
  const probability = examples.probability(text, label);
  const parts = ["predicted ", element("b", {}, ...isSet(text.predicted) ? names(text.predicted) : ["–"])];
  if (isSet(text.gold)) parts.push(", labelled ", element("b", {}, ...names(text.gold)));
  if (wrong) parts.push(" ", element("span", {class: "wrong"}, "error"));
  if (!Number.isNaN(probability)) {
    parts.push(`; P(`, labelName(matrix, label), `) = ${probability.toFixed(2)}`);
  }
  return element("p", {class: "verdict"}, ...parts);
}
