// Question 1: for a class, which words are most influential?

// Words of a class by a measure. Of a measure with a sign only those of the direction asked for.
function ranked(matrix, by, label, {least = 0, search = "", against = false, order = "measure"}) {
  const values = matrix.column(by, label), {signed} = MEASURES[by];
  const found = [];
  for (let word = 0; word < matrix.numbered; word++) {
    const value = values[word];
    if (value !== value || matrix.documents[word] < least) continue;
    if (signed && (against ? value >= 0 : value <= 0)) continue;
    if (search && !matrix.words[word].includes(search)) continue;
    found.push(word);
  }
  const sign = signed && against ? -1 : 1;
  const orders = {
    measure: (a, b) => sign * (values[b] - values[a]) || a - b,
    word: (a, b) => matrix.words[a] < matrix.words[b] ? -1 : 1,
    texts: (a, b) => a - b,  // the words are in the order of their texts
  };
  return found.sort(orders[order]);
}

function classView(matrix) {
  const known = RANKINGS.filter(name => matrix.has(name));
  const least = matrix.header.constants.least;
  const controls = {
    label: labelChoice(matrix),
    by: choice("Measure", "by", () => known.map(name => [name, MEASURES[name].title])),
    direction: choice("Direction", "direction", () => [["for", "for the class"], ["against", "against it"]]),
    order: choice("Order", "order", () => [["measure", "by the measure"], ["texts", "by texts"], ["word", "by word"]]),
    least: whole("Texts, at least", "least", least),
    search: typed("Search", "search", {placeholder: "part of a word"}),
  };
  const heading = element("h1", {});
  const about = element("p", {class: "about"});
  const summary = element("p", {class: "summary"});
  const list = element("div", {class: "list"});
  const maps = classMaps(matrix);
  const node = element("section", {}, heading,
    element("form", {class: "controls", onsubmit: event => event.preventDefault()},
      ...Object.values(controls).map(control => control.field)),
    about, element("div", {class: "columns"}, element("div", {}, summary, list), maps.node));

  function sync() {
    for (const control of Object.values(controls)) control.sync();
    const name = controls.label.value, label = matrix.labels.indexOf(name), by = controls.by.value;
    heading.replaceChildren("What drives ", isolated(name), "?");
    if (!by) {
      summary.textContent = "No word has numbers: none is in enough texts, or the method gave none.";
      return;
    }
    const {signed, title} = MEASURES[by];
    about.textContent = MEASURES[by].about;
    controls.direction.field.hidden = !signed;
    const options = {
      least: controls.least.value, search: folded(controls.search.value),
      against: controls.direction.value === "against", order: controls.order.value,
    };
    const words = ranked(matrix, by, label, options);
    const side = signed ? ` with a ${title} ${options.against ? "below" : "above"} 0` : "";
    summary.replaceChildren(`${counted(words.length)} words${side}`,
      ...withoutNumbers(matrix, options.search));
    list.replaceChildren(rankedTable(matrix, words, by, label), moreButton(words) ?? "");
    announce(summary.textContent);
    maps.show(label, options);
  }
  return {node, sync};
}

// What is typed, in the form the words have.
function folded(text) {
  return text.toLowerCase().normalize("NFC");
}

// Words that match a search but are in too few texts.
function withoutNumbers(matrix, search) {
  if (!search) return ["."];
  const found = [];
  for (let word = matrix.numbered; word < matrix.words.length; word++) {
    if (matrix.words[word].includes(search)) found.push(word);
  }
  if (!found.length) return ["."];
  const named = found.slice(0, 5).flatMap((word, n) => [n ? ", " : "", wordLink(matrix, word)]);
  return [`; ${counted(found.length)} more match but have no numbers here, for they are rare: `,
    ...named, found.length > 5 ? ", …" : "."];
}

function rankedTable(matrix, words, by, label) {
  const shownWords = portion(words), influence = matrix.isAttributed(label);
  const own = ["joint", "p_word_given_class", "p_class_given_word", "lift", "npmi", "log_odds"].includes(by);
  const values = matrix.column(by, label);
  const largest = words.reduce((most, word) => Math.max(most, Math.abs(values[word])), 0);
  const scale = own ? null : extent(matrix, shownWords.map(word => [word, label]));
  const columns = [
    ["word"], [own ? "" : partsTitle(matrix), "wide"],
    ...(own ? [[MEASURES[by].title, "number"]] : []),
    ...(influence ? [["influence", "number"], ["95% interval", "number"]] : []),
    ...(influence && !own ? [["lower bound", "number"]] : []),
    ["n", "number"], ["texts", "number"], ...(influence ? [["evidence"]] : []),
    ...(matrix.has("q_value") ? [["data", "number"]] : []),
  ];
  const rows = shownWords.map(word => [
    wordLink(matrix, word, {label: matrix.labels[label]}),
    own ? valueBar(values[word], largest, MEASURES[by].signed) : influenceBar(matrix, word, label, scale),
    ...(own ? [formatted(matrix, by, values[word])] : []),
    ...(influence ? [
      formatted(matrix, "influence", matrix.at("influence", word, label)),
      intervalText(matrix, word, label),
    ] : []),
    ...(influence && !own ? [formatted(matrix, "lower_bound", matrix.at("lower_bound", word, label))] : []),
    counted(matrix.count[word]), counted(matrix.documents[word]),
    ...(influence ? [evidenceMark(matrix, word, label)] : []),
    ...(matrix.has("q_value") ? [qText(matrix.at("q_value", word, label))] : []),
  ]);
  const node = table(`Words by ${MEASURES[by].title}`, columns, rows);
  return element("div", {}, own ? "" : barLegend(matrix), node);
}

function qText(value) {
  return Number.isNaN(value) ? "–" : `q ≤ ${Number(value.toPrecision(2))}`;
}
