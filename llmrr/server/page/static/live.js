// What is going on now, looked at once a second while this view is seen.

import { ask } from "./api.js";
import { spark } from "./charts.js";
import { bytes, count, h, seconds, speed, table } from "./dom.js";

const EVERY_MS = 1000;
const KEPT = 120;

export class Live {
  constructor(place) {
    this.rates = [];
    this.last = null;
    this.body = h("div", {}, h("p", { class: "note" }, "Looking…"));
    place.append(
      h(
        "header",
        { class: "title" },
        h("h1", { id: "live-title" }, "Live"),
        (this.state = h("p", { class: "note" })),
      ),
      this.body,
    );
    document.addEventListener(
      "visibilitychange",
      () => this.seen && (document.hidden ? this.pause() : this.look()),
    );
  }

  show() {
    this.seen = true;
    this.look();
  }

  hide() {
    this.seen = false;
    this.pause();
  }

  pause() {
    clearTimeout(this.timer);
    this.last = null;
  }

  async look() {
    clearTimeout(this.timer);
    try {
      this.draw(await ask("/page/live"));
    } catch (error) {
      this.last = null;
      this.state.textContent = error.message;
    }
    clearTimeout(this.timer);
    if (this.seen && !document.hidden) this.timer = setTimeout(() => this.look(), EVERY_MS);
  }

  draw(now) {
    if (this.last && now.at > this.last.at) {
      this.rates.push(Math.max(0, now.tokens - this.last.tokens) / (now.at - this.last.at));
      this.rates = this.rates.slice(-KEPT);
    }
    this.last = now;
    const rate = this.rates.at(-1) ?? null;
    const writing = now.running.filter((one) => one.state === "writing").length;
    const reading = now.running.filter((one) => one.state === "reading").length;
    this.state.textContent = `llmrr ${now.version}, ${now.status}, up for ${seconds(now.uptime_s)}`;
    const line = h(
      "div",
      { class: "card throughput" },
      h(
        "div",
        {},
        h("p", { class: "label" }, "Throughput"),
        h("p", { class: "large" }, speed(rate)),
        h("p", { class: "note" }, `${count(now.tokens)} tokens since it began`),
      ),
      spark(this.rates.length > 1 ? this.rates : [0, 0]),
    );
    const tiles = h(
      "div",
      { class: "tiles" },
      tile("Under way", count(now.running.length), `${writing} writing, ${reading} reading`),
      tile("Waiting", count(now.waiting), "for their turn"),
      tile("Slots", count(now.slots), "of each model here"),
      tile("Answered", count(now.answered), "since it began"),
      memory(now.memory),
    );
    const focused =
      this.body.contains(document.activeElement) &&
      document.activeElement.getAttribute("aria-label");
    this.body.replaceChildren(line, tiles, ...requests(now.running), ...models(now));
    if (focused)
      this.body.querySelector(`[aria-label="${focused}"]`)?.focus({ preventScroll: true });
  }
}

const tile = (label, value, note) =>
  h(
    "div",
    { class: "card" },
    h("p", { class: "label" }, label),
    h("p", { class: "large" }, value),
    h("p", { class: "note" }, note),
  );

function memory(use) {
  if (!use) return tile("Memory", "–", "the system does not say");
  const share = Math.min(1, use.used_bytes / use.limit_bytes);
  return h(
    "div",
    { class: "card" },
    h("p", { class: "label" }, "Memory"),
    h("p", { class: "large" }, `${Math.round(share * 100)}%`),
    h("meter", { min: 0, max: 1, high: 0.85, value: share, "aria-label": "memory in use" }),
    h("p", { class: "note" }, `${bytes(use.used_bytes)} of ${bytes(use.limit_bytes)}`),
  );
}

function requests(running) {
  const rows = running
    .slice(0, 50)
    .map((one) => [one.model ?? "–", one.state, count(one.tokens), seconds(one.seconds)]);
  return [
    h("h2", {}, "Requests under way"),
    rows.length
      ? table("Requests under way", ["Model", "Does", "#Tokens", "#For"], rows)
      : h("p", { class: "note" }, "None."),
  ];
}

function models({ loaded, busy, slots, left_alone: leftAlone }) {
  const local = new Set(loaded.map((one) => one.name));
  const rows = [
    ...loaded.map((one) => [
      one.name,
      bytes(one.bytes),
      `${busy[one.name] ?? one.busy} of ${slots}`,
      one.idle_s === null ? "in use" : `idle for ${seconds(one.idle_s)}`,
    ]),
    ...Object.entries(busy)
      .filter(([name]) => !local.has(name))
      .map(([name, uses]) => [name, "elsewhere", count(uses), "in use"]),
  ];
  const alone = leftAlone.length
    ? [h("p", { class: "wrong" }, `Left alone for a while, having failed: ${leftAlone.join(", ")}`)]
    : [];
  return [
    ...alone,
    h("h2", {}, "Models in memory"),
    rows.length
      ? table("Models in memory", ["Model", "#Memory", "#Requests", "State"], rows)
      : h("p", { class: "note" }, "None: one is loaded when it is asked for."),
  ];
}
