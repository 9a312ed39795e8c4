// The page: navigation, the connection's state, and one view at a time.

import { Agents } from "./agents.js";
import { Approvals } from "./approvals.js";
import { Chat } from "./chat.js";
import { Config } from "./config.js";
import { Cron } from "./cron.js";
import { Debug } from "./debug.js";
import { Devices } from "./devices.js";
import { confirm, toast } from "./dialogs.js";
import { button, el, icon } from "./dom.js";
import { Gateway } from "./gateway.js";
import { Logs } from "./logs.js";
import { Overview } from "./overview.js";
import { refused } from "./refused.js";
import { Sessions } from "./sessions.js";
import { applyTheme, memory, save, settings, takeUrlParameters } from "./settings.js";

const GROUPS = [
  ["Chat", [["chat", "Chat", Chat]]],
  ["Control", [["overview", "Overview", Overview], ["sessions", "Sessions", Sessions], ["cron", "Cron", Cron], ["devices", "Devices", Devices]]],
  ["Agent", [["agents", "Agents", Agents]]],
  ["Settings", [["config", "Config", Config], ["logs", "Logs", Logs], ["debug", "Debug", Debug]]],
];
const TABS = new Map(GROUPS.flatMap(([, tabs]) => tabs.map(([name, title, View]) => [name, { title, View }])));
// Addresses of the official page whose content is elsewhere here.
const ALIASES = { nodes: "devices", channels: "overview", instances: "overview", skills: "agents" };
const THEMES = ["system", "light", "dark"];
const THEME_ICONS = { system: "system", light: "sun", dark: "moon" };
const STATES = { connecting: "Connecting…", open: "Connected", closed: "Disconnected", refused: "Refused" };

// The gateway's own page brings these in a block of data, the official gateway's in globals.
function injected() {
  try {
    return JSON.parse(document.getElementById("openclaw-page")?.textContent ?? "{}");
  } catch {
    return {};
  }
}
const data = injected();
const page = (name) => data[name] ?? globalThis[name];
const base = page("__OPENCLAW_CONTROL_UI_BASE_PATH__") ?? "";

class App {
  constructor() {
    this.base = base;
    this.settings = settings;
    this.assistant = {
      name: page("__OPENCLAW_ASSISTANT_NAME__") || "Assistant",
      avatar: page("__OPENCLAW_ASSISTANT_AVATAR__") || "A",
    };
    this.gateway = new Gateway(() => ({ url: settings.gatewayUrl, token: settings.token, password: memory.password }));
    this.approvals = new Approvals(this);
    this.views = new Map();
    this.build();
    this.listen();
  }

  request(method, params) {
    return this.gateway.request(method, params);
  }

  get connected() {
    return this.gateway.state === "open";
  }

