import { OWNER_LABEL } from "../../src/controllers/owned-secrets.ts";
import { tokenDigest } from "../../src/crypto/token.ts";
import { resourcePath } from "../../src/kube/resource-path.ts";
import { parseEnvironment, secretNameOf, writtenNamesOf } from "../../src/resources/environment.ts";
import { type Place, secretValue } from "./crash-place.ts";
import { KINDS } from "./cluster.ts";
import { conditionOf, type Observed } from "./resources.ts";
import { breachesOf } from "./status-contract.ts";

/** A live row as its resource knows it. */
interface LiveRow {
  readonly id: string;
  readonly owner_uid: string;
}

/** A kind, its table and where its status has the row's id. */
const MANAGED = [
  { kind: "environment", table: "environments", id: "environment_id", field: "environmentId" },
  { kind: "integration", table: "integrations", id: "integration_id", field: "integrationId" },
  { kind: "connection", table: "connections", id: "connection_row_id", field: "connectionId" },
] as const;

/**
 * Event `a` moved the revision of row `o`; that of a secret key names the key, and moves its environment's where it is that
 * one's own.
 */
const MOVED_REVISION = `(a.target_id = o.id and a.target_kind <> 'secret-key' and a.action not like '%-read'
    and a.action <> 'environment.data-key-rotated')
  or (a.environment_id = o.id and a.action = 'secret-key.rotated' and a.fields[1] = 'main')`;

/** What is wrong with rows alone, whatever the resources say: each statement finds nothing where all is well. */
const BROKEN_ROWS: Readonly<Record<string, string>> = {
  "a row without its parent": `
    select c.connection_row_id from keystead.connections c
      join keystead.environments e using (environment_id) join keystead.integrations i using (environment_id, integration_id)
     where c.owner_namespace = $1 and c.deleted_at is null and (e.deleted_at is not null or i.deleted_at is not null)
    union all
    select i.integration_id from keystead.integrations i join keystead.environments e using (environment_id)
     where i.owner_namespace = $1 and i.deleted_at is null and e.deleted_at is not null`,
  "an environment without exactly one current secret key and one active data key": `
    select environment_id from keystead.environments e
     where owner_namespace = $1
       and ((select count(*) from keystead.secret_keys k
              where k.environment_id = e.environment_id and k.name = 'main' and k.replaced_at is null) <> 1
         or (select count(*) from keystead.data_keys d
              where d.environment_id = e.environment_id and d.state = 'active') <> 1)`,
  "a data key that nothing wraps": `
    select d.data_key_id from keystead.data_keys d join keystead.environments e using (environment_id)
     where e.owner_namespace = $1 and not exists (
       select from keystead.data_key_wrappings w
        where w.environment_id = d.environment_id and w.data_key_id = d.data_key_id)`,
  "a current secret key without its digest, or an old one that opens for ever": `
    select k.secret_key_id from keystead.secret_keys k join keystead.environments e using (environment_id)
      left join keystead.key_digests g using (environment_id, secret_key_id)
     where e.owner_namespace = $1
       and ((k.replaced_at is null and g.digest is null)
         or (k.replaced_at is not null and g.digest is not null and g.expires_at is null))`,
  "a named key that no list names": `
    select k.secret_key_id from keystead.secret_keys k join keystead.environments e using (environment_id)
     where e.owner_namespace = $1 and k.name <> 'main' and not exists (
       select from keystead.api_keys a where a.environment_id = k.environment_id and a.name = k.name)`,
  "a named key that may do something else than its list says": `
    select k.secret_key_id from keystead.secret_keys k join keystead.environments e using (environment_id)
      join keystead.api_keys a on a.environment_id = k.environment_id and a.name = k.name
      join keystead.key_digests g on g.environment_id = k.environment_id and g.secret_key_id = k.secret_key_id
     where e.owner_namespace = $1
       and (g.scopes is distinct from a.scopes or g.connection_selector is distinct from a.connection_selector)`,
  "a row that was made, changed or deleted without exactly one event, or an event without a change": `
    select o.id, o.revision, array_agg(a.action || ' ' || a.target_revision order by a.event_id)
      from (select environment_id as id, owner_namespace, revision, claimed from keystead.environments
            union all select integration_id, owner_namespace, revision, claimed from keystead.integrations
            union all select connection_row_id, owner_namespace, revision, claimed from keystead.connections) o
      left join keystead.audit_events a on ${MOVED_REVISION}
     where o.owner_namespace = $1 and o.claimed
     group by o.id, o.revision
    having count(*) <> o.revision`,
};

/** What does not hold in that place although everything in it is settled: one sentence each. */
export async function breachesIn(place: Place): Promise<string[]> {
  const breaches: string[] = [];
  for (const [what, text] of Object.entries(BROKEN_ROWS)) {
    const rows = await place.rows(text);
    if (rows.length > 0) breaches.push(`${what}: ${JSON.stringify(rows)}`);
  }
  for (const managed of MANAGED) {
    const objects = await list(place, managed.kind);
    breaches.push(...breachesOf(objects), ...(await mismatches(place, managed, objects)));
    if (managed.kind !== "environment") continue;
    for (const object of objects.filter(isReady)) breaches.push(...(await secretBreaches(place, object)));
  }
  return breaches;
}

