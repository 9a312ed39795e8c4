// Times, sizes and keys as people read them.

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

export function span(ms) {
  if (Math.abs(ms) < 1000) return `${Math.round(ms)} ms`;
  const s = Math.round(Math.abs(ms) / 1000);
  const [size, unit] = UNITS.find(([size]) => s >= size);
  const next = UNITS[UNITS.findIndex(([x]) => x === size) + 1];
  const rest = next ? Math.floor((s % size) / next[0]) : 0;
  return `${Math.floor(s / size)} ${unit}${rest && s < size * 10 ? ` ${rest} ${next[1]}` : ""}`;
}

// "5 min ago", "in 2 h", "just now".
export function when(ms, now = Date.now()) {
  if (!Number.isFinite(ms)) return "never";
  const away = ms - now;
  if (Math.abs(away) < 5000) return "just now";
  return away > 0 ? `in ${span(away)}` : `${span(away)} ago`;
}

export const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
export const dateTime = (ms) =>
  Number.isFinite(ms) ? new Date(ms).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : "";
export const number = (n) => Number(n).toLocaleString("en-US");

export function bytes(n) {
  if (n < 1024) return `${n} B`;
  return n < 1048576 ? `${Math.round(n / 1024)} KB` : `${(n / 1048576).toFixed(1)} MB`;
}

// `agent:main:main` is "main" to whoever has one agent.
export const sessionName = (row) => row.label || row.displayName || shortKey(row.key);
export const shortKey = (key) => key.replace(/^agent:main:/, "");
export const cut = (text, most) => (text.length > most ? `${text.slice(0, most)}…` : text);
