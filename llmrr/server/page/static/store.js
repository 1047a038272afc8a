// Conversations, kept by this browser: an index, and one entry each.

const INDEX = "llmrr.chats";
const entry = (id) => `llmrr.chat.${id}`;

function read(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** The heads of all conversations, the last used first. */
export function all() {
  const found = read(INDEX, []);
  return (Array.isArray(found) ? found : []).sort((one, other) => other.updated - one.updated);
}

export function load(id) {
  const found = read(entry(id), null);
  return Array.isArray(found?.messages) ? found : null;
}

export function fresh(system = "") {
  // ``randomUUID`` is there only over HTTPS and on this machine.
  const id = [...crypto.getRandomValues(new Uint8Array(12))]
    .map((one) => one.toString(16).padStart(2, "0"))
    .join("");
  return { id, title: "", system, created: Date.now(), updated: Date.now(), messages: [] };
}

/** Keep a conversation; what was lost when the browser has no room, else nothing. */
export function keep(chat) {
  chat.updated = Date.now();
  chat.title ||= title(chat);
  const { id, updated } = chat;
  const index = [{ id, title: chat.title, updated }, ...all().filter((one) => one.id !== id)];
  for (const [what, lost] of [
    [chat, ""],
    [withoutImages(chat), "the pictures of this conversation"],
  ]) {
    try {
      localStorage.setItem(entry(id), JSON.stringify(what));
      localStorage.setItem(INDEX, JSON.stringify(index));
      return lost;
    } catch {
      // No room: less of it.
    }
  }
  return "this conversation";
}

export function forget(id) {
  localStorage.removeItem(entry(id));
  localStorage.setItem(INDEX, JSON.stringify(all().filter((one) => one.id !== id)));
}

export const preference = (name, otherwise) => read(`llmrr.${name}`, otherwise);

export function prefer(name, value) {
  try {
    localStorage.setItem(`llmrr.${name}`, JSON.stringify(value));
  } catch {
    // A preference that cannot be kept holds until the page is left.
  }
}

function title(chat) {
  const words = (chat.messages.find((one) => one.role === "user")?.text ?? "")
    .replace(/\s+/g, " ")
    .trim();
  return words.length > 60 ? `${words.slice(0, 59)}…` : words;
}

const withoutImages = (chat) => ({
  ...chat,
  messages: chat.messages.map((one) => ({ ...one, images: [] })),
});
