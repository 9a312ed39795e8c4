// The configuration: one text, seen as a form or as it is. Both change the same draft; what a form
// does to it leaves comments and layout alone.

import { confirm, toast } from "./dialogs.js";
import { button, debounced, el, problem } from "./dom.js";
import { place } from "./fields.js";
import { edit, meaning, read } from "./json5.js";
import { check, hintOf, leaves, pathText, stepInto, titleOf } from "./schema.js";
import { settings } from "./settings.js";

const MOST_FOUND = 60;
const TYPING_PAUSE_MS = 300;
const CONFLICT = /changed since last load|base hash/;

export class Config {
  constructor(app) {
    this.app = app;
    this.mode = "form";
    this.watchers = [];
    this.hints = {};
    this.draft = this.base = "";
    this.issues = [];
    this.build();
    addEventListener("beforeunload", (event) => { if (this.dirty) event.preventDefault(); });
  }

  get dirty() {
    return this.hash !== undefined && this.draft !== this.base;
  }

  build() {
    this.path = el("p", { class: "soft" });
    this.saveButton = button("Save", () => this.send("config.set"), { kind: "primary" });
    this.applyButton = button("Save and restart", () => this.send("config.apply"));
    this.discardButton = button("Discard", () => this.discard(), { kind: "quiet" });
    this.notices = el("div", { class: "stack tight", role: "status" });
    this.tabs = ["form", "raw"].map((mode) => el("button", {
      type: "button", role: "tab", id: `config-${mode}-tab`, "aria-controls": `config-${mode}`,
      onclick: () => this.choose(mode),
      onkeydown: (event) => {
        if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
        this.choose(mode === "form" ? "raw" : "form");
        this.tabs.find((tab) => tab.tabIndex === 0).focus();
      },
    }, { form: "Form", raw: "File" }[mode]));
    this.search = el("input", { type: "search", placeholder: "Search settings", "aria-label": "Search settings", name: "search", oninput: debounced(150, () => this.drawForm()) });
    this.sections = el("div", { class: "sections", role: "group", "aria-label": "Sections" });
    this.sectionSelect = el("select", { "aria-label": "Section", class: "section-select", onchange: () => this.open(this.sectionSelect.value) });
    this.fields = el("form", { class: "settings", autocomplete: "off", onsubmit: (event) => event.preventDefault() });
    this.form = el("div", { class: "config-form", role: "tabpanel", id: "config-form", "aria-labelledby": "config-form-tab" },
      el("div", { class: "config-side" }, this.search, this.sectionSelect, this.sections), this.fields);
    this.raw = el("textarea", {
      class: "mono rawtext", name: "raw", "aria-label": "The file as JSON5", spellcheck: "false", wrap: "off",
      oninput: debounced(TYPING_PAUSE_MS, () => this.changed(this.raw.value)), onchange: () => this.changed(this.raw.value),
    });
    this.rawPanel = el("div", { class: "config-raw", role: "tabpanel", id: "config-raw", "aria-labelledby": "config-raw-tab" }, this.raw);
    this.element = el("section", { class: "view config", "aria-label": "Config" },
      el("header", { class: "head" }, el("div", {}, el("h1", {}, "Config"), this.path),
        el("div", { class: "actions" }, this.discardButton, this.applyButton, this.saveButton)),
      el("div", { class: "config-bar" }, el("div", { class: "tabs", role: "tablist", "aria-label": "Editor" }, this.tabs),
        button("Reload", () => this.reload(), { iconName: "refresh", kind: "quiet small" }),
        button("Update", () => this.update(), { iconName: "download", kind: "quiet small" })),
      this.form, this.rawPanel, this.notices);
    this.choose("form");
  }

  async show() {
    const [schema, snapshot] = await Promise.all([
      this.schema ? null : this.app.request("config.schema").catch((err) => err), this.app.request("config.get").catch((err) => err),
    ]);
    if (snapshot instanceof Error) return this.tell(problem(snapshot));
    if (schema instanceof Error) {
      this.schemaError = schema;
      this.choose("raw");
    } else if (schema) {
      this.schema = schema.schema;
      this.hints = schema.uiHints ?? {};
    }
    this.take(snapshot);
  }

  // A draft of ours is never overwritten by what comes from the gateway.
  take(snapshot) {
    const { hash, raw, path, config } = snapshot;
    const text = raw ?? "{}\n";
    this.path.textContent = path ?? "";
    this.config = config;
    this.remote = snapshot;
    if (!this.dirty || text === this.draft) {
      this.draft = text;
      this.base = text;
      this.hash = hash;
      this.conflict = false;
    } else if (hash !== this.hash) {
      if (text === this.base) this.hash = hash;
      else this.conflict = true;
    }
    this.changed(this.draft, true);
    this.drawForm();
  }

