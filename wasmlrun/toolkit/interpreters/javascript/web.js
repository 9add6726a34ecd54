// What a JavaScript worker of Wasm Workers Server finds: addEventListener, Request, Response, Headers,
// URL, fetch, Cache and their kin, as the Fetch API names them. The request comes on standard input.
const host = globalThis.__host;

const bytesOf = (value) =>
  ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : new Uint8Array(value);
const isBinary = (value) => value instanceof ArrayBuffer || ArrayBuffer.isView(value);

class TextEncoder {
  encoding = "utf-8";

  encode(text = "") {
    return new Uint8Array(host.encode(String(text).toWellFormed()));
  }
}

class TextDecoder {
  encoding = "utf-8";

  decode(data = new Uint8Array()) {
    return host.decode(bytesOf(data));
  }
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The text whose characters are the bytes that a base64 text stands for. */
const atob = (text) => {
  const digits = String(text).replace(/[\t\n\f\r ]/g, "").replace(/={1,2}$/, "");
  if (digits.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(digits)) throw new Error("not base64");
  let found = "", bits = 0, held = 0;
  for (const digit of digits) {
    held = ((held << 6) | ALPHABET.indexOf(digit)) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      found += String.fromCharCode((held >> bits) & 255);
    }
  }
  return found;
};

/** Base64 of a text whose characters are bytes. */
const btoa = (text) => {
  const codes = Uint8Array.from(String(text), (character) => {
    if (character.charCodeAt(0) > 255) throw new Error("a character is no byte");
    return character.charCodeAt(0);
  });
  return host.base64(codes);
};

class URLSearchParams {
  #pairs = [];
  #changed;

  constructor(start = "", changed = () => {}) {
    if (typeof start === "string") {
      for (const part of start.replace(/^\?/, "").split("&")) {
        if (part === "") continue;
        const at = part.indexOf("=");
        const cut = at < 0 ? part.length : at;
        this.#pairs.push([unplus(part.slice(0, cut)), unplus(part.slice(cut + 1))]);
      }
    } else {
      const pairs = Symbol.iterator in start ? [...start] : Object.entries(start);
      this.#pairs = pairs.map(([name, value]) => [String(name), String(value)]);
    }
    this.#changed = changed;
  }

  get size() {
    return this.#pairs.length;
  }

  get(name) {
    return this.#pairs.find(([key]) => key === name)?.[1] ?? null;
  }

  getAll(name) {
    return this.#pairs.filter(([key]) => key === name).map(([, value]) => value);
  }

  has(name) {
    return this.#pairs.some(([key]) => key === name);
  }

  append(name, value) {
    this.#pairs.push([String(name), String(value)]);
    this.#changed(this);
  }

  set(name, value) {
    const at = this.#pairs.findIndex(([key]) => key === name);
    if (at < 0) return this.append(name, value);
    this.#pairs = this.#pairs.filter(([key], index) => key !== name || index === at);
    this.#pairs[at][1] = String(value);
    this.#changed(this);
  }

  delete(name) {
    this.#pairs = this.#pairs.filter(([key]) => key !== name);
    this.#changed(this);
  }

  sort() {
    this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#changed(this);
  }