  build() {
    const links = GROUPS.map(([group, tabs]) => el("div", { class: "group", role: "group", "aria-label": group },
      el("p", { class: "group-name", "aria-hidden": "true" }, group),
      tabs.map(([name, title]) => el("a", {
        href: `${base}/${name}`, "data-tab": name,
        onclick: (event) => {
          if (event.metaKey || event.ctrlKey || event.shiftKey) return;
          event.preventDefault();
          this.go(name);
        },
      }, icon(name), title))));
    this.state = el("span", { class: "state", role: "status" });
    this.themeButton = button("Theme", () => this.nextTheme(), { bare: true, iconName: "system", kind: "quiet theme" });
    this.nav = el("nav", { id: "nav", "aria-label": "Views" },
      el("div", { class: "brand" }, el("img", { src: `${base}/favicon.svg`, alt: "", width: 26, height: 26 }), el("strong", {}, "OpenClaw")),
      links, el("div", { class: "foot" }, this.state, this.themeButton));
    this.menuButton = button("Menu", () => this.menu(), { bare: true, iconName: "menu", kind: "quiet", "aria-controls": "nav", "aria-expanded": "false" });
    this.title = el("strong", {});
    this.topState = el("span", { class: "state small", "aria-hidden": "true" });
    this.top = el("header", { class: "top" }, this.menuButton, this.title, this.topState);
    this.banner = el("p", { class: "banner", role: "alert", hidden: true });
    this.main = el("main", { id: "main", tabindex: "-1" });
    this.shade = el("div", { class: "shade", onclick: () => this.menu(false) });
    this.root = document.querySelector("openclaw-app");
    this.root.append(
      el("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); this.main.focus(); } }, "Skip to content"),
      this.nav, this.shade, el("div", { class: "page" }, this.top, this.approvals.element, this.banner, this.main));
    this.showTheme();
    this.focusMode(settings.chatFocusMode || memory.onboarding, false);
  }

  listen() {
    this.gateway.addEventListener("state", ({ detail: { state, detail } }) => this.onState(state, detail));
    this.gateway.addEventListener("gap", ({ detail }) => this.onGap(detail));
    this.gateway.addEventListener("event", ({ detail }) => this.onEvent(detail));
    addEventListener("popstate", () => this.show(this.fromAddress(), false));
    addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
      if (this.root.classList.contains("menu-open")) this.menu(false);
      else if (this.root.classList.contains("focus-mode")) this.focusMode(false);
    });
    this.debug = this.view("debug");
  }

  start(askedGateway) {
    this.show(this.fromAddress(), false);
    if (!askedGateway) return this.gateway.start();
    confirm("Change the gateway address?",
      `The link that opened this page wants it to talk to ${askedGateway}. Whoever answers there gets your token. Agree only if you know that address.`, "Change")
      .then((agreed) => {
        if (agreed) {
          settings.gatewayUrl = askedGateway;
          save();
        }
        this.gateway.start();
      });
  }

  fromAddress() {
    const inside = location.pathname.startsWith(`${base}/`) ? location.pathname.slice(base.length + 1) : "";
    const name = inside.split("/")[0];
    return TABS.has(name) ? name : ALIASES[name] ?? "chat";
  }

  view(name) {
    if (!this.views.has(name)) this.views.set(name, new (TABS.get(name).View)(this));
    return this.views.get(name);
  }

  go(name) {
    this.menu(false);
    this.show(name);
    this.main.focus({ preventScroll: true });
  }

  show(name, push = true) {
    if (this.current !== name) this.views.get(this.current)?.hide?.();
    this.current = name;
    const { title } = TABS.get(name);
    document.title = `${title} · OpenClaw Control`;
    this.title.textContent = title;
    if (push) history.pushState(null, "", `${base}/${name}${name === "chat" ? `?session=${encodeURIComponent(settings.sessionKey)}` : ""}`);
    for (const link of this.nav.querySelectorAll("a")) {
      if (link.dataset.tab === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (this.gateway.state === "refused") return;
    const view = this.view(name);
    if (view.element.parentNode !== this.main) this.main.replaceChildren(view.element);
    if (this.connected) this.refresh();
  }

  // The view that is seen asks again for what it shows.
  refresh() {
    Promise.resolve(this.view(this.current).show()).catch((err) => { if (!err.lost) toast(err.message, "error"); });
  }

  openChat(sessionKey) {
    this.view("chat").select(sessionKey);
    this.go("chat");
  }

  onState(state, detail) {
    for (const node of [this.state, this.topState]) {
      node.textContent = STATES[state];
      node.dataset.state = state;
    }
    if (state === "open") {
      this.say("");
      this.view("chat").onHello(detail);
      if (this.main.querySelector(".refused")) this.main.replaceChildren();
      this.show(this.current, false);
    } else if (state === "refused") {
      this.say("");
      // Somebody may be typing into the form while a retry is refused again.
      if (!this.main.querySelector(".refused :focus")) this.main.replaceChildren(refused(this, detail));
    } else if (state === "closed") {
      if (detail.code === 1012) this.say("The gateway is restarting. This page comes back by itself.");
      else this.say(`Disconnected (${detail.code}): ${detail.reason || "no reason"}. Trying again…`, "error");
    }
    for (const view of this.views.values()) view.onState?.(state);
  }

  onGap({ expected, got }) {
    this.debug.onEvent("gap", { expected, got });
    if (this.connected) this.refresh();
  }

  onEvent({ event, payload }) {
    this.approvals.onEvent(event, payload);
    for (const view of this.views.values()) view.onEvent?.(event, payload);
  }

  say(text, kind = "") {
    this.banner.hidden = !text;
    this.banner.textContent = text;
    this.banner.className = `banner ${kind}`;
  }

  menu(open = !this.root.classList.contains("menu-open")) {
    const was = this.root.classList.contains("menu-open");
    this.root.classList.toggle("menu-open", open);
    this.menuButton.setAttribute("aria-expanded", String(open));
    if (open) this.nav.querySelector("[aria-current]")?.focus();
    else if (was) this.menuButton.focus();
  }

  focusMode(on, keep = true) {
    this.root.classList.toggle("focus-mode", on);
    if (!keep) return;
    settings.chatFocusMode = on;
    save();
  }

  nextTheme() {
    settings.theme = THEMES[(THEMES.indexOf(settings.theme) + 1) % THEMES.length];
    save();
    this.showTheme();
  }

  showTheme() {
    applyTheme();
    const name = THEMES.includes(settings.theme) ? settings.theme : "system";
    const label = { system: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" }[name];
    this.themeButton.replaceChildren(icon(THEME_ICONS[name]));
    this.themeButton.setAttribute("aria-label", label);
    this.themeButton.title = label;
  }
}

const askedGateway = takeUrlParameters();
new App().start(askedGateway);
