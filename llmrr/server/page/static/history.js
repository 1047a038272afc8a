// What was: plots by day, figures by model, alerts, runs.

import { ask } from "./api.js";
import { Plot } from "./charts.js";
import { count, dollars, h, moment, seconds, speed, table } from "./dom.js";
import { Runs } from "./runs.js";
import { prefer, preference } from "./store.js";

const MOST = 6; // models with a colour of their own
const OTHERS = "others";
const NOTHING = { today: 0, month: 0, tokens_month: 0 };

export class History {
  constructor(place) {
    this.days = h(
      "select",
      { onchange: () => this.load() },
      [
        [1, "Today"],
        [7, "7 days"],
        [30, "30 days"],
        [90, "90 days"],
      ].map(([value, text]) => h("option", { value }, text)),
    );
    this.days.value = String(preference("days", 7));
    this.model = h("select", { onchange: () => this.plot() });
    this.body = h("div", {});
    this.alerts = h("div", {});
    this.runs = new Runs();
    place.append(
      h(
        "header",
        { class: "title" },
        h("h1", { id: "history-title" }, "History"),
        h(
          "div",
          { class: "row" },
          h("label", { class: "inline" }, "Time", this.days),
          h("label", { class: "inline" }, "Model", this.model),
          h("button", { class: "quiet", type: "button", onclick: () => this.load() }, "Refresh"),
        ),
      ),
      this.body,
      this.alerts,
      this.runs.place,
    );
  }

  show() {
    this.load();
  }

  hide() {}

  async load() {
    prefer("days", Number(this.days.value));
    this.runs.load();
    try {
      this.found = await ask(`/page/history?days=${this.days.value}`);
    } catch (error) {
      return this.body.replaceChildren(h("p", { class: "wrong", role: "alert" }, error.message));
    }
    const before = this.model.value;
    this.model.replaceChildren(
      h("option", { value: "" }, "All"),
      ...this.found.models.map(({ model }) => h("option", {}, model)),
    );
    this.model.value = this.found.models.some(({ model }) => model === before) ? before : "";
    this.plot();
    this.alerts.replaceChildren(h("h2", {}, "Alerts"), alerts(this.found.alerts));
  }

  plot() {
    const { found } = this;
    const chosen = found.models.filter(
      ({ model }) => !this.model.value || model === this.model.value,
    );
    const days = between(found.from, found.today);
    const runs = chosen.reduce((sum, one) => sum + one.runs, 0);
    this.body.replaceChildren(
      this.tiles(chosen),
      ...(runs
        ? [
            h("div", { class: "plots" }, ...plots(chosen, days, found.days)),
            h("h2", {}, "Models"),
            models(chosen),
          ]
        : [h("p", { class: "card empty" }, "Nothing ran in this time.")]),
      ...budgets(found.budgets),
    );
  }

  tiles(chosen) {
    const sum = (name) => chosen.reduce((all, one) => all + (one[name] ?? 0), 0);
    const tile = (label, value, note) =>
      h(
        "div",
        { class: "card" },
        h("p", { class: "label" }, label),
        h("p", { class: "large" }, value),
        h("p", { class: "note" }, note),
      );
    const { spent } = this.found;
    const own = this.model.value
      ? (spent.models[this.model.value] ?? NOTHING)
      : (spent.all ?? together(Object.values(spent.models)));
    return h(
      "div",
      { class: "tiles" },
      tile(
        "Runs",
        count(sum("runs")),
        `${count(sum("errors"))} failed, ${count(sum("hits"))} from the cache`,
      ),
      tile(
        "Tokens",
        count(sum("completion_tokens")),
        `for ${count(sum("prompt_tokens"))} of prompts`,
      ),
      tile("Cost today", dollars(own.today), "of models with a price"),
      tile("Cost this month", dollars(own.month), `${count(own.tokens_month)} tokens`),
    );
  }
}

const together = (all) =>
  all.reduce(
    (sum, one) => ({
      today: sum.today + one.today,
      month: sum.month + one.month,
      tokens_month: sum.tokens_month + one.tokens_month,
    }),
    NOTHING,
  );

function plots(chosen, days, rows) {
  const own = chosen.slice(0, MOST).map((one) => one.model);
  const at = new Map(days.map((day, place) => [day, place]));
  const known = new Set(chosen.map((one) => one.model));
  const series = (read, names, shade = 0) =>
    names.map((name, place) => {
      const values = days.map(() => null);
      for (const row of rows) {
        if (
          !at.has(row.day) ||
          !known.has(row.model) ||
          (row.model !== name && (name !== OTHERS || own.includes(row.model)))
        )
          continue;
        const value = read(row);
        if (value !== null) values[at.get(row.day)] = (values[at.get(row.day)] ?? 0) + value;
      }
      return { name, shade: name === OTHERS ? MOST : place + shade, values };
    });
  const named = chosen.length > MOST ? [...own, OTHERS] : own;
  const latency = own.flatMap((name, place) =>
    [
      ["total_median_s", "median", false],
      ["total_p95_s", "p95", true],
    ].map(([key, label, dashed]) => ({
      ...series((row) => row[key], [name], place)[0],
      name: `${name} ${label}`,
      dashed,
    })),
  );
  return [
    new Plot({
      title: "Latency",
      unit: "seconds of an answer, median and 95th percentile",
      kind: "lines",
      days,
      series: latency,
      write: seconds,
    }),
    new Plot({
      title: "Cost",
      unit: "dollars a day",
      kind: "bars",
      days,
      series: series((row) => row.cost, named),
      write: dollars,
    }),
    new Plot({
      title: "Tokens",
      unit: "generated a day",
      kind: "bars",
      days,
      series: series((row) => row.completion_tokens, named),
      write: count,
    }),
    new Plot({
      title: "First token",
      unit: "seconds, median",
      kind: "lines",
      days,
      series: series((row) => row.first_token_median_s, own),
      write: seconds,
    }),
  ].map((one) => one.place);
}

const models = (chosen) =>
  table(
    "Models",
    ["Model", "#Runs", "#Failed", "#Median", "#p95", "#First token", "#Speed", "#Tokens", "#Cost"],
    chosen.map((one) => [
      one.model,
      count(one.runs),
      count(one.errors),
      seconds(one.total_median_s),
      seconds(one.total_p95_s),
      seconds(one.first_token_median_s),
      speed(one.tokens_per_s),
      count(one.completion_tokens),
      dollars(one.cost),
    ]),
  );

function budgets(found) {
  if (!found.length) return [];
  return [
    h("h2", {}, "Budgets"),
    table(
      "Budgets",
      ["Budget", "Of", "#Spent", "#Limit", "Begins anew"],
      found.map((one) => [
        one.budget,
        one.model || "all models",
        figure(one.spent, one.budget),
        figure(one.limit, one.budget),
        one.resets.slice(0, 10),
      ]),
    ),
  ];
}

const figure = (value, budget) => (budget.startsWith("tokens") ? count(value) : dollars(value));

function alerts(found) {
  if (!found.length) return h("p", { class: "note" }, "None.");
  return h(
    "ul",
    { class: "alerts" },
    found.map(({ at, event, message }) =>
      h(
        "li",
        { class: "card" },
        h("time", { datetime: new Date(at * 1000).toISOString() }, moment(at)),
        h("strong", {}, event),
        h("span", {}, message),
      ),
    ),
  );
}

function between(from, to) {
  const found = [];
  for (const day = new Date(`${from}T12:00Z`); ; day.setUTCDate(day.getUTCDate() + 1)) {
    found.push(day.toISOString().slice(0, 10));
    if (found.at(-1) >= to) return found;
  }
}
