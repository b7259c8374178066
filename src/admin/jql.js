// The way to the server: every request of the page is a POST to /jql, as any client sends it.

/** What the server said no to: `errors` as in its answer, each with `errorMessage`, and maybe `pointer` and `hint`. */
export class Refusal extends Error {
  constructor(status, errors) {
    super(errors[0].errorMessage);
    this.status = status;
    this.errors = errors;
  }
}

/** A client with a key, which nobody can read out of it again. */
export class Client {
  #key;
  #open = new AbortController();
  /** Is told why, once the server no longer takes the key. */
  refused = () => {};

  constructor(key) {
    this.#key = key;
  }

  /**
   * Sends a request and gives its whole envelope: `ask({ intent: "count", namespace: "tickets.Ticket" })`. `beside` stands beside
   * `__meta__`.
   *
   * @throws {Refusal}
   */
  async ask(meta, beside = {}, { signal } = {}) {
    return (await this.send(write({ __meta__: meta, ...beside }), { signal })).envelope;
  }

  /**
   * Sends a text as it is, and gives the envelope, how it was written, the status and how many milliseconds it took. `parse` reads
   * the envelope.
   *
   * @throws {Refusal} with `answer`, the same of an answer that is an error
   */
  async send(body, { signal: asked, parse = read } = {}) {
    const signal = asked ? AbortSignal.any([asked, this.#open.signal]) : this.#open.signal;
    const begun = performance.now();
    const headers = { Authorization: `Bearer ${this.#key}`, "Content-Type": "application/json" };
    let response, text, envelope;
    try {
      const options = { method: "POST", headers, body, signal, cache: "no-store", credentials: "omit", redirect: "error" };
      response = await fetch("jql", options);
      text = await response.text();
    } catch (error) {
      if (signal.aborted) throw error;
      throw new Refusal(0, [{ errorMessage: "The server does not answer.", hint: "is it running, and reached from here?" }]);
    }
    try {
      envelope = parse(text);
    } catch {
      envelope = null; // no JSON, and so not of jqlite
    }
    const answer = { envelope, text, status: response.status, milliseconds: performance.now() - begun };
    if (envelope?.status === "OK") return answer;
    if (response.status === 401) this.refused(envelope?.message ?? "the key is refused");
    const unknown = [{ errorMessage: `Something that is not jqlite answered with ${response.status}.` }];
    throw Object.assign(new Refusal(response.status, envelope?.errors ?? unknown), { answer });
  }

  /** Ends what is under way, and forgets the key. */
  close() {
    this.#key = null;
    this.#open.abort();
  }

  /** The records of `namespace`, with `extras` as a property of the list. Of `fields`, none means all. */
  async list(namespace, fields = [], meta = {}, options) {
    const beside = Object.fromEntries(fields.map((field) => [field, null]));
    const { data, extras } = await this.ask({ intent: "retrieve", namespace, ...meta }, beside, options);
    return Object.assign(data, { extras });
  }

  /** What a controller answers: `call("system.ApiKey", "revoke", { public_id: "…" })`. */
  async call(namespace, intent, uniqueObject, beside, options) {
    const meta = { intent, namespace, schema: "controller", ...(uniqueObject && { uniqueObject }) };
    return (await this.ask(meta, beside, options)).data;
  }

  /** The envelopes of several requests, `[meta, beside]` each, of one moment. One that fails fails them all. */
  async batch(requests, options) {
    const bodies = requests.map(([meta, beside = {}]) => ({ __meta__: meta, ...beside }));
    return this.call("system.Batch", "execute", null, { requests: bodies }, options);
  }
}

/** JSON to values. Whole numbers that a Number cannot hold become a BigInt: none is ever shown or sent back rounded. @throws {SyntaxError} */
function read(text) {
  return JSON.parse(text, (_, value, context) =>
    Number.isInteger(value) && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "")
      ? BigInt(context.source) : value);
}

/** The same, but each number is written back with the digits that it came with. @throws {SyntaxError} */
export function exact(text) {
  return JSON.parse(text, (_, value, context) =>
    typeof value === "number" && context?.source !== String(value) && JSON.rawJSON ? JSON.rawJSON(context.source) : value);
}

/**
 * What people wrote as JSON, with exact numbers; `what` they wrote, and the `pointer` of its control.
 *
 * @throws {Refusal}
 */
export function asJson(text, what, pointer) {
  try {
    return exact(text);
  } catch (error) {
    throw new Refusal(400, [{ errorMessage: `${what} is not JSON: ${error.message}`, pointer }]);
  }
}

/** Values to JSON. */
export function write(value, indent) {
  return JSON.stringify(value, (_, one) => (typeof one === "bigint" ? JSON.rawJSON(String(one)) : one), indent);
}
