// The runs: a list that can be searched, and each with its words where they were kept.

import { ask } from "./api.js";
import { count, dollars, h, moment, seconds } from "./dom.js";

/** The list of runs, which can be searched; each opens. */
export class Runs {
  constructor() {
    this.query = h("input", { type: "search", placeholder: "in prompts, answers and errors" });
    this.list = h("ul", { class: "runs" });
    const form = h(
      "form",
      { class: "row", role: "search" },
      h("label", { class: "inline" }, "Search", this.query),
      h("button", { class: "quiet" }, "Search"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.load();
    });
    this.place = h(
      "div",
      {},
      h("div", { class: "row spread" }, h("h2", {}, "Runs"), form),
      this.list,
    );
  }

  async load() {
    try {
      const { runs } = await ask(
        `/page/runs?last=50&query=${encodeURIComponent(this.query.value.trim())}`,
      );
      this.list.replaceChildren(
        ...runs.map(line),
        ...(runs.length ? [] : [h("li", { class: "note" }, "None.")]),
      );
    } catch (error) {
      this.list.replaceChildren(h("li", { class: "wrong", role: "alert" }, error.message));
    }
  }
}

function line(run) {
  const facts = [run.model, seconds(run.total_s), `${count(run.completion_tokens)} tokens`];
  if (run.cost) facts.push(dollars(run.cost));
  if (run.cache) facts.push(`cache: ${run.cache}`);
  const said = run.prompt ?? (run.error ? "failed" : "the words were not kept");
  const body = h("div", { class: "words" });
  const details = h(
    "details",
    { class: run.error && "failed" },
    h(
      "summary",
      {},
      h("time", { datetime: new Date(run.at * 1000).toISOString() }, moment(run.at)),
      h("span", { class: "said" }, said),
      h("small", {}, facts.join(" · ")),
      run.error && h("span", { class: "badge" }, "failed"),
    ),
    body,
  );
  details.addEventListener(
    "toggle",
    () => details.open && !body.hasChildNodes() && open(run, body),
  );
  return h("li", {}, details);
}

async function open({ id }, body) {
  try {
    const run = await ask(`/page/runs/${id}`);
    const part = (label, text) =>
      text ? [h("h3", {}, label), h("pre", { tabindex: "0", "aria-label": label }, text)] : [];
    body.replaceChildren(
      ...part("System prompt", run.system),
      ...part("Prompt", run.prompt),
      ...part("Answer", run.answer),
      ...part("Error", run.error),
      h(
        "p",
        { class: "note" },
        [
          `run ${run.id}`,
          run.source,
          `engine ${run.engine}`,
          `${count(run.prompt_tokens)} tokens of the prompt, ${count(run.cached_tokens)} known already`,
          `loaded in ${seconds(run.load_s)}`,
          `first token ${seconds(run.first_token_s)}`,
          run.finish_reason ?? "",
        ]
          .filter(Boolean)
          .join(" · "),
      ),
    );
  } catch (error) {
    body.replaceChildren(h("p", { class: "wrong" }, error.message));
  }
}
