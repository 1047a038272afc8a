// The conversation that is open: what is sent, what comes back.

import { ask, events, request } from "./api.js";
import { Composer } from "./composer.js";
import { h, say } from "./dom.js";
import { add, facts, spoken } from "./exchange.js";
import { AnswerView, question } from "./message.js";
import { Parameters } from "./parameters.js";
import * as store from "./store.js";

export class Chat {
  constructor(place, onChange) {
    this.onChange = onChange;
    this.chat = store.fresh();
    this.stopping = null;
    this.model = h(
      "select",
      { id: "model", "aria-label": "Model", onchange: () => this.picked() },
      h("option", { value: "auto" }, "auto"),
    );
    this.tune = h(
      "button",
      {
        class: "quiet",
        id: "tune",
        type: "button",
        "aria-expanded": "false",
        "aria-controls": "parameters",
        onclick: () => this.panel(this.parameters.place.hidden),
      },
      "Parameters",
    );
    this.log = h("div", {
      class: "log",
      id: "log",
      role: "log",
      "aria-live": "off",
      "aria-label": "Messages",
    });
    this.scroll = h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Conversation" },
      this.log,
    );
    this.notice = h("p", { class: "wrong", role: "alert", hidden: true });
    this.composer = new Composer({
      onSend: (text, images) => this.send(text, images),
      onStop: () => this.stop(),
    });
    addEventListener("pagehide", () => this.stopping && store.keep(this.chat));
    const panel = h("aside", {
      class: "panel",
      id: "parameters",
      "aria-labelledby": "parameters-title",
      hidden: true,
    });
    this.parameters = new Parameters(panel, {
      onSystem: (text) => this.systemIs(text),
      onClose: () => this.panel(false),
    });
    place.append(
      h(
        "div",
        { class: "column" },
        h(
          "header",
          { class: "head" },
          h("label", { class: "pick" }, h("span", { class: "unseen" }, "Model"), this.model),
          this.tune,
        ),
        this.scroll,
        h("div", { class: "below" }, this.notice, this.composer.form),
      ),
      panel,
    );
    this.open(store.fresh(store.preference("system", "")));
  }

  /** Learn what can be asked. */
  async learn() {
    try {
      const found = await ask("/page/models");
      this.models = found.models;
      const labels = {
        auto: "The router",
        configured: "Configured",
        group: "Groups",
        installed: "On this machine",
        alias: "Other names",
      };
      this.model.replaceChildren(
        ...Object.entries(labels).flatMap(([kind, label]) => {
          const own = found.models.filter((one) => one.kind === kind);
          const options = own.map((one) =>
            h(
              "option",
              { value: one.name, title: one.source },
              kind === "auto" ? `auto (${found.strategy})` : one.name,
            ),
          );
          return options.length ? [h("optgroup", { label }, options)] : [];
        }),
      );
      const wanted = this.chat.model ?? store.preference("model", "auto");
      this.model.value = wanted;
      if (this.model.value !== wanted) this.model.value = "auto";
      this.parameters.offer(found);
      this.picked(false);
    } catch (error) {
      this.tell(error.message);
    }
  }

  picked(remember = true) {
    const found = this.models?.find((one) => one.name === this.model.value);
    this.composer.takes(Boolean(found?.images));
    this.parameters.thinks(Boolean(found?.thinks));
    if (!remember) return;
    this.chat.model = this.model.value;
    store.prefer("model", this.model.value);
  }

  systemIs(text) {
    this.chat.system = text;
    store.prefer("system", text);
    if (this.chat.messages.length) this.keep();
  }

  panel(open) {
    this.parameters.place.hidden = !open;
    this.tune.setAttribute("aria-expanded", String(open));
    if (open) this.parameters.system.focus();
    else this.tune.focus();
  }

  tell(text = "") {
    this.notice.hidden = !text;
    this.notice.textContent = text;
  }

  // -- conversations -----------------------------------------------------------------------------

  fresh() {
    this.open(store.fresh(store.preference("system", "")));
    this.composer.input.focus();
  }

  open(chat) {
    this.stop();
    this.stopping = null;
    this.composer.busy(false);
    this.chat = chat;
    this.parameters.system.value = chat.system ?? "";
    if (chat.model && this.models) {
      this.model.value = chat.model;
      if (!this.model.value) this.model.value = "auto";
      this.picked(false);
    }
    this.tell();
    this.draw();
    this.onChange();
  }

  keep() {
    const lost = store.keep(this.chat);
    if (lost)
      this.tell(
        `The browser has no more room, and keeps ${lost} no longer than this page: export or delete some conversations.`,
      );
    this.onChange();
  }

  draw() {
    const { messages } = this.chat;
    this.log.replaceChildren(
      ...(messages.length ? messages.map((one, at) => this.shown(one, at)) : [this.welcome()]),
    );
    this.toEnd();
  }

  shown(message, at) {
    if (message.role === "user") return question(message, { edit: (text) => this.edit(at, text) });
    return this.view(message, at).place;
  }

  view(message, at) {
    const last = at === this.chat.messages.length - 1;
    return new AnswerView(message, {
      again: last ? () => this.again() : null,
      result: last ? (call, text) => this.result(message, call, text) : null,
    });
  }

  welcome() {
    const asked = [
      "What is the capital of France?",
      "Explain how a hash table works.",
      "Write a haiku about rain.",
    ];
    return h(
      "div",
      { class: "welcome" },
      h("h1", {}, "What would you like to know?"),
      h("p", {}, "It is answered by the models of this machine, and by those that are configured."),
      h(
        "div",
        { class: "ideas" },
        asked.map((one) => h("button", { type: "button", onclick: () => this.send(one, []) }, one)),
      ),
    );
  }

  // -- what can be done --------------------------------------------------------------------------

  /** Whether the parameters can be sent; else what is wrong with them is told. */
  ready() {
    this.tell();
    try {
      this.parameters.fields();
      return true;
    } catch (error) {
      this.panel(true);
      this.tell(error.message);
      return false;
    }
  }

  send(text, images) {
    if (this.stopping || !this.ready()) return false;
    this.chat.messages.push({ role: "user", text, images });
    this.answer();
    return true;
  }

  edit(at, text) {
    if (!this.ready()) return;
    this.stop();
    this.chat.messages.splice(at, Infinity, { ...this.chat.messages[at], text });
    this.answer();
  }

  again() {
    if (this.stopping || this.chat.messages.at(-1)?.role !== "assistant" || !this.ready()) return;
    this.chat.messages.pop();
    this.answer();
  }

  result(message, call, text) {
    if (!this.ready()) return;
    call.result = text;
    if (message.calls.every((one) => one.result !== undefined)) this.answer();
    else [this.keep(), this.draw()];
  }

  stop() {
    this.stopping?.abort();
  }

  // -- an answer ---------------------------------------------------------------------------------

  async answer() {
    const { chat } = this;
    const stopping = new AbortController();
    const message = { role: "assistant", text: "", reasoning: "", calls: [], took: {} };
    const body = {
      ...this.parameters.fields(),
      model: this.model.value,
      messages: spoken(chat),
      stream: true,
      stream_options: { include_usage: true },
    };
    chat.messages.push(message);
    chat.model = this.model.value;
    this.stopping?.abort();
    this.stopping = stopping;
    this.composer.busy(true);
    this.draw();
    const view = this.view(message, chat.messages.length - 1);
    this.log.lastChild.replaceWith(view.place);
    view.draw(true);
    this.keep();
    say("The answer is on its way.");
    await this.receive(message, view, body, stopping);
    if (this.stopping === stopping) {
      this.stopping = null;
      this.composer.busy(false);
    }
    if (this.chat === chat) this.keep();
    else if (!chat.deleted) store.keep(chat);
    view.draw(false);
    this.toEnd(true);
    say(message.error ?? (message.text || "The answer is complete."));
  }

  async receive(message, view, body, stopping) {
    const began = performance.now();
    const { took } = message;
    let drawn = 0;
    const draw = () => {
      drawn ||= requestAnimationFrame(() => {
        drawn = 0;
        const near = this.isAtEnd();
        if (stopping === this.stopping) view.draw(true);
        if (near) this.toEnd();
      });
    };
    try {
      const response = await request("/v1/chat/completions", body, stopping.signal);
      for await (const event of events(response)) {
        if (event.error) throw new Error(event.error.message);
        message.id ??= event.id;
        message.model ||= event.system_fingerprint || event.model;
        if (event.usage) took.tokens = event.usage.completion_tokens;
        const choice = event.choices?.[0];
        if (!choice) continue;
        if (add(message, choice)) {
          const now = performance.now();
          took.first ??= (now - began) / 1000;
          took.tokens = (took.tokens ?? 0) + 1;
          const since = (now - began) / 1000 - took.first;
          if (since > 0.1) took.rate = (took.tokens - 1) / since;
          draw();
        }
      }
    } catch (error) {
      if (error.name === "AbortError") message.stopped = true;
      else message.error = error.message;
    } finally {
      cancelAnimationFrame(drawn);
    }
    if (message.id) message.facts = await facts(message.id);
    message.model = message.facts?.model ?? message.model;
  }

  // -- where it is scrolled to -------------------------------------------------------------------

  isAtEnd() {
    return this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < 80;
  }

  toEnd(near = false) {
    if (!near || this.isAtEnd()) this.scroll.scrollTop = this.scroll.scrollHeight;
  }
}
