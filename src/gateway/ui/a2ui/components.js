// Draws a surface: one function for each component of the standard catalogue of A2UI v0.8.
//
// What the agent sent becomes text and chosen attributes only, never markup. A component that refers
// to itself, or to too many others, ends at the bounds below.

const MAX_DEPTH = 48;
const MAX_DRAWN = 8000;
const MAX_ITEMS = 500;

const DISTRIBUTION = {
  start: "flex-start", center: "center", end: "flex-end",
  spaceBetween: "space-between", spaceAround: "space-around", spaceEvenly: "space-evenly",
};
const ALIGNMENT = { start: "flex-start", center: "center", end: "flex-end", stretch: "stretch" };
const INPUT_TYPES = { date: "date", number: "number", obscured: "password", shortText: "text" };
const FITS = ["contain", "cover", "fill", "none", "scale-down"];
const HEADINGS = ["h1", "h2", "h3", "h4", "h5"];
const IMAGE_KINDS = ["icon", "avatar", "smallFeature", "mediumFeature", "largeFeature", "header"];

/** Signs for the catalogue's icon names; another name is shown as its word. */
const ICONS = {
  accountCircle: "👤", add: "＋", arrowBack: "←", arrowForward: "→", attachFile: "📎", calendarToday: "📅",
  call: "📞", camera: "📷", check: "✓", close: "✕", delete: "🗑", download: "⬇", edit: "✎", error: "⛔",
  event: "📅", favorite: "♥", favoriteOff: "♡", folder: "📁", help: "?", home: "⌂", info: "ℹ",
  locationOn: "📍", lock: "🔒", lockOpen: "🔓", mail: "✉", menu: "☰", moreHoriz: "⋯", moreVert: "⋮",
  notifications: "🔔", notificationsOff: "🔕", payment: "💳", person: "👤", phone: "📞", photo: "🖼",
  print: "🖨", refresh: "⟳", search: "🔍", send: "➤", settings: "⚙", share: "⤴", shoppingCart: "🛒",
  star: "★", starHalf: "⯨", starOff: "☆", upload: "⬆", visibility: "👁", visibilityOff: "🙈", warning: "⚠",
};

const make = (tag, className = "", text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};

const words = (value) => {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
};

/** Pictures and sounds come from where pages may come from; a script is no place. */
function address(value) {
  const text = words(value).trim();
  try {
    const url = new URL(text, location.href);
    if (["http:", "https:", "blob:"].includes(url.protocol)) return url.href;
    return /^data:(image|audio|video)\//i.test(text) ? text : "";
  } catch {
    return "";
  }
}

class Drawing {
  constructor(surface, page) {
    this.surface = surface;
    this.page = page;
    this.left = MAX_DRAWN;
    // What the person chose and no data path holds: open dialogs, tabs, unbound fields.
    surface.chosen ??= new Map();
  }

  /** The component `id`, where relative paths begin at `base`. */
  draw(id, base, depth) {
    const component = this.surface.components.get(id);
    // Not sent yet: it appears when it is.
    if (!component || typeof id !== "string") return document.createComment(`${id}`);
    if (depth > MAX_DEPTH || --this.left < 0) return make("span", "unknown", "too many components");
    const how = Object.hasOwn(COMPONENTS, component.type) ? COMPONENTS[component.type] : null;
    if (!how) return make("span", "unknown", `no component ${component.type}`);
    const at = new At(this, id, component.props, base, depth);
    const element = how(at);
    element.dataset.component = id;
    if (Number.isFinite(component.weight)) element.style.flex = String(Math.max(0, component.weight));
    return element;
  }
}

/** One component at its place: its properties, bound values and children. */
class At {
  constructor(drawing, id, props, base, depth) {
    Object.assign(this, { drawing, id, props, base, depth, surface: drawing.surface });
    this.key = `${this.surface.id} ${id} ${base}`;
  }

  value(name) {
    return this.surface.value(this.props[name], this.base);
  }

  text(name) {
    return words(this.value(name));
  }

  child(name, base = this.base) {
    return this.drawing.draw(this.props[name], base, this.depth + 1);
  }

  children() {
    const { explicitList, template } = this.props.children ?? {};
    if (Array.isArray(explicitList)) {
      return explicitList.map((id) => this.drawing.draw(id, this.base, this.depth + 1));
    }
    if (!template) return [];
    const items = this.surface.get(template.dataBinding, this.base);
    const keys = items !== null && typeof items === "object" ? Object.keys(items).slice(0, MAX_ITEMS) : [];
    const inside = String(template.dataBinding ?? "");
    const list = inside.startsWith("/") ? inside : `${this.base}/${inside}`;
    return keys.map((key) => this.drawing.draw(template.componentId, `${list}/${key}`, this.depth + 1));
  }

