// What the report is of, how far to trust it, and where to go on.

const TOP = 6;

function overviewView(matrix) {
  const {overview} = matrix.header;
  const facts = element("dl", {class: "facts"}, ...overview.facts.flatMap(([name, value]) =>
    [element("dt", {}, name), element("dd", {}, isolated(value))]));
  const node = element("section", {},
    element("h1", {}, "Which words drive which class"),
    facts,
    ...overview.cautions.map(text => element("p", {class: "caution"}, shown(text))),
    element("h2", {}, "How far to trust it"),
    quality(overview.quality),
    checks(overview.checks),
    association(matrix),
    element("h2", {}, "Classes"),
    classTable(matrix),
    element("h2", {}, "What the numbers mean"),
    meanings(matrix),
  );
  return {node, sync() {}};
}

function quality(metrics) {
  if (!metrics.length) return element("p", {}, "How well the model predicts is not known here.");
  const text = metrics.map(([name, value]) => `${shown(name).replaceAll("_", " ")} ${value.toFixed(3)}`);
  return element("p", {}, `On validation texts: ${text.join(", ")}. An influence is only worth the model under it.`);
}

function checks(found) {
  if (!found.length) {
    return element("p", {}, "No check has been run on this model: take its influences as unproven.");
  }
  return element("ul", {class: "checks"}, ...found.map(check => {
    const kind = check.verdict.toLowerCase().replaceAll(/[^a-z]+/g, "-");
    return element("li", {},
      element("p", {},
        element("span", {class: `check ${kind}`}, shown(check.verdict)), " ",
        element("b", {}, shown(check.question || check.name))),
      ...check.reasons.map(reason => element("p", {class: "reason"}, shown(reason))));
  }));
}

// How many of the words that the model consistently leans on go with the class in the data too.
function association(matrix) {
  if (!matrix.has("q_value")) return null;
  let consistent = 0, associated = 0;
  for (let label = 0; label < matrix.labels.length; label++) {
    for (let word = 0; word < matrix.numbered; word++) {
      const evidence = matrix.evidence(word, label);
      consistent += evidence === "consistent" || evidence === "unsupported";
      associated += evidence === "consistent";
    }
  }
  return element("p", {}, `Of ${counted(consistent)} influences whose interval leaves out 0, ` +
    `${counted(associated)} belong to a word that goes with the gold label in the data, in the same ` +
    `direction (q ≤ ${matrix.header.q.least}). The others are called “model only”: knowledge that came ` +
    "from elsewhere, words too rare to test, or habits that these texts do not bear out.");
}

function classTable(matrix) {
  const by = matrix.has("lower_bound") ? "lower_bound" : "lift";
  const rows = matrix.labels.map((name, label) => {
    const strongest = highest(matrix.column(by, label), TOP);
    const words = strongest.flatMap((word, n) => [n ? ", " : "", wordLink(matrix, word, {label: name})]);
    const share = matrix.header.p_class?.[label] ?? NaN;
    return [
      element("a", {href: link("class", {label: name})}, isolated(name)),
      element("span", {}, Number.isNaN(share) ? "–" : `${(100 * share).toFixed(1)}%`),
      element("span", {}, ...words.length ? words : ["–"]),
    ];
  });
  return table(`The words of the highest ${MEASURES[by].title} in each class`, [
    ["class"], ["mean probability", "number"], ["driven by"],
  ], rows);
}

function meanings(matrix) {
  const known = RANKINGS.filter(name => matrix.has(name));
  const {numbered, words, header} = matrix;
  const terms = [
    ["attribution", "The part of a class's logit in one text that belongs to one word."],
    ...known.map(name => [MEASURES[name].title, MEASURES[name].about]),
    ["evidence", "“Consistent”: the 95% interval leaves out 0, so the model pushes one way. It does not " +
      "say that word and class go together in the world. " + (matrix.has("q_value")
        ? "“Model only”: consistent, but the gold labels do not bear it out. " : "") + "Fewer than " +
      `${header.constants.least} texts are no finding.`],
    ["rounding", `Influences are rounded to ${matrix.digits} decimals, intervals to 4% of their width, ` +
      "shares to 2%; influence/influence.parquet has them in full."],
  ];
  const left = header.enough - numbered, unlisted = header.distinct - words.length;
  return element("div", {},
    element("dl", {class: "meanings"}, ...terms.flatMap(([name, text]) =>
      [element("dt", {}, name), element("dd", {}, text)])),
    element("p", {}, `${counted(numbered)} words have numbers here` +
      (left > 0 ? `; ${counted(left)} rarer ones of ${header.constants.least} texts or more are left out to keep the page small` : "") +
      (unlisted > 0 ? `; ${counted(unlisted)} rare words are not even named` : "") +
      ". An influence describes this model, not people, and not the language."));
}
