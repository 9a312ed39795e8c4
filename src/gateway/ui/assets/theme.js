// Before the first paint, so that a chosen theme does not flash in from the other one.
try {
  const { theme } = JSON.parse(localStorage.getItem("openclaw.control.settings.v1") ?? "{}");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // A damaged entry counts as none.
}
