// The connection to the gateway: protocol 3 over one WebSocket, reconnected for ever.

import { canSign, deviceToken, forgetDeviceToken, identity, keepDeviceToken, sign } from "./identity.js";

const ROLE = "operator";
const SCOPES = ["operator.admin", "operator.approvals", "operator.pairing"];
const CLIENT = { id: "openclaw-control-ui", version: "dev", platform: navigator.platform || "web", mode: "webchat" };
// The official page asks for none and shows tool calls only after the run.
const CAPS = ["tool-events"];
const CHALLENGE_WAIT_MS = 750;
const FIRST_DELAY_MS = 800;
const LONGEST_DELAY_MS = 15000;
// While a pairing waits for somebody's approval.
const PAIRING_DELAY_MS = 5000;

export class Gateway extends EventTarget {
  // `options`: () => ({url, token, password}), read at each attempt.
  constructor(options) {
    super();
    this.options = options;
    this.pending = new Map();
    this.delay = FIRST_DELAY_MS;
    this.state = "connecting";
    this.hello = null;
  }

  // Connects at once, with fresh options.
  start() {
    clearTimeout(this.timer);
    this.delay = FIRST_DELAY_MS;
    if (this.socket) {
      this.socket.onclose = this.socket.onmessage = null;
      this.socket.close();
      this.hello = null;
      this.fail(lost("reconnecting"));
    }
    this.open();
  }

  request(method, params = {}) {
    return new Promise((resolve, reject) => {
      if (this.socket?.readyState !== WebSocket.OPEN) return reject(lost("not connected to the gateway"));
      const id = uuid();
      this.pending.set(id, { resolve, reject });
      this.socket.send(JSON.stringify({ type: "req", id, method, params }));
    });
  }

  open() {
    this.say("connecting");
    const { url } = this.options();
    let socket;
    try {
      socket = new WebSocket(url);
    } catch (err) {
      return this.say("refused", { message: `${url} is no WebSocket address: ${err.message}` });
    }
    this.socket = socket;
    this.refusal = null;
    let sent = false;
    const connect = (nonce) => {
      if (sent) return;
      sent = true;
      clearTimeout(wait);
      this.connect(nonce).catch((err) => {
        this.refusal = err;
        socket.close(4008, "connect failed");
      });
    };
    let wait;
    socket.onopen = () => { wait = setTimeout(connect, CHALLENGE_WAIT_MS); };
    socket.onmessage = ({ data }) => {
      let frame;
      try {
        frame = JSON.parse(data);
      } catch {
        return;
      }
      if (frame.type === "event" && frame.event === "connect.challenge") connect(frame.payload?.nonce);
      else if (frame.type === "event") this.event(frame);
      else if (frame.type === "res") this.response(frame);
    };
    socket.onclose = ({ code, reason }) => {
      clearTimeout(wait);
      this.hello = null;
      this.fail(lost(`disconnected (${code}): ${reason || "no reason"}`));
      if (this.refusal) this.say("refused", this.refusal);
      else this.say("closed", { code, reason });
      const delay = this.nextDelay();
      if (delay !== null) this.timer = setTimeout(() => this.open(), delay);
    };
  }

  // A wrong secret does not become right by being repeated, and the gateway counts the failures: such
  // a page waits for the person. A pairing is waited for.
  nextDelay() {
    if (this.retryAtOnce) {
      this.retryAtOnce = false;
      return 0;
    }
    // Somebody at this address was wrong too often; it need not have been this page.
    if (this.refusal?.retryAfterMs) return this.refusal.retryAfterMs;
    if (this.refusal?.code === "NOT_PAIRED") return PAIRING_DELAY_MS;
    if (this.refusal?.code === "INVALID_REQUEST") return null;
    const delay = this.delay;
    this.delay = Math.min(this.delay * 1.7, LONGEST_DELAY_MS);
    return delay;
  }

  async connect(nonce) {
    const { token, password } = this.options();
    const own = canSign() ? await identity().catch(() => null) : null;
    const kept = own && deviceToken(own.deviceId, ROLE);
    const offered = kept || token;
    const params = {
      minProtocol: 3, maxProtocol: 3, client: CLIENT, role: ROLE, scopes: SCOPES, caps: CAPS,
      userAgent: navigator.userAgent, locale: navigator.language,
    };
    if (offered || password) params.auth = { ...(offered && { token: offered }), ...(password && { password }) };
    if (own) {
      const signedAt = Date.now();
      const fields = [nonce ? "v2" : "v1", own.deviceId, CLIENT.id, CLIENT.mode, ROLE, SCOPES.join(","), signedAt, offered ?? ""];
      if (nonce) fields.push(nonce);
      params.device = {
        id: own.deviceId, publicKey: own.publicKey, signedAt,
        signature: await sign(own, fields.join("|")), ...(nonce && { nonce }),
      };
    }
    let hello;
    try {
      hello = await this.request("connect", params);
    } catch (err) {
      // A device token that no longer holds must not keep the shared one from being tried.
      const stale = own && kept && err.message.includes("mismatch");
      if (stale) forgetDeviceToken(own.deviceId, ROLE);
      this.retryAtOnce = Boolean(stale && ((token && kept !== token) || password));
      throw err;
    }
    if (own && hello.auth?.deviceToken) keepDeviceToken(own.deviceId, hello.auth);
    this.delay = FIRST_DELAY_MS;
    this.hello = hello;
    this.lastSeq = undefined;
    this.openedAt = Date.now();
    this.say("open", hello);
  }

  response({ id, ok, payload, error }) {
    const call = this.pending.get(id);
    if (!call) return;
    this.pending.delete(id);
    if (ok) call.resolve(payload);
    else call.reject(Object.assign(new Error(error?.message ?? "failed"), { code: error?.code, details: error?.details, retryAfterMs: error?.retryAfterMs }));
  }

  event(frame) {
    if (frame.seq !== undefined) {
      if (this.lastSeq !== undefined && frame.seq > this.lastSeq + 1) this.gap(frame.seq);
      this.lastSeq = frame.seq;
    }
    this.dispatchEvent(new CustomEvent("event", { detail: frame }));
  }

  gap(got) {
    this.dispatchEvent(new CustomEvent("gap", { detail: { expected: this.lastSeq + 1, got } }));
  }

  fail(err) {
    for (const call of this.pending.values()) call.reject(err);
    this.pending.clear();
  }

  say(state, detail) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, detail } }));
  }
}

// An error of the connection, not of the request: the request may or may not have arrived.
const lost = (message) => Object.assign(new Error(message), { lost: true });

// crypto.randomUUID exists only in secure contexts.
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 15) | 64;
  b[8] = (b[8] & 63) | 128;
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
