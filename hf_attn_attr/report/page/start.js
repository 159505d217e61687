// Puts the page together and shows the view that the address names.

const VIEWS = [
  ["overview", "Overview"], ["class", "Class → words"], ["word", "Word → classes"], ["texts", "Texts"],
  ["compare", "Compare"],
];
const THEMES = ["as the system", "light", "dark"];
let render = () => {};

function navigation(names) {
  const links = names.map(([name, title]) => element("a", {href: link(name)}, title));
  document.getElementById("views").append(...links);
  return current => links.forEach((node, i) => {
    if (names[i][0] === current) node.setAttribute("aria-current", "page");
    else node.removeAttribute("aria-current");
  });
}

function themes() {
  const button = document.getElementById("theme");
  let theme = 0;
  button.addEventListener("click", () => {
    theme = (theme + 1) % THEMES.length;
    document.documentElement.dataset.theme = THEMES[theme];
    button.textContent = `Colours: ${THEMES[theme]}`;
    render();  // maps take their colours when they are drawn
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => render());
}

async function start() {
  const main = document.getElementById("main");
  if (typeof DecompressionStream === "undefined") {
    document.getElementById("loading").textContent = "This page needs a browser of 2023 or later.";
    return;
  }
  const matrix = new Matrix(await unpack("data"));
  const examples = new Examples(await unpack("examples"));
  const makers = {
    overview: () => overviewView(matrix), class: () => classView(matrix),
    word: () => wordView(matrix, examples), texts: () => textsView(matrix, examples),
    compare: () => compareView(matrix),
  };
  const names = VIEWS.filter(([name]) => name !== "compare" || matrix.has("other_influence"));
  const mark = navigation(names), made = {};
  let shownView = null;
  render = () => {
    const asked = state.get("view"), name = names.some(([known]) => known === asked) ? asked : "overview";
    made[name] ??= makers[name]();
    if (shownView !== name) {
      main.replaceChildren(made[name].node);
      mark(name);
      if (shownView) {
        main.focus({preventScroll: true});
        scrollTo(0, 0);
      }
      shownView = name;
    }
    made[name].sync();
    document.documentElement.dataset.ready = name;
  };
  addEventListener("hashchange", () => render());
  document.getElementById("skip").addEventListener("click", event => {
    event.preventDefault();
    main.focus();
  });
  themes();
  render();
}

start();
