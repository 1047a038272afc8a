// The page: which view is shown, its shortcuts, its colours.

import { Chat } from "./chat.js";
import { find } from "./dom.js";
import { History } from "./history.js";
import { Live } from "./live.js";
import * as sidebar from "./sidebar.js";

const VIEWS = ["chat", "live", "history"];
let listed = 0;

const chat = new Chat(find("chat"), () => {
  listed ||= requestAnimationFrame(() => {
    listed = 0;
    sidebar.draw(chat);
  });
});
const views = {
  chat: { show() {}, hide() {} },
  live: new Live(find("live")),
  history: new History(find("history")),
};
let shown = null;

function go() {
  const [, name = "chat"] = /^#\/(\w+)/.exec(location.hash) ?? [];
  const next = VIEWS.includes(name) ? name : "chat";
  menu(false);
  if (next === shown) return;
  if (shown) views[shown].hide();
  shown = next;
  for (const one of VIEWS) find(one).hidden = one !== next;
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === next) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = next === "chat" ? "llmrr" : `${next[0].toUpperCase()}${next.slice(1)} · llmrr`;
  views[next].show();
}

// -- the menu of a narrow window -------------------------------------------------------------------

function menu(open) {
  const was = find("side").classList.contains("open");
  find("side").classList.toggle("open", open);
  find("shade").hidden = !open;
  find("main").inert = open;
  find("menu").setAttribute("aria-expanded", String(open));
  if (open) document.querySelector("[aria-current=page]").focus();
  else if (was) find("menu").focus();
}

find("menu").addEventListener("click", () => menu(!find("side").classList.contains("open")));
find("shade").addEventListener("click", () => menu(false));

// -- colours ---------------------------------------------------------------------------------------

const theme = find("theme");
theme.value = document.documentElement.dataset.theme ?? "";
theme.addEventListener("change", () => {
  if (theme.value) document.documentElement.dataset.theme = theme.value;
  else delete document.documentElement.dataset.theme;
  localStorage.setItem("llmrr.theme", theme.value);
});

// -- shortcuts -------------------------------------------------------------------------------------

const press = {
  "?": () => find("shortcuts").showModal(),
  "/": () => [to("chat"), chat.composer.input.focus()],
  n: () => [to("chat"), chat.fresh()],
  m: () => [to("chat"), chat.model.focus()],
  p: () => [to("chat"), chat.panel(chat.parameters.place.hidden)],
  r: () => shown === "chat" && chat.again(),
  1: () => to("chat"),
  2: () => to("live"),
  3: () => to("history"),
};

function to(name) {
  location.hash = `#/${name}`;
  go();
}

addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") return escape();
  const writes = event.target.closest("input, textarea, select");
  if (writes || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (!press[event.key]) return;
  event.preventDefault();
  press[event.key]();
});

function escape() {
  if (find("side").classList.contains("open")) menu(false);
  else if (chat.stopping) chat.stop();
  else if (shown === "chat" && !chat.parameters.place.hidden) chat.panel(false);
}

find("help").addEventListener("click", () => find("shortcuts").showModal());
find("new").addEventListener("click", () => [to("chat"), chat.fresh()]);
find("key-cancel").addEventListener("click", () => find("key").close(""));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  find("main").focus();
});
addEventListener("hashchange", go);
addEventListener("storage", () => sidebar.draw(chat));
go();
chat.learn();
sidebar.draw(chat);
