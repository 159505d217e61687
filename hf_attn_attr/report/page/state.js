// What is shown, as the fragment of the address: #view=class&label=joy&by=lift

const state = {
  all() {
    return new URLSearchParams(location.hash.slice(1));
  },
  get(key, otherwise = "") {
    return this.all().get(key) ?? otherwise;
  },
  number(key, otherwise) {
    const value = Number(this.get(key, otherwise));
    return Number.isFinite(value) ? value : otherwise;
  },
};

function address(changes, kept = state.all()) {
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === "") kept.delete(key);
    else kept.set(key, value);
  }
  return `#${kept}`;
}

// A link to another view starts from a clean state.
function link(view, changes = {}) {
  return address({view, ...changes}, new URLSearchParams());
}

// What is typed or chosen replaces the address; only links add to the browser's history.
function update(changes) {
  history.replaceState(null, "", address(changes));
  render();
}
