// One message as it is shown, and an answer while it comes.

import { copier, count, dollars, h, seconds, speed, table } from "./dom.js";
import { Shown } from "./markdown.js";

/** A question; ``act`` has what can be done with it. */
export function question(message, act) {
  const text = h(
    "div",
    { class: "bubble" },
    message.text,
    (message.images ?? []).map((one, at) =>
      h("img", { src: one, alt: `picture ${at + 1} of the message` }),
    ),
  );
  const place = h(
    "article",
    { class: "message user", "aria-label": "You" },
    text,
    h(
      "div",
      { class: "actions" },
      h("button", { class: "quiet small", type: "button", onclick: () => edit() }, "Edit"),
      copier(() => message.text),
    ),
  );
  const edit = () => {
    const area = h("textarea", { rows: 3, value: message.text, "aria-label": "Edit the message" });
    const form = h(
      "form",
      { class: "edit" },
      area,
      h(
        "div",
        { class: "row end" },
        h("button", { class: "quiet", type: "button", onclick: () => back() }, "Cancel"),
        h("button", { class: "primary" }, "Send"),
      ),
    );
    const back = () => {
      form.replaceWith(text);
      place.querySelector("button").focus();
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (area.value.trim()) act.edit(area.value.trim());
    });
    area.addEventListener("keydown", (event) => {
      if (event.key === "Escape") [event.stopPropagation(), back()];
      else if (event.key === "Enter" && !event.shiftKey && !event.isComposing)
        [event.preventDefault(), form.requestSubmit()];
    });
    text.replaceWith(form);
    area.focus();
  };
  return place;
}

/** An answer, whole or as it grows. */
export class AnswerView {
  constructor(message, act) {
    this.message = message;
    this.act = act;
    this.who = h("header", {});
    this.thoughts = h("div", { class: "thoughts" });
    this.reasoning = h(
      "details",
      { class: "reasoning", hidden: true },
      h("summary", {}, "Reasoning"),
      this.thoughts,
    );
    this.body = h("div", { class: "markdown" });
    this.shown = new Shown(this.body);
    this.calls = h("div", { class: "calls" });
    this.wrong = h("p", { class: "wrong", role: "alert", hidden: true });
    this.meta = h("p", { class: "meta" });
    this.why = h("div", {});
    this.actions = h("div", { class: "actions" });
    this.place = h(
      "article",
      { class: "message assistant", "aria-label": "Answer" },
      this.who,
      this.reasoning,
      this.body,
      this.calls,
      this.wrong,
      this.meta,
      this.why,
      this.actions,
    );
    this.draw(false);
  }

  /** Draw what there is; ``growing`` while more may come. */
  draw(growing) {
    const { message } = this;
    this.place.classList.toggle("growing", growing);
    this.place.setAttribute("aria-busy", String(growing));
    this.who.textContent = message.model || (growing ? "Waiting for a model…" : "");
    this.reasoning.hidden = !message.reasoning;
    if (message.reasoning) this.thoughts.textContent = message.reasoning;
    this.shown.show(message.text);
    this.wrong.hidden = !message.error;
    this.wrong.textContent = message.error ?? "";
    this.meta.replaceChildren(...figures(message).map((one) => h("span", {}, one)));
    if (growing) return;
    this.calls.replaceChildren(...(message.calls ?? []).map((one) => call(one, this.act)));
    this.why.replaceChildren(...reasons(message.facts));
    this.actions.replaceChildren(
      ...(message.text ? [copier(() => message.text)] : []),
      ...(this.act.again
        ? [
            h(
              "button",
              {
                class: "quiet small",
                type: "button",
                onclick: this.act.again,
                title: "Answer again (r)",
              },
              "Again",
            ),
          ]
        : []),
    );
  }
}

/** What an answer took, in few words. */
function figures(message) {
  const { facts, took = {} } = message;
  const usage = facts?.usage ?? {};
  const tokens = usage.completion_tokens ?? took.tokens;
  const first = usage.first_token_s ?? took.first;
  const rate = usage.tokens_per_s ?? took.rate;
  const found = [];
  if (tokens) found.push(`${count(tokens)} token${tokens === 1 ? "" : "s"}`);
  if (rate) found.push(speed(rate));
  if (first !== undefined && first !== null) found.push(`first token ${seconds(first)}`);
  if (usage.load_s > 0.05) found.push(`loaded in ${seconds(usage.load_s)}`);
  if (facts?.cost !== undefined && facts.cost !== null)
    found.push(facts.cost ? dollars(facts.cost) : "free");
  if (facts?.cache) found.push(`from the cache (${facts.cache})`);
  if (message.stopped) found.push("stopped");
  else if ((facts?.finish_reason ?? message.finish) === "length")
    found.push("cut off: its most tokens");
  return found;
}

/** A call that the model asks for, with a place for its result. */
function call(one, act) {
  const input = h("textarea", { rows: 2, "aria-label": `Result of ${one.name}` });
  const done = one.result !== undefined;
  const form = h(
    "form",
    {},
    input,
    h("div", { class: "row end" }, h("button", { class: "primary" }, "Answer the call")),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act.result(one, input.value);
  });
  return h(
    "section",
    { class: "call", "aria-label": `Call of ${one.name}` },
    h("p", {}, h("strong", {}, one.name), " is called"),
    h("pre", { tabindex: "0", "aria-label": "arguments" }, pretty(one.arguments)),
    done ? h("p", {}, "Result: ", h("code", {}, one.result)) : act.result && form,
  );
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Why this model: who was chosen, who could have been, who not. */
function reasons(facts) {
  if (!facts?.model) return [];
  const { decision } = facts;
  const lines = [
    h(
      "p",
      {},
      h("strong", {}, facts.model),
      ` by ${facts.engine}${facts.runs ? `: ${facts.runs}` : ""}`,
    ),
  ];
  if (!decision) lines.push(h("p", {}, "The model was named: nothing was chosen."));
  else {
    lines.push(
      h(
        "p",
        {},
        `Strategy ${decision.strategy} chose `,
        h("strong", {}, decision.model ?? "nobody"),
        `: ${decision.why}.`,
      ),
    );
    if (decision.answered && decision.answered !== decision.model)
      lines.push(h("p", {}, `In the end ${decision.answered} answered: those before it failed.`));
    if (decision.hint) lines.push(h("p", { class: "note" }, decision.hint));
    lines.push(
      table(
        "Candidates",
        ["Candidate", "#Score", "#Quality", "#Cost", "#Time", "#Reliability"],
        decision.candidates.map(({ name, score, terms }) => [
          name,
          round(score),
          round(terms.quality),
          dollars(terms.cost),
          seconds(terms.time_s),
          terms.reliability === null ? "–" : `${Math.round(terms.reliability * 100)}%`,
        ]),
      ),
    );
    if (decision.rejected.length)
      lines.push(
        h("p", {}, "Not asked:"),
        h(
          "ul",
          {},
          decision.rejected.map(({ name, why }) => h("li", {}, h("strong", {}, name), `: ${why}`)),
        ),
      );
  }
  lines.push(...(facts.notes ?? []).map((one) => h("p", { class: "note" }, one)));
  return [h("details", { class: "why" }, h("summary", {}, "Why this model"), lines)];
}

const round = (value) =>
  value === null || value === undefined ? "–" : String(Number(value.toPrecision(3)));