  forEach(call) {
    for (const [name, value] of this.#pairs) call(value, name, this);
  }

  keys() {
    return this.#pairs.map(([name]) => name)[Symbol.iterator]();
  }

  values() {
    return this.#pairs.map(([, value]) => value)[Symbol.iterator]();
  }

  entries() {
    return this.#pairs.map((pair) => [...pair])[Symbol.iterator]();
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  toString() {
    return this.#pairs.map((pair) => pair.map(plus).join("=")).join("&");
  }
}

const plus = (text) =>
  encodeURIComponent(text.toWellFormed())
    .replace(/%20/g, "+")
    .replace(/[!'()~]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase());
const unplus = (text) => {
  const spaced = text.replace(/\+/g, " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
};

const PORTS = { "http:": "80", "https:": "443", "ws:": "80", "wss:": "443", "ftp:": "21" };
const AUTHORITY = /^([a-z][a-z0-9+.-]*:)\/\/(?:([^/?#@:]*)(?::([^/?#@]*))?@)?(\[[^\]]*\]|[^/?#:]*)(?::(\d*))?/i;

/** An address with a host, as web servers meet them. */
class URL {
  constructor(text, base) {
    let address = String(text).trim();
    if (!/^[a-z][a-z0-9+.-]*:/i.test(address)) {
      if (base === undefined) throw new TypeError(`Invalid URL: ${address}`);
      address = joined(address, new URL(base));
    }
    const head = AUTHORITY.exec(address);
    if (head === null || head[4] === "") throw new TypeError(`Invalid URL: ${address}`);
    this.protocol = head[1].toLowerCase();
    this.username = head[2] ?? "";
    this.password = head[3] ?? "";
    this.hostname = head[4].toLowerCase();
    this.port = head[5] === undefined || head[5] === PORTS[this.protocol] ? "" : head[5];
    const [, path, search, hash] = /^([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(address.slice(head[0].length));
    this.pathname = escaped(flattened(path));
    this.hash = hash === undefined || hash === "#" ? "" : escaped(hash);
    this.search = search === undefined ? "" : search;
  }

  static canParse(text, base) {
    try {
      return new URL(text, base) !== null;
    } catch {
      return false;
    }
  }

  #search = "";

  get search() {
    return this.#search;
  }

  set search(text) {
    const query = escaped(String(text));
    this.#search = query === "" || query === "?" ? "" : query.startsWith("?") ? query : `?${query}`;
    this.searchParams = new URLSearchParams(this.#search, (changed) => {
      this.#search = changed.size ? `?${changed}` : "";
    });
  }

  get host() {
    return this.hostname + (this.port === "" ? "" : `:${this.port}`);
  }

  get origin() {
    return `${this.protocol}//${this.host}`;
  }

  get href() {
    const password = this.password === "" ? "" : `:${this.password}`;
    const user = this.username + password === "" ? "" : `${this.username}${password}@`;
    return `${this.protocol}//${user}${this.host}${this.pathname}${this.search}${this.hash}`;
  }

  toString() {
    return this.href;
  }

  toJSON() {
    return this.href;
  }
}

const escaped = (text) =>
  text.replace(/[^!#$%&'()*+,\-./0-9:;=?@A-Z[\]_a-z~|^]/gu, (c) => encodeURIComponent(c.toWellFormed()));
const flattened = (path) => {
  const found = [];
  const parts = path.replace(/\\/g, "/").split("/").slice(1);
  parts.forEach((part, index) => {
    const last = index === parts.length - 1;
    if (part === "..") found.pop();
    else if (part !== ".") found.push(part);
    if ((part === ".." || part === ".") && last) found.push("");
  });
  return `/${found.join("/")}`;
};
const joined = (text, base) => {
  if (text.startsWith("//")) return base.protocol + text;
  if (text.startsWith("/")) return base.origin + text;
  if (text.startsWith("?")) return base.origin + base.pathname + text;
  if (text.startsWith("#")) return base.origin + base.pathname + base.search + text;
  return base.origin + base.pathname.replace(/[^/]*$/, "") + text;
};

class Headers {
  // lower-case name -> [name as it was given, values]
  #entries = new Map();

  constructor(start = {}) {
    const pairs = start === null ? [] : Symbol.iterator in start ? start : Object.entries(start);
    for (const [name, value] of pairs) {
      if (value !== undefined && value !== null) this.append(name, value);
    }
  }

  append(name, value) {
    const key = String(name).toLowerCase();
    const held = this.#entries.get(key);
    if (held === undefined) this.#entries.set(key, [String(name), [String(value)]]);
    else held[1].push(String(value));
    return value;
  }

  set(name, value) {
    this.#entries.set(String(name).toLowerCase(), [String(name), [String(value)]]);
    return value;
  }

  get(name) {
    return this.#entries.get(String(name).toLowerCase())?.[1].join(", ") ?? null;
  }

  getSetCookie() {
    return [...(this.#entries.get("set-cookie")?.[1] ?? [])];
  }

  has(name) {
    return this.#entries.has(String(name).toLowerCase());
  }

  delete(name) {
    return this.#entries.delete(String(name).toLowerCase());
  }

  forEach(call) {
    for (const [name, value] of this) call(value, name, this);
  }

  *entries() {
    for (const [key, [, values]] of this.#entries) {
      if (key === "set-cookie") for (const value of values) yield [key, value];
      else yield [key, values.join(", ")];
    }
  }

  *keys() {
    for (const [name] of this) yield name;
  }

  *values() {
    for (const [, value] of this) yield value;
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  toJSON() {
    const found = {};
    for (const [key, [name, values]] of this.#entries) {
      found[name] = key === "set-cookie" && values.length > 1 ? values : values.join(", ");
    }
    return found;
  }
}

/** What requests and responses have in common. `text` gives the text itself, as in Wasm Workers
 * Server; to wait for it is possible and not necessary. */
class Body {
  get bodyUsed() {
    return false;
  }

  text() {
    return this.body === null || this.body === undefined
      ? ""
      : isBinary(this.body)
        ? host.decode(bytesOf(this.body))
        : String(this.body);
  }

  async json() {
    return JSON.parse(this.text());
  }

  async bytes() {
    return isBinary(this.body) ? bytesOf(this.body).slice() : new TextEncoder().encode(this.text());
  }

  async arrayBuffer() {
    return (await this.bytes()).buffer;
  }

  async formData() {
    return new URLSearchParams(this.text());
  }
}

class Request extends Body {
  constructor(input, options = {}) {
    super();
    const from = input instanceof Request ? input : {};
    this.url = typeof input === "string" || input instanceof URL ? String(input) : input.url;
    this.method = String(options.method ?? from.method ?? "GET").toUpperCase();
    this.headers = new Headers(options.headers ?? from.headers ?? {});
    this.body = options.body ?? from.body ?? null;
    this.params = options.params ?? from.params ?? {};
  }

  clone() {
    return new Request(this);
  }
}

class Response extends Body {
  constructor(body = null, options = {}) {
    super();
    this.body = body instanceof String ? body.toString() : body;
    this.status = options.status ?? 200;
    this.statusText = options.statusText ?? "";
    this.headers = new Headers(options.headers ?? {});
    if (body instanceof URLSearchParams && !this.headers.has("content-type")) {
      this.headers.set("content-type", "application/x-www-form-urlencoded;charset=UTF-8");
    }
  }

  static json(value, options = {}) {
    const response = new Response(JSON.stringify(value), options);
    if (!response.headers.has("content-type")) {
      response.headers.set("content-type", "application/json");
    }
    return response;
  }

  static redirect(url, status = 307) {
    return new Response(`Redirecting to ${url}`, { status, headers: { Location: String(url) } });
  }

  get ok() {
    return this.status >= 200 && this.status < 300;
  }

  clone() {
    return new Response(this.body, this);
  }

  toString() {
    return this.body;
  }
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"];
const FAULTS = [
  "Invalid Request", "Invalid Request Body", "Invalid Response Body", "Not allowed",
  "Internal Error", "Request Timeout", "Redirect Loop",
];

/** Send a request as far as the worker's manifest allows. */
const fetch = async (input, options = {}) => {
  const request = new Request(input, options ?? {});
  const method = METHODS.indexOf(request.method);
  if (method < 0) throw new TypeError(`fetch: the method ${request.method} is not possible`);
  const headers = [...request.headers].flat();
  const body = request.body === null ? null : await request.bytes();
  const answer = host.fetch(String(request.url), method, headers, body);
  if (answer.fault !== undefined) {
    throw new Error(`[${FAULTS[answer.fault] ?? "Error"}] ${answer.message}`);
  }
  const pairs = [];
  for (let i = 0; i < answer.headers.length; i += 2) pairs.push(answer.headers.slice(i, i + 2));
  return new Response(answer.body, { status: answer.status, headers: pairs });
};

let stored = {};

/** The worker's key/value store. */
const Cache = {
  get: (key) => stored[key],
  set(key, value) {
    // numbers stay numbers; everything else is a text
    stored[key] = typeof value === "number" || typeof value === "boolean" ? value : String(value);
  },
  delete: (key) => delete stored[key],
};

let listener;
const addEventListener = (name, handler) => {
  if (name === "fetch") listener = handler;
};

// the output of a script that answers no requests; of one that does, stdout is the response
let printed = "";
let answering = false;
const MOST_HELD = 1 << 16;
const flush = () => {
  if (printed !== "") host.write(answering ? 2 : 1, printed);
  printed = "";
};
globalThis.__print = (text) => {
  printed += text;
  if (answering || printed.length > MOST_HELD) flush();
};
globalThis.__flush = flush;

const handlerOf = (module) => {
  const exported = module?.default;
  if (listener !== undefined) return listener;
  if (typeof exported?.fetch === "function") {
    return (event) => event.respondWith(exported.fetch(event.request, host.env, event));
  }
  if (typeof exported === "function") {
    return (event) => event.respondWith(exported(event.request, host.env, event));
  }
  return undefined;
};

const requestOnStdin = () => {
  const text = host.decode(new Uint8Array(host.read("-")));
  let input;
  try {
    input = JSON.parse(text);
  } catch {
    input = null;
  }
  if (typeof input?.url !== "string" || typeof input?.method !== "string") {
    throw new Error(
      "this script answers requests, and there is none on its standard input; " +
        "try: wasmlrun run --request GET / SCRIPT",
    );
  }
  return input;
};

/** Called when the script has run; `module` has its exports, if it is a module. */
globalThis.__respond = async (module) => {
  const handler = handlerOf(module);
  answering = handler !== undefined;
  flush();
  if (!answering) return;
  const input = requestOnStdin();
  stored = input.kv ?? {};
  const request = new Request(input.url, input);
  if (input.body === "" && request.method === "GET") request.body = null;
  const event = {
    request,
    response: undefined,
    respondWith(response) {
      this.response = response;
    },
    waitUntil() {},
    passThroughOnException() {},
  };
  await handler(event);
  if (event.response === undefined) throw new Error("the handler called no event.respondWith");
  const response = await event.response;
  if (!(response instanceof Response)) throw new Error("the handler's answer is no Response");
  const binary = isBinary(response.body);
  flush();
  host.write(1, JSON.stringify({
    data: binary ? host.base64(bytesOf(response.body)) : response.text(),
    headers: response.headers,
    status: response.status,
    kv: stored,
    base64: binary,
  }));
};

for (const [name, value] of Object.entries({
  TextEncoder, TextDecoder, atob, btoa, URLSearchParams, URL, Headers, Request, Response, fetch,
  Cache, addEventListener,
  queueMicrotask: (call) => void Promise.resolve().then(call),
})) {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
}
globalThis.self = globalThis;
// as in Wasm Workers Server, the variables of the manifest are global names
for (const [name, value] of Object.entries(host.env)) {
  if (!(name in globalThis)) globalThis[name] = value;
}
