import { generateDigestKey, importDigestKey } from "../crypto/digest.ts";
import { generateDataKey, importDataKey, sealValue } from "../crypto/sealed-value.ts";
import { generateToken, tokenDigest, tokenFingerprint } from "../crypto/token.ts";
import { uuidv7 } from "../crypto/uuid.ts";
import type { Queryable } from "../db/session-pool.ts";
import { recordAuditEvent } from "./audit.ts";
import type { ReigningVault } from "./context.ts";
import { insertFirstWrappings, wrapDataKey } from "./data-key-wrappings.ts";
import { MAIN_SECRET_KEY } from "./describe-environments.ts";
import { grantFirstEncryptions, RESERVED_ENCRYPTIONS, reserveEncryptions } from "./encryption-budget.ts";
import { firstEnvironmentDigests, plainVariables } from "./environment.ts";
import type { CompleteEnvironment, StoredEnvironment } from "./environment.ts";
import { digestKeyPlace, type EnvironmentKeySet } from "./environment-keys.ts";
import { type Deadline, deadlineOf, millisecondsUntil, nextRotation } from "./rotation-schedule.ts";

/** Digest key, variables and secret key. */
const FIRST_ENCRYPTIONS = 3;

/**
 * Makes the environment of a resource: its row, a data key wrapped under every configured key, a digest key, a secret
 * key and a public key, in one transaction. `undefined` when another process was first; nothing is left of this one's.
 */
export async function createEnvironment(
  vault: ReigningVault,
  desired: CompleteEnvironment,
): Promise<StoredEnvironment | undefined> {
  const made = await makeEnvironment(vault, desired);
  const issued = await vault.database.transaction((transaction) => insertEnvironment(transaction, desired, made));
  if (!issued) return undefined;
  // Not before the commit: keys of an environment that was never stored would seal values nobody can open.
  vault.environmentKeys.put(made.environmentId, made.keySet);
  return {
    id: made.environmentId,
    revision: 1,
    publicKey: made.publicKey,
    retentionSeconds: desired.retentionSeconds,
    secretKey: made.secretKey,
    secretKeyFingerprint: tokenFingerprint(made.secretKeyDigest),
    secretKeyIssuedAt: issued.at,
    // The token that is there at creation has nothing to rotate.
    lastHandledRotation: desired.rotationToken,
    lastHandledDataKeyRotation: desired.dataKeyRotationToken,
    digests: made.digests,
    sources: desired.sources,
    handledRestore: undefined,
    nextRotation: issued.nextRotation,
    replacedKeys: [],
    apiKeys: [],
    serviceAccounts: [],
    changed: true,
  };
}

/** Everything that is drawn, wrapped and sealed, before the transaction begins. */
async function makeEnvironment(vault: ReigningVault, desired: CompleteEnvironment) {
  const environmentId = uuidv7();
  const dataKeyId = uuidv7();
  const secretKeyId = uuidv7();
  const dataKey = generateDataKey();
  const activeKey = importDataKey(dataKeyId, dataKey);
  const digestKey = generateDigestKey();
  const keySet: EnvironmentKeySet = {
    activeKey,
    dataKeys: new Map([[dataKeyId, activeKey]]),
    digestKey: importDigestKey(digestKey),
  };
  grantFirstEncryptions(keySet);
  await reserveEncryptions(vault.database, environmentId, keySet, FIRST_ENCRYPTIONS);

  const secretKey = generateToken("secret-key");
  const place = { environmentId, rowId: environmentId, revision: 1 };
  return {
    environmentId,
    dataKeyId,
    secretKeyId,
    keySet,
    secretKey,
    secretKeyDigest: tokenDigest(secretKey.reveal()),
    publicKey: generateToken("public-key").reveal(),
    digests: firstEnvironmentDigests(keySet.digestKey, desired),
    wrappings: await wrapDataKey(vault.keys, dataKey, { environmentId, dataKeyId }),
    digestKeySealed: sealValue(activeKey, digestKey.toString("base64"), digestKeyPlace(environmentId), vault.ivs),
    variablesSealed: sealValue(
      activeKey,
      JSON.stringify(plainVariables(desired.variables)),
      { ...place, label: "environment.variables" },
      vault.ivs,
    ),
    secretKeySealed: sealValue(
      activeKey,
      secretKey.reveal(),
      { ...place, label: "environment.secret-key", rowId: secretKeyId },
      vault.ivs,
    ),
  };
}

