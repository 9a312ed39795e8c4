// What the gateway answers, as it answers it: its state, any method, the latest events.

import { button, download, el, json, problem } from "./dom.js";

const MOST_EVENTS = 250;
const PAUSE_MS = 3000;
const PANELS = ["status", "health", "models.list", "last-heartbeat"];

export class Debug {
  constructor(app) {
    this.app = app;
    this.events = [];
    this.panels = new Map(PANELS.map((method) => {
      const body = el("div", {});
      const node = el("details", { class: "card fold-card", ontoggle: () => this.poll() }, el("summary", {}, method), body);
      return [method, { node, body }];
    }));
    this.method = el("input", { name: "method", list: "methods", required: true, class: "mono", placeholder: "health", autocomplete: "off", spellcheck: "false" });
    this.methods = el("datalist", { id: "methods" });
    this.params = el("textarea", { name: "params", rows: 6, class: "mono", spellcheck: "false", value: "{}" });
    this.answer = el("div", { role: "status" });
    this.callButton = el("button", { type: "submit", class: "primary" }, "Call");
    this.log = el("ol", { class: "events", tabindex: "0", "aria-label": "Events" });
    this.paused = el("input", { type: "checkbox", name: "paused", onchange: () => { if (!this.paused.checked) this.draw(); } });
    this.element = el("section", { class: "view", "aria-label": "Debug" }, el("div", { class: "column" },
      el("header", { class: "head" }, el("h1", {}, "Debug")),
      el("div", { class: "halves" },
        el("section", { class: "card" }, el("h2", {}, "Call a method"), el("form", { class: "stack tight", onsubmit: (event) => { event.preventDefault(); this.call(); } },
          el("label", { class: "field" }, el("span", { class: "name" }, "Method"), this.method), this.methods,
          el("label", { class: "field" }, el("span", { class: "name" }, "Params (JSON)"), this.params),
          el("div", { class: "actions" }, this.callButton)), this.answer),
        el("section", { class: "stack tight" }, [...this.panels.values()].map(({ node }) => node))),
      el("section", { class: "card" }, el("header", {}, el("h2", {}, "Events"),
        el("div", { class: "actions" }, el("label", { class: "check" }, this.paused, "Hold"), button("Export", () => this.save(), { iconName: "download", kind: "quiet" }))), this.log)));
  }

  async show() {
    this.active = true;
    this.methods.replaceChildren(...(this.app.gateway.hello?.features?.methods ?? []).map((name) => el("option", { value: name })));
    this.draw();
    await this.poll();
  }

  hide() {
    this.active = false;
    clearTimeout(this.timer);
  }

  // Only what is unfolded is asked for.
  async poll() {
    clearTimeout(this.timer);
    if (!this.active || !this.app.connected) return;
    await Promise.all([...this.panels].filter(([, { node }]) => node.open).map(async ([method, { body }]) => {
      try {
        const text = JSON.stringify(await this.app.request(method), null, 2);
        const shown = body.querySelector("pre");
        // Left alone while somebody selects in it.
        if (shown?.textContent !== text) body.replaceChildren(json(JSON.parse(text)));
      } catch (err) {
        if (!err.lost) body.replaceChildren(problem(err));
      }
    }));
    clearTimeout(this.timer);
    if (this.active) this.timer = setTimeout(() => this.poll(), PAUSE_MS);
  }

  async call() {
    let params;
    try {
      params = JSON.parse(this.params.value.trim() || "{}");
    } catch (err) {
      this.answer.replaceChildren(el("p", { class: "notice error" }, `The params are no JSON: ${err.message}`));
      return;
    }
    this.callButton.disabled = true;
    const started = performance.now();
    try {
      const answer = await this.app.request(this.method.value.trim(), params);
      this.answer.replaceChildren(el("p", { class: "soft" }, `answered in ${(performance.now() - started).toFixed(1)} ms`), json(answer));
    } catch (err) {
      this.answer.replaceChildren(el("p", { class: "notice error" }, `${err.code ? `${err.code}: ` : ""}${err.message}`), ...(err.details === undefined ? [] : [json(err.details)]));
    }
    this.callButton.disabled = false;
  }

  onEvent(event, payload) {
    const entry = { at: Date.now(), event, payload };
    this.events.push(entry);
    if (this.events.length > MOST_EVENTS) this.events.shift();
    if (!this.active || this.paused.checked) return;
    this.log.prepend(row(entry));
    if (this.log.childElementCount > MOST_EVENTS) this.log.lastChild.remove();
  }

  draw() {
    this.log.replaceChildren(...this.events.toReversed().map(row));
  }

  save() {
    download("openclaw-events.jsonl", this.events.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
  }
}

function row({ at, event, payload }) {
  return el("li", {}, el("time", {}, new Date(at).toLocaleTimeString("en-GB")), el("strong", {}, event), el("code", {}, (JSON.stringify(payload) ?? "").slice(0, 600)));
}
