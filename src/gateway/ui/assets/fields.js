// The config form: one control for each place in the schema. A control reads and writes the text
// of the file through `ctx` and never holds a copy of it.
//
// ctx: {get(path), effective(path), set(path, value | undefined), hints, issues(path)}

import { button, el, select } from "./dom.js";
import { parse } from "./json5.js";
import { choices, hintOf, pathText, stepInto, titleOf } from "./schema.js";

const TOO_LONG_FOR_A_LINE = 60;
const SECRET = /(token|password|secret|api_?key|private_?key)$/i;

const isGroup = (schema) => schema.type === "object";
const isList = (schema) => schema.type === "array" && schema.items;
const isWords = (schema) => isList(schema) && ["string", "number", "integer"].includes(schema.items.type) && !choices(schema.items);

// The control for one place, with its name, help, and a way back to the default.
export function place(ctx, schema, path, names, { open = false, title } = {}) {
  const hint = hintOf(ctx.hints, names);
  const step = path.at(-1);
  const name = title ?? titleOf(hint, step ?? "");
  if (isGroup(schema)) return group(ctx, schema, path, names, name, hint, open);
  if (isList(schema) && !isWords(schema) && (isGroup(schema.items) || schema.items.anyOf)) return list(ctx, schema, path, names, name, hint, open);
  return leaf(ctx, schema, path, name, { ...hint, sensitive: hint.sensitive ?? SECRET.test(String(step)) });
}

function leaf(ctx, schema, path, name, hint) {
  const id = `f-${pathText(path)}`;
  const error = el("p", { class: "bad", id: `${id}-error`, role: "alert" });
  const reset = button(`Back to the default: ${name}`, () => set(undefined), { bare: true, iconName: "close", kind: "small quiet" });
  let control;
  const refresh = () => {
    const isSet = ctx.get(path) !== undefined;
    reset.hidden = !isSet;
    row.classList.toggle("set", isSet);
    const said = ctx.issues(path);
    error.textContent = said.join("; ");
    control.node.setAttribute("aria-invalid", String(said.length > 0));
  };
  const set = (value) => {
    ctx.set(path, value);
    if (value === undefined) control.show(undefined);
    refresh();
  };
  control = controlFor(schema, hint, {
    id, value: ctx.get(path), effective: ctx.effective(path), set,
    refuse: (message) => { error.textContent = message; control.node.setAttribute("aria-invalid", "true"); },
  });
  control.node.setAttribute("aria-describedby", `${id}-help ${id}-error`);
  const row = el("div", { class: "setting", "data-path": pathText(path) },
    el("div", { class: "setting-name" }, el("label", { for: id }, name), el("code", { class: "path" }, pathText(path)),
      el("small", { id: `${id}-help` }, hint.help ?? "")),
    el("div", { class: "setting-value" }, el("div", { class: "with-reset" }, control.node, control.beside, reset), error));
  ctx.watch(refresh, row);
  refresh();
  return row;
}

// {node, beside?, show(value)}
function controlFor(schema, hint, { id, value, effective, set, refuse }) {
  const fallback = effective === undefined ? hint.placeholder ?? "" : typeof effective === "string" ? effective : JSON.stringify(effective);
  const fixed = choices(schema);
  if (fixed) {
    const words = fixed.map((one) => [JSON.stringify(one), one === true ? "yes" : one === false ? "no" : String(one)]);
    const plain = effective === true ? "yes" : effective === false ? "no" : fallback;
    const node = select([["", plain ? `default: ${plain}` : "default"], ...words], { id, name: id });
    const show = (now) => {
      const said = now === undefined ? "" : JSON.stringify(now);
      // A value that the schema does not name is shown all the same.
      if (said && ![...node.options].some((option) => option.value === said)) node.append(el("option", { value: said }, said));
      node.value = said;
    };
    show(value);
    node.addEventListener("change", () => set(node.value === "" ? undefined : JSON.parse(node.value)));
    return { node, show };
  }
  const types = [schema.type].flat();
  const placeholder = hint.sensitive && effective ? "set elsewhere" : fallback;
  if (isWords(schema)) return words(schema, { id, value, placeholder, set });
  if (types.join() === "number" || types.join() === "integer") {
    const node = el("input", { id, name: id, type: "number", step: types[0] === "integer" ? "1" : "any", min: schema.minimum, max: schema.maximum, placeholder, value: value ?? "" });
    if (typeof value === "string") node.type = "text";
    node.addEventListener("change", () => {
      if (node.validity.badInput) return refuse("must be a number");
      set(node.value === "" ? undefined : Number.isNaN(Number(node.value)) ? node.value : Number(node.value));
    });
    return { node, show: (now) => { node.value = now ?? ""; } };
  }
  if (types.join() === "string") return line(schema, hint, { id, value, placeholder, set });
  return code({ id, value, placeholder, set, refuse });
}

function line(schema, hint, { id, value, placeholder, set }) {
  const long = !hint.sensitive && typeof value === "string" && (value.length > TOO_LONG_FOR_A_LINE || value.includes("\n"));
  const node = el(long ? "textarea" : "input", { id, name: id, placeholder, autocomplete: "off", spellcheck: "false", ...(long ? { rows: 3 } : { type: hint.sensitive ? "password" : "text" }) });
  const show = (now) => { node.value = typeof now === "string" ? now : now === undefined ? "" : JSON.stringify(now); };
  show(value);
  node.addEventListener("change", () => set(node.value === "" ? undefined : node.value));
  if (!hint.sensitive) return { node, show };
  const reveal = button("Show", () => {
    const hidden = node.type === "password";
    node.type = hidden ? "text" : "password";
    reveal.querySelector("span").textContent = hidden ? "Hide" : "Show";
  }, { kind: "small quiet" });
  return { node, show, beside: reveal };
}

