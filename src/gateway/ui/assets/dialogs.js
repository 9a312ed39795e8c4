// Questions and short notes over the page, on the browser's own <dialog>: focus stays inside,
// Escape closes, and focus returns to where it was.

import { button, copy, el } from "./dom.js";

const NOTE_MS = 4000;
const MOST_NOTES = 3;

function modal(title, body, actions, props = {}) {
  const heading = el("h2", { id: `d${crypto.getRandomValues(new Uint32Array(1))[0]}` }, title);
  const dialog = el("dialog", { "aria-labelledby": heading.id, ...props }, heading, body, el("div", { class: "actions" }, actions));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

// Resolves to true or false. `danger` says that something is lost by it.
export function confirm(title, text, yes, { danger = false } = {}) {
  return new Promise((resolve) => {
    let answer = false;
    const dialog = modal(title, el("p", {}, text), [
      button("Cancel", () => dialog.close(), { autofocus: true }),
      button(yes, () => { answer = true; dialog.close(); }, { kind: danger ? "danger" : "primary" }),
    ], { role: "alertdialog" });
    dialog.addEventListener("close", () => resolve(answer));
  });
}

// Shows something that is shown once, such as a new token.
export function reveal(title, text, secret) {
  const box = el("input", { value: secret, readOnly: true, "aria-label": title, class: "mono" });
  const copyButton = button("Copy", async () => {
    copyButton.querySelector("span").textContent = (await copy(secret)) ? "Copied" : "Select and copy it";
    box.select();
  }, { kind: "primary" });
  const dialog = modal(title, el("div", {}, el("p", {}, text), box), [button("Close", () => dialog.close()), copyButton]);
}

// A form in a dialog. `submit` may throw: its words are then shown and the form stays.
export function formDialog(title, body, yes, submit) {
  const error = el("p", { class: "notice error", role: "alert", hidden: true });
  const save = el("button", { type: "submit", class: "primary" }, yes);
  const form = el("form", { class: "stack" }, body, error,
    el("div", { class: "actions" }, button("Cancel", () => dialog.close()), save));
  const dialog = el("dialog", { class: "wide", "aria-label": title }, el("h2", {}, title), form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    save.disabled = true;
    error.hidden = true;
    try {
      await submit();
      dialog.close();
    } catch (err) {
      error.textContent = err.message;
      error.hidden = false;
      error.scrollIntoView({ block: "nearest" });
    } finally {
      save.disabled = false;
    }
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

const notes = el("div", { class: "toasts", role: "status", "aria-live": "polite" });
document.body.append(notes);

export function toast(text, kind = "") {
  const note = el("p", { class: `toast ${kind}` }, text);
  notes.append(note);
  if (notes.childElementCount > MOST_NOTES) notes.firstChild.remove();
  setTimeout(() => note.remove(), NOTE_MS);
}

// Said to screen readers only.
const spoken = el("div", { class: "offscreen", role: "status", "aria-live": "polite" });
document.body.append(spoken);
export const announce = (text) => { spoken.textContent = text; };
