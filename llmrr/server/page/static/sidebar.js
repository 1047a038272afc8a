// The conversations that this browser keeps.

import { find, h, moment, save } from "./dom.js";
import * as store from "./store.js";

/** Draw the list; ``chat`` is the view that opens one. */
export function draw(chat) {
  find("chats").replaceChildren(...store.all().map((head) => line(head, chat)));
}

function line({ id, title, updated }, chat) {
  const current = chat.chat.id === id;
  const open = h(
    "button",
    {
      type: "button",
      class: "open",
      "aria-current": current ? "true" : null,
      onclick: () => {
        const found = store.load(id);
        if (found) chat.open(found);
        location.hash = "#/chat";
        chat.composer.input.focus();
      },
    },
    h("span", {}, title || "Without a title"),
    h("small", {}, moment(updated / 1000)),
  );
  return h(
    "li",
    { class: current ? "current" : null },
    open,
    h(
      "div",
      { class: "tools" },
      h(
        "button",
        {
          type: "button",
          class: "quiet small",
          "aria-label": `Export ${title}`,
          title: "Export",
          onclick: () => give(id, chat),
        },
        "↓",
      ),
      h(
        "button",
        {
          type: "button",
          class: "quiet small",
          "aria-label": `Delete ${title}`,
          title: "Delete",
          onclick: () => drop(id, title, chat),
        },
        "×",
      ),
    ),
  );
}

function give(id, chat) {
  const found = id === chat.chat.id ? chat.chat : store.load(id);
  if (found) save(`conversation-${id.slice(0, 8)}.json`, found);
}

function drop(id, title, chat) {
  if (!confirm(`Delete “${title || "this conversation"}”? It cannot be brought back.`)) return;
  if (id === chat.chat.id) {
    chat.chat.deleted = true;
    chat.fresh();
  }
  store.forget(id);
  draw(chat);
}
