import { randomBytes } from "node:crypto";
import { Client } from "pg";

/** Text in which no secret may stand, and what to call it. */
export interface Place {
  readonly name: string;
  readonly text: string;
}

/** Every canary of this test file. */
const canaries = new Map<string, string>();

/**
 * A secret value that is recognised wherever it turns up. Tests put one into everything that has to stay secret, and
 * every installation is searched for all of them when it ends.
 */
export function canary(name: string): string {
  const value = `canary-${name}-${randomBytes(6).toString("hex")}`;
  canaries.set(name, value);
  return value;
}

/** Our own tokens are recognised by how they begin; the checksum makes a longer random text unlikely to be one. */
const TOKEN = /ks_(?:sk|cs)_[A-Za-z0-9]{20,}/;

/** Which secrets stand where: `name of the secret in name of the place`. Empty: none does. */
export function searchLeaks(places: readonly Place[], more: Readonly<Record<string, string>> = {}): string[] {
  const secrets = [...canaries, ...Object.entries(more)];
  return places.flatMap(({ name: place, text }) => [
    ...secrets
      .filter(([, secret]) => formsOf(secret).some((form) => text.includes(form)))
      .map(([name]) => `${name} in ${place}`),
    ...(TOKEN.test(text) ? [`a token of ours in ${place}`] : []),
  ]);
}

/** How a secret may look: as it is, as hex (`bytea` as text), and as base64 at each of the three offsets it can have. */
function formsOf(secret: string): string[] {
  const base64 = [0, 1, 2].map((offset) => {
    const encoded = Buffer.from(`${"x".repeat(offset)}${secret}`).toString("base64");
    // The ends share their characters with what stands before and after.
    return encoded.slice(offset === 0 ? 0 : 4, -4);
  });
  return [secret, Buffer.from(secret).toString("hex"), ...base64];
}

/** Every row of every table of the database, as text. */
export async function readTables(ownerUrl: string): Promise<Place[]> {
  const client = new Client({ connectionString: ownerUrl });
  await client.connect();
  try {
    const tables = await client.query<{ name: string }>(
      `select format('%I.%I', table_schema, table_name) as name
         from information_schema.tables
        where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')
          -- What a partition holds its table holds as well.
          and not (select relispartition from pg_class where oid = format('%I.%I', table_schema, table_name)::regclass)`,
    );
    const places: Place[] = [];
    for (const { name } of tables.rows) {
      const { rows } = await client.query<{ row: string }>(`select t::text as row from ${name} t`);
      places.push({ name, text: rows.map(({ row }) => row).join("\n") });
    }
    return places;
  } finally {
    await client.end();
  }
}
