// The maps of a class: influence against frequency, and model against data.

// Words of a map that may have their names on it.
const CANDIDATES = 120;

function classMaps(matrix) {
  const measure = matrix.has("influence") ? "influence" : "lift";
  let label = 0;
  const describe = word => [
    `\u2068${shown(matrix.words[word]).slice(0, 80)}\u2069`,
    `${MEASURES[measure].title} ${formatted(matrix, measure, matrix.at(measure, word, label))}`,
    ...(measure === "influence" ? [`interval ${intervalText(matrix, word, label)}`] : []),
    ...(matrix.has("log_odds") ? [`data's log-odds ${formatted(matrix, "log_odds", matrix.at("log_odds", word, label))}`] : []),
    `${counted(matrix.documents[word])} texts`,
  ];
  const open = word => link("word", {word: matrix.words[word], label: matrix.labels[label]});
  const frequency = new Scatter({describe, open}), data = new Scatter({describe, open});
  const parting = element("div", {});
  const both = matrix.has("log_odds") && matrix.has("influence");
  const node = element("div", {class: "maps"},
    element("figure", {}, element("figcaption", {}, `${MEASURES[measure].title} against frequency`), frequency.node),
    both
      ? element("figure", {}, element("figcaption", {}, "Model against data: words far from the diagonal are " +
          "habits of the model that the labels do not bear out, or cues it misses"), data.node)
      : element("p", {class: "hint"}, "The map of model against data needs the data's own log-odds, which have not been measured for this matrix."),
    parting,
  );

  const soon = afterPainting();
  let parted = -1;  // the class whose partings are shown

  function show(number, {least, search}) {
    label = number;
    soon(() => draw(least, search));
  }

  function draw(least, search) {
    const values = matrix.column(measure, label);
    const bound = matrix.column(matrix.has("lower_bound") ? "lower_bound" : "lift", label);
    const summary = words => `Map of ${words.length} words of ${matrix.labels[label]}; the table lists the same numbers.`;
    const words = mapped(matrix, values, least), documents = matrix.documents;
    const colour = colours(matrix, words, label, values, search);
    frequency.show({
      words, colour, x: words.map(word => documents[word]), y: Float32Array.from(words, word => values[word]),
      names: nameable(words.length, colour, i => Math.abs(bound[words[i]])), text: i => matrix.words[words[i]],
    }, {xTitle: "texts that hold the word", yTitle: MEASURES[measure].title, logarithmic: true, summary: summary(words)});
    if (both) showData(values, least, search, summary);
    if (both && parted !== label) parting.replaceChildren(...partings(matrix, label));
    parted = label;
  }

  function showData(values, least, search, summary) {
    const odds = matrix.column("log_odds", label), words = mapped(matrix, values, least, odds);
    const x = Float32Array.from(words, word => odds[word]), y = Float32Array.from(words, word => values[word]);
    const colour = colours(matrix, words, label, values, search);
    const order = new Map(matrix.header.disagreements[label].map(({word}, i, all) => [word, all.length - i]));
    const weight = i => order.get(words[i]) ?? 0;
    data.show({
      words, colour, x, y, names: nameable(words.length, colour, weight), text: i => matrix.words[words[i]],
    }, {xTitle: "data's log-odds", yTitle: "influence", diagonal: true, summary: summary(words)});
  }
  return {node, show};
}

// Words of enough texts whose values are known.
function mapped(matrix, values, least, others = values) {
  const found = new Uint32Array(matrix.numbered);
  let number = 0;
  for (let word = 0; word < matrix.numbered; word++) {
    const known = values[word] === values[word] && others[word] === others[word];
    if (known && matrix.documents[word] >= least) found[number++] = word;
  }
  return found.subarray(0, number);
}

// Places in COLOURS.
function colours(matrix, words, label, values, search) {
  return Uint8Array.from(words, word => {
    if (search && matrix.words[word].includes(search)) return 3;
    if (["uncertain", "insufficient"].includes(matrix.evidence(word, label))) return 0;
    return values[word] > 0 ? 1 : 2;
  });
}

// Points whose names have room first: those searched for, then by weight.
function nameable(length, colour, weight) {
  const weights = new Float32Array(length);
  for (let i = 0; i < length; i++) weights[i] = weight(i) + (colour[i] === 3 ? 1e6 : 0);
  return highest(weights, CANDIDATES);
}

// Words of which model and data say different things, as the matrix itself ranks them.
function partings(matrix, label) {
  const found = matrix.header.disagreements[label];
  const listed = (side, caption) => {
    const rows = found.filter(row => row.stronger_in === side);
    return rows.length ? [table(caption, [
      ["word"], ["model", "number"], ["data", "number"], ["bound", "number"],
    ], rows.map(({word, model, data, bound}) => [
      wordLink(matrix, word, {label: matrix.labels[label]}), signedNumber(model, 2), signedNumber(data, 2), bound.toFixed(2),
    ]))] : [];
  };
  return [
    ...listed("model", "Stronger in the model"), ...listed("data", "Stronger in the data"),
    element("p", {class: "about"}, found.length
      ? "Both on one scale: standard deviations of their true values over words. Bound: what of the difference is left with caution."
      : "Model and data part nowhere by more than chance."),
  ];
}
