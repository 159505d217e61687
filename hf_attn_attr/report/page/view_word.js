// Question 2: for a word, how much does it influence each class?

const MOST_SUGGESTIONS = 12;
const MOST_SENTENCES = 4;
const NEIGHBOURS = 15;

function wordView(matrix, examples) {
  const input = typed("Word", "word", {placeholder: "a word of the texts", role: "combobox",
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "suggestions"});
  const suggestions = element("ul", {id: "suggestions", class: "suggestions", role: "listbox",
    "aria-label": "Words that begin like this", hidden: true});
  const order = choice("Order of classes", "order", () => [["influence", "by influence"], ["model", "as in the model"]]);
  const label = choice("Sentences for", "label", () => matrix.labels.map(name => [name, name]));
  const heading = element("h1", {});
  const body = element("div", {});
  input.field.append(suggestions);
  suggesting(matrix, input.control, suggestions);
  const node = element("section", {}, heading,
    element("form", {class: "controls", onsubmit: event => event.preventDefault()}, input.field, order.field),
    body);

  function sync() {
    for (const control of [input, order, label]) control.sync();
    const text = input.value, word = find(matrix, text);
    heading.replaceChildren(...text ? ["What does ", isolated(text.slice(0, 200)), " do?"] : ["What does a word do?"]);
    if (!text) {
      body.replaceChildren(element("p", {}, "Type a word, or choose one: "), wordLinks(matrix, mostTold(matrix)));
    } else if (word < 0) {
      const near = matrix.nearest(folded(text));
      body.replaceChildren(element("p", {}, isolated(text.slice(0, 200)), " is not among the words of this page. ",
        near.length ? "The nearest are: " : "No word is near it."), wordLinks(matrix, near));
      announce(body.textContent);
    } else {
      body.replaceChildren(...profile(matrix, examples, word, order.value, label));
      announce(`Profile of ${shown(matrix.words[word])}`);
    }
  }
  return {node, sync};
}

function find(matrix, text) {
  const forms = [text, text.normalize("NFC"), folded(text)];
  return forms.map(form => matrix.find(form)).find(word => word >= 0) ?? -1;
}

function wordLinks(matrix, words) {
  return element("p", {class: "words"}, ...words.flatMap(word => [wordLink(matrix, word), " "]));
}

// Words with the strongest lower bound of any class, to begin with.
function mostTold(matrix) {
  const strongest = new Map();
  matrix.labels.forEach((_, label) => {
    const by = matrix.has("lower_bound") ? "lower_bound" : "lift";
    if (!matrix.has(by)) return;
    const values = matrix.column(by, label);
    highest(values, 10).forEach(word =>
      strongest.set(word, Math.max(values[word], strongest.get(word) ?? 0)));
  });
  return [...strongest.keys()].sort((a, b) => strongest.get(b) - strongest.get(a)).slice(0, 24);
}

// A list under the input: arrow keys choose, Enter or a click takes.
function suggesting(matrix, input, list) {
  let chosen = -1;
  const close = () => {
    list.hidden = true;
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const take = word => {
    close();
    location.hash = link("word", {word});
  };
  const choose = number => {
    const items = [...list.children];
    chosen = (number + items.length) % items.length;
    items.forEach((item, i) => item.setAttribute("aria-selected", String(i === chosen)));
    input.setAttribute("aria-activedescendant", items[chosen].id);
    items[chosen].scrollIntoView({block: "nearest"});
  };
  input.addEventListener("input", () => {
    const start = folded(input.value.trim());
    const found = start ? beginning(matrix, start) : [];
    list.replaceChildren(...found.map((word, i) => element("li", {
      id: `suggestion-${i}`, role: "option", "aria-selected": "false",
      onmousedown: event => { event.preventDefault(); take(matrix.words[word]); },
    }, isolated(matrix.words[word]), element("span", {class: "count"}, ` ${matrix.documents[word]}`))));
    chosen = -1;
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(found.length > 0));
  });
  input.addEventListener("keydown", event => {
    const steps = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (event.key === "Escape") close();
    if (list.hidden) return;
    if (steps) {
      event.preventDefault();
      choose(chosen < 0 && steps < 0 ? -1 : chosen + steps);
    } else if (event.key === "Enter" && chosen >= 0) {
      event.preventDefault();
      take(matrix.words[[...beginning(matrix, folded(input.value.trim()))][chosen]]);
    }
  });
  input.addEventListener("blur", close);
}

// Words that begin with something, those of most texts first, but not the one that is it.
function beginning(matrix, start) {
  const found = [];
  for (let word = 0; word < matrix.words.length && found.length < MOST_SUGGESTIONS; word++) {
    if (matrix.words[word].startsWith(start)) found.push(word);
  }
  return found.length === 1 && matrix.words[found[0]] === start ? [] : found;
}

