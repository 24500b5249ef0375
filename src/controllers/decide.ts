import type { Connection } from "../resources/connection.ts";
import type { Environment } from "../resources/environment.ts";
import type { Integration } from "../resources/integration.ts";
import { secretKeysOf } from "../resources/secret-refs.ts";
import { sameSources, type SecretSource } from "../vault/owner.ts";
import type { CallOptions } from "./deps.ts";
import { type Outcome, withNothingStored } from "./outcome.ts";
import type { SecretTaker } from "./secret-value.ts";
import type { Secrets } from "./secrets.ts";
import { knownSources, readSources } from "./sources.ts";

/** What is known of a stored row of any kind. */
interface StoredState<Digests> {
  readonly digests: Digests;
  readonly sources: readonly SecretSource[];
}

/** How one kind makes its row and compares it. */
interface Desire<Row, Digests extends { readonly declaration: string }, State extends StoredState<Digests>> {
  readonly state: State | undefined;
  /** The row to store. Without `take` every Secret is the one that was stored, and values from them are left out. */
  row(take: SecretTaker | undefined, sources: readonly SecretSource[]): Row;
  digestsOf(row: Row): Promise<Digests>;
  isSettled(state: State, digests: Digests, sources: readonly SecretSource[]): boolean;
}

/**
 * Compares what a resource wants with what is stored for it, and reads its Secrets only where their versions or the
 * references to them changed: an unchanged resource costs no call to the API server and no write.
 */
export async function decide<Row, Digests extends { readonly declaration: string }, State extends StoredState<Digests>>(
  secrets: Secrets,
  resource: Environment | Integration | Connection,
  desire: Desire<Row, Digests, State>,
  calls: CallOptions,
): Promise<{ readonly kind: "keep"; readonly state: State } | { readonly kind: "write"; readonly row: Row } | Outcome> {
  const { namespace } = resource.metadata;
  const wanted = secretKeysOf(resource);
  const { state } = desire;

  const known = knownSources(secrets, namespace, [...wanted.keys()]);
  if (state && known && sameSources(known, state.sources)) {
    const row = desire.row(undefined, known);
    const digests = await desire.digestsOf(row);
    // References that changed may point to another key of the same Secret: then it has to be read after all.
    if (digests.declaration === state.digests.declaration) {
      return desire.isSettled(state, digests, known) ? { kind: "keep", state } : { kind: "write", row };
    }
  }

  const read = await readSources(secrets, namespace, wanted, calls);
  // What was never stored is not served either, whatever the status says.
  if (read.kind !== "read") return state ? read : withNothingStored(read);
  const row = desire.row(read.take, read.sources);
  const { problem } = read.take;
  if (problem) return state ? problem : withNothingStored(problem);
  return { kind: "write", row };
}
