// A map of words: a point each, names where there is room, details under the pointer.

const MOST_NAMES = 40;
const COLOURS = ["--faint", "--for", "--against", "--strong"];

// Lists answer first, and maps follow: runs the latest of several jobs when the frame that is due
// has been painted.
function afterPainting() {
  let latest = 0;
  return job => {
    const own = ++latest;
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (own === latest) job();
    }));
  };
}

class Scatter {
  // `describe(word)` gives lines of text, `open(word)` the address of its profile.
  constructor({describe, open}) {
    this.canvas = element("canvas", {role: "img", class: "map", "aria-label": "Map, being drawn"});
    this.tip = element("div", {class: "tip", hidden: true, "aria-hidden": "true"});
    this.node = element("div", {class: "map-frame"}, this.canvas, this.tip);
    this.describe = describe;
    this.points = {words: []};
    this.canvas.addEventListener("pointermove", event => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => this.leave());
    this.canvas.addEventListener("click", event => {
      const found = this.under(event);
      if (found >= 0) location.hash = open(this.points.words[found]);
    });
    new ResizeObserver(() => {
      if (this.node.clientWidth !== this.width) this.draw();
    }).observe(this.node);
  }

  // Points, typed arrays: words, x, y, colour (places in COLOURS). `names`: points that may have
  // their names on the map, in the order in which they get room; `text(point)` is the name.
  show(points, {xTitle, yTitle, logarithmic = false, diagonal = false, summary}) {
    this.points = points;
    this.axes = {xTitle, yTitle, logarithmic, diagonal};
    this.canvas.setAttribute("aria-label", summary);
    this.leave();
    this.draw();
  }

  draw() {
    const width = this.node.clientWidth, height = Math.min(460, Math.max(280, width * 0.75));
    if (!width || !this.axes) return;
    this.width = width;
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = width * scale;
    this.canvas.height = height * scale;
    this.canvas.style.height = `${height}px`;
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    const css = getComputedStyle(this.node), colour = name => css.getPropertyValue(name);
    pen.font = `12px ${css.fontFamily}`;
    const frame = {left: 46, right: width - 8, top: 8, bottom: height - 38};
    this.place(frame);
    this.drawAxes(pen, frame, colour);
    pen.globalAlpha = this.points.words.length > 3000 ? 0.5 : 0.8;
    COLOURS.forEach((name, number) => {
      pen.fillStyle = colour(name);
      const size = name === "--strong" ? 6 : 4, {colour: own} = this.points, {px, py} = this;
      for (let i = 0; i < own.length; i++) {
        if (own[i] === number) pen.fillRect(px[i] - size / 2, py[i] - size / 2, size, size);
      }
    });
    pen.globalAlpha = 1;
    this.drawNames(pen, frame, colour("--text"));
  }

  // Pixel positions of all points.
  place(frame) {
    const {x, y} = this.points, {logarithmic} = this.axes;
    const across = logarithmic ? Float32Array.from(x, Math.log10) : x;
    this.xRange = range(across);
    this.yRange = range(y);
    const scaled = (values, [low, high], from, to) =>
      values.map(value => from + (to - from) * (value - low) / (high - low));
    this.px = scaled(across, this.xRange, frame.left, frame.right);
    this.py = scaled(y, this.yRange, frame.bottom, frame.top);
  }

