// Asks the server. A key is kept in this tab only, and asked for when the server wants one.

import { find } from "./dom.js";

const KEY = "llmrr.key";
let asking = null;

export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The response to a request; raises ``Refused`` with what the server said. */
export async function request(path, body, signal) {
  for (;;) {
    const headers = {};
    const key = sessionStorage.getItem(KEY);
    if (key) headers.authorization = `Bearer ${key}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const response = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    }).catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new Refused("The server does not answer. Is it still running?", 0);
    });
    if (response.ok) return response;
    const said = await told(response);
    if (response.status === 401 && (await wantKey(said, key))) continue;
    throw new Refused(said, response.status);
  }
}

export const ask = async (path, body, signal) => (await request(path, body, signal)).json();

async function told(response) {
  try {
    const { error } = await response.json();
    return (
      (typeof error === "string" ? error : error?.message) || `The server said ${response.status}`
    );
  } catch {
    return `The server said ${response.status} ${response.statusText}`;
  }
}

/** Ask for a key, once for all who need one; whether there is a new one. */
function wantKey(why, used) {
  if ((sessionStorage.getItem(KEY) ?? null) !== (used ?? null)) return Promise.resolve(true);
  asking ??= new Promise((resolve) => {
    const dialog = find("key");
    const input = find("key-value");
    find("key-why").textContent = why;
    input.value = "";
    dialog.returnValue = "";
    dialog.addEventListener(
      "close",
      () => {
        const key = dialog.returnValue === "use" ? input.value.trim() : "";
        input.value = "";
        if (key) sessionStorage.setItem(KEY, key);
        asking = null;
        resolve(Boolean(key));
      },
      { once: true },
    );
    dialog.showModal();
  });
  return asking;
}

/** The data of server-sent events, as JSON, until ``[DONE]``. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith("data:")) continue;
        const data = line.slice(5).trim();
        if (data === "[DONE]") return;
        yield JSON.parse(data);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
