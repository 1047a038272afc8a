// Plots by day, drawn as SVG: axes with units, a legend, figures under the pointer or by the arrow
// keys, and the same as a table.

import { h, s, table } from "./dom.js";

const HEIGHT = 220;
const PAD = { top: 12, right: 14, bottom: 26, left: 58 };

/** Lines or stacked bars. ``series`` are ``{name, shade, dashed, values}``, a value per day. */
export class Plot {
  constructor({ title, unit, kind, days, series, write }) {
    Object.assign(this, { title, unit, kind, days, series, write });
    this.at = null;
    this.svg = s("svg", {
      class: "plot",
      height: HEIGHT,
      tabindex: "0",
      role: "slider",
      "aria-orientation": "horizontal",
      "aria-label": `${title}, by day`,
      "aria-valuemin": 0,
      "aria-valuemax": days.length - 1,
    });
    this.tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
    this.canvas = h("div", { class: "canvas" }, this.svg, this.tip);
    this.place = h(
      "figure",
      { class: "card" },
      h("figcaption", {}, h("h3", {}, title), h("small", {}, unit)),
      this.legend(),
      this.canvas,
      this.numbers(),
    );
    this.svg.addEventListener("pointermove", (event) => this.point(this.dayAt(event.offsetX)));
    this.svg.addEventListener("pointerleave", () => this.point(null));
    this.svg.addEventListener(
      "focus",
      () => this.svg.matches(":focus-visible") && this.point(this.at ?? days.length - 1),
    );
    this.svg.addEventListener("blur", () => this.point(null));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    this.describe(days.length - 1);
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.canvas);
  }

  legend() {
    return h(
      "ul",
      { class: "legend" },
      this.series.map(({ name, shade, dashed }) =>
        h(
          "li",
          {},
          s(
            "svg",
            { width: 22, height: 10, class: `shade${shade}`, "aria-hidden": "true" },
            this.kind === "bars"
              ? s("rect", { x: 4, width: 10, height: 10, rx: 2 })
              : s("line", { x1: 1, x2: 21, y1: 5, y2: 5, class: dashed && "dashed" }),
          ),
          name,
        ),
      ),
    );
  }

  numbers() {
    const rows = this.days
      .map((day, at) => [day, ...this.series.map(({ values }) => this.write(values[at]))])
      .reverse();
    return h(
      "details",
      {},
      h("summary", {}, "As a table"),
      table(this.title, ["Day", ...this.series.map(({ name }) => `#${name}`)], rows),
    );
  }

  key(event) {
    const last = this.days.length - 1;
    const next = {
      ArrowLeft: (this.at ?? last) - 1,
      ArrowRight: (this.at ?? -1) + 1,
      Home: 0,
      End: last,
    }[event.key];
    if (event.key === "Escape") this.point(null);
    if (next === undefined) return;
    event.preventDefault();
    this.point(Math.max(0, Math.min(last, next)));
  }

  said(at) {
    return this.series.map(({ name, values }) => `${name} ${this.write(values[at])}`).join(", ");
  }

  describe(at) {
    this.svg.setAttribute("aria-valuenow", at);
    this.svg.setAttribute("aria-valuetext", `${this.days[at]}: ${this.said(at)}`);
  }

  // -- places ------------------------------------------------------------------------------------

  x(at) {
    const step = (this.width - PAD.left - PAD.right) / this.days.length;
    return PAD.left + step * (at + 0.5);
  }

  y(value) {
    return HEIGHT - PAD.bottom - (value / this.top) * (HEIGHT - PAD.top - PAD.bottom);
  }

  dayAt(x) {
    const step = (this.width - PAD.left - PAD.right) / this.days.length;
    const at = Math.floor((x - PAD.left) / step);
    return at < 0 || at >= this.days.length ? null : at;
  }

  // -- drawing -----------------------------------------------------------------------------------

  draw() {
    this.width = this.canvas.clientWidth;
    if (!this.width) return;
    const stacked = this.days.map((_, at) =>
      this.series.reduce((sum, { values }) => sum + (values[at] ?? 0), 0),
    );
    const highest = Math.max(
      0,
      ...(this.kind === "bars"
        ? stacked
        : this.series.flatMap(({ values }) => values.map((one) => one ?? 0))),
    );
    const steps = ticks(highest);
    this.top = steps.at(-1);
    this.svg.setAttribute("width", this.width);
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${HEIGHT}`);
    this.mark = s("line", {
      class: "mark",
      y1: PAD.top,
      y2: HEIGHT - PAD.bottom,
      visibility: "hidden",
    });
    const shown = highest
      ? this.kind === "bars"
        ? this.bars()
        : this.lines()
      : [
          s(
            "text",
            { x: this.width / 2, y: HEIGHT / 2, "text-anchor": "middle" },
            "nothing in this time",
          ),
        ];
    this.svg.replaceChildren(...this.grid(highest ? steps : [0]), this.mark, ...shown);
    this.point(this.at);
  }

  grid(steps) {
    const every = Math.ceil(
      this.days.length / Math.max(1, Math.floor((this.width - PAD.left) / 64)),
    );
    const last = this.days.length - 1;
    return [
      ...steps.flatMap((one) => [
        s("line", {
          class: "rule",
          x1: PAD.left,
          x2: this.width - PAD.right,
          y1: this.y(one),
          y2: this.y(one),
        }),
        s(
          "text",
          { x: PAD.left - 8, y: this.y(one) + 4, "text-anchor": "end" },
          one ? this.write(one) : "0",
        ),
      ]),
      ...this.days.flatMap((day, at) =>
        (last - at) % every
          ? []
          : [s("text", { x: this.x(at), y: HEIGHT - 7, "text-anchor": "middle" }, short(day))],
      ),
    ];
  }

  lines() {
    return this.series.map(({ values, shade, dashed }) => {
      let path = "";
      const points = [];
      values.forEach((value, at) => {
        if (value === null) return;
        path += `${at && values[at - 1] !== null ? "L" : "M"}${this.x(at).toFixed(1)} ${this.y(value).toFixed(1)}`;
        points.push(s("circle", { cx: this.x(at), cy: this.y(value), r: 3 }));
      });
      return s(
        "g",
        { class: `shade${shade}` },
        s("path", { d: path, class: dashed && "dashed" }),
        points,
      );
    });
  }

  bars() {
    const step = (this.width - PAD.left - PAD.right) / this.days.length;
    const width = Math.max(1, Math.min(40, step * 0.68));
    const below = this.days.map(() => 0);
    return this.series.map(({ values, shade }) =>
      s(
        "g",
        { class: `shade${shade}` },
        values.flatMap((value, at) => {
          if (!value) return [];
          const from = below[at];
          below[at] += value;
          const top = this.y(below[at]);
          return [
            s("rect", {
              x: this.x(at) - width / 2,
              width,
              y: top,
              height: Math.max(0.5, this.y(from) - top),
              rx: Math.min(2, width / 4),
            }),
          ];
        }),
      ),
    );
  }

  /** Show the figures of a day; null hides them. */
  point(at) {
    this.at = at;
    this.tip.hidden = at === null;
    this.mark?.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at === null || !this.width) return;
    this.describe(at);
    this.mark.setAttribute("x1", this.x(at));
    this.mark.setAttribute("x2", this.x(at));
    this.tip.replaceChildren(
      h("strong", {}, this.days[at]),
      ...this.series.map(({ name, shade, values }) =>
        h(
          "div",
          { class: `shade${shade}` },
          h("i", {}),
          h("span", {}, name),
          h("b", {}, this.write(values[at])),
        ),
      ),
    );
    const wide = this.tip.offsetWidth;
    const left = this.x(at) + 12 + wide > this.width ? this.x(at) - 12 - wide : this.x(at) + 12;
    this.tip.style.left = `${Math.max(0, left)}px`;
  }
}

/** A line of the last values, without axes. */
export function spark(values, width = 600, height = 56) {
  const top = Math.max(...values, 1e-9);
  const points = values.map(
    (value, at) =>
      `${((at / Math.max(1, values.length - 1)) * width).toFixed(1)} ${(height - 2 - (value / top) * (height - 4)).toFixed(1)}`,
  );
  return s(
    "svg",
    {
      class: "spark shade0",
      viewBox: `0 0 ${width} ${height}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    },
    s("path", { class: "area", d: `M0 ${height}L${points.join("L")}L${width} ${height}Z` }),
    s("path", { d: `M${points.join("L")}` }),
  );
}

/** Round values from 0 to at least ``highest``. */
export function ticks(highest) {
  if (!(highest > 0)) return [0, 1];
  const rough = highest / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((one) => one * power >= rough) * power;
  const found = [];
  for (let at = 0; ; at++) {
    found.push(Number((at * step).toPrecision(12)));
    if (found.at(-1) >= highest) return found;
  }
}

const short = (day) =>
  new Date(`${day}T12:00`).toLocaleDateString("en", { day: "numeric", month: "short" });
