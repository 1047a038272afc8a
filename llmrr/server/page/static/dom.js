// Elements, and how figures are written. Text goes in as text: nothing is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((one) => one !== null && one !== undefined));
  return element;
}

export const h = (tag, properties = {}, ...children) =>
  fill(document.createElement(tag), properties, children);

export const s = (tag, properties = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), properties, children);

export const find = (id) => document.getElementById(id);

/** Tell who listens to the page; what is told twice is read twice. */
export function say(text) {
  const place = find("said");
  place.textContent = "";
  requestAnimationFrame(() => (place.textContent = text));
}

const number = (digits) => new Intl.NumberFormat("en", { maximumFractionDigits: digits });
const NONE = "–";

export const count = (value) =>
  value === null || value === undefined ? NONE : number(0).format(value);

export function seconds(value) {
  if (value === null || value === undefined) return NONE;
  if (value < 0.9995) return `${number(0).format(value * 1000)} ms`;
  if (value < 90) return `${number(value < 10 ? 2 : 1).format(value)} s`;
  const minutes = Math.floor(value / 60);
  if (minutes < 90) return `${minutes} min ${Math.floor(value % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

export function bytes(value) {
  if (value === null || value === undefined) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) [value, at] = [value / 1024, at + 1];
  return `${number(value < 10 && at ? 1 : 0).format(value)} ${units[at]}`;
}

export function dollars(value) {
  if (value === null || value === undefined) return NONE;
  if (value === 0) return "$0";
  return `$${value >= 1 ? value.toFixed(2) : Number(value.toPrecision(2)).toString()}`;
}

export function speed(value) {
  return value === null || value === undefined
    ? NONE
    : `${number(value < 10 ? 1 : 0).format(value)} tok/s`;
}

export function moment(at) {
  const date = new Date(at * 1000);
  const today = new Date().toDateString() === date.toDateString();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return today
    ? time
    : `${date.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}

/** A button that copies what ``text()`` says. */
export function copier(text, label = "Copy") {
  const button = h("button", { class: "quiet small", type: "button" }, label);
  button.addEventListener("click", async () => {
    const worked = await copy(text());
    button.textContent = worked ? "Copied" : "Not allowed";
    say(button.textContent);
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Over plain HTTP from another machine there is no clipboard, but there is the old way.
    const area = h("textarea", { class: "unseen", value: text });
    const before = document.activeElement;
    document.body.append(area);
    area.select();
    const worked = document.execCommand("copy");
    area.remove();
    before?.focus();
    return worked;
  }
}

/** Offer a file to be saved. */
export function save(name, data) {
  const address = URL.createObjectURL(
    new Blob([JSON.stringify(data, null, 2)], { type: "application/json" }),
  );
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** A table from rows of cells; a cell may be an element. */
export function table(caption, heads, rows, properties = {}) {
  const figures = heads.map((head) => head.startsWith("#"));
  const cell = (value, at) =>
    h(
      at ? "td" : "th",
      { class: figures[at] && "figure", scope: at ? null : "row" },
      value ?? NONE,
    );
  return h(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-label": caption, ...properties },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          heads.map((head, at) =>
            h("th", { scope: "col", class: figures[at] && "figure" }, head.replace(/^#/, "")),
          ),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map((row) => h("tr", {}, row.map(cell))),
      ),
    ),
  );
}
