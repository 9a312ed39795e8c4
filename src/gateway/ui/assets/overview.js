// What the gateway says of itself: health, agents, sessions, who is connected.

import { age, el } from "./dom.js";

export class Overview {
  constructor(gateway) {
    this.gateway = gateway;
    this.element = el("section", { class: "overview" });
  }

  async connected() {
    const ask = (method, params) => this.gateway.request(method, params).catch((err) => ({ failed: err.message }));
    const [health, sessions, presence, models] = await Promise.all([
      ask("health"), ask("sessions.list", { limit: 20 }), ask("system-presence"), ask("models.list"),
    ]);
    const server = this.gateway.hello?.server ?? {};
    const snapshot = this.gateway.hello?.snapshot ?? {};
    const failed = [health, sessions, presence, models].map((part) => part.failed).filter(Boolean);
    this.element.replaceChildren(
      el("h2", {}, "Overview"),
      ...failed.map((text) => el("p", { class: "error" }, text)),
      table([
        ["Gateway", `${server.host ?? "?"} · ${server.version ?? "?"}`],
        ["Up", age(snapshot.uptimeMs ?? 0)],
        ["State", snapshot.stateDir ?? "?"],
        ["Config", snapshot.configPath ?? "?"],
        ["Agents", (health.agents ?? []).map((agent) => agent.name ?? agent.agentId).join(", ") || "none"],
        ["Channels", (health.channelOrder ?? []).join(", ") || "none configured"],
        ["Models", `${models.models?.length ?? 0} known`],
      ]),
      el("h3", {}, "Sessions"),
      table((sessions.sessions ?? []).map((row) => [
        row.label ?? row.key,
        [row.model, row.totalTokens && `${row.totalTokens} tokens`, row.updatedAt && `${age(Date.now() - row.updatedAt)} ago`]
          .filter(Boolean).join(" · "),
      ])),
      el("h3", {}, "Connected"),
      table((Array.isArray(presence) ? presence : []).map((row) => [row.host ?? row.mode ?? "?", row.text ?? row.mode ?? ""])),
    );
  }
}

const table = (rows) =>
  el("table", {}, el("tbody", {}, ...rows.map(([name, text]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, String(text))))));
