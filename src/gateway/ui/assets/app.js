// The page: header with the connection's state, two views, and the form shown when refused.

import { Chat } from "./chat.js";
import { el } from "./dom.js";
import { Gateway } from "./gateway.js";
import { canSign } from "./identity.js";
import { Overview } from "./overview.js";
import { memory, save, settings, takeUrlParameters } from "./settings.js";

const base = globalThis.__OPENCLAW_CONTROL_UI_BASE_PATH__ ?? "";
const assistant = {
  name: globalThis.__OPENCLAW_ASSISTANT_NAME__ || "Assistant",
  avatar: globalThis.__OPENCLAW_ASSISTANT_AVATAR__ || "A",
};

takeUrlParameters();
const gateway = new Gateway(() => ({ url: settings.gatewayUrl, token: settings.token, password: memory.password }));
const views = {
  chat: { title: "Chat", view: new Chat(gateway, assistant) },
  overview: { title: "Overview", view: new Overview(gateway) },
};

const status = el("span", { class: "state", role: "status" });
const banner = el("p", { class: "banner", role: "alert", hidden: true });
const main = el("main");
const nav = el("nav", {}, ...Object.entries(views).map(([name, { title }]) =>
  el("a", { href: `${base}/${name}`, "data-view": name, onclick: (event) => { event.preventDefault(); show(name); } }, title)));
document.querySelector("openclaw-app").append(
  el("header", { class: "top" }, el("strong", {}, "OpenClaw"), nav, status), banner, main);

let current;

function show(name, push = true) {
  current = name in views ? name : "chat";
  if (push) history.pushState(null, "", `${base}/${current}${location.search}`);
  for (const link of nav.children) link.toggleAttribute("aria-current", link.dataset.view === current);
  if (gateway.state === "refused") return;
  main.replaceChildren(views[current].view.element);
  if (gateway.state === "open" && current !== "chat") views[current].view.connected(gateway.hello);
}

function say(text, kind = "") {
  banner.hidden = !text;
  banner.textContent = text;
  banner.className = `banner ${kind}`;
}

function refused({ message = "refused", details }) {
  const reason = message.includes("pairing required")
    ? `This browser is not paired yet. On the gateway host run: openclaw devices approve ${details?.requestId ?? "<id>"}`
    : message.includes("secure context") && !canSign()
      ? "Open this page over https, or as http://127.0.0.1 on the gateway host: browsers sign only in a secure context."
      : "Open the address that `openclaw dashboard` prints, or paste the token here.";
  const token = el("input", { type: "password", name: "token", autocomplete: "off", placeholder: "Gateway token", "aria-label": "Gateway token" });
  const password = el("input", { type: "password", name: "password", autocomplete: "off", placeholder: "or gateway password", "aria-label": "Gateway password" });
  main.replaceChildren(el("section", { class: "refused" },
    el("h2", {}, "The gateway refused this page"), el("p", { class: "error" }, message), el("p", {}, reason),
    el("form", {
      onsubmit: (event) => {
        event.preventDefault();
        if (token.value.trim()) settings.token = token.value.trim();
        memory.password = password.value;
        save();
        gateway.restart();
      },
    }, token, password, el("button", { type: "submit", class: "primary" }, "Connect"))));
}

gateway.addEventListener("state", ({ detail: { state, detail } }) => {
  // The form of a refused page stays while retries run behind it.
  status.textContent = { connecting: "connecting…", open: "connected", closed: "disconnected", refused: "refused" }[state];
  status.dataset.state = state;
  if (state === "open") {
    say("");
    show(current, false);
    Promise.all(Object.values(views).map(({ view }) => view.connected(detail))).catch((err) => say(err.message, "error"));
  } else if (state === "refused") {
    say("");
    if (!main.querySelector(".refused input:focus")) refused(detail);
  } else if (state === "closed") {
    if (detail.code === 1012) say("The gateway is restarting; this page reconnects by itself.");
    else say(`disconnected (${detail.code}): ${detail.reason || "no reason"}; trying again`, "error");
  }
});
gateway.addEventListener("gap", () => views.chat.view.load().catch(() => {}));
gateway.addEventListener("event", ({ detail: { event, payload } }) => {
  if (event === "chat") views.chat.view.onChat(payload);
});
addEventListener("popstate", () => show(location.pathname.slice(base.length + 1), false));

show(location.pathname.slice(base.length + 1).split("/")[0], false);
gateway.start();
