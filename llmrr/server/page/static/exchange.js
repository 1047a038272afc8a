// What goes over the wire: a conversation as the API takes it, and an answer as it comes.

import { ask } from "./api.js";

/** Why, and what it took: known once the server has ended it. */
export async function facts(id) {
  for (let times = 0; times < 10; times++) {
    const found = await ask(`/page/answers/${encodeURIComponent(id)}`).catch(() => null);
    if (!found || found.ended) return found;
    await new Promise((resolve) => setTimeout(resolve, 50 * (times + 1)));
  }
  return null;
}

/** Put what came behind what there is; whether a reader sees more. */
export function add(message, { delta = {}, finish_reason: finish }) {
  if (finish) message.finish = finish;
  const thought = delta.reasoning_content ?? delta.reasoning ?? "";
  message.reasoning += thought;
  message.text += delta.content ?? "";
  for (const part of delta.tool_calls ?? []) {
    const call = (message.calls[part.index ?? 0] ??= { id: "", name: "", arguments: "" });
    call.id ||= part.id ?? "";
    call.name += part.function?.name ?? "";
    call.arguments += part.function?.arguments ?? "";
  }
  return Boolean(thought || delta.content || delta.tool_calls);
}

/** The messages of a conversation as the API takes them. */
export function spoken({ system, messages }) {
  const found = system?.trim() ? [{ role: "system", content: system }] : [];
  for (const message of messages) {
    if (message.role === "user") found.push({ role: "user", content: content(message) });
    else if (message.text || message.calls?.length) found.push(...answered(message));
  }
  return found;
}

function content({ text, images = [] }) {
  if (!images.length) return text;
  const pictures = images.map((url) => ({ type: "image_url", image_url: { url } }));
  return text ? [{ type: "text", text }, ...pictures] : pictures;
}

function answered({ text, calls = [] }) {
  const made = calls.filter((one) => one.result !== undefined);
  const said = { role: "assistant", content: text || null };
  if (!made.length) return text ? [said] : [];
  const asked = made.map(({ id, name, arguments: given }) => ({
    id,
    type: "function",
    function: { name, arguments: given },
  }));
  return [
    { ...said, tool_calls: asked },
    ...made.map(({ id, result }) => ({ role: "tool", tool_call_id: id, content: result })),
  ];
}
