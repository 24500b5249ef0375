import { query } from "./database.ts";

/** Adds so many connections to every integration there is, as the API would have, deleted longer ago than a retention of 31 days. */
export async function insertDeletedConnections(ownerUrl: string, count: number): Promise<void> {
  await query(
    ownerUrl,
    `insert into keystead.connections (
       environment_id, connection_row_id, integration_id, connection_id, config_sealed, config_revision, metadata_declared,
       tags, declaration_digest, config_digest, rest_digest, sources, deleted_at, deletion_id
     )
     select environment_id, gen_random_uuid(), integration_id, n::text, '', 1, true, '{}', '', '', '', '[]',
            now() - interval '32 days', gen_random_uuid()
       from keystead.integrations, generate_series(1, $1) n`,
    [count],
  );
}