  drawAxes(pen, frame, colour) {
    const {xTitle, yTitle, logarithmic, diagonal} = this.axes;
    pen.strokeStyle = colour("--line");
    pen.fillStyle = colour("--muted");
    pen.strokeRect(frame.left, frame.top, frame.right - frame.left, frame.bottom - frame.top);
    const across = value =>
      frame.left + (frame.right - frame.left) * (value - this.xRange[0]) / (this.xRange[1] - this.xRange[0]);
    const up = value =>
      frame.bottom - (frame.bottom - frame.top) * (value - this.yRange[0]) / (this.yRange[1] - this.yRange[0]);
    const rule = (x1, y1, x2, y2) => {
      pen.beginPath();
      pen.moveTo(x1, y1);
      pen.lineTo(x2, y2);
      pen.stroke();
    };
    pen.textAlign = "center";
    for (const value of ticks(this.xRange, logarithmic)) {
      const text = logarithmic ? counted(Math.round(10 ** value)) : String(value);
      pen.fillText(text.replace("-", "−"), across(value), frame.bottom + 15);
      rule(across(value), frame.bottom, across(value), frame.bottom + 3);
    }
    pen.textAlign = "right";
    for (const value of ticks(this.yRange, false)) {
      pen.fillText(String(value).replace("-", "−"), frame.left - 5, up(value) + 4);
    }
    if (this.yRange[0] < 0 && this.yRange[1] > 0) rule(frame.left, up(0), frame.right, up(0));
    if (diagonal && this.xRange[0] < 0 && this.xRange[1] > 0) {
      rule(across(0), frame.top, across(0), frame.bottom);
    }
    pen.textAlign = "center";
    pen.fillText(xTitle, (frame.left + frame.right) / 2, frame.bottom + 31);
    pen.save();
    pen.translate(11, (frame.top + frame.bottom) / 2);
    pen.rotate(-Math.PI / 2);
    pen.fillText(yTitle, 0, 0);
    pen.restore();
  }

  // Names in the order of `names`, each where it covers no other one.
  drawNames(pen, frame, colour) {
    pen.fillStyle = colour;
    pen.textAlign = "left";
    const taken = [];
    for (const index of this.points.names) {
      if (taken.length >= MOST_NAMES) break;
      const text = shortened(this.points.text(index));
      const width = pen.measureText(text).width, x = this.px[index], y = this.py[index];
      const left = x + 5 + width > frame.right ? x - 5 - width : x + 5;
      const box = [left - 2, y - 7, left + width + 2, y + 7];
      const hit = ([l, t, r, b]) => box[0] < r && box[2] > l && box[1] < b && box[3] > t;
      if (left < frame.left || box[1] < frame.top || box[3] > frame.bottom || taken.some(hit)) continue;
      taken.push(box);
      pen.fillText(text, left, y + 4);
    }
  }

  // The nearest point within 14 pixels of the pointer, or -1.
  under(event) {
    const {left, top} = this.canvas.getBoundingClientRect();
    const x = event.clientX - left, y = event.clientY - top;
    let best = -1, least = 14 ** 2;
    for (let i = 0; i < this.points.words.length; i++) {
      const distance = (this.px[i] - x) ** 2 + (this.py[i] - y) ** 2;
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }

  hover(event) {
    const found = this.under(event);
    this.canvas.style.cursor = found < 0 ? "default" : "pointer";
    this.tip.hidden = found < 0;
    if (found < 0) return;
    this.tip.replaceChildren(...this.describe(this.points.words[found]).map(text =>
      element("div", {}, text)));
    const wide = this.node.clientWidth;
    this.tip.style.left = `${Math.min(this.px[found] + 10, Math.max(0, wide - this.tip.offsetWidth))}px`;
    this.tip.style.top = `${this.py[found] + 10}px`;
  }

  leave() {
    this.tip.hidden = true;
  }
}

function shortened(text) {
  const letters = shown(text);
  // Marks around it: a name that reads from the right turns nothing beside it.
  return `\u2068${letters.length > 24 ? `${letters.slice(0, 23)}…` : letters}\u2069`;
}

function range(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return [0, 1];
  const room = (high - low) * 0.04 || 0.5;
  return [low - room, high + room];
}

function ticks([low, high], logarithmic) {
  const found = [];
  if (logarithmic) {
    for (let power = Math.floor(low); power <= high; power++) {
      found.push(...[1, 2, 5].map(factor => power + Math.log10(factor)));
    }
    const within = found.filter(value => value >= low && value <= high);
    return within.length > 5 ? within.filter(value => Number.isInteger(value)) : within;
  }
  const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size >= rough);
  for (let n = Math.ceil(low / step); n * step <= high; n++) found.push(Number((n * step).toPrecision(6)));
  return found;
}
