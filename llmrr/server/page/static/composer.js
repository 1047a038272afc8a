// Where a message is written: text, and pictures where the model takes some.

import { h, say } from "./dom.js";

const MOST_PICTURE = 12 * 2 ** 20;

export class Composer {
  constructor({ onSend, onStop }) {
    this.images = [];
    this.running = false;
    this.input = h("textarea", {
      id: "message",
      rows: 1,
      placeholder: "Write a message",
      "aria-label": "Message",
      enterkeyhint: "send",
    });
    this.thumbs = h("ul", { class: "thumbs", "aria-label": "Pictures", hidden: true });
    this.picker = h("input", {
      type: "file",
      accept: "image/png,image/jpeg,image/webp,image/gif",
      multiple: true,
      hidden: true,
      "aria-label": "Pictures",
    });
    this.attach = h(
      "button",
      {
        type: "button",
        class: "quiet",
        id: "attach",
        hidden: true,
        onclick: () => this.picker.click(),
      },
      "Picture",
    );
    this.button = h("button", { type: "submit", class: "primary", id: "send" }, "Send");
    this.form = h(
      "form",
      { class: "composer", "aria-label": "Write" },
      this.thumbs,
      this.input,
      h("div", { class: "row end" }, this.attach, this.picker, this.button),
    );
    this.picker.addEventListener("change", () => this.take([...this.picker.files]));
    this.input.addEventListener("input", () => this.grow());
    this.input.addEventListener("paste", (event) => {
      const files = [...event.clipboardData.files].filter((one) => one.type.startsWith("image/"));
      if (files.length && !this.attach.hidden) this.take(files);
    });
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (!this.running) this.form.requestSubmit();
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.running) return onStop();
      const text = this.input.value.trim();
      if (!text && !this.images.length) return;
      if (onSend(text, this.images)) this.clear();
    });
  }

  /** While an answer is under way the button stops it. */
  busy(running) {
    this.running = running;
    this.button.textContent = running ? "Stop" : "Send";
    this.button.classList.toggle("stop", running);
    this.button.title = running ? "Stop (Esc)" : "Send (Enter)";
  }

  takes(images) {
    this.attach.hidden = !images;
    if (!images && this.images.length) this.put([]);
  }

  clear() {
    this.input.value = "";
    this.put([]);
    this.grow();
  }

  grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight + 2, innerHeight * 0.4)}px`;
  }

  async take(files) {
    const found = [];
    for (const file of files) {
      if (file.size > MOST_PICTURE) say(`${file.name} is too large: 12 MiB at most`);
      else found.push(await dataOf(file));
    }
    this.picker.value = "";
    this.put([...this.images, ...found]);
  }

  put(images) {
    this.images = images;
    this.thumbs.hidden = !images.length;
    this.thumbs.replaceChildren(
      ...images.map((one, at) =>
        h(
          "li",
          {},
          h("img", { src: one, alt: `picture ${at + 1}` }),
          h(
            "button",
            {
              type: "button",
              class: "quiet small",
              "aria-label": `Leave out picture ${at + 1}`,
              onclick: () => this.put(images.filter((_, other) => other !== at)),
            },
            "×",
          ),
        ),
      ),
    );
  }
}

const dataOf = (file) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
