// This browser's device key and the device tokens gateways gave it.

const KEY = "openclaw-device-identity-v1";
const AUTH = "openclaw.device.auth.v1";
// PKCS#8 of an Ed25519 seed is this prefix and the 32 bytes.
const PKCS8 = Uint8Array.from([0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20]);

export const canSign = () => Boolean(globalThis.crypto?.subtle);

function base64url(bytes) {
  return btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function bytes(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}

function stored(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

async function fingerprint(publicKey) {
  const digest = await crypto.subtle.digest("SHA-256", bytes(publicKey));
  return Array.from(new Uint8Array(digest), (b) => b.toString(16).padStart(2, "0")).join("");
}

async function create() {
  const pair = await crypto.subtle.generateKey({ name: "Ed25519" }, true, ["sign", "verify"]);
  const seed = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey)).slice(-32);
  return {
    version: 1,
    publicKey: base64url(await crypto.subtle.exportKey("raw", pair.publicKey)),
    privateKey: base64url(seed),
    createdAtMs: Date.now(),
  };
}

export async function identity() {
  const own = stored(KEY)?.version === 1 ? stored(KEY) : await create();
  own.deviceId = await fingerprint(own.publicKey);
  localStorage.setItem(KEY, JSON.stringify(own));
  return own;
}

export async function sign(own, payload) {
  const pkcs8 = new Uint8Array([...PKCS8, ...bytes(own.privateKey).slice(0, 32)]);
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, { name: "Ed25519" }, false, ["sign"]);
  return base64url(await crypto.subtle.sign("Ed25519", key, new TextEncoder().encode(payload)));
}

export function deviceToken(deviceId, role) {
  const auth = stored(AUTH);
  return auth?.deviceId === deviceId ? auth.tokens?.[role]?.token : undefined;
}

export function keepDeviceToken(deviceId, { role, deviceToken: token, scopes }) {
  const auth = stored(AUTH);
  const tokens = auth?.deviceId === deviceId ? auth.tokens ?? {} : {};
  tokens[role] = { token, role, scopes: [...scopes].sort(), updatedAtMs: Date.now() };
  localStorage.setItem(AUTH, JSON.stringify({ version: 1, deviceId, tokens }));
}

export function forgetDeviceToken(deviceId, role) {
  const auth = stored(AUTH);
  if (auth?.deviceId !== deviceId) return;
  delete auth.tokens?.[role];
  localStorage.setItem(AUTH, JSON.stringify(auth));
}

export const storedDeviceId = () => stored(KEY)?.deviceId;
