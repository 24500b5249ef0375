import type { Queryable } from "../db/session-pool.ts";

/** The rotation annotations of an Environment at one moment, by what they ask to rotate. */
export interface RotationTokens {
  /** Of the environment's own key. */
  readonly rotationToken?: string | undefined;
  /** Of named keys, by their names. */
  readonly apiKeyTokens?: Readonly<Record<string, string>> | undefined;
}

/** Makes the tokens of named keys count as handled, in the transaction of the caller, who holds the row of the environment. */
export async function handleApiKeyTokens(
  transaction: Queryable,
  environmentId: string,
  { apiKeyTokens = {} }: RotationTokens,
): Promise<void> {
  const tokens = Object.entries(apiKeyTokens);
  if (tokens.length === 0) return;
  await transaction.query(
    `update keystead.api_keys a
        set last_handled_rotation = t.token
       from unnest($2::text[], $3::text[]) as t (name, token)
      where a.environment_id = $1 and a.name = t.name`,
    [environmentId, tokens.map(([name]) => name), tokens.map(([, token]) => token)],
  );
}
