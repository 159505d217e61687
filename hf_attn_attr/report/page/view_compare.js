// Two matrices side by side: where do they differ by more than chance?

// Standard errors from which a difference has a colour on the map.
const SURE = 3;

function compareView(matrix) {
  const {overview, other_overview: other} = matrix.header;
  const orders = {
    z: (a, b) => b.z - a.z, difference: (a, b) => b.size - a.size, word: (a, b) => a.text < b.text ? -1 : 1,
  };
  const controls = {
    label: labelChoice(matrix),
    order: choice("Order", "order", () => [["z", "surest difference"], ["difference", "largest difference"], ["word", "by word"]]),
    least: whole("Texts in both, at least", "least", matrix.header.constants.least),
    search: typed("Search", "search", {placeholder: "part of a word"}),
    flips: ticked("Opposite signs alone", "flips"),
  };
  const summary = element("p", {class: "summary"}), list = element("div", {class: "list"});
  const soon = afterPainting();
  let label = 0;
  const map = new Scatter({
    describe: word => [
      `\u2068${shown(matrix.words[word]).slice(0, 80)}\u2069`,
      `this ${formatted(matrix, "influence", matrix.at("influence", word, label))}`,
      `other ${formatted(matrix, "other_influence", matrix.at("other_influence", word, label))}`,
    ],
    open: word => link("word", {word: matrix.words[word], label: matrix.labels[label]}),
  });
  const node = element("section", {},
    element("h1", {}, isolated(overview.title), " and ", isolated(other.title)),
    sideBySide(overview, other),
    element("form", {class: "controls", onsubmit: event => event.preventDefault()},
      ...Object.values(controls).map(control => control.field)),
    element("div", {class: "columns"}, element("div", {}, summary, list),
      element("div", {class: "maps"}, element("figure", {},
        element("figcaption", {}, "Influence here and there"), map.node))));

  function sync() {
    for (const control of Object.values(controls)) control.sync();
    label = matrix.labels.indexOf(controls.label.value);
    const here = matrix.column("influence", label), there = matrix.column("other_influence", label);
    const z = matrix.column("z", label), search = folded(controls.search.value);
    const rows = [];
    for (let word = 0; word < matrix.numbered; word++) {
      const size = there[word] - here[word];
      if (size !== size || matrix.documents[word] < controls.least.value) continue;
      if (matrix.packed.other_documents[word] < controls.least.value) continue;
      if (controls.flips.value && here[word] * there[word] >= 0) continue;
      if (search && !matrix.words[word].includes(search)) continue;
      rows.push({word, text: matrix.words[word], size: Math.abs(size), z: Math.abs(z[word]) || 0});
    }
    rows.sort(orders[controls.order.value]);
    const shared = rows.map(row => row.word);
    summary.textContent = `${counted(rows.length)} words in both.`;
    announce(summary.textContent);
    list.replaceChildren(compareTable(matrix, portion(shared), label), moreButton(shared) ?? "");
    soon(() => map.show({
      words: shared, x: Float32Array.from(shared, word => here[word]), y: Float32Array.from(shared, word => there[word]),
      colour: Uint8Array.from(rows, row => row.z < SURE ? 0 : here[row.word] * there[row.word] < 0 ? 3 : 1),
      names: highest(rows.map(row => row.z), CANDIDATES), text: i => matrix.words[shared[i]],
    }, {xTitle: "influence here", yTitle: "influence there", diagonal: true,
      summary: `Map of ${shared.length} words; the table lists the same numbers.`}));
  }
  return {node, sync};
}

function sideBySide(here, there) {
  const other = new Map(there.facts);
  const metrics = overview => overview.quality.map(([name, value]) => `${name} ${value.toFixed(3)}`).join(", ") || "–";
  return table("What is compared", [[""], ["this"], ["other"]], [
    ["Name", isolated(here.title), isolated(there.title)],
    ...here.facts.map(([name, value]) => [name, isolated(value), isolated(other.get(name) ?? "–")]),
    ["Quality", metrics(here), metrics(there)],
  ]);
}

function compareTable(matrix, words, label) {
  const of = (name, word) => formatted(matrix, name, matrix.at(name, word, label));
  return table("Words by their difference", [
    ["word"], ["this", "number"], ["other", "number"], ["difference", "number"], ["z", "number"],
    ["texts", "number"], ["texts there", "number"],
  ], words.map(word => {
    const difference = matrix.at("other_influence", word, label) - matrix.at("influence", word, label);
    return [
      wordLink(matrix, word, {label: matrix.labels[label]}), of("influence", word), of("other_influence", word),
      signedNumber(difference, matrix.digits), of("z", word),
      counted(matrix.documents[word]), counted(matrix.packed.other_documents[word]),
    ];
  }));
}