  changed(text, quiet) {
    this.draft = text;
    this.syntax = null;
    this.issues = [];
    try {
      this.value = meaning(read(text));
      if (this.schema) this.issues = check(this.schema, this.value);
    } catch (err) {
      this.syntax = err;
    }
    if (this.raw.value !== text) this.raw.value = text;
    this.watchers = this.watchers.filter(({ node }) => node.isConnected || quiet);
    for (const { refresh } of this.watchers) refresh();
    this.drawSections();
    this.drawNotices();
  }

  tell(...nodes) {
    this.notices.replaceChildren(...nodes);
  }

  drawNotices() {
    this.saveButton.disabled = this.applyButton.disabled = !this.dirty || Boolean(this.syntax);
    this.discardButton.hidden = !this.dirty;
    const nodes = [];
    if (this.schemaError) nodes.push(problem(this.schemaError));
    if (this.conflict) {
      nodes.push(el("div", { class: "notice warn", role: "alert" },
        el("p", {}, "The file was changed by somebody else since you began. Yours is not saved."),
        el("details", {}, el("summary", {}, "Their version"), el("pre", { class: "json", tabindex: "0" }, this.remote.raw ?? "")),
        el("div", { class: "actions" }, button("Take theirs, drop mine", () => { this.draft = this.base; this.take(this.remote); }),
          button("Keep mine, overwrite theirs", () => { this.hash = this.remote.hash; this.conflict = false; this.send("config.set"); }, { kind: "danger" }))));
    }
    if (this.syntax) {
      nodes.push(el("div", { class: "notice error" }, el("button", {
        type: "button", class: "link", onclick: () => { this.choose("raw"); this.raw.focus(); this.raw.setSelectionRange(this.syntax.offset, this.syntax.offset + 1); },
      }, `The file cannot be read: ${this.syntax.message}`)));
    } else if (this.issues.length) {
      nodes.push(el("div", { class: "notice error" }, el("p", {}, this.issues.length === 1 ? "One thing is wrong:" : `${this.issues.length} things are wrong:`), issueList(this.issues.slice(0, 20), (path) => this.jump(path)),
        this.dirty && el("p", { class: "soft" }, "The gateway decides; saving asks it.")));
    } else if (!this.dirty && this.remote?.valid === false) {
      nodes.push(el("div", { class: "notice error" }, el("p", {}, "The gateway does not accept this file:"), issueList((this.remote.issues ?? []).map(({ path, message }) => ({ path: [path], message })), () => {})));
    }
    if (!this.dirty && this.remote?.warnings?.length) nodes.push(el("div", { class: "notice warn" }, issueList(this.remote.warnings.map(({ path, message }) => ({ path: [path], message })), () => {})));
    if (this.refusal) nodes.push(this.refusal);
    this.tell(...nodes);
  }

  drawSections() {
    if (!this.schema) return;
    const entries = this.sectionEntries();
    this.section ??= (entries.find(({ key }) => this.value?.[key] !== undefined) ?? entries[0])?.key;
    const wrong = (key) => this.issues.filter(({ path }) => path[0] === key).length;
    this.sections.replaceChildren(...entries.map(({ key, title }) => el("button", {
      type: "button", class: "quiet section", "aria-current": this.section === key ? "true" : null, onclick: () => this.open(key),
    }, el("span", {}, title), wrong(key) > 0 ? el("span", { class: "badge bad" }, String(wrong(key))) : this.value?.[key] !== undefined && el("span", { class: "dot", title: "in the file" }))));
    this.sectionSelect.replaceChildren(...entries.map(({ key, title }) => el("option", { value: key }, `${title}${wrong(key) ? ` (${wrong(key)} wrong)` : ""}`)));
    this.sectionSelect.value = this.section;
  }

  sectionEntries() {
    return Object.keys(this.schema.properties ?? {})
      .map((key) => ({ key, hint: hintOf(this.hints, [key]) }))
      .sort((a, b) => (a.hint.order ?? 500) - (b.hint.order ?? 500) || a.key.localeCompare(b.key))
      .map(({ key, hint }) => ({ key, title: titleOf(hint, key) }));
  }

  open(key) {
    this.section = key;
    this.search.value = "";
    this.drawSections();
    this.drawForm();
  }

  context() {
    const at = (root, path) => path.reduce((node, step) => node?.[step], root);
    return {
      hints: this.hints,
      get: (path) => at(this.value, path),
      effective: (path) => at(this.config, path),
      set: (path, value) => {
        try {
          this.changed(edit(this.draft, path, value));
        } catch (err) {
          toast(err.message, "error");
        }
      },
      issues: (path) => this.issues.filter((issue) => pathText(issue.path) === pathText(path)).map(({ message }) => message),
      issuesBelow: (path) => this.issues.filter((issue) => path.every((step, i) => issue.path[i] === step)).length,
      watch: (refresh, node) => this.watchers.push({ refresh, node }),
    };
  }