function words(schema, { id, value, placeholder, set }) {
  const node = el("textarea", { id, name: id, rows: 3, placeholder: placeholder || "one a line", spellcheck: "false" });
  const show = (now) => { node.value = Array.isArray(now) ? now.join("\n") : now === undefined ? "" : JSON.stringify(now); };
  show(value);
  node.addEventListener("change", () => {
    const items = node.value.split("\n").map((item) => item.trim()).filter(Boolean);
    const numbers = schema.items.type !== "string";
    set(items.length ? items.map((item) => (numbers && !Number.isNaN(Number(item)) ? Number(item) : item)) : undefined);
  });
  return { node, show };
}

// Whatever has no control of its own is written as JSON5.
function code({ id, value, placeholder, set, refuse }) {
  const node = el("textarea", { id, name: id, rows: 3, class: "mono", placeholder: placeholder || "JSON5", spellcheck: "false" });
  const show = (now) => { node.value = now === undefined ? "" : JSON.stringify(now, null, 2); };
  show(value);
  node.addEventListener("change", () => {
    if (!node.value.trim()) return set(undefined);
    try {
      set(parse(node.value));
    } catch (err) {
      // A bare word is a text, as on the command line.
      if (/^[\w./:@-]+$/.test(node.value.trim())) set(node.value.trim());
      else refuse(err.message);
    }
  });
  return { node, show };
}

// An object: its fields, then keys of the user's own. Drawn when it is unfolded.
function group(ctx, schema, path, names, name, hint, open) {
  const body = el("div", { class: "group-fields" });
  const { properties = {}, additionalProperties } = schema;
  const own = () => Object.keys(ctx.get(path) ?? {}).filter((key) => !Object.hasOwn(properties, key) && key !== "$include");
  const draw = () => {
    const fields = Object.entries(properties)
      .map(([key, inner]) => ({ key, inner, names: stepInto(names, key, false) }))
      .sort((a, b) => isGroup(a.inner) - isGroup(b.inner) || (hintOf(ctx.hints, a.names).order ?? 500) - (hintOf(ctx.hints, b.names).order ?? 500));
    body.replaceChildren(...fields.map(({ key, inner, names: below }) => place(ctx, inner, [...path, key], below)),
      ...own().map((key) => entry(ctx, typeof additionalProperties === "object" ? additionalProperties : {}, path, names, key, draw)));
    if (additionalProperties) body.append(adder(ctx, additionalProperties, path, own, draw));
  };
  if (path.length === 0 || open === "bare") {
    draw();
    return body;
  }
  return folded(ctx, path, name, hint, body, draw, open);
}

function folded(ctx, path, name, hint, body, draw, open) {
  let drawn = false;
  const state = el("span", { class: "badge" });
  const node = el("details", { class: "setting-group", "data-path": pathText(path), open: Boolean(open) },
    el("summary", {}, el("span", {}, name), state, hint.help && el("small", {}, hint.help)), body);
  const show = () => {
    if (!node.open || drawn) return;
    drawn = true;
    draw();
  };
  const refresh = () => {
    const wrong = ctx.issuesBelow(path);
    state.className = `badge ${wrong ? "bad" : ""}`;
    state.textContent = wrong ? `${wrong} to fix` : "set";
    state.hidden = !wrong && ctx.get(path) === undefined;
  };
  node.addEventListener("toggle", show);
  ctx.watch(refresh, node);
  refresh();
  show();
  return node;
}

function entry(ctx, schema, path, names, key, redraw) {
  return el("div", { class: "own" }, place(ctx, schema, [...path, key], stepInto(names, key, true), { title: key }),
    button(`Remove ${key}`, () => { ctx.set([...path, key], undefined); redraw(); }, { kind: "small danger" }));
}

function adder(ctx, schema, path, own, redraw) {
  const key = el("input", { placeholder: "new key", "aria-label": `New key in ${pathText(path)}`, spellcheck: "false", autocomplete: "off" });
  const add = () => {
    const name = key.value.trim();
    if (!name || own().includes(name)) return;
    ctx.set([...path, name], emptyOf(schema));
    redraw();
  };
  key.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    add();
  });
  return el("div", { class: "adder" }, key, button("Add", add, { iconName: "plus", kind: "small" }));
}

function emptyOf(schema) {
  if (schema === true || !schema) return "";
  return { object: {}, array: [], boolean: true, number: 0, integer: 0 }[[schema.type].flat()[0]] ?? choices(schema)?.[0] ?? "";
}

function list(ctx, schema, path, names, name, hint, open) {
  const body = el("div", { class: "group-fields" });
  const draw = () => {
    const items = Array.isArray(ctx.get(path)) ? ctx.get(path) : [];
    body.replaceChildren(...items.map((item, i) => el("div", { class: "own" },
      place(ctx, schema.items, [...path, i], stepInto(names, i, false), { title: item?.id ?? item?.name ?? `${i + 1}.` }),
      button(`Remove ${item?.id ?? item?.name ?? i + 1}`, () => { ctx.set([...path, i], undefined); draw(); }, { kind: "small danger" }))),
    button("Add an entry", () => { ctx.set([...path, items.length], emptyOf(schema.items)); draw(); }, { iconName: "plus", kind: "small" }));
  };
  return folded(ctx, path, name, hint, body, draw, open);
}
