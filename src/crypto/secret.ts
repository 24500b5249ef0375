import { inspect } from "node:util";

/**
 * A secret text that cannot be printed by accident: string conversion, JSON, `util.inspect` and template literals all
 * give `[redacted]`. Only `reveal()` gives the text, so every place that uses one can be found by that name.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return "[redacted]";
  }

  toJSON(): string {
    return "[redacted]";
  }

  [inspect.custom](): string {
    return "[redacted]";
  }
}
