// What the gateway says of itself: how it is, what it holds, who is connected; and how this page
// reaches it.

import { confirm, toast } from "./dialogs.js";
import { el, empty, facts, icon, problem, button } from "./dom.js";
import { memory, save, settings } from "./settings.js";
import { number, span, when } from "./words.js";

const CHANNEL_WAIT_MS = 8000;

export class Overview {
  constructor(app) {
    this.app = app;
    this.tiles = el("div", { class: "tiles" });
    this.health = el("div", {});
    this.updated = el("p", { class: "notice", role: "status", hidden: true });
    this.channels = el("div", {});
    this.clients = el("div", {});
    this.sessions = el("div", {});
    this.element = el("section", { class: "view", "aria-label": "Overview" }, el("div", { class: "column" },
      el("header", { class: "head" }, el("h1", {}, "Overview"), button("Refresh", () => app.refresh(), { iconName: "refresh", kind: "quiet" })),
      this.tiles,
      el("div", { class: "halves" },
        el("section", { class: "card" }, el("h2", {}, "Gateway"), this.health, this.updated, el("div", { class: "actions" }, button("Update", () => this.update(), { kind: "quiet" }))),
        this.access()),
      el("div", { class: "halves" },
        el("section", { class: "card" }, el("h2", {}, "Channels"), this.channels),
        el("section", { class: "card" }, el("h2", {}, "Connected"), this.clients)),
      el("section", { class: "card" }, el("h2", {}, "Latest sessions"), this.sessions)));
    this.drawTiles([]);
  }

  access() {
    const input = (name, value, extra) => el("input", { name, value, autocomplete: "off", spellcheck: "false", ...extra });
    const url = input("url", settings.gatewayUrl, { inputmode: "url" });
    const token = input("token", settings.token, { type: "password" });
    const password = input("password", "", { type: "password" });
    const session = input("session", settings.sessionKey);
    this.sessionInput = session;
    const row = (name, control) => el("label", { class: "field" }, el("span", { class: "name" }, name), control);
    return el("section", { class: "card" }, el("h2", {}, "This page"), el("form", {
      class: "stack tight",
      onsubmit: (event) => {
        event.preventDefault();
        settings.gatewayUrl = url.value.trim() || settings.gatewayUrl;
        settings.token = token.value.trim();
        memory.password = password.value;
        save();
        if (session.value.trim()) this.app.view("chat").select(session.value.trim());
        this.app.gateway.start();
      },
    }, el("div", { class: "fields" }, row("Gateway address", url), row("Chat session", session), row("Token", token), row("Password (not stored)", password)),
    el("div", { class: "actions" }, el("button", { type: "submit" }, "Connect"))));
  }

  async show() {
    this.sessionInput.value = settings.sessionKey;
    const ask = (method, params) => this.app.request(method, params).then((ok) => ({ ok }), (err) => ({ err }));
    const [channels, presence, sessions, cron, status, health, models, beat] = await Promise.all([
      ask("channels.status", { probe: false, timeoutMs: CHANNEL_WAIT_MS }), ask("system-presence"),
      ask("sessions.list", { includeGlobal: true, includeUnknown: false, limit: 120 }), ask("cron.status"),
      ask("status"), ask("health"), ask("models.list"), ask("last-heartbeat"),
    ]);
    if ([channels, status, health].every((answer) => answer.err?.lost)) return;
    this.drawTiles([
      ["Up", span(this.uptime())],
      ["Sessions", sessions.ok ? number(sessions.ok.count) : "–"],
      ["Clients", presence.ok ? number(presence.ok.length) : "–"],
      ["Cron jobs", cron.ok ? number(cron.ok.jobs) : "–", cron.ok?.enabled === false ? "scheduler off" : cron.ok?.nextWakeAtMs ? `next ${when(cron.ok.nextWakeAtMs)}` : ""],
      ["Models", models.ok ? number(models.ok.models.length) : "–"],
      ["Heartbeat", beat.ok ? when(beat.ok.ts) : "–", beat.ok?.status ?? ""],
    ]);
    this.drawGateway(health, status);
    this.drawChannels(channels);
    this.drawClients(presence);
    this.drawSessions(sessions);
  }

  // The gateway says how it is updated, and starts anew: with a program that was replaced meanwhile.
  async update() {
    const ok = await confirm("Update the gateway?", "It starts anew, with the program that is installed by then. Channels stay connected and what the agent is doing ends.", "Update and restart");
    if (!ok) return;
    try {
      const { result } = await this.app.request("update.run", { sessionKey: settings.sessionKey });
      this.updated.textContent = result.reason ? `Not updated: ${result.reason}` : `Update: ${result.status}`;
      this.updated.hidden = false;
    } catch (err) {
      toast(err.message, "error");
    }
  }