function profile(matrix, examples, word, order, label) {
  const facts = element("p", {},
    `${counted(matrix.count[word])} occurrences in ${counted(matrix.documents[word])} texts.` +
    (matrix.packed.attention_ratio && word < matrix.numbered
      ? ` It gets ${matrix.packed.attention_ratio[word].toPrecision(2)} times as much attention as an average word.` : ""));
  if (word >= matrix.numbered) {
    const rare = matrix.documents[word] < matrix.header.constants.least;
    return [facts, element("p", {class: "caution"}, rare
      ? "Too few texts: no finding."
      : "Rare words are left out to keep the page small; influence/influence.parquet has their numbers."),
    sentencesOf(matrix, examples, word, label)];
  }
  const labels = matrix.labels.map((_, number) => number);
  if (order === "influence") {
    const by = matrix.has("influence") ? "influence" : "lift";
    labels.sort((a, b) => matrix.at(by, word, b) - matrix.at(by, word, a) || a - b);
  }
  label.otherwise = matrix.labels[strongestLabel(matrix, word)];
  return [
    facts,
    ...(matrix.has("influence") ? [barLegend(matrix), profileTable(matrix, word, labels)] : []),
    ...(matrix.has("lift") || matrix.has("log_odds") ? [attentionTable(matrix, word, labels)] : []),
    ...neighbours(matrix, word),
    sentencesOf(matrix, examples, word, label),
  ];
}

function strongestLabel(matrix, word) {
  const size = label => Math.abs(matrix.at("lower_bound", word, label) || 0) + 1e-3 * Math.abs(matrix.at("influence", word, label) || 0);
  return matrix.labels.reduce((best, _, label) => size(label) > size(best) ? label : best, 0);
}

function profileTable(matrix, word, labels) {
  const attributed = labels.filter(label => matrix.isAttributed(label));
  const scale = extent(matrix, attributed.map(label => [word, label]));
  const split = matrix.has("word_part");
  const of = (name, label) => formatted(matrix, name, matrix.at(name, word, label));
  const columns = [
    ["class"], [partsTitle(matrix), "wide"], ["influence", "number"], ["95% interval", "number"],
    ["lower bound", "number"],
    ...(split ? [["word part", "number"], ["context part", "number"]] : []), ["evidence"],
  ];
  return table("Influence on each class", columns, attributed.map(label => [
    element("a", {href: link("class", {label: matrix.labels[label]})}, labelName(matrix, label)),
    influenceBar(matrix, word, label, scale), of("influence", label), intervalText(matrix, word, label),
    of("lower_bound", label), ...(split ? [of("word_part", label), of("context_part", label)] : []),
    evidenceMark(matrix, word, label),
  ]));
}

// The attention view, and what the data say of the same word.
function attentionTable(matrix, word, labels) {
  const names = ["p_class_given_word", "p_word_given_class", "lift", "npmi", "joint", "log_odds", "q_value"]
    .filter(name => matrix.has(name));
  return table("Attention, and the data", [["class"], ...names.map(name => [MEASURES[name].title, "number"])],
    labels.map(label => [labelName(matrix, label),
      ...names.map(name => name === "q_value"
        ? qText(matrix.at(name, word, label)) : formatted(matrix, name, matrix.at(name, word, label)))]));
}

// Words whose influences on all classes differ least from this one's.
function neighbours(matrix, word) {
  if (!matrix.has("influence")) return [];
  const labels = matrix.labels.map((_, label) => label).filter(label => matrix.isAttributed(label));
  const distance = new Float64Array(matrix.numbered);
  for (const label of labels) {
    const values = matrix.column("influence", label), own = values[word];
    for (let other = 0; other < matrix.numbered; other++) distance[other] += (values[other] - own) ** 2;
  }
  const near = highest(distance.map(far => 1 / (1 + far)), NEIGHBOURS + 1).filter(other => other !== word);
  return [
    element("h2", {}, "Neighbours in profile"),
    element("p", {class: "about"}, "The words whose influences on all classes together differ least from this one's."),
    wordLinks(matrix, near.slice(0, NEIGHBOURS)),
  ];
}

function sentencesOf(matrix, examples, word, label) {
  const number = matrix.labels.indexOf(label.value);
  const found = examples.pushes(word, number);
  const head = element("h2", {}, examples.signed ? "Where it pushed most and least" : "Where it got most and least attention");
  if (!examples.available) {
    return element("div", {}, head, element("p", {class: "hint"}, "This report was made without texts."));
  }
  if (!found.length) {
    return element("div", {}, head, element("p", {class: "hint"},
      `None of the ${counted(examples.texts.length)} example texts holds the word; they were drawn ` +
      `from ${counted(examples.available)}.`));
  }
  label.sync();
  const some = Math.min(MOST_SENTENCES, Math.ceil(found.length / 2));
  const part = (title, texts) => texts.length ? [element("h3", {}, title), ...texts.map(({text, total}) =>
    element("article", {}, sentence(matrix, examples, text, number, word),
      element("p", {class: "verdict"}, `this word here: ${examples.amount(total)}; `, ...verdict(matrix, examples, text, number).childNodes)))] : [];
  return element("div", {}, head, element("div", {class: "controls"}, label.field),
    element("p", {class: "about"}, `Of ${counted(found.length)} example texts with the word, for the class `, isolated(label.value), "."),
    ...part("Most", found.slice(0, some)),
    ...part("Least", found.slice(Math.max(some, found.length - some)).reverse()));
}
