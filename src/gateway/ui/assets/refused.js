// The page of a refused connection: what the gateway said, what to do, and the form to do it with.

import { button, copy, el } from "./dom.js";
import { canSign } from "./identity.js";
import { memory, save, settings } from "./settings.js";

function advice(message, details) {
  if (message.includes("pairing required")) {
    const command = `openclaw devices approve ${details?.requestId ?? "<id>"}`;
    const copyButton = button("Copy", async () => {
      if (await copy(command)) copyButton.querySelector("span").textContent = "Copied";
    }, { iconName: "copy" });
    return {
      title: "This browser is not paired yet",
      body: [
        el("p", {}, "Somebody with access to the gateway has to approve it. On the gateway's host, run:"),
        el("p", { class: "command-line" }, el("code", {}, command), copyButton),
        el("p", { class: "soft" }, "Or approve it in the Devices view of a browser that is paired. This page continues as soon as that is done; a request lives five minutes."),
      ],
    };
  }
  if (message.includes("secure context")) {
    return {
      title: "This address is not secure enough",
      body: [el("p", {}, canSign()
        ? "This browser sent no device identity, and the gateway wants one."
        : "Browsers sign only on https pages and on localhost. Open this page over https, as http://127.0.0.1 on the gateway's host, or through an SSH tunnel. Where a plain http page is really wanted, gateway.controlUi.allowInsecureAuth permits it.")],
    };
  }
  if (message.includes("origin not allowed")) {
    return {
      title: "This page comes from somewhere else",
      body: [el("p", {}, "Open the page from the gateway itself, or add this origin to gateway.controlUi.allowedOrigins:"),
        el("p", { class: "command-line" }, el("code", {}, location.origin))],
    };
  }
  if (message.includes("too many failed attempts")) {
    return {
      title: "Too many wrong secrets",
      body: [el("p", {}, "They came from this address, and the gateway does not listen to it for a while. This page tries again by itself when that is over.")],
    };
  }
  if (message.startsWith("unauthorized")) {
    return {
      title: message.includes("missing") ? "The gateway wants to know you" : "That secret is not the gateway's",
      body: [el("p", {}, "Open the address that ", el("code", {}, "openclaw dashboard"), " prints on the gateway's host, or enter the token or password here.")],
    };
  }
  return { title: "The gateway refused this page", body: [] };
}

export function refused(app, { message = "refused", details }) {
  const { title, body } = advice(message, details);
  const token = el("input", { type: "password", name: "token", autocomplete: "off", value: settings.token });
  const password = el("input", { type: "password", name: "password", autocomplete: "off", value: memory.password });
  const url = el("input", { name: "url", value: settings.gatewayUrl, inputmode: "url", autocomplete: "off", spellcheck: "false" });
  return el("section", { class: "view refused", "aria-labelledby": "refused-title" }, el("div", { class: "card" },
    el("h1", { id: "refused-title" }, title),
    el("p", { class: "notice error", role: "alert" }, message), body,
    el("form", {
      class: "stack",
      onsubmit: (event) => {
        event.preventDefault();
        settings.token = token.value.trim();
        settings.gatewayUrl = url.value.trim() || settings.gatewayUrl;
        memory.password = password.value;
        save();
        document.activeElement?.blur();
        app.gateway.start();
      },
    },
    el("label", { class: "field" }, el("span", { class: "name" }, "Gateway token"), token),
    el("label", { class: "field" }, el("span", { class: "name" }, "or password (not stored)"), password),
    el("label", { class: "field" }, el("span", { class: "name" }, "Gateway address"), url),
    el("div", { class: "actions" }, el("button", { type: "submit", class: "primary" }, "Connect")))));
}
