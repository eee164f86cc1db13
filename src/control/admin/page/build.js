// Elements. Names come from files, clients and Sentinels that somebody else may have written: they
// become text nodes and attributes, never markup, and the page's policy forbids markup from text.
const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);

function put(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const make = (tag, attributes = {}, ...children) => put(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) => put(document.createElementNS(SVG, tag), attributes, children);

// What has not changed is left alone: the browser lays out nothing, and a screen reader says nothing.
function setText(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}

function setClass(element, name) {
  if (element.getAttribute("class") !== name) element.setAttribute("class", name);
}

// Makes `parent` have one child for each item, by key and in that order.
function keep(parent, items, keyOf, create, update) {
  const known = parent.keyed || (parent.keyed = new Map());
  const left = new Set(known.keys());
  let at = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    left.delete(key);
    let child = known.get(key);
    if (!child) {
      child = create(item);
      known.set(key, child);
    }
    if (child === at) at = at.nextSibling;
    else parent.insertBefore(child, at);
    update(child, item);
  }
  for (const key of left) {
    known.get(key).remove();
    known.delete(key);
  }
}

function head(columns) {
  const cells = columns.map(([title, kind]) => make("th", { scope: "col", ...(kind ? { class: kind } : {}) }, title));
  return make("thead", {}, make("tr", {}, ...cells));
}

function row(columns) {
  const tr = make("tr");
  columns.forEach(([, kind], nth) => {
    tr.append(nth === 0 ? make("th", { scope: "row" }) : make("td", kind ? { class: kind } : {}));
  });
  return tr;
}

// 1234567 -> 1.23 M: three digits are read at a glance.
function amount(number) {
  if (number === null || number === undefined) return "–";
  if (number < 10) return String(Math.round(number * 10) / 10);
  const steps = [[1e9, " G"], [1e6, " M"], [1e4, " k", 1e3]];
  for (const [from, unit, by] of steps) {
    if (number >= from) return `${(number / (by || from)).toPrecision(3)}${unit}`;
  }
  return String(Math.round(number));
}

function bytes(number) {
  if (number === null || number === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (number >= 1024 && at < units.length - 1) {
    number /= 1024;
    at += 1;
  }
  return `${number < 10 && at > 0 ? number.toFixed(1) : Math.round(number)} ${units[at]}`;
}

function micros(number) {
  if (number === null || number === undefined) return "–";
  if (number < 1000) return `${number} µs`;
  return number < 1e6 ? `${(number / 1000).toPrecision(3)} ms` : `${(number / 1e6).toPrecision(3)} s`;
}

const percent = (share) => (share === null || share === undefined ? "–" : `${(share * 100).toFixed(1)} %`);

function lasting(seconds) {
  const [m, h, d] = [60, 3600, 86400].map((unit) => Math.floor(seconds / unit));
  if (d > 0) return `${d}d ${h % 24}h`;
  if (h > 0) return `${h}h ${m % 60}m`;
  return m > 0 ? `${m}m ${Math.floor(seconds % 60)}s` : `${Math.floor(seconds)}s`;
}

const clock = (time) => new Date(time).toLocaleTimeString([], { hour12: false });

function meter(cell, share, text) {
  if (!cell.bar) {
    cell.bar = make("b");
    cell.label = make("span");
    cell.append(cell.label, make("span", { class: "meter", "aria-hidden": "true" }, cell.bar));
  }
  setText(cell.label, text);
  setClass(cell.bar, share > 0.85 && !cell.relative ? "warn" : "");
  const width = `${Math.round(Math.min(share || 0, 1) * 100)}%`;
  if (cell.bar.style.width !== width) cell.bar.style.width = width;
}

// A bar as long as a share of the slowest.
function latency(cell, number, slowest) {
  cell.relative = true;
  meter(cell, (number || 0) / slowest, micros(number));
}
