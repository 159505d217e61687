// Controls that read and write the state. Each has `field`, to show, and `sync()`, to follow it.

let controlNumber = 0;

function labelled(title, control) {
  control.id = `control-${++controlNumber}`;
  return element("div", {class: "control"}, element("label", {htmlFor: control.id}, title), control);
}

// `options`: a function to [value, text] pairs. Where the state says nothing, `otherwise` is chosen,
// or the first.
function choice(title, key, options) {
  const control = element("select", {onchange: () => update({[key]: control.value, more: null})});
  const choose = () => {
    const known = options();
    const wanted = state.get(key);
    return known.some(([value]) => value === wanted) ? wanted : made.otherwise ?? known[0]?.[0] ?? "";
  };
  const made = {
    field: labelled(title, control),
    get value() { return choose(); },
    sync() {
      control.replaceChildren(...options().map(([value, text]) =>
        element("option", {value}, shown(text))));
      control.value = choose();
    },
  };
  return made;
}

function typed(title, key, properties = {}) {
  const control = element("input", {
    type: "search", autocomplete: "off", spellcheck: false, ...properties,
    oninput: () => update({[key]: control.value, more: null}),
  });
  return {
    field: labelled(title, control),
    control,
    get value() { return state.get(key).trim(); },
    sync() {
      if (control.value !== state.get(key)) control.value = state.get(key);
    },
  };
}

function whole(title, key, least) {
  const control = element("input", {
    type: "number", min: least, step: 1, oninput: () => update({[key]: control.value, more: null}),
  });
  return {
    field: labelled(title, control),
    get value() { return Math.max(least, state.number(key, least)); },
    sync() {
      if (document.activeElement !== control) control.value = this.value;
    },
  };
}

function ticked(title, key) {
  const control = element("input", {
    type: "checkbox", onchange: () => update({[key]: control.checked ? "yes" : null, more: null}),
  });
  const field = labelled(title, control);
  field.classList.add("tick");
  return {
    field,
    get value() { return state.get(key) === "yes"; },
    sync() { control.checked = this.value; },
  };
}

function labelChoice(matrix, title = "Class", first = []) {
  return choice(title, "label", () => [...first, ...matrix.labels.map(label => [label, label])]);
}

// Rows in portions: `more` in the state is how many portions are shown.
const PORTION = 50;

function portion(items) {
  return items.slice(0, PORTION * Math.max(1, state.number("more", 1)));
}

function moreButton(items) {
  const left = items.length - portion(items).length;
  if (!left) return null;
  return element("button", {
    type: "button",
    onclick: () => update({more: Math.max(1, state.number("more", 1)) + 1}),
  }, `Show ${Math.min(left, PORTION)} more of ${counted(left)}`);
}
