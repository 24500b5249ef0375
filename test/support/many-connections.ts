import { query } from "./database.ts";

/** Adds so many connections to every integration there is, as the API would have, the first one first. */
export async function insertConnections(ownerUrl: string, count: number): Promise<void> {
  await query(
    ownerUrl,
    `insert into keystead.connections (
       environment_id, connection_row_id, integration_id, connection_id, config_sealed, config_revision, metadata,
       metadata_declared, tags, end_user, declaration_digest, config_digest, rest_digest, sources
     )
     select environment_id, ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, integration_id, 'c' || n, '', 1,
            '{"plan": "pro"}', false, jsonb_build_object('half', (n % 2)::text),
            jsonb_build_object('id', 'u' || n, 'email', 'someone@acme.example'), '', '', '', '[]'
       from keystead.integrations, generate_series(1, $1) n`,
    [count],
  );
}