  uptime() {
    const { hello } = this.app.gateway;
    const since = this.app.gateway.openedAt ?? Date.now();
    return (hello?.snapshot?.uptimeMs ?? 0) + Date.now() - since;
  }

  drawTiles(rows) {
    const shown = rows.length ? rows : ["Up", "Sessions", "Clients", "Cron jobs", "Models", "Heartbeat"].map((name) => [name, "–"]);
    this.tiles.replaceChildren(...shown.map(([name, value, note]) =>
      el("div", { class: "tile" }, el("p", { class: "soft" }, name), el("p", { class: "big" }, value), el("p", { class: "soft note" }, note || " "))));
  }

  drawGateway(health, status) {
    const { hello } = this.app.gateway;
    const failed = health.err ?? status.err;
    if (failed) return this.health.replaceChildren(problem(failed));
    const { server = {}, snapshot = {}, policy = {} } = hello ?? {};
    const agents = (health.ok.agents ?? []).map((agent) => `${agent.name ?? agent.agentId}${agent.heartbeat?.enabled ? ` (heartbeat ${agent.heartbeat.every})` : ""}`);
    const { defaults = {} } = status.ok.sessions ?? {};
    const waiting = status.ok.queuedSystemEvents ?? [];
    this.health.replaceChildren(facts([
      ["Host", server.host ?? "?"], ["Version", server.version ?? "?"], ["Agents", agents.join(", ") || "none"],
      ["Model", defaults.model ?? "none"], ["Context", defaults.contextTokens ? `${number(defaults.contextTokens)} tokens` : "?"],
      ["State", el("code", {}, snapshot.stateDir ?? "?")], ["Config", el("code", {}, snapshot.configPath ?? "?")],
      ["Tick", span(policy.tickIntervalMs ?? 0)],
      waiting.length > 0 && ["Waiting events", String(waiting.length)],
    ].filter(Boolean)));
  }

  drawChannels({ ok, err }) {
    if (err) return this.channels.replaceChildren(problem(err));
    const order = ok.channelOrder ?? [];
    if (order.length === 0) return this.channels.replaceChildren(empty("No channel is configured. The chat of this page works without one."));
    this.channels.replaceChildren(el("ul", { class: "rows" }, order.flatMap((id) => {
      const accounts = ok.channelAccounts?.[id] ?? [ok.channels?.[id] ?? {}];
      return accounts.map((account) => el("li", {}, el("div", {},
        el("strong", {}, ok.channelLabels?.[id] ?? id), account.accountId && account.accountId !== "default" && el("span", { class: "soft" }, ` ${account.accountId}`),
        account.lastError && el("p", { class: "bad" }, account.lastError)),
      badge(account)));
    })));
  }

  drawClients({ ok, err }) {
    if (err) return this.clients.replaceChildren(problem(err));
    this.clients.replaceChildren(el("ul", { class: "rows" }, ok.map((row) => el("li", {},
      el("div", {}, el("strong", {}, row.host ?? "?"), el("p", { class: "soft" },
        [row.mode, row.platform, row.version, row.ip].filter(Boolean).join(" · "))),
      el("span", { class: "soft" }, when(row.ts))))));
  }

  drawSessions({ ok, err }) {
    if (err) return this.sessions.replaceChildren(problem(err));
    const rows = ok.sessions.slice(0, 6);
    if (rows.length === 0) return this.sessions.replaceChildren(empty("No session yet."));
    this.sessions.replaceChildren(el("ul", { class: "rows" }, rows.map((row) => el("li", {},
      el("button", { type: "button", class: "link", onclick: () => this.app.openChat(row.key) }, icon("chat"), row.label || row.key),
      el("span", { class: "soft" }, [row.totalTokens ? `${number(row.totalTokens)} tokens` : "", when(row.updatedAt)].filter(Boolean).join(" · "))))));
  }

  onEvent(event, payload) {
    if (event === "presence" && this.app.current === "overview") this.drawClients({ ok: payload.presence ?? [] });
  }
}

function badge(account) {
  const [text, kind] = account.lastError ? ["error", "bad"] : account.running || account.connected ? ["running", "good"]
    : account.configured ? ["stopped", "warn"] : ["not configured", ""];
  return el("span", { class: `badge ${kind}` }, text);
}
