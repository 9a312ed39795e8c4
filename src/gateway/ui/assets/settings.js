// What the page remembers. The keys and their content are the official page's, so both pages can
// take turns in one browser.

const KEY = "openclaw.control.settings.v1";
const defaults = () => ({
  gatewayUrl: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`,
  token: "",
  sessionKey: "main",
  lastActiveSessionKey: "main",
  theme: "system",
  chatFocusMode: false,
  chatShowThinking: true,
  splitRatio: 0.6,
  navCollapsed: false,
  navGroupsCollapsed: {},
});

function load() {
  const settings = defaults();
  let stored = {};
  try {
    stored = JSON.parse(localStorage.getItem(KEY) ?? "{}");
  } catch {
    // A damaged entry counts as none.
  }
  for (const [key, value] of Object.entries(stored ?? {})) {
    if (!(key in settings) || typeof value === typeof settings[key]) settings[key] = value;
  }
  return settings;
}

export const settings = load();
// Never stored.
export const memory = { password: "" };

export function save() {
  localStorage.setItem(KEY, JSON.stringify(settings));
}

// `?token=`, `?password=`, `?session=` are read once; secrets leave the address bar at once so that
// they stay out of the history and of screenshots.
export function takeUrlParameters() {
  const url = new URL(location.href);
  const take = (name) => {
    const value = url.searchParams.get(name);
    url.searchParams.delete(name);
    return value?.trim() ?? "";
  };
  const token = take("token");
  if (token) settings.token = token;
  memory.password = take("password") || memory.password;
  const session = url.searchParams.get("session")?.trim();
  if (session) settings.sessionKey = settings.lastActiveSessionKey = session;
  history.replaceState(null, "", url);
  save();
}
