// The matrix: what was packed, and the measures that follow from it. A column is one class.

class Matrix {
  constructor({header, arrays}) {
    const step = header.steps;
    this.header = header;
    this.labels = header.labels;
    this.words = header.words;
    this.numbered = header.numbered;  // words[0 .. numbered - 1] have numbers
    this.count = arrays.count;
    this.documents = arrays.documents;
    this.digits = digitsOf(step.influence ?? 1);
    this.packed = {};
    this.columns = new Map();
    const keep = (name, read) => { if (arrays[name]) this.packed[name] = read(arrays[name]); };
    keep("mean", codes => fromSteps(codes, step.influence));
    keep("context", codes => fromSteps(codes, step.influence));
    keep("log_odds", codes => fromSteps(codes, step.log_odds));
    keep("q_value", codes => this.unpackQ(codes));
    keep("lift", codes => fromOctaves(codes, step.octave));
    keep("p_word", codes => fromOctaves(codes, step.octave));
    keep("attention_ratio", codes => fromOctaves(codes, step.octave));
    keep("t", codes => fromSteps(codes, step.t));
    keep("other_mean", codes => fromSteps(codes, step.influence));
    keep("other_t", codes => fromSteps(codes, step.t));
    keep("other_documents", codes => codes);
    for (const prefix of ["", "other_"]) {
      keep(`${prefix}margin`, codes => this.unpackMargin(prefix, codes, step.margin_octave));
    }
  }

  // q-values, and whether the data bear the model out: rarely by chance, and with the same sign.
  unpackQ(codes) {
    const {levels, q} = this.header, values = new Float64Array(codes.length).fill(NaN);
    this.packed.supported = new Uint8Array(codes.length);
    for (let i = 0; i < codes.length; i++) {
      if (codes[i] === 0xff) continue;
      const level = codes[i] & ~q.same_sign;
      values[i] = levels[level];
      this.packed.supported[i] = level <= q.level && (codes[i] & q.same_sign) > 0;
    }
    return values;
  }

  // Half an interval; the lowest bit of the steps says whether the interval leaves out 0.
  unpackMargin(prefix, codes, step) {
    this.packed[`${prefix}consistent`] = decoded(codes, code => code & 1);
    return decoded(codes, code => code >> 1 <= SMALLEST ? 0 : 2 ** ((code >> 1) * step));
  }

  // Where a word is, or -1.
  find(word) {
    this.place ??= new Map(this.words.map((known, index) => [known, index]));
    return this.place.get(word) ?? -1;
  }

  has(name) {
    return MEASURES[name].needs.every(part => part in this.packed);
  }

  at(name, word, label) {
    if (word >= this.numbered || !this.has(name)) return NaN;
    return MEASURES[name].of(this, word, label * this.numbered + word, label);
  }

  // Values of a measure for all words with numbers, worked out once.
  column(name, label) {
    const key = `${name} ${label}`;
    if (!this.columns.has(key)) {
      const values = new Float64Array(this.numbered).fill(NaN);
      if (this.has(name)) {
        const {of} = MEASURES[name], start = label * this.numbered;
        for (let i = 0; i < this.numbered; i++) values[i] = of(this, i, start + i, label);
      }
      this.columns.set(key, values);
    }
    return this.columns.get(key);
  }

  // Ends of the interval of the raw mean.
  interval(word, label) {
    const cell = label * this.numbered + word, {mean, margin} = this.packed;
    return [mean[cell] - margin[cell], mean[cell] + margin[cell]];
  }

  evidence(word, label) {
    if (word >= this.numbered || !this.packed.mean) return "insufficient";
    const cell = label * this.numbered + word;
    if (Number.isNaN(this.packed.margin[cell])) return "insufficient";
    if (!this.packed.consistent[cell]) return "uncertain";
    return this.packed.supported && !this.packed.supported[cell] ? "unsupported" : "consistent";
  }

  isAttributed(label) {
    const start = label * this.numbered;
    return Boolean(this.packed.mean?.subarray(start, start + this.numbered).some(mean => mean === mean));
  }

  // Words by their likeness in letter pairs (Dice), for a word that is not there.
  nearest(text, most = 8) {
    const asked = `^${text.slice(0, LONGEST)}$`, wanted = new Set();
    for (let i = 1; i < asked.length; i++) wanted.add(asked[i - 1] + asked[i]);
    const likeness = Float64Array.from(this.words, word => {
      if (word.length > LONGEST) return 0;
      let shared = wanted.has(`^${word[0]}`) + wanted.has(`${word.at(-1)}$`);
      for (let i = 1; i < word.length; i++) shared += wanted.has(word[i - 1] + word[i]);
      const found = 2 * shared / (word.length + 1 + wanted.size);
      return found > 0.4 ? found : 0;
    });
    return highest(likeness, most);
  }
}

const LONGEST = 100;

// Places of the highest values above 0, in one pass: whole columns would take long to sort.
function highest(values, most) {
  const found = [];
  for (let place = 0; place < values.length; place++) {
    if (!(values[place] > 0)) continue;
    if (found.length === most && values[place] <= values[found[most - 1]]) continue;
    let at = found.length;
    while (at > 0 && values[found[at - 1]] < values[place]) at--;
    found.splice(at, 0, place);
    if (found.length > most) found.pop();
  }
  return found;
}

