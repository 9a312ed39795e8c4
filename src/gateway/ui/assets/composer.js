// Where messages are written: the text with its draft, pictures, and what waits to be sent.

import { toast } from "./dialogs.js";
import { button, debounced, el } from "./dom.js";
import { isPicture, readPicture, room } from "./images.js";
import { draft, keepDraft } from "./settings.js";
import { cut } from "./words.js";

const MOST_PICTURES = 8;
const DRAFT_PAUSE_MS = 400;

export class Composer {
  // `on`: {send({text, pictures}), stop(), fresh(), unqueue(item), policy()}
  constructor(on) {
    this.on = on;
    this.pictures = [];
    this.keep = debounced(DRAFT_PAUSE_MS, () => keepDraft(this.key, this.input.value));
    this.input = el("textarea", {
      rows: 1, name: "message", "aria-label": "Message", placeholder: "Message", enterkeyhint: "send",
      onkeydown: (event) => {
        if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
        event.preventDefault();
        this.submit();
      },
      oninput: () => { this.keep(); this.fit(); },
      onpaste: (event) => this.take(event, event.clipboardData?.files),
    });
    this.file = el("input", { type: "file", accept: "image/*", multiple: true, hidden: true, tabindex: "-1", onchange: () => { this.add([...this.file.files]); this.file.value = ""; } });
    this.attach = button("Attach pictures", () => this.file.click(), { bare: true, iconName: "attach", kind: "quiet" });
    this.stop = button("Stop", () => on.stop(), { iconName: "stop", kind: "stop" });
    this.sendButton = el("button", { type: "submit", class: "primary send" }, "Send");
    this.previews = el("ul", { class: "previews", "aria-label": "Attached pictures", hidden: true });
    this.waiting = el("div", { class: "queue", hidden: true });
    this.element = el("form", { class: "composer", onsubmit: (event) => { event.preventDefault(); this.submit(); } },
      this.waiting, this.previews,
      el("div", { class: "box" }, this.attach, this.file, this.input, this.stop, this.sendButton),
      el("p", { class: "hint" }, "Enter sends, Shift+Enter breaks the line. Pictures can be pasted or dropped."));
  }

  // Another session: its own draft.
  open(key) {
    if (this.key === key) return;
    if (this.key) keepDraft(this.key, this.input.value);
    this.key = key;
    this.input.value = draft(key);
    this.pictures = [];
    this.drawPictures();
    this.fit();
  }

  fit() {
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight + 2}px`;
  }

  submit() {
    const text = this.input.value.trim();
    if (!text && this.pictures.length === 0) return;
    const { pictures } = this;
    this.input.value = "";
    this.pictures = [];
    keepDraft(this.key, "");
    this.drawPictures();
    this.fit();
    this.on.send({ text, pictures });
  }

  // Gives back what could not be sent, unless something new is being written.
  restore({ text, pictures }) {
    if (!this.input.value.trim()) this.input.value = text;
    if (this.pictures.length === 0) this.pictures = pictures;
    keepDraft(this.key, this.input.value);
    this.drawPictures();
    this.fit();
  }

  take(event, files) {
    const pictures = [...(files ?? [])].filter(isPicture);
    if (pictures.length === 0) return;
    event.preventDefault();
    this.add(pictures);
  }

  async add(files) {
    for (const file of files) {
      if (!isPicture(file)) {
        toast(`${file.name}: only pictures can be attached`, "error");
        continue;
      }
      if (this.pictures.length >= MOST_PICTURES) {
        toast(`At most ${MOST_PICTURES} pictures go into one message`, "error");
        break;
      }
      try {
        const picture = await readPicture(file, room(this.pictures, this.on.policy()));
        this.pictures.push(picture);
        if (picture.shrunk) toast(`${picture.name} was made smaller to fit into a message`);
      } catch (err) {
        toast(err.message, "error");
      }
    }
    this.drawPictures();
    this.input.focus();
  }

  drawPictures() {
    this.previews.hidden = this.pictures.length === 0;
    this.previews.replaceChildren(...this.pictures.map((picture) => el("li", {},
      el("img", { src: picture.url, alt: picture.name }),
      button(`Remove ${picture.name}`, () => {
        this.pictures = this.pictures.filter((other) => other !== picture);
        this.drawPictures();
        this.input.focus();
      }, { bare: true, iconName: "close", kind: "small" }))));
  }

  draw({ busy, connected, queue }) {
    this.stop.hidden = !busy;
    this.sendButton.textContent = busy || !connected ? "Queue" : "Send";
    this.waiting.hidden = queue.length === 0;
    this.waiting.replaceChildren(el("p", { class: "soft" }, `Queued (${queue.length})`), el("ul", {}, queue.map((item) =>
      el("li", {}, el("span", {}, cut(item.text, 200) || `${item.pictures.length} pictures`),
        button("Remove from the queue", () => this.on.unqueue(item), { bare: true, iconName: "close", kind: "small quiet" })))));
  }
}
