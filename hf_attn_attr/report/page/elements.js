// Elements of the page. Whatever comes from texts goes in as text, never as markup.

function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key in node && !key.startsWith("aria")) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter(child => child !== null && child !== undefined));
  return node;
}

function drawing(name, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// Control characters, and those that hide text or turn its direction, are written out. Joiners
// stay: scripts and emoji need them.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

function shown(text) {
  return text.replace(HIDDEN, character =>
    `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

// A word keeps its own direction and turns nothing around it.
function isolated(text) {
  return element("bdi", {}, shown(text));
}

function wordLink(matrix, word, changes = {}) {
  return element("a", {href: link("word", {word: matrix.words[word], ...changes}), class: "word"},
    isolated(matrix.words[word]));
}

function labelName(matrix, label) {
  return isolated(matrix.labels[label]);
}

function evidenceMark(matrix, word, label) {
  const evidence = matrix.evidence(word, label);
  return element("span", {class: `evidence ${evidence}`}, EVIDENCE[evidence]);
}

const counts = new Intl.NumberFormat("en");

function counted(number) {
  return counts.format(number);
}

// Columns: [title, class]. Roles are said aloud because narrow screens lay rows out as blocks.
function table(caption, columns, rows) {
  const head = columns.map(([title, kind]) =>
    element("th", {scope: "col", class: kind ?? "", role: "columnheader"}, title));
  const body = rows.map(cells => element("tr", {role: "row"}, ...cells.map((cell, index) => {
    const [title, kind] = columns[index];
    const properties = {class: kind ?? "", "data-title": title};
    return index === 0
      ? element("th", {scope: "row", role: "rowheader", ...properties}, cell)
      : element("td", {role: "cell", ...properties}, cell);
  })));
  return element("table", {role: "table"},
    element("caption", {}, caption),
    element("thead", {role: "rowgroup"}, element("tr", {role: "row"}, ...head)),
    element("tbody", {role: "rowgroup"}, ...body));
}

// Says a result to those who do not see it, once typing has stopped.
let announcing = 0;
function announce(text) {
  clearTimeout(announcing);
  announcing = setTimeout(() => {
    document.getElementById("announcement").textContent = text;
  }, 400);
}