  /** What the person has put in: at the data path, else kept beside the data. */
  input(name) {
    const kept = this.surface.chosen.get(`${this.key} ${name}`);
    return this.props[name]?.path === undefined && kept !== undefined ? kept : this.value(name);
  }

  put(name, value) {
    const path = this.props[name]?.path;
    if (path === undefined) this.surface.chosen.set(`${this.key} ${name}`, value);
    else this.surface.set(path, value, this.base);
    this.drawing.page.redraw();
  }

  chosen(name, otherwise) {
    return this.surface.chosen.get(`${this.key} ${name}`) ?? otherwise;
  }

  choose(name, value) {
    this.surface.chosen.set(`${this.key} ${name}`, value);
    this.drawing.page.redraw();
  }
}

function container(at, className) {
  const box = make("div", className);
  box.style.justifyContent = DISTRIBUTION[at.props.distribution] ?? "";
  box.style.alignItems = ALIGNMENT[at.props.alignment] ?? "";
  box.append(...at.children());
  return box;
}

function labelled(at, input, className = "field") {
  const label = make("label", className);
  const name = make("span", "", at.text("label"));
  input.dataset.key = at.key;
  label.append(...(className === "check" ? [input, name] : [name, input]));
  return label;
}

function media(at, tag) {
  const player = make(tag);
  player.controls = true;
  player.src = address(at.value("url"));
  return player;
}

function textField(at) {
  const kind = at.props.textFieldType;
  const input = make(kind === "longText" ? "textarea" : "input");
  if (kind !== "longText") input.type = INPUT_TYPES[kind] ?? "text";
  input.value = words(at.input("text"));
  const wanted = at.props.validationRegexp;
  const check = () => {
    let fits = true;
    // An expression that is none asks for nothing.
    try { fits = !wanted || new RegExp(`^(?:${wanted})$`, "u").test(input.value); } catch { fits = true; }
    input.setCustomValidity(fits ? "" : "not in the expected form");
  };
  check();
  input.addEventListener("input", () => { check(); at.put("text", input.value); });
  return labelled(at, input);
}

function dateTime(at) {
  const { enableDate = true, enableTime = false } = at.props;
  const input = make("input");
  input.type = enableDate && enableTime ? "datetime-local" : enableTime ? "time" : "date";
  const stored = words(at.input("value"));
  input.value = input.type === "date" ? stored.slice(0, 10)
    : input.type === "time" ? stored.slice(-8, stored.length).slice(0, 5) || stored
    : stored.slice(0, 16);
  input.dataset.key = at.key;
  input.setAttribute("aria-label", at.text("label") || "date and time");
  input.addEventListener("change", () => at.put("value", input.value));
  return input;
}

function multipleChoice(at) {
  const given = at.input("selections");
  const picked = new Set((Array.isArray(given) ? given : given === undefined ? [] : [given]).map(words));
  const most = Number(at.props.maxAllowedSelections ?? Infinity);
  const group = make("fieldset");
  for (const [index, option] of (at.props.options ?? []).slice(0, MAX_ITEMS).entries()) {
    const input = make("input");
    input.type = most === 1 ? "radio" : "checkbox";
    input.name = at.key;
    input.checked = picked.has(words(option?.value));
    input.disabled = !input.checked && most !== 1 && picked.size >= most;
    input.dataset.key = `${at.key} ${index}`;
    input.addEventListener("change", () => {
      if (most === 1) picked.clear();
      if (input.checked) picked.add(words(option.value));
      else picked.delete(words(option.value));
      at.put("selections", [...picked]);
    });
    const label = make("label", "check");
    label.append(input, make("span", "", words(at.surface.value(option?.label, at.base))));
    group.append(label);
  }
  return group;
}

function slider(at) {
  const input = make("input");
  input.type = "range";
  input.min = Number(at.props.minValue ?? 0);
  input.max = Number(at.props.maxValue ?? 100);
  input.step = "any";
  input.value = Number(at.input("value") ?? input.min);
  input.dataset.key = at.key;
  input.setAttribute("aria-label", at.text("label") || at.id);
  input.addEventListener("change", () => at.put("value", Number(input.value)));
  return input;
}

