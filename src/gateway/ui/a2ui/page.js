// The page: takes the messages an app hands in, shows the surfaces, and tells the app what the
// person did.

import { Surfaces } from "./model.js";
import { draw } from "./components.js";

const TOAST_MS = 3000;

const surfaces = new Surfaces();
const toast = document.getElementById("openclaw-toast");
let host = null;
let waiting = false;
let toastTimer = 0;

/** Draws at most once a frame; what has the focus keeps it. */
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    paint();
  });
}

function paint() {
  if (!host) return;
  const focused = host.contains(document.activeElement) ? document.activeElement : null;
  const key = focused?.dataset.key;
  const selection = focused && "selectionStart" in focused ? [focused.selectionStart, focused.selectionEnd] : null;
  const drawn = [...surfaces.all.values()]
    .filter((surface) => surface.root !== null)
    .map((surface) => draw(surface, { act, redraw }));
  host.replaceChildren(...drawn);
  if (key) {
    const again = [...host.querySelectorAll("[data-key]")].find((element) => element.dataset.key === key);
    again?.focus();
    // Fields of numbers and dates have no selection to set.
    if (again && selection?.[0] != null) again.setSelectionRange(...selection);
  }
  document.getElementById("openclaw-status").hidden ||= drawn.length > 0;
}

function say(text, bad = false) {
  toast.textContent = text;
  toast.classList.toggle("bad", bad);
  toast.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { toast.hidden = true; }, TOAST_MS);
}

const names = new Map();
const NAMES_KEPT = 50;

/** What a button does: the action with its context goes to the app around the page. */
function act(surface, componentId, action, context) {
  const name = String(action?.name ?? "");
  const id = globalThis.crypto?.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  const userAction = {
    id,
    name,
    surfaceId: surface.id,
    sourceComponentId: componentId,
    timestamp: new Date().toISOString(),
    ...(Object.keys(context).length > 0 && { context }),
  };
  globalThis.__openclawLastA2UIAction = userAction;
  names.set(id, name);
  if (names.size > NAMES_KEPT) names.delete(names.keys().next().value);
  say(`Sending ${name}`);
  if (!globalThis.openclawSendUserAction?.(userAction)) say(`Failed ${name}: missing native bridge`, true);
  else say(`Working ${name}`);
}

globalThis.addEventListener("openclaw:a2ui-action-status", (event) => {
  const { id, ok, error } = event.detail ?? {};
  const name = names.get(id) ?? "";
  if (ok) say(`Updated ${name}`);
  else say(`Failed ${name}${error ? `: ${error}` : ""}`, true);
});

globalThis.openclawA2UI = {
  /** All or, at the first that is not as it should be, those before it; the error says which. */
  applyMessages(messages) {
    if (!Array.isArray(messages)) throw new Error("A2UI: expected messages array");
    try {
      messages.forEach((message, index) => {
        try {
          surfaces.apply(message);
        } catch (err) {
          throw new Error(`A2UI message ${index + 1}: ${err.message}`);
        }
      });
    } finally {
      redraw();
    }
    return { ok: true, surfaces: [...surfaces.all.keys()] };
  },
  reset() {
    surfaces.clear();
    redraw();
    return { ok: true };
  },
  getSurfaces: () => [...surfaces.all.keys()],
};

customElements.define("openclaw-a2ui-host", class extends HTMLElement {
  connectedCallback() {
    host = this;
    redraw();
  }
});

const canvas = document.getElementById("openclaw-canvas");
const status = document.getElementById("openclaw-status");
let statusOn = false;

function fit() {
  canvas.width = Math.round(innerWidth * devicePixelRatio);
  canvas.height = Math.round(innerHeight * devicePixelRatio);
}
addEventListener("resize", fit);
fit();

globalThis.__openclaw = {
  canvas,
  ctx: canvas.getContext("2d"),
  setDebugStatusEnabled(on) {
    statusOn = Boolean(on);
    if (!statusOn) status.hidden = true;
  },
  setStatus(title, subtitle) {
    const [first, second] = status.children;
    first.textContent = String(title ?? "");
    second.textContent = String(subtitle ?? "");
    status.hidden = !statusOn || !(title || subtitle);
  },
};

const query = new URLSearchParams(location.search);
const flag = (query.get("debugStatus") ?? query.get("debug") ?? "").trim().toLowerCase();
globalThis.__openclaw.setDebugStatusEnabled(["1", "true", "yes", "on"].includes(flag));
const platform = query.get("platform")?.trim().toLowerCase();
if (platform) document.documentElement.dataset.platform = platform;
