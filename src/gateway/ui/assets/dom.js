// Elements without a framework. Whatever comes from the gateway enters the page as a text node or a
// property set here, never as markup: the page has no innerHTML, and its policy forbids one.

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open", "indeterminate", "selected", "readOnly"]);

// el("p", {class: "x", onclick: f}, "text", child): children that are null, undefined or false are left out.
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (PROPERTIES.has(key)) node[key] = value;
    else if (value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

// 24×24, drawn by strokes in the text's colour.
const ICONS = {
  chat: "M4 5h16v11H9l-5 4z",
  overview: "M4 4h7v9H4zM13 4h7v5h-7zM13 11h7v9h-7zM4 15h7v5H4z",
  sessions: "M4 6h16M4 12h16M4 18h10",
  cron: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3 2",
  devices: "M3 5h13v10H3zM6 19h7M17 9h4v10h-4z",
  agents: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4 21c0-4 4-6 8-6s8 2 8 6",
  config: "M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4",
  logs: "M5 3h10l4 4v14H5zM9 12h6M9 16h6",
  debug: "M5 6l5 6-5 6M12 18h7",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6L6 18",
  send: "M5 12h13M13 6l6 6-6 6",
  stop: "M7 7h10v10H7z",
  plus: "M12 5v14M5 12h14",
  attach: "M20 11l-8.5 8.5a5 5 0 0 1-7-7L13 4a3.4 3.4 0 0 1 4.8 4.8l-8.3 8.3a1.7 1.7 0 0 1-2.4-2.4L15 7",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  refresh: "M20 12a8 8 0 1 1-2.5-5.8M20 3v5h-5",
  thinking: "M9 18h6M10 21h4M12 3a6 6 0 0 0-4 10.5c.8.8 1 1.500 1 2.500h6c0-1 .2-1.700 1-2.500A6 6 0 0 0 12 3z",
  focus: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  tool: "M14.500 6.500a4 4 0 0 1 5-1l-2.500 2.500 1.500 1.500 2.500-2.500a4 4 0 0 1-5.500 5L8 19.500a2 2 0 0 1-3-3l7.500-7.500a4 4 0 0 1 2-2.500z",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2",
  moon: "M20 14A8 8 0 0 1 10 4a8 8 0 1 0 10 10z",
  system: "M3 4h18v12H3zM9 20h6M12 16v4",
  down: "M12 5v14M6 13l6 6 6-6",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
};

const SVG = "http://www.w3.org/2000/svg";

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" })) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

// A button; with an icon alone its text becomes the label.
export function button(text, onclick, { kind = "", iconName, bare = false, ...props } = {}) {
  const label = bare ? { "aria-label": text, title: text } : {};
  return el("button", { type: "button", class: `${kind}${bare ? " bare" : ""}`.trim() || null, onclick, ...label, ...props },
    iconName && icon(iconName), !bare && el("span", {}, text));
}

// A label above its control.
export function field(label, control, help) {
  return el("label", { class: "field" }, el("span", { class: "name" }, label), control, help && el("small", {}, help));
}

export function select(options, props = {}) {
  const { value, ...rest } = props;
  const node = el("select", rest, options.map((option) => {
    const [id, text] = Array.isArray(option) ? option : [option, option];
    return el("option", { value: id }, text);
  }));
  if (value !== undefined) node.value = value;
  return node;
}

// What went wrong, in the place where the answer would be. A method that the gateway does not have
// is no fault of the person's: that is said calmly.
export function problem(err) {
  const calm = err.code === "UNAVAILABLE";
  return el("p", { class: calm ? "notice" : "notice error", role: calm ? null : "alert" }, err.message);
}

// Draws a list anew without taking the focus from whoever is in it: an entry is known by its
// `data-key`, a control in it by its name or words.
export function redraw(list, nodes) {
  const active = list.contains(document.activeElement) ? document.activeElement : null;
  const key = active?.closest("[data-key]")?.dataset.key;
  const mark = active && (active.name || active.textContent);
  list.replaceChildren(...nodes);
  if (key === undefined) return;
  const entry = [...list.querySelectorAll("[data-key]")].find((node) => node.dataset.key === key);
  const controls = [...entry?.querySelectorAll("button, input, select, textarea, summary") ?? []];
  controls.find((node) => (node.name || node.textContent) === mark)?.focus({ preventScroll: true });
}

export const empty = (text) => el("p", { class: "empty" }, text);
export const json = (value) => el("pre", { class: "json", tabindex: "0" }, JSON.stringify(value, null, 2) ?? "");
export const facts = (rows) =>
  el("dl", { class: "facts" }, rows.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]));

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No clipboard outside a secure context: the old way.
    const area = el("textarea", { value: text, class: "offscreen" });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = el("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

export function debounced(ms, run) {
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...args), ms);
  };
}