type MadeEnvironment = Awaited<ReturnType<typeof makeEnvironment>>;

interface Issued {
  readonly at: Date;
  readonly nextRotation: Deadline | undefined;
}

/** When the secret key was issued, or `undefined` when the resource has an environment already. */
async function insertEnvironment(
  transaction: Queryable,
  desired: CompleteEnvironment,
  made: MadeEnvironment,
): Promise<Issued | undefined> {
  const { environmentId } = made;
  // First, because it decides the race: a second process waits here for the commit of the first, and then has no row.
  const inserted = await insertEnvironmentRow(transaction, desired, made);
  if (!inserted) return undefined;
  await transaction.query(
    `insert into keystead.data_keys (environment_id, data_key_id, state, encryption_count) values ($1, $2, 'active', $3)`,
    [environmentId, made.dataKeyId, RESERVED_ENCRYPTIONS],
  );
  // Under every configured key: while the operator changes keys, processes with the old and the new setting both read it.
  await insertFirstWrappings(transaction, made.wrappings);
  await transaction.query(
    `insert into keystead.secret_keys (
       environment_id, secret_key_id, name, secret_key_sealed, secret_key_revision, fingerprint
     ) values ($1, $2, $3, $4, 1, $5)`,
    [environmentId, made.secretKeyId, MAIN_SECRET_KEY, made.secretKeySealed, tokenFingerprint(made.secretKeyDigest)],
  );
  await transaction.query(
    `insert into keystead.key_digests (digest, environment_id, secret_key_id) values ($1, $2, $3)`,
    [made.secretKeyDigest, environmentId, made.secretKeyId],
  );
  await recordAuditEvent(transaction, {
    environmentId,
    actor: { kind: "resource", owner: desired.owner },
    action: "environment.created",
    targetId: environmentId,
    targetRevision: 1,
  });
  return {
    at: inserted.created_at,
    nextRotation: deadlineOf(inserted.next_rotation_at, inserted.next_rotation_ms),
  };
}

interface InsertedRow {
  readonly created_at: Date;
  readonly next_rotation_at: Date | null;
  readonly next_rotation_ms: number | null;
}

async function insertEnvironmentRow(
  transaction: Queryable,
  desired: CompleteEnvironment,
  made: MadeEnvironment,
): Promise<InsertedRow | undefined> {
  const { owner } = desired;
  const [row] = await transaction.query<InsertedRow>(
    `insert into keystead.environments (
       environment_id, name, owner_cluster, owner_release, owner_namespace, owner_name, owner_uid,
       digest_key_sealed, variables_sealed, variables_revision, public_key, retention_seconds,
       declaration_digest, variables_digest, sources, last_handled_rotation,
       last_handled_data_key_rotation, rotation_seconds, next_rotation_at, requests_per_minute, allowed_cidrs
     ) values (
       $1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $11, $12, $13, $14, $15, $16, $17::bigint,
       ${nextRotation("now()", "$17::bigint")}, $18, $19::inet[]
     )
     on conflict do nothing
     returning created_at, next_rotation_at, ${millisecondsUntil("next_rotation_at")} as next_rotation_ms`,
    [
      made.environmentId,
      owner.name,
      owner.cluster,
      owner.release,
      owner.namespace,
      owner.name,
      owner.uid,
      made.digestKeySealed,
      made.variablesSealed,
      made.publicKey,
      desired.retentionSeconds,
      made.digests.declaration,
      made.digests.variables,
      JSON.stringify(desired.sources),
      desired.rotationToken ?? null,
      desired.dataKeyRotationToken ?? null,
      desired.rotationSeconds ?? null,
      desired.requestsPerMinute ?? 0,
      desired.allowedCidrs ?? null,
    ],
  );
  return row;
}
