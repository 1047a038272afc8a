// The marks inside a paragraph of Markdown. Addresses are followed only when they are of the web or
// of mail, and no picture is fetched.

import { h } from "./dom.js";

const DEEPEST = 12;
const LONGEST = 8000; // letters of a paragraph in which marks are looked for

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
  "\\": (text, at) =>
    /[!-/:-@[-`{-~]/.test(text[at + 1] ?? "") ? { node: text[at + 1], end: at + 2 } : null,
  "\n": (text, at) => ({ node: h("br"), end: at + 1 }),
  "`": (text, at) => {
    const [mark] = /^`+/.exec(text.slice(at, at + 20));
    const close = text.indexOf(mark, at + mark.length);
    if (close < 0) return null;
    const code = text.slice(at + mark.length, close).replace(/^ (.*) $/, "$1");
    return { node: h("code", {}, code), end: close + mark.length };
  },
  "*": emphasis,
  _: emphasis,
  "~": (text, at, depth) => (text.startsWith("~~", at) ? pair(text, at, "~~", "del", depth) : null),
  "[": link,
  // A picture would be fetched from wherever the model says: its address is shown instead.
  "!": (text, at, depth) => (text[at + 1] === "[" ? link(text, at + 1, depth) : null),
  "<": (text, at) => {
    const close = text.indexOf(">", at);
    const address = close < 0 ? "" : text.slice(at + 1, close);
    return /^(https?:\/\/|mailto:)\S+$/i.test(address)
      ? { node: anchor(address, [address]), end: close + 1 }
      : null;
  },
  h: (text, at) => {
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
  return text[at + 1] === mark
    ? pair(text, at, mark.repeat(2), "strong", depth)
    : pair(text, at, mark, "em", depth);
}

function pair(text, at, mark, tag, depth) {
  const from = at + mark.length;
  if (/\s/.test(text[from] ?? " ")) return null;
  for (let close = text.indexOf(mark, from + 1); close > 0; close = text.indexOf(mark, close + 1)) {
    const after = text[close + mark.length] ?? " ";
    if (/\s/.test(text[close - 1]) || text[close - 1] === "\\") continue;
    if (mark.length === 1 && (after === mark || text[close - 1] === mark)) continue;
    if (mark[0] === "_" && /\w/.test(after)) continue;
    return {
      node: h(tag, {}, inline(text.slice(from, close), depth + 1)),
      end: close + mark.length,
    };
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
  const address = text
    .slice(close + 2, end)
    .trim()
    .replace(/\s+["'(].*$/, "")
    .replace(/^<(.*)>$/, "$1");
  return {
    node: anchor(address, inline(text.slice(at + 1, close) || address, depth + 1)),
    end: end + 1,
  };
}

function anchor(address, content) {
  if (!/^(https?:\/\/|mailto:)/i.test(address)) return h("span", { title: address }, content);
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, content);
}
