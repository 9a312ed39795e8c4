// The connection to the gateway: protocol 3 over one WebSocket, reconnected for ever.

import { canSign, deviceToken, forgetDeviceToken, identity, keepDeviceToken, sign } from "./identity.js";

const ROLE = "operator";
const SCOPES = ["operator.admin", "operator.approvals", "operator.pairing"];
const CLIENT = { id: "openclaw-control-ui", version: "dev", platform: navigator.platform || "web", mode: "webchat" };
const CHALLENGE_WAIT_MS = 750;
const FIRST_DELAY_MS = 800;
const LONGEST_DELAY_MS = 15000;

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

  start() {
    this.stopped = false;
    this.open();
  }

  // Connects at once, with fresh options.
  restart() {
    clearTimeout(this.timer);
    this.delay = FIRST_DELAY_MS;
    if (this.socket) {
      this.socket.onclose = null;
      this.socket.close();
      this.fail(new Error("reconnecting"));
    }
    this.open();
  }

  request(method, params = {}) {
    return new Promise((resolve, reject) => {
      if (this.socket?.readyState !== WebSocket.OPEN) return reject(new Error("not connected to the gateway"));
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
      const frame = JSON.parse(data);
      if (frame.type === "event" && frame.event === "connect.challenge") connect(frame.payload?.nonce);
      else if (frame.type === "event") this.event(frame);
      else if (frame.type === "res") this.response(frame);
    };
    socket.onclose = ({ code, reason }) => {
      clearTimeout(wait);
      this.hello = null;
      this.fail(new Error(`disconnected (${code}): ${reason || "no reason"}`));
      if (this.refusal) this.say("refused", this.refusal);
      else this.say("closed", { code, reason });
      this.timer = setTimeout(() => this.open(), this.delay);
      this.delay = Math.min(this.delay * 1.7, LONGEST_DELAY_MS);
    };
  }

  async connect(nonce) {
    const { token, password } = this.options();
    const own = canSign() ? await identity().catch(() => null) : null;
    const kept = own && deviceToken(own.deviceId, ROLE);
    const offered = kept || token;
    const params = {
      minProtocol: 3, maxProtocol: 3, client: CLIENT, role: ROLE, scopes: SCOPES, caps: [],
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
      if (own && kept) forgetDeviceToken(own.deviceId, ROLE);
      if (kept && token && kept !== token) this.delay = 0;
      throw err;
    }
    if (own && hello.auth?.deviceToken) keepDeviceToken(own.deviceId, hello.auth);
    this.delay = FIRST_DELAY_MS;
    this.hello = hello;
    this.lastSeq = undefined;
    this.say("open", hello);
  }

  response({ id, ok, payload, error }) {
    const call = this.pending.get(id);
    if (!call) return;
    this.pending.delete(id);
    if (ok) call.resolve(payload);
    else call.reject(Object.assign(new Error(error?.message ?? "failed"), { code: error?.code, details: error?.details }));
  }

  event(frame) {
    if (frame.seq !== undefined) {
      if (this.lastSeq !== undefined && frame.seq > this.lastSeq + 1) this.dispatchEvent(new CustomEvent("gap"));
      this.lastSeq = frame.seq;
    }
    this.dispatchEvent(new CustomEvent("event", { detail: frame }));
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

// crypto.randomUUID exists only in secure contexts.
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 15) | 64;
  b[8] = (b[8] & 63) | 128;
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
