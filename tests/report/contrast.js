// [ratio, name] of every text and its ground, the least legible first (WCAG 2.2, contrast ratio).
() => {
  const light = rgb => {
    const [r, g, b] = rgb.map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const colour = text => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3]));
  const ground = node => node
    ? over(colour(getComputedStyle(node).backgroundColor), ground(node.parentElement))
    : [255, 255, 255];
  const ratios = [];
  for (const node of document.querySelectorAll("main *, header *")) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
    if (!own || !node.checkVisibility() || node.closest(".spoken, option, .tip")) continue;
    const pair = [light(colour(getComputedStyle(node).color)), light(ground(node))];
    ratios.push([(Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05), node.className || node.tagName]);
  }
  return ratios.sort((x, y) => x[0] - y[0]);
}
