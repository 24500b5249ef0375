import type { JsonObject } from "../crypto/canonical-json.ts";
import { KeysteadError } from "../errors.ts";

/** Modes in which a provider knows an OAuth client or app, without which there can be no connection. */
const WITH_CLIENT: ReadonlySet<string> = new Set(["OAUTH1", "OAUTH2", "APP", "CUSTOM"]);

/** Throws `credentials_mismatch` unless the client is one that an integration of the mode has. Pure. */
export function checkClient(mode: string, client: JsonObject | undefined): void {
  const expected = WITH_CLIENT.has(mode) ? mode : undefined;
  if (client?.["type"] === expected) return;
  throw new KeysteadError(
    "credentials_mismatch",
    expected === undefined
      ? `An integration of mode ${mode} has no credentials of its own: its connections have them.`
      : `An integration of mode ${mode} needs credentials of type ${expected}.`,
  );
}
