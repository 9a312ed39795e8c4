// The config schema: what a value may be, what is wrong with one, what a field is called. The
// gateway has the last word; this tells a person early and by path.

const MOST_ISSUES = 100;

export const pathText = (path) =>
  path.reduce((out, step) => (typeof step === "number" ? `${out}[${step}]` : out ? `${out}.${step}` : String(step)), "");

const typeOf = (value) => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value);
const typesOf = (schema) => (Array.isArray(schema.type) ? schema.type : schema.type ? [schema.type] : []);
const fits = (type, value) => (type === "integer" ? Number.isInteger(value) : typeOf(value) === type);

// The fixed values a schema names, when it names only such; else null.
export function choices(schema) {
  if (schema.enum) return schema.enum;
  if ("const" in schema) return [schema.const];
  if (typesOf(schema).join() === "boolean") return [true, false];
  if (!schema.anyOf) return null;
  const all = schema.anyOf.map(choices);
  return all.every(Boolean) ? all.flat() : null;
}

// [{path, message}] of what `schema` does not permit in `value`.
export function check(schema, value) {
  const issues = [];
  walk(schema, value, [], issues);
  return issues;
}

function walk(schema, value, path, issues) {
  if (issues.length >= MOST_ISSUES || !schema) return;
  const say = (message, at = path) => issues.push({ path: at, message });
  // What a variable will hold is known to the gateway alone.
  if (typeof value === "string" && value.includes("${")) return;
  const fixed = choices(schema);
  if (fixed) {
    if (!fixed.includes(value)) say(`${short(value)} is none of ${fixed.map((one) => JSON.stringify(one)).join(", ")}`);
    return;
  }
  const union = schema.anyOf ?? schema.oneOf;
  if (union) return walkUnion(union, value, path, issues, say);
  const types = typesOf(schema);
  if (types.length && !types.some((type) => fits(type, value))) {
    const article = { integer: "a whole number", number: "a number", object: "an object", array: "a list", string: "a text", boolean: "true or false" };
    return say(`must be ${types.map((type) => article[type] ?? type).join(" or ")}, not ${short(value)}`);
  }
  if (typeof value === "number") bounds(schema, value, say);
  else if (typeof value === "string") text(schema, value, say);
  else if (Array.isArray(value)) value.forEach((item, i) => walk(schema.items, item, [...path, i], issues));
  else if (value && typeof value === "object") members(schema, value, path, issues, say);
}

// The branch that was probably meant speaks.
function walkUnion(union, value, path, issues, say) {
  let best = null;
  for (const branch of union) {
    const found = [];
    walk(branch, value, path, found);
    if (found.length === 0) return;
    const near = typesOf(branch).some((type) => fits(type, value));
    if (near && (!best || found.length < best.length)) best = found;
  }
  if (best) issues.push(...best);
  else say(`${short(value)} fits none of what is possible here`);
}

function bounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }, value, say) {
  if (value < minimum) say(`must be at least ${minimum}`);
  if (value > maximum) say(`must be at most ${maximum}`);
  if (value <= exclusiveMinimum) say(`must be more than ${exclusiveMinimum}`);
  if (value >= exclusiveMaximum) say(`must be less than ${exclusiveMaximum}`);
}

function text({ minLength, maxLength, pattern }, value, say) {
  if (value.length < minLength) say(minLength === 1 ? "must not be empty" : `must have at least ${minLength} characters`);
  if (value.length > maxLength) say(`must have at most ${maxLength} characters`);
  if (pattern && !new RegExp(pattern, "u").test(value)) say(`does not have the form ${pattern}`);
}

function members(schema, value, path, issues, say) {
  const { properties = {}, additionalProperties = true, required = [] } = schema;
  const included = Object.hasOwn(value, "$include");
  for (const key of required) {
    if (!Object.hasOwn(value, key) && !included && properties[key]?.default === undefined) say("is missing", [...path, key]);
  }
  for (const [key, inner] of Object.entries(value)) {
    if (key === "$include" || (path.length === 0 && key === "$schema")) continue;
    if (Object.hasOwn(properties, key)) walk(properties[key], inner, [...path, key], issues);
    else if (additionalProperties === false) say(unknown(key, Object.keys(properties)), [...path, key]);
    else if (typeof additionalProperties === "object") walk(additionalProperties, inner, [...path, key], issues);
  }
}

function unknown(key, known) {
  const near = known.map((name) => [distance(key.toLowerCase(), name.toLowerCase()), name]).sort(([a], [b]) => a - b)[0];
  return near && near[0] <= Math.max(2, key.length / 3) ? `is no known key; ${near[1]} is` : "is no known key";
}

// How many letters must change.
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}

function short(value) {
  const said = JSON.stringify(value) ?? "nothing";
  return said.length > 40 ? `${said.slice(0, 40)}…` : said;
}

// Hints are named by paths with `*` for a key of the user's and `[]` for an item. A place is known
// by all the names it may have there.
export const stepInto = (names, step, own) => names.flatMap((name) => {
  const below = name ? `${name}.` : "";
  if (typeof step === "number") return [`${name}[]`, `${below}*`];
  return own ? [below + step, `${below}*`] : [below + step];
});

export const hintOf = (hints, names) => names.map((name) => hints[name]).find(Boolean) ?? {};

export function titleOf(hint, step) {
  if (hint.label) return hint.label;
  const words = String(step).replace(/([a-z0-9])([A-Z])/g, "$1 $2").replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

// Every single field of the schema: [{path, names, schema}], for the search.
export function leaves(schema, path = [], names = [""]) {
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => {
    const place = [[...path, key], stepInto(names, key, false)];
    return inner.properties ? leaves(inner, ...place) : [{ path: place[0], names: place[1], schema: inner }];
  });
}
