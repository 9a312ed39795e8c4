// Who may talk to the gateway: requests, paired devices and their tokens; and what commands the
// agent may run without asking.

import { ExecPolicy } from "./execpolicy.js";
import { confirm, reveal, toast } from "./dialogs.js";
import { button, el, empty, problem, redraw } from "./dom.js";
import { keepDeviceToken, storedDeviceId } from "./identity.js";
import { dateTime, when } from "./words.js";

export class Devices {
  constructor(app) {
    this.app = app;
    this.pending = el("div", { class: "list", role: "region", "aria-label": "Requests", "aria-live": "polite" });
    this.paired = el("div", { class: "list" });
    this.policy = new ExecPolicy(app);
    this.element = el("section", { class: "view", "aria-label": "Devices" }, el("div", { class: "column" },
      el("header", { class: "head" }, el("h1", {}, "Devices"), button("Refresh", () => app.refresh(), { iconName: "refresh", kind: "quiet" })),
      this.pending, el("h2", {}, "Paired"), this.paired, this.policy.element));
  }

  async show() {
    this.policy.show();
    try {
      this.draw(await this.app.request("device.pair.list"));
    } catch (err) {
      this.pending.replaceChildren();
      this.paired.replaceChildren(problem(err));
    }
  }

  onEvent(event) {
    if (event === "device.pair.requested" && this.app.current !== "devices") toast("A device asks to be paired: see Devices");
    if (event.startsWith("device.pair.") && this.app.current === "devices") this.app.refresh();
  }

  draw({ pending = [], paired = [] }) {
    redraw(this.pending, pending.map((request) => el("article", { class: "card asks", "data-key": request.requestId, "aria-label": request.displayName ?? request.deviceId },
      el("header", {}, el("strong", {}, request.displayName ?? request.clientId ?? "A device"), el("span", { class: "soft", title: dateTime(request.ts) }, `asked ${when(request.ts)}`)),
      el("p", {}, request.isRepair ? "Was paired before and asks for a new token." : "Asks to be paired."),
      el("p", { class: "soft" }, [request.role, request.platform, request.clientMode, request.remoteIp].filter(Boolean).join(" · ")),
      request.scopes?.length > 0 && scopes(request.scopes),
      el("p", { class: "soft" }, el("code", {}, request.deviceId)),
      el("div", { class: "row-actions" },
        button("Reject", () => this.act("device.pair.reject", { requestId: request.requestId }, "Rejected"), { kind: "danger" }),
        button("Approve", () => this.act("device.pair.approve", { requestId: request.requestId }, "Approved"), { kind: "primary" })))));
    const own = storedDeviceId();
    redraw(this.paired, paired.length ? paired.map((device) => this.device(device, device.deviceId === own)) : [empty("No device is paired.")]);
  }

  device(device, own) {
    return el("article", { class: "card", "aria-label": device.displayName ?? device.clientId ?? device.deviceId, "data-key": device.deviceId },
      el("header", {}, el("strong", {}, device.displayName ?? device.clientId ?? "A device"), own && el("span", { class: "badge good" }, "this browser")),
      el("p", { class: "soft" }, [device.platform, device.clientMode, device.remoteIp, device.approvedAtMs && `paired ${when(device.approvedAtMs)}`].filter(Boolean).join(" · ")),
      el("p", { class: "soft" }, el("code", {}, device.deviceId)),
      el("ul", { class: "rows" }, (device.tokens ?? []).map((token) => el("li", {},
        el("div", {}, el("strong", {}, token.role), token.revokedAtMs && el("span", { class: "badge bad" }, "revoked"), scopes(token.scopes ?? []),
          el("p", { class: "soft" }, [
            `made ${when(token.rotatedAtMs ?? token.createdAtMs)}`, token.lastUsedAtMs && `used ${when(token.lastUsedAtMs)}`, token.revokedAtMs && `revoked ${when(token.revokedAtMs)}`,
          ].filter(Boolean).join(" · "))),
        el("div", { class: "row-actions" },
          button("New token", () => this.rotate(device, token, own), { kind: "quiet" }),
          !token.revokedAtMs && button("Revoke", () => this.revoke(device, token, own), { kind: "danger" }))))));
  }

  async act(method, params, done) {
    try {
      await this.app.request(method, params);
      toast(done);
    } catch (err) {
      toast(err.message, "error");
    }
    this.app.refresh();
  }

  async rotate(device, token, own) {
    const name = device.displayName ?? device.clientId ?? device.deviceId;
    const text = own ? "This browser takes the new one at once." : `${name} is refused until it has the new one.`;
    if (!await confirm("Make a new token?", `The present token stops working. ${text}`, "Make a new token")) return;
    try {
      const answer = await this.app.request("device.token.rotate", { deviceId: device.deviceId, role: token.role, scopes: token.scopes });
      if (own) {
        keepDeviceToken(device.deviceId, { role: answer.role, deviceToken: answer.token, scopes: answer.scopes ?? token.scopes });
        toast("This browser has a new token");
      } else reveal("The new token", `For ${name}, role ${answer.role}. It is shown only now.`, answer.token);
    } catch (err) {
      toast(err.message, "error");
    }
    this.app.refresh();
  }

  async revoke(device, token, own) {
    const text = own ? "This is the token of this browser: its next connection needs the gateway's own token." : "What is connected stays so until it reconnects.";
    if (await confirm("Revoke this token?", text, "Revoke", { danger: true })) {
      this.act("device.token.revoke", { deviceId: device.deviceId, role: token.role }, "Revoked");
    }
  }
}

const scopes = (names) => el("p", { class: "scopes" }, names.map((name) => el("span", { class: "badge" }, name)));
