// What the agent has sent, without the page: surfaces of A2UI v0.8, their components and their data.
// Everything here comes from a model's output: counts and depths are bounded, a message that is not
// as it should be is refused whole and changes nothing.

const MAX_SURFACES = 32;
const MAX_COMPONENTS = 5000;
const MAX_DATA_DEPTH = 32;
const MAX_DATA_VALUES = 20000;

const KINDS = ["beginRendering", "surfaceUpdate", "dataModelUpdate", "deleteSurface"];
const UNSAFE = new Set(["__proto__", "constructor", "prototype"]);

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

const refuse = (text) => { throw new Error(text); };

/** The steps of a data path: "/a/b", "a/b" and "/" are all good; a relative one begins at `base`. */
export function steps(path, base = "/") {
  const text = String(path ?? "");
  const whole = text.startsWith("/") ? text : `${base}/${text}`;
  return whole.split("/").filter((step) => step !== "" && step !== ".");
}

/** `[{key, valueString|valueNumber|valueBoolean|valueMap}]` as an object. */
function fromContents(contents, budget, depth = 0) {
  if (!Array.isArray(contents)) refuse("contents: expected a list");
  if (depth > MAX_DATA_DEPTH) refuse(`contents: nested deeper than ${MAX_DATA_DEPTH}`);
  const data = {};
  for (const entry of contents) {
    if (!isObject(entry) || typeof entry.key !== "string") refuse("contents: an entry needs a key");
    if (UNSAFE.has(entry.key)) refuse(`contents: ${entry.key} cannot be a key`);
    if (--budget.left < 0) refuse(`contents: more than ${MAX_DATA_VALUES} values`);
    const value = entry.valueString ?? entry.valueNumber ?? entry.valueBoolean;
    data[entry.key] = entry.valueMap === undefined
      ? value ?? null
      : fromContents(entry.valueMap, budget, depth + 1);
  }
  return data;
}

export class Surface {
  constructor(id) {
    this.id = id;
    this.components = new Map();
    this.data = {};
    this.root = null;
    this.styles = {};
  }

  get(path, base) {
    let value = this.data;
    for (const step of steps(path, base)) {
      if (value === null || typeof value !== "object" || !Object.hasOwn(value, step)) return undefined;
      value = value[step];
    }
    return value;
  }

  set(path, value, base) {
    const way = steps(path, base);
    if (way.some((step) => UNSAFE.has(step)) || way.length > MAX_DATA_DEPTH) return;
    if (way.length === 0) {
      this.data = value;
      return;
    }
    let at = this.data;
    for (const step of way.slice(0, -1)) {
      if (!Object.hasOwn(at, step) || at[step] === null || typeof at[step] !== "object") at[step] = {};
      at = at[step];
    }
    at[way.at(-1)] = value;
  }

  /** What a bound value is now: a literal, or what lies at its path. */
  value(bound, base) {
    if (!isObject(bound)) return bound;
    for (const key of ["literalString", "literalNumber", "literalBoolean", "literalArray"]) {
      if (bound[key] !== undefined) {
        // A path beside a literal asks for the literal as the first value of that path.
        if (bound.path && this.get(bound.path, base) === undefined) this.set(bound.path, bound[key], base);
        if (!bound.path) return bound[key];
      }
    }
    return bound.path === undefined ? undefined : this.get(bound.path, base);
  }
}

function components(list) {
  if (!Array.isArray(list)) refuse("surfaceUpdate: components must be a list");
  return list.map((entry) => {
    const types = isObject(entry?.component) ? Object.keys(entry.component) : [];
    if (typeof entry?.id !== "string" || types.length !== 1 || !isObject(entry.component[types[0]])) {
      refuse("surfaceUpdate: a component needs an id and {component: {Type: {…}}}");
    }
    return [entry.id, { type: types[0], props: entry.component[types[0]], weight: entry.weight }];
  });
}

export class Surfaces {
  #all = new Map();

  get all() {
    return this.#all;
  }

  clear() {
    this.#all.clear();
  }

  #surface(id) {
    if (typeof id !== "string" || !id) refuse("a message needs a surfaceId");
    let surface = this.#all.get(id);
    if (!surface) {
      if (this.#all.size >= MAX_SURFACES) refuse(`more than ${MAX_SURFACES} surfaces`);
      surface = new Surface(id);
      this.#all.set(id, surface);
    }
    return surface;
  }

  apply(message) {
    const keys = isObject(message) ? Object.keys(message) : [];
    if (keys.length !== 1 || !KINDS.includes(keys[0])) {
      refuse(`expected exactly one of ${KINDS.join(", ")}`);
    }
    const body = message[keys[0]];
    if (!isObject(body)) refuse(`${keys[0]}: expected an object`);
    this[keys[0]](body);
  }

  beginRendering(body) {
    if (typeof body.root !== "string") refuse("beginRendering: root must be a component's id");
    const surface = this.#surface(body.surfaceId);
    surface.root = body.root;
    surface.styles = isObject(body.styles) ? body.styles : {};
  }

  surfaceUpdate(body) {
    const added = components(body.components);
    const surface = this.#surface(body.surfaceId);
    const fresh = new Set(added.map(([id]) => id).filter((id) => !surface.components.has(id)));
    if (surface.components.size + fresh.size > MAX_COMPONENTS) {
      refuse(`surfaceUpdate: more than ${MAX_COMPONENTS} components`);
    }
    for (const [id, component] of added) surface.components.set(id, component);
  }

  dataModelUpdate(body) {
    const data = fromContents(body.contents, { left: MAX_DATA_VALUES });
    const surface = this.#surface(body.surfaceId);
    const way = steps(body.path);
    const old = surface.get(body.path);
    // Only the root is replaced; below it the given keys are.
    surface.set(body.path, way.length > 0 && isObject(old) ? { ...old, ...data } : data);
  }

  deleteSurface(body) {
    this.#all.delete(body.surfaceId);
  }
}
