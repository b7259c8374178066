// Who is signed in, and what that key may do. It lives in this tab's memory alone: whoever reloads signs in again.

import { Client } from "./jql.js";

/** The server's own models. */
export const KEYS = "system.ApiKey";
export const LOG = "system.UsageLog";
export const MODELS = "system.Model";

export class Session {
  /** Signs in. `secret` is the public id of what was typed, which is not that of the key once it was rotated. @throws {Refusal} */
  static async begin(key) {
    const client = new Client(key);
    const me = await client.call(KEYS, "whoami");
    const session = Object.assign(new Session(), { client, me, secret: key.split("_")[1] });
    await session.learn();
    return session;
  }

  /** Asks again what there is and what the key may do with it, as after a change of the models. */
  async learn() {
    const { models, ...language } = await this.client.call(MODELS, "describe");
    /** The models by namespace, as `describe` tells them. */
    this.models = new Map(models.map((model) => [model.namespace, model]));
    /** The lookups by type, the intents, functions and transforms. */
    this.language = language;
  }

  /** Whether the key may do `action` (read, create, update, delete) to the records of `namespace`. */
  may(action, namespace) {
    return this.models.get(namespace)?.actions.includes(action) ?? false;
  }

  /** Whether all that `intent` of `namespace` takes is allowed. */
  can(intent, namespace) {
    return this.models.get(namespace)?.intents.includes(intent) ?? false;
  }

  /** The models that are not the server's own. */
  get own() {
    return [...this.models.values()].filter((model) => !model.namespace.startsWith("system."));
  }
}
