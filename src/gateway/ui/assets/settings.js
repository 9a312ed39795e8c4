// What the page remembers. The keys and their content are the official page's, so both pages can
// take turns in one browser.

const KEY = "openclaw.control.settings.v1";
const DRAFTS = "openclaw.control.drafts.v1";
// Unsent text is worth keeping, but not without end.
const MOST_DRAFTS = 20;
const LONGEST_DRAFT = 20000;

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

function stored(key) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? {};
  } catch {
    // A damaged entry counts as none.
    return {};
  }
}

function load() {
  const settings = defaults();
  for (const [key, value] of Object.entries(stored(KEY))) {
    if (!(key in settings) || typeof value === typeof settings[key]) settings[key] = value;
  }
  return settings;
}

export const settings = load();
// Never stored.
export const memory = { password: "", onboarding: false };

export function save() {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // A full or forbidden store: the page works, and forgets.
  }
}

export function applyTheme() {
  const root = document.documentElement;
  if (settings.theme === "system") delete root.dataset.theme;
  else root.dataset.theme = settings.theme;
}

export const draft = (key) => stored(DRAFTS)[key] ?? "";

export function keepDraft(key, text) {
  const drafts = stored(DRAFTS);
  delete drafts[key];
  if (text.trim()) drafts[key] = text.slice(0, LONGEST_DRAFT);
  const kept = Object.entries(drafts).slice(-MOST_DRAFTS);
  try {
    localStorage.setItem(DRAFTS, JSON.stringify(Object.fromEntries(kept)));
  } catch {
    // As above.
  }
}

// `?token=`, `?password=`, `?session=`, `?gatewayUrl=`, `?onboarding=` are read once; secrets leave
// the address bar at once so that they stay out of the history and of screenshots. Answers the
// gateway address that was asked for: it is taken only when the person agrees, since whoever gets
// the next connection gets the token.
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
  const asked = take("gatewayUrl");
  memory.onboarding = ["1", "true", "yes", "on"].includes(take("onboarding").toLowerCase());
  const session = url.searchParams.get("session")?.trim();
  if (session) settings.sessionKey = settings.lastActiveSessionKey = session;
  history.replaceState(null, "", url);
  save();
  return /^wss?:\/\//.test(asked) && window.top === window && asked !== settings.gatewayUrl ? asked : "";
}