/** Versions of everything in the place: what a controller that starts again must not change. */
export async function versionsIn(place: Place): Promise<string[]> {
  const kinds = ["environment", "integration", "connection", "secret"] as const;
  const objects = (await Promise.all(kinds.map((kind) => list(place, kind)))).flat();
  const rows = await place.rows<{ id: string; revision: string }>(
    MANAGED.map(
      ({ table, id }) => `select ${id} as id, revision from keystead.${table} where owner_namespace = $1`,
    ).join(" union all "),
  );
  return [
    ...objects.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`),
    ...rows.map(({ id, revision }) => `${id} ${revision}`),
  ].toSorted();
}

async function list({ objects, namespace }: Place, kind: keyof typeof KINDS): Promise<readonly Observed[]> {
  const path = resourcePath(KINDS[kind], { namespace });
  const { items } = await objects.client.request<{ readonly items: readonly Observed[] }>({ method: "GET", path });
  return items;
}

function isReady(object: Observed): boolean {
  return conditionOf(object, "Ready")?.status === "True";
}

/** Live rows that no resource has (but for those that wait to be claimed), and resources whose status names another row than they have. */
async function mismatches(
  place: Place,
  { kind, table, id, field }: (typeof MANAGED)[number],
  objects: readonly Observed[],
): Promise<string[]> {
  const rows = await place.rows<LiveRow>(
    `select ${id} as id, owner_uid from keystead.${table} where owner_namespace = $1 and deleted_at is null and claimed`,
  );
  const uids = new Set(objects.map(({ metadata }) => metadata.uid));
  const orphans = rows.filter(({ owner_uid }) => !uids.has(owner_uid));
  const untrue = objects.filter(({ metadata, status }) => {
    const mine = rows.filter(({ owner_uid }) => owner_uid === metadata.uid);
    return mine.length !== 1 || mine[0]?.id !== status?.[field];
  });
  return [
    ...orphans.map((row) => `the ${kind} row ${row.id} has no resource`),
    ...untrue.filter(isReady).map((object) => `the status of ${object.metadata.name} names another row than it has`),
    ...objects.flatMap(({ metadata }) => (metadata.deletionTimestamp ? [`${metadata.name} is still deleted`] : [])),
  ];
}

/** Where the Secrets of an Environment and the database do not say the same. */
async function secretBreaches(place: Place, object: Observed): Promise<string[]> {
  const parsed = parseEnvironment(object);
  if (!parsed.ok) return [`${object.metadata.name} is Ready with an invalid spec`];
  const own = secretNameOf(parsed.value);
  const keys = await storedKeys(place, object);
  const breaches = await Promise.all([
    currentKeyBreaches(place, own, keysOf(keys, "main")),
    previousKeyBreaches(place, own, keysOf(keys, "main")),
    ...(parsed.value.spec.apiKeys ?? []).map(({ name, secretName }) =>
      currentKeyBreaches(place, secretName, keysOf(keys, name)),
    ),
    strayBreaches(place, object, writtenNamesOf(parsed.value)),
  ]);
  return breaches.flat();
}

interface StoredKey {
  readonly name: string;
  readonly digest: Buffer;
  readonly is_current: boolean;
}

function storedKeys(place: Place, { status }: Observed): Promise<StoredKey[]> {
  return place.rows<StoredKey>(
    `select k.name, g.digest, k.replaced_at is null as is_current
       from keystead.key_digests g join keystead.secret_keys k using (environment_id, secret_key_id)
       join keystead.environments e using (environment_id)
      where e.owner_namespace = $1 and e.environment_id = $2`,
    [status?.["environmentId"]],
  );
}

function keysOf(keys: readonly StoredKey[], keyName: string): readonly StoredKey[] {
  return keys.filter(({ name }) => name === keyName);
}

/** A key that has expired is neither here nor there. */
async function currentKeyBreaches(place: Place, secretName: string, keys: readonly StoredKey[]): Promise<string[]> {
  const held = await secretValue(place.objects, secretName, "KEYSTEAD_SECRET_KEY");
  const current = keys.find(({ is_current: isCurrent }) => isCurrent);
  const isSame = held === undefined ? current === undefined : current?.digest.equals(tokenDigest(held));
  return isSame === true ? [] : [`${secretName} has another secret key than the database`];
}

async function previousKeyBreaches(place: Place, secretName: string, keys: readonly StoredKey[]): Promise<string[]> {
  const held = await secretValue(place.objects, secretName, "KEYSTEAD_PREVIOUS_SECRET_KEY");
  if (held === undefined) return [];
  const isStored = keys.some(({ digest, is_current: isCurrent }) => !isCurrent && digest.equals(tokenDigest(held)));
  return isStored ? [] : [`${secretName} has another previous key than the database`];
}

/** Secrets that were written for an Environment and are not wanted any more. */
async function strayBreaches(place: Place, { metadata }: Observed, wanted: readonly string[]): Promise<string[]> {
  const secrets = await list(place, "secret");
  const written = secrets.filter((secret) => secret.metadata.labels?.[OWNER_LABEL] === metadata.uid);
  const strays = written.filter((secret) => !wanted.includes(secret.metadata.name));
  return strays.map((secret) => `${secret.metadata.name} is a Secret of no key`);
}
