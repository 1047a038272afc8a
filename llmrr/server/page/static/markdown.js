// Markdown to elements. What the text says is only ever put in as text; addresses are followed only
// when they are of the web or of mail, and no picture is fetched.

import { copier, h } from "./dom.js";

const DEEPEST = 12;
const LONGEST = 8000; // letters of a paragraph in which marks are looked for
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
    while (same < found.length && same < this.known.length && found[same].key === this.known[same]) same++;
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
  if (line.includes("|") && DELIMITER.test(lines[at + 1] ?? "") && lines[at + 1].includes("|")) return "table";
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
    const inside = (line) => line !== undefined && (ITEM.test(line) || /^(?: {2,}|\t)\s*\S/.test(line));
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
      return h("blockquote", {}, rendered(lines.map((one) => one.replace(/^ {0,3}> ?/, "")), depth + 1));
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
  return h("div", { class: "code" },
    h("div", { class: "row" }, h("span", {}, language.trim().split(/\s/)[0].slice(0, 40) || "code"), copier(() => code)),
    h("pre", { tabindex: "0", "aria-label": "code" }, h("code", {}, code)));
}

function list(tabbed, depth) {
  const lines = tabbed.map((one) => one.replace(/^\t+/, (tabs) => "    ".repeat(tabs.length)));
  const [, indent, mark] = ITEM.exec(lines[0]);
  const items = [];
  for (const line of lines) {
    const begins = ITEM.exec(line);
    if (begins && begins[1].length <= indent.length + 1) items.push({ width: begins[0].length, lines: [line.slice(begins[0].length)] });
    else items.at(-1).lines.push(line.replace(new RegExp(`^ {0,${items.at(-1).width}}`), ""));
  }
  const ordered = /\d/.test(mark);
  const loose = lines.some((one) => !one.trim());
  return h(ordered ? "ol" : "ul", { start: ordered && parseInt(mark, 10) !== 1 ? parseInt(mark, 10) : null },
    items.map(({ lines: own }) => {
      const task = /^\[([ xX])\]\s+/.exec(own[0]);
      if (task) own[0] = own[0].slice(task[0].length);
      const inner = rendered(own, depth + 1);
      if (!loose && inner[0]?.tagName === "P") inner.splice(0, 1, ...inner[0].childNodes);
      const box = task && h("input", { type: "checkbox", disabled: true, checked: task[1] !== " ", "aria-label": task[1] === " " ? "to do" : "done" });
      return h("li", { class: task && "task" }, box, inner);
    }));
}

function grid(lines) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((one) => one.trim().replaceAll("\\|", "|"));
  const sides = cells(lines[1]).map((one) => (one.endsWith(":") ? (one.startsWith(":") ? "center" : "figure") : null));
  const row = (line, tag) => h("tr", {}, cells(line).map((one, at) => h(tag, { class: sides[at] }, inline(one))));
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "table" },
    h("table", {}, h("thead", {}, row(lines[0], "th")), h("tbody", {}, lines.slice(2).map((one) => row(one, "td")))));
}

/** The pieces of a text with marks: elements and texts. */
export function inline(text, depth = 0) {
  if (text.length > LONGEST || depth > DEEPEST) return [text];
  const found = [];
  let plain = "";
  let at = 0;
  const put = (node) => {
    if (plain) found.push(plain);
    plain = "";
    found.push(node);
  };
  while (at < text.length) {
    const rest = MARKS[text[at]]?.(text, at, depth);
    if (!rest) {
      plain += text[at++];
      continue;
    }
    if (typeof rest.node === "string") plain += rest.node;
    else put(rest.node);
    at = rest.end;
  }
  if (plain) found.push(plain);
  return found;
}

const MARKS = {
  "\\": (text, at) => (/[!-/:-@[-`{-~]/.test(text[at + 1] ?? "") ? { node: text[at + 1], end: at + 2 } : null),
  "\n": (text, at) => ({ node: h("br"), end: at + 1 }),
  "`": (text, at) => {
    const [mark] = /^`+/.exec(text.slice(at, at + 20));
    const close = text.indexOf(mark, at + mark.length);
    if (close < 0) return null;
    const code = text.slice(at + mark.length, close).replace(/^ (.*) $/, "$1");
    return { node: h("code", {}, code), end: close + mark.length };
  },
  "*": emphasis,
  "_": emphasis,
  "~": (text, at, depth) => (text.startsWith("~~", at) ? pair(text, at, "~~", "del", depth) : null),
  "[": link,
  // A picture would be fetched from wherever the model says: its address is shown instead.
  "!": (text, at, depth) => (text[at + 1] === "[" ? link(text, at + 1, depth) : null),
  "<": (text, at) => {
    const close = text.indexOf(">", at);
    const address = close < 0 ? "" : text.slice(at + 1, close);
    return /^(https?:\/\/|mailto:)\S+$/i.test(address) ? { node: anchor(address, [address]), end: close + 1 } : null;
  },
  "h": (text, at) => {
    if (!text.startsWith("http://", at) && !text.startsWith("https://", at)) return null;
    if (/\w/.test(text[at - 1] ?? " ")) return null;
    const [address] = /^[^\s<>"`]+/.exec(text.slice(at, at + 2000));
    const clean = address.replace(/[.,;:!?'*_~]+$/, "").replace(/^([^(]*)\)$/, "$1");
    return { node: anchor(clean, [clean]), end: at + clean.length };
  },
};

function emphasis(text, at, depth) {
  const mark = text[at];
  if (mark === "_" && /\w/.test(text[at - 1] ?? " ")) return null;
  if (text.startsWith(mark.repeat(3), at)) {
    const inner = pair(text, at, mark.repeat(3), "strong", depth);
    return inner && { node: h("em", {}, inner.node), end: inner.end };
  }
  return text[at + 1] === mark ? pair(text, at, mark.repeat(2), "strong", depth) : pair(text, at, mark, "em", depth);
}

function pair(text, at, mark, tag, depth) {
  const from = at + mark.length;
  if (/\s/.test(text[from] ?? " ")) return null;
  for (let close = text.indexOf(mark, from + 1); close > 0; close = text.indexOf(mark, close + 1)) {
    const after = text[close + mark.length] ?? " ";
    if (/\s/.test(text[close - 1]) || text[close - 1] === "\\") continue;
    if (mark.length === 1 && (after === mark || text[close - 1] === mark)) continue;
    if (mark[0] === "_" && /\w/.test(after)) continue;
    return { node: h(tag, {}, inline(text.slice(from, close), depth + 1)), end: close + mark.length };
  }
  return null;
}

function link(text, at, depth) {
  const close = text.indexOf("](", at);
  if (close < 0 || text.slice(at + 1, close).includes("\n\n")) return null;
  let end = close + 2;
  for (let open = 1; end < text.length; end++) {
    if (text[end] === "(") open++;
    else if (text[end] === ")" && --open === 0) break;
    else if (text[end] === "\n") return null;
  }
  if (end >= text.length) return null;
  const address = text.slice(close + 2, end).trim().replace(/\s+["'(].*$/, "").replace(/^<(.*)>$/, "$1");
  return { node: anchor(address, inline(text.slice(at + 1, close) || address, depth + 1)), end: end + 1 };
}

function anchor(address, content) {
  if (!/^(https?:\/\/|mailto:)/i.test(address)) return h("span", { title: address }, content);
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, content);
}
