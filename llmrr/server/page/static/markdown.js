// Markdown to elements. What the text says is only ever put in as text.

import { copier, h } from "./dom.js";
import { inline } from "./inline.js";

const DEEPEST = 12;
const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:\s+(.*))?$/;
const RULE = /^ {0,3}(?:(?:- *){3,}|(?:\* *){3,}|(?:_ *){3,})$/;
const ITEM = /^([ \t]*)([-*+]|\d{1,9}[.)])(?:[ \t]+|$)/;
const DELIMITER = /^ {0,3}\|?[ :|-]*-[ :|-]*$/;

/** Shows a growing text: only the blocks that changed are made anew. */
export class Shown {
  constructor(place) {
    this.place = place;
    this.known = [];
  }

  show(text) {
    const found = blocks(text.split(/\r?\n/));
    let same = 0;
    while (same < found.length && same < this.known.length && found[same].key === this.known[same])
      same++;
    while (this.place.childNodes.length > same) this.place.lastChild.remove();
    for (const block of found.slice(same)) this.place.append(render(block, 0));
    this.known = found.map((one) => one.key);
  }
}

export function markdown(text) {
  const place = h("div", { class: "markdown" });
  new Shown(place).show(text);
  return place;
}

/** The blocks of lines, each with its kind. */
export function blocks(lines) {
  const found = [];
  let at = 0;
  while (at < lines.length) {
    const from = at;
    const kind = kindOf(lines, at);
    at = END[kind](lines, at);
    if (kind === "blank") continue;
    const own = lines.slice(from, at);
    found.push({ kind, lines: own, key: `${kind}\n${own.join("\n")}` });
  }
  return found;
}

function kindOf(lines, at) {
  const line = lines[at];
  if (!line.trim()) return "blank";
  if (FENCE.test(line)) return "fence";
  if (HEADING.test(line)) return "heading";
  if (RULE.test(line)) return "rule";
  if (/^ {0,3}>/.test(line)) return "quote";
  if (ITEM.test(line)) return "list";
  if (line.includes("|") && DELIMITER.test(lines[at + 1] ?? "") && lines[at + 1].includes("|"))
    return "table";
  return "paragraph";
}

const END = {
  blank: (lines, at) => at + 1,
  heading: (lines, at) => at + 1,
  rule: (lines, at) => at + 1,
  fence(lines, at) {
    const [, mark] = FENCE.exec(lines[at]);
    for (let next = at + 1; next < lines.length; next++) {
      const close = lines[next].trim();
      if (close.startsWith(mark) && close === mark[0].repeat(close.length)) return next + 1;
    }
    return lines.length;
  },
  quote(lines, at) {
    while (at < lines.length && /^ {0,3}>/.test(lines[at])) at++;
    return at;
  },
  list(lines, at) {
    const inside = (line) =>
      line !== undefined && (ITEM.test(line) || /^(?: {2,}|\t)\s*\S/.test(line));
    at++;
    while (at < lines.length) {
      if (!lines[at].trim()) {
        let next = at + 1;
        while (next < lines.length && !lines[next].trim()) next++;
        if (!inside(lines[next])) break;
        at = next;
      } else if (!inside(lines[at]) && kindOf(lines, at) !== "paragraph") break;
      else if (RULE.test(lines[at])) break;
      else at++;
    }
    return at;
  },
  table(lines, at) {
    while (at < lines.length && lines[at].includes("|")) at++;
    return at;
  },
  paragraph(lines, at) {
    at++;
    while (at < lines.length && kindOf(lines, at) === "paragraph") at++;
    return at;
  },
};

const rendered = (lines, depth) => blocks(lines).map((block) => render(block, depth));

function render({ kind, lines }, depth) {
  if (depth > DEEPEST) return h("p", {}, lines.join("\n"));
  switch (kind) {
    case "fence":
      return fence(lines);
    case "heading": {
      const [, marks, text = ""] = HEADING.exec(lines[0]);
      // The page has headings of its own: those of an answer are below them.
      return h(`h${Math.min(6, marks.length + 2)}`, {}, inline(text.replace(/\s+#+\s*$/, "")));
    }
    case "rule":
      return h("hr");
    case "quote":
      return h(
        "blockquote",
        {},
        rendered(
          lines.map((one) => one.replace(/^ {0,3}> ?/, "")),
          depth + 1,
        ),
      );
    case "list":
      return list(lines, depth);
    case "table":
      return grid(lines);
    default:
      return h("p", {}, inline(lines.map((one) => one.trimStart()).join("\n")));
  }
}

function fence(lines) {
  const [, mark, language] = FENCE.exec(lines[0]);
  const last = lines.at(-1).trim();
  const closed = lines.length > 1 && last.startsWith(mark) && last === mark[0].repeat(last.length);
  const code = lines.slice(1, closed ? -1 : undefined).join("\n");
  return h(
    "div",
    { class: "code" },
    h(
      "div",
      { class: "row" },
      h("span", {}, language.trim().split(/\s/)[0].slice(0, 40) || "code"),
      copier(() => code),
    ),
    h("pre", { tabindex: "0", "aria-label": "code" }, h("code", {}, code)),
  );
}

function list(tabbed, depth) {
  const lines = tabbed.map((one) => one.replace(/^\t+/, (tabs) => "    ".repeat(tabs.length)));
  const [, indent, mark] = ITEM.exec(lines[0]);
  const items = [];
  for (const line of lines) {
    const begins = ITEM.exec(line);
    if (begins && begins[1].length <= indent.length + 1)
      items.push({ width: begins[0].length, lines: [line.slice(begins[0].length)] });
    else items.at(-1).lines.push(line.replace(new RegExp(`^ {0,${items.at(-1).width}}`), ""));
  }
  const ordered = /\d/.test(mark);
  const loose = lines.some((one) => !one.trim());
  return h(
    ordered ? "ol" : "ul",
    { start: ordered && parseInt(mark, 10) !== 1 ? parseInt(mark, 10) : null },
    items.map(({ lines: own }) => {
      const task = /^\[([ xX])\]\s+/.exec(own[0]);
      if (task) own[0] = own[0].slice(task[0].length);
      const inner = rendered(own, depth + 1);
      if (!loose && inner[0]?.tagName === "P") inner.splice(0, 1, ...inner[0].childNodes);
      const box =
        task &&
        h("input", {
          type: "checkbox",
          disabled: true,
          checked: task[1] !== " ",
          "aria-label": task[1] === " " ? "to do" : "done",
        });
      return h("li", { class: task && "task" }, box, inner);
    }),
  );
}

function grid(lines) {
  const cells = (line) =>
    line
      .trim()
      .replace(/^\||\|$/g, "")
      .split(/(?<!\\)\|/)
      .map((one) => one.trim().replaceAll("\\|", "|"));
  const sides = cells(lines[1]).map((one) =>
    one.endsWith(":") ? (one.startsWith(":") ? "center" : "figure") : null,
  );
  const row = (line, tag) =>
    h(
      "tr",
      {},
      cells(line).map((one, at) => h(tag, { class: sides[at] }, inline(one))),
    );
  return h(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-label": "table" },
    h(
      "table",
      {},
      h("thead", {}, row(lines[0], "th")),
      h(
        "tbody",
        {},
        lines.slice(2).map((one) => row(one, "td")),
      ),
    ),
  );
}
