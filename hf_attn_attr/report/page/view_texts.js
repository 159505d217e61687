// Example texts with their highlights, gold and predicted labels.

function textsView(matrix, examples) {
  const regression = matrix.header.overview.kind === "regression";
  const labelled = examples.texts.some(text => isSet(text.gold));
  const any = [["", "any"]];
  const named = () => [...any, ...matrix.labels.map(name => [name, name])];
  const controls = {
    label: labelChoice(matrix, "Highlights for", regression ? [] : [["", "the predicted class"]]),
    ...(labelled && !regression ? {
      result: choice("Result", "result", () => [...any, ["errors", "errors"], ["right", "right ones"]]),
      gold: choice("Labelled", "gold", named),
    } : {}),
    ...(regression ? {} : {predicted: choice("Predicted", "predicted", named)}),
    search: typed("Search", "search", {placeholder: "part of the text"}),
    random: ticked("Random sample alone", "random"),
  };
  const summary = element("p", {class: "summary"}), list = element("div", {class: "texts"});
  const node = element("section", {}, element("h1", {}, "Texts"),
    element("p", {class: "about"}, examples.available
      ? `${counted(examples.texts.length)} of ${counted(examples.available)} texts: first those where ` +
        "the top words of a class pushed most or least, then a random sample. Only the random sample can stand for all."
      : "This report was made without texts. Fold with --columns to have them."),
    element("form", {class: "controls", onsubmit: event => event.preventDefault()},
      ...Object.values(controls).map(control => control.field)),
    colourLegend(examples), summary, list);

  function matches(text) {
    const value = name => controls[name]?.value ?? "";
    if (controls.random.value && text.striking) return false;
    if (value("result") && isError(text, regression) !== (value("result") === "errors")) return false;
    for (const [name, held] of [["gold", text.gold], ["predicted", text.predicted]]) {
      if (value(name) && !classNumbers(held).includes(matrix.labels.indexOf(value(name)))) return false;
    }
    return text.lower.includes(controls.search.value.toLowerCase());
  }

  function sync() {
    for (const control of Object.values(controls)) control.sync();
    const found = examples.texts.filter(matches);
    const asked = matrix.labels.indexOf(controls.label.value);
    summary.textContent = `${counted(found.length)} texts.`;
    announce(summary.textContent);
    list.replaceChildren(...portion(found).map(text => {
      const label = asked >= 0 ? asked : classNumbers(text.predicted)[0] ?? 0;
      return element("article", {}, sentence(matrix, examples, text, label),
        element("p", {class: "verdict"}, "highlights for ", labelName(matrix, label), "; ",
          ...verdict(matrix, examples, text, label).childNodes));
    }), moreButton(found) ?? "");
  }
  return {node, sync};
}

function colourLegend(examples) {
  if (!examples.signed) return element("p", {class: "legend"}, "The darker, the more attention.");
  return element("p", {class: "legend"},
    element("span", {class: "mark for"}, "for the class"), " ",
    element("span", {class: "mark against"}, "against it"), " The darker, the stronger in its text.");
}