function button(at) {
  const element = make("button", at.props.primary ? "primary" : "");
  element.type = "button";
  element.dataset.key = at.key;
  element.append(at.child("child"));
  element.addEventListener("click", () => {
    const entries = Array.isArray(at.props.action?.context) ? at.props.action.context : [];
    const context = entries
      .filter((entry) => typeof entry?.key === "string")
      .map((entry) => [entry.key, at.surface.value(entry.value, at.base) ?? null]);
    at.drawing.page.act(at.surface, at.id, at.props.action, Object.fromEntries(context));
  });
  return element;
}

function tabs(at) {
  const items = Array.isArray(at.props.tabItems) ? at.props.tabItems.slice(0, MAX_ITEMS) : [];
  const open = Math.min(at.chosen("tab", 0), Math.max(0, items.length - 1));
  const box = make("div");
  const list = make("div");
  list.setAttribute("role", "tablist");
  items.forEach((item, index) => {
    const tab = make("button", "", words(at.surface.value(item?.title, at.base)));
    tab.type = "button";
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-selected", String(index === open));
    tab.tabIndex = index === open ? 0 : -1;
    tab.dataset.key = `${at.key} ${index === open ? "open" : index}`;
    tab.addEventListener("click", () => at.choose("tab", index));
    list.append(tab);
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) at.choose("tab", (open + step + items.length) % items.length);
  });
  const panel = make("div");
  panel.setAttribute("role", "tabpanel");
  if (items[open]) panel.append(at.drawing.draw(items[open].child, at.base, at.depth + 1));
  box.append(list, panel);
  return box;
}

function modal(at) {
  const box = make("div");
  const entry = make("div");
  entry.append(at.child("entryPointChild"));
  entry.addEventListener("click", () => at.choose("open", true));
  if (!entry.querySelector("button")) {
    entry.tabIndex = 0;
    entry.dataset.key = at.key;
    entry.setAttribute("role", "button");
    entry.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") entry.click();
    });
  }
  box.append(entry);
  if (at.chosen("open", false)) {
    const dialog = make("dialog");
    const close = make("button", "", "Close");
    close.type = "button";
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => at.choose("open", false));
    dialog.append(at.child("contentChild"), close);
    box.append(dialog);
    // Only what is in the page can be opened.
    queueMicrotask(() => { if (dialog.isConnected && !dialog.open) dialog.showModal(); });
  }
  return box;
}

const COMPONENTS = {
  Text(at) {
    const usage = at.props.usageHint;
    const tag = HEADINGS.includes(usage) ? usage : "p";
    return make(tag, usage === "caption" ? "text caption" : "text", at.text("text"));
  },
  Image(at) {
    const image = make("img", IMAGE_KINDS.includes(at.props.usageHint) ? at.props.usageHint : "");
    image.src = address(at.value("url"));
    image.alt = at.text("altText");
    image.style.objectFit = FITS.includes(at.props.fit) ? at.props.fit : "";
    return image;
  },
  Icon(at) {
    const name = at.text("name");
    const icon = make("span", "icon", Object.hasOwn(ICONS, name) ? ICONS[name] : name);
    icon.setAttribute("role", "img");
    icon.setAttribute("aria-label", name);
    return icon;
  },
  Video: (at) => media(at, "video"),
  AudioPlayer(at) {
    const box = make("div", "column");
    const description = at.text("description");
    if (description) box.append(make("p", "text caption", description));
    box.append(media(at, "audio"));
    return box;
  },
  Row: (at) => container(at, "row"),
  Column: (at) => container(at, "column"),
  List: (at) => container(at, at.props.direction === "horizontal" ? "list horizontal" : "list"),
  Card(at) {
    const card = make("div", "card");
    card.append(at.child("child"));
    return card;
  },
  Tabs: tabs,
  Divider: (at) => make("hr", at.props.axis === "vertical" ? "vertical" : ""),
  Modal: modal,
  Button: button,
  CheckBox(at) {
    const input = make("input");
    input.type = "checkbox";
    input.checked = Boolean(at.input("value"));
    input.addEventListener("change", () => at.put("value", input.checked));
    return labelled(at, input, "check");
  },
  TextField: textField,
  DateTimeInput: dateTime,
  MultipleChoice: multipleChoice,
  Slider: slider,
};

/** The surface as one element. `page` has `act` for buttons and `redraw` for changed data. */
export function draw(surface, page) {
  const section = make("section", "surface");
  section.dataset.surface = surface.id;
  const { primaryColor, font } = surface.styles;
  if (CSS.supports("color", words(primaryColor))) section.style.setProperty("--accent", primaryColor);
  if (typeof font === "string") section.style.fontFamily = font;
  section.append(new Drawing(surface, page).draw(surface.root, "", 0));
  return section;
}