// Decimals that a step of this size can show.
function digitsOf(step) {
  return Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
}

const shrunk = (matrix, word, value) => {
  const documents = matrix.documents[word];
  return value * documents / (documents + matrix.header.constants.shrinkage);
};

function cautious(matrix, mean, margin, t) {
  const error = t > 0 ? margin / t : 0;
  return Math.sign(mean) * Math.max(Math.abs(mean) - matrix.header.constants.bound * error, 0);
}

// `of` takes the matrix, a word, its cell and a class. Names are those of the published table.
const MEASURES = {
  lower_bound: {
    title: "lower bound", signed: true, needs: ["mean"],
    about: "How strong the influence is at the least, with 95% confidence: strong and well attested.",
    of: (m, w, cell) => cautious(m, m.packed.mean[cell], m.packed.margin[cell], m.packed.t[w]),
  },
  influence: {
    title: "influence", signed: true, needs: ["mean"],
    about: "Mean attribution per occurrence, drawn towards 0 for words of few texts.",
    of: (m, w, cell) => shrunk(m, w, m.packed.mean[cell]),
  },
  word_part: {
    title: "word part", signed: true, needs: ["mean", "context"],
    about: "The part of the influence that comes from the word's own embedding.",
    of: (m, w, cell) => shrunk(m, w, m.packed.mean[cell]) - m.packed.context[cell],
  },
  context_part: {
    title: "context part", signed: true, needs: ["mean", "context"],
    about: "The part of the influence that comes from the words around it.",
    of: (m, w, cell) => m.packed.context[cell],
  },
  joint: {
    title: "joint", signed: false, needs: ["lift", "p_word"],
    about: "P(word, class): attention times probability. It counts how frequent the word is.",
    of: (m, w, cell, label) => m.packed.p_word[w] * m.header.p_class[label] * m.packed.lift[cell],
  },
  p_word_given_class: {
    title: "P(word | class)", signed: false, needs: ["lift", "p_word"],
    about: "The word's share of the attention in texts of the class. It counts frequency.",
    of: (m, w, cell) => m.packed.p_word[w] * m.packed.lift[cell],
  },
  p_class_given_word: {
    title: "P(class | word)", signed: false, needs: ["lift"],
    about: "How likely the class is where the word gets attention.",
    of: (m, w, cell, label) => m.header.p_class[label] * m.packed.lift[cell],
  },
  lift: {
    title: "lift", signed: false, needs: ["lift"],
    about: "Joint mass relative to chance; 1 where word and class ignore each other.",
    of: (m, w, cell) => m.packed.lift[cell],
  },
  npmi: {
    title: "NPMI", signed: true, needs: ["lift", "p_word"],
    about: "The logarithm of lift, from −1 (never together) to 1 (always).",
    of: (m, w, cell, label) => {
      const lift = m.packed.lift[cell];
      const joint = m.packed.p_word[w] * m.header.p_class[label] * lift;
      return lift === 0 ? -1 : Math.max(-1, Math.min(1, Math.log(lift) / -Math.log(joint)));
    },
  },
  log_odds: {
    title: "data's log-odds", signed: true, needs: ["log_odds"],
    about: "How word and gold label go together in the data, whatever the model does.",
    of: (m, w, cell) => m.packed.log_odds[cell],
  },
  q_value: {
    title: "q-value", signed: false, needs: ["q_value"],
    about: "Of the association of word and gold label in the data, corrected for many tests.",
    of: (m, w, cell) => m.packed.q_value[cell],
  },
  other_influence: {
    title: "other influence", signed: true, needs: ["other_mean"],
    about: "Influence in the second matrix.",
    of: (m, w, cell) => {
      const documents = m.packed.other_documents[w];
      return m.packed.other_mean[cell] * documents / (documents + m.header.constants.shrinkage);
    },
  },
  z: {
    title: "z", signed: true, needs: ["mean", "other_mean"],
    about: "Difference of the raw means over its standard error, as if the folds shared no texts.",
    of: (m, w, cell) => {
      const {mean, margin, t, other_mean: mean2, other_margin: margin2, other_t: t2} = m.packed;
      const error = Math.hypot(margin[cell] / t[w], margin2[cell] / t2[w]);
      return error > 0 ? (mean2[cell] - mean[cell]) / error : NaN;
    },
  },
};
const RANKINGS = [
  "lower_bound", "influence", "word_part", "context_part", "joint", "p_word_given_class",
  "p_class_given_word", "lift", "npmi", "log_odds",
];

const EVIDENCE = {
  consistent: "consistent", unsupported: "model only", uncertain: "uncertain", insufficient: "too few texts: no finding",
};

function formatted(matrix, name, value) {
  if (Number.isNaN(value)) return "–";
  if (!MEASURES[name].signed) return share(value);
  const digits = {npmi: 2, z: 1, log_odds: 2}[name] ?? matrix.digits;
  return signedNumber(value, digits);
}

function share(value) {
  if (value === 0 || value >= 1e-3) return value.toPrecision(2);
  const [digits, power] = value.toExponential(1).split("e-");
  return `${digits} × 10⁻${[...power].map(digit => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("")}`;
}

function signedNumber(value, digits) {
  const text = Math.abs(value).toFixed(digits);
  return (Number(text) === 0 ? "" : value < 0 ? "−" : "+") + text;
}