  drawForm() {
    if (!this.schema) return this.fields.replaceChildren(el("p", { class: "empty" }, this.schemaError ? "There is no form without the schema; edit the file." : "Loading…"));
    this.watchers = [];
    const scene = `${this.section} ${this.search.value}`;
    if (this.scene !== scene) this.fields.scrollTop = 0;
    this.scene = scene;
    const wanted = this.search.value.trim().toLowerCase();
    if (wanted) return this.drawFound(wanted);
    this.drawSections();
    const key = this.section;
    const names = stepInto([""], key, false);
    const title = titleOf(hintOf(this.hints, names), key);
    this.fields.replaceChildren(el("h2", {}, title), el("p", { class: "soft" }, hintOf(this.hints, names).help ?? ""),
      place(this.context(), this.schema.properties[key], [key], names, { open: this.schema.properties[key].type === "object" ? "bare" : true }));
  }

  drawFound(wanted) {
    this.all ??= leaves(this.schema);
    const found = this.all.filter(({ path, names }) => {
      const { label = "", help = "" } = hintOf(this.hints, names);
      return `${pathText(path)} ${label} ${help}`.toLowerCase().includes(wanted);
    });
    const shown = found.slice(0, MOST_FOUND);
    this.fields.replaceChildren(el("p", { class: "soft", role: "status" }, found.length === 0 ? "No setting is called so." : `${found.length} found${found.length > MOST_FOUND ? `, the first ${MOST_FOUND} shown` : ""}`),
      ...shown.map(({ path, names, schema }) => place(this.context(), schema, path, names)));
  }

  // Shows the field of an issue: its section, and what it is folded into.
  jump(path) {
    if (!this.schema || !Object.hasOwn(this.schema.properties, path[0])) return this.choose("raw");
    this.choose("form");
    this.open(path[0]);
    for (let depth = 2; depth <= path.length; depth++) {
      const node = this.fields.querySelector(`[data-path="${CSS.escape(pathText(path.slice(0, depth)))}"]`);
      if (!node) continue;
      if (node.tagName === "DETAILS") {
        node.open = true;
        node.dispatchEvent(new Event("toggle"));
      }
      (node.querySelector("input, select, textarea, summary") ?? node).focus();
      node.scrollIntoView({ block: "center" });
    }
  }

  choose(mode) {
    this.mode = mode;
    for (const [tab, name] of [[this.tabs[0], "form"], [this.tabs[1], "raw"]]) {
      tab.setAttribute("aria-selected", String(name === mode));
      tab.tabIndex = name === mode ? 0 : -1;
    }
    this.form.hidden = mode !== "form";
    this.rawPanel.hidden = mode !== "raw";
    if (mode === "form") this.drawForm();
  }

  async send(method) {
    if (this.mode === "raw") this.changed(this.raw.value);
    if (this.syntax) return;
    if (this.issues.length && !await confirm("Save all the same?", "This page finds something wrong in the file. The gateway checks it again and refuses what it cannot use.", "Save")) return;
    const sent = this.draft;
    this.refusal = null;
    this.saveButton.disabled = this.applyButton.disabled = true;
    try {
      await this.app.request(method, { raw: sent, baseHash: this.hash, ...(method === "config.apply" && { sessionKey: settings.sessionKey }) });
      toast(method === "config.apply" ? "Saved; the gateway restarts" : "Saved");
      this.base = sent;
      this.take(await this.app.request("config.get"));
    } catch (err) {
      // After a save the gateway may restart at once; the next connection shows what is there.
      if (err.lost) return;
      if (CONFLICT.test(err.message)) return this.reload();
      const issues = (err.details?.issues ?? []).map(({ path, message }) => ({ path: [path || "the file"], message }));
      this.refusal = el("div", { class: "notice error", role: "alert" }, el("p", {}, `Not saved: ${err.message}`), issues.length > 0 && issueList(issues, () => {}));
      this.drawNotices();
    }
  }

  async reload() {
    this.refusal = null;
    await this.show();
  }

  discard() {
    this.draft = this.base;
    this.refusal = null;
    this.conflict = false;
    if (this.remote) this.take(this.remote);
  }

  async update() {
    if (!await confirm("Update OpenClaw?", "The gateway looks for a newer version, installs it and restarts.", "Update")) return;
    try {
      const { result } = await this.app.request("update.run", { sessionKey: settings.sessionKey });
      toast(`Update: ${result?.status ?? "done"}${result?.reason ? ` (${result.reason})` : ""}`, result?.status === "error" ? "error" : "");
    } catch (err) {
      toast(err.message, "error");
    }
  }
}

function issueList(issues, jump) {
  return el("ul", { class: "issues" }, issues.map(({ path, message }) => el("li", {},
    el("button", { type: "button", class: "link", onclick: () => jump(path) }, el("code", {}, pathText(path) || "(top)")), ` ${message}`)));
}
