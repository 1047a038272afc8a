// What a request states beside its messages. What is left empty is not stated.

import { h } from "./dom.js";
import { prefer, preference } from "./store.js";

const NUMBERS = [
  [
    "temperature",
    "Temperature",
    { min: 0, max: 5, step: "any" },
    "0 is the most likely token each time",
  ],
  ["max_tokens", "Most tokens", { min: 1, step: 1 }, "of the answer"],
  ["top_p", "Top p", { min: 0, max: 1, step: "any" }],
  ["top_k", "Top k", { min: 0, step: 1 }],
  ["min_p", "Min p", { min: 0, max: 1, step: "any" }],
  ["seed", "Seed", { step: 1 }, "the same draw again"],
  ["repeat_penalty", "Repeat penalty", { min: 0, step: "any" }],
  ["frequency_penalty", "Frequency penalty", { min: -2, max: 2, step: "any" }],
  ["presence_penalty", "Presence penalty", { min: -2, max: 2, step: "any" }],
];
const EFFORTS = [
  ["", "As the model does"],
  ["none", "Off"],
  ["low", "Low"],
  ["medium", "Medium"],
  ["high", "High"],
];

export class Parameters {
  constructor(place, { onSystem, onClose }) {
    this.values = preference("parameters", {});
    this.system = h("textarea", {
      id: "system",
      rows: 3,
      oninput: () => onSystem(this.system.value),
    });
    this.strategy = this.choice(
      "strategy",
      "Strategy",
      [["", "As configured"]],
      "how “auto” chooses",
    );
    this.effort = this.choice("reasoning_effort", "Reasoning", EFFORTS);
    place.append(
      h(
        "div",
        { class: "row" },
        h("h2", { id: "parameters-title" }, "Parameters"),
        h(
          "div",
          {},
          h(
            "button",
            { class: "quiet small", type: "button", onclick: () => this.reset() },
            "Reset",
          ),
          " ",
          h("button", { class: "quiet small", type: "button", onclick: onClose }, "Close"),
        ),
      ),
      h("label", {}, "System prompt", this.system),
      this.strategy.label,
      h(
        "div",
        { class: "pairs" },
        NUMBERS.map((one) => this.number(...one)),
      ),
      this.effort.label,
      this.text("stop", "Stop at", "one text a line", 2),
      h(
        "details",
        {},
        h("summary", {}, "Structured answers and tools"),
        this.text("schema", "JSON Schema", "that the answer obeys", 4),
        this.text("tools", "Tools", "a JSON list, as the API takes it", 4),
      ),
    );
    this.place = place;
  }

  /** What can be chosen, once the server has said it. */
  offer({ strategy, strategies }) {
    const options = strategies.map(({ name, takes }) =>
      h("option", { value: name, title: takes }, name),
    );
    this.strategy.input.replaceChildren(
      h("option", { value: "" }, `As configured (${strategy})`),
      ...options,
    );
    this.strategy.input.value = this.values.strategy ?? "";
  }

  /** Whether the model can be asked to think; one that cannot would refuse. */
  thinks(can) {
    this.effort.input.disabled = !can;
    this.effort.input.title = can ? "" : "This model does not think";
  }

  /** The fields of a request. Raises an error that names the one that is wrong. */
  fields() {
    const found = {};
    for (const [name, label] of NUMBERS) {
      const value = this.values[name];
      if (value === undefined || value === "") continue;
      found[name] = Number(value);
      if (!Number.isFinite(found[name])) throw new Error(`${label}: “${value}” is no number`);
    }
    if (this.values.strategy) found.strategy = this.values.strategy;
    const effort = this.effort.input.disabled ? "" : this.values.reasoning_effort;
    if (effort) found.reasoning_effort = effort;
    const stops = (this.values.stop ?? "").split("\n").filter(Boolean);
    if (stops.length) found.stop = stops;
    const schema = json(this.values.schema, "JSON Schema");
    if (schema)
      found.response_format = { type: "json_schema", json_schema: { name: "answer", schema } };
    const tools = json(this.values.tools, "Tools");
    if (tools) found.tools = tools;
    return found;
  }

  reset() {
    this.values = {};
    prefer("parameters", this.values);
    for (const input of this.place.querySelectorAll("[name]")) input.value = "";
  }

  number(name, label, limits, note) {
    return this.field(
      name,
      label,
      h("input", { type: "number", inputmode: "decimal", placeholder: "–", ...limits }),
      note,
    ).label;
  }

  text(name, label, note, rows) {
    return this.field(name, label, h("textarea", { rows, spellcheck: "false" }), note).label;
  }

  choice(name, label, options, note) {
    const input = h(
      "select",
      {},
      options.map(([value, text]) => h("option", { value }, text)),
    );
    return this.field(name, label, input, note);
  }

  field(name, label, input, note) {
    input.name = name;
    input.value = this.values[name] ?? "";
    input.addEventListener("input", () => {
      this.values[name] = input.value;
      prefer("parameters", this.values);
    });
    return {
      input,
      label: h("label", {}, h("span", {}, label, note && h("small", {}, ` ${note}`)), input),
    };
  }
}

function json(text, label) {
  if (!text?.trim()) return null;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${label}: ${error.message}`);
  }
}
