import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JSONWebKeySet } from "jose";
import { z } from "zod";
import { KeysteadError } from "../errors.ts";
import type { Queryable } from "../db/session-pool.ts";
import { serviceAccountDigest } from "../vault/service-account.ts";
import { readTokenIssuers, type TokenIssuer } from "../vault/token-issuers.ts";

/** Tokens of pods, in place of a key. */
export interface ServiceAccountTokens {
  /**
   * What the account of the token is looked up by in the environment of that name, in its own namespace and cluster. Rejects
   * with `missing_environment_header`, `unknown_account`, or a `database_*` error.
   */
  digestOf(token: string, environment: string | undefined): Promise<Buffer>;
}

/** What a token has to be made for. */
const AUDIENCE = "keystead";

/** However long it is valid: a pod gets a new one before that, and one that leaked is soon useless. */
const MAX_AGE = "1h";

/** Clocks of API server and API may differ by so much. */
const CLOCK_SECONDS = 10;

/** What API servers sign with. */
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"];

/** Keys are read again this often, and when a token has one that is not known, but no more often than that. */
const KNOWN_MS = 60_000;
const UNKNOWN_KEY_MS = 2_000;

/** A token has about 1 KiB. */
const MAX_TOKEN = 8_192;

const JWT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const BEARER = /^Bearer +(eyJ\S+) *$/i;

const objectName = z.string().min(1).max(253);

/** KEP-1205: what a bound token says of its account. */
const claims = z.object({
  "kubernetes.io": z.object({
    namespace: objectName,
    serviceaccount: z.object({ name: objectName, uid: z.uuid() }),
  }),
});

interface Issuer {
  readonly cluster: string;
  readonly issuer: string;
  readonly keyIds: ReadonlySet<unknown>;
  readonly keys: ReturnType<typeof createLocalJWKSet>;
}

/** The token in an Authorization header, if it looks like one of a pod: no key of Keystead has a dot. */
export function serviceAccountTokenIn(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > MAX_TOKEN) return undefined;
  const token = BEARER.exec(authorization)?.[1];
  return token !== undefined && JWT.test(token) ? token : undefined;
}

/** Reads the issuers' keys from the database when the first token comes. */
export function createServiceAccountTokens(
  database: Queryable,
  now: () => number = () => performance.now(),
): ServiceAccountTokens {
  let issuers: readonly Issuer[] = [];
  let readAt = -Infinity;
  let isReading = false;
  let reading = Promise.resolve();

  const read = async (): Promise<void> => {
    isReading = true;
    // Where they cannot be read, none is known: that is tried again soon.
    issuers = [];
    try {
      issuers = (await readTokenIssuers(database)).map(issuerOf);
    } finally {
      isReading = false;
      readAt = now();
    }
  };

  /**
   * Those whose key may have signed it: clusters may share an issuer's name, and then their keys tell them apart. Whoever
   * comes while they are read waits for that, and whoever comes soon after it failed gets its failure.
   */
  const candidatesFor = async (issuer: unknown, keyId: unknown): Promise<readonly Issuer[]> => {
    const find = () => issuers.filter((one) => one.issuer === issuer && one.keyIds.has(keyId));
    const isDue = now() - readAt >= (find().length > 0 ? KNOWN_MS : UNKNOWN_KEY_MS);
    if (isDue && !isReading) reading = read();
    await reading;
    return find();
  };

  return {
    async digestOf(token, environment) {
      if (environment === undefined || environment === "") throw missingEnvironment();
      const { issuer, keyId } = unverified(token);
      for (const one of await candidatesFor(issuer, keyId)) {
        const account = await verified(token, one);
        if (!account) continue;
        const { namespace, serviceaccount } = account["kubernetes.io"];
        return serviceAccountDigest({ cluster: one.cluster, namespace, environment, ...serviceaccount });
      }
      throw refusedServiceAccount();
    },
  };
}

function issuerOf({ cluster, issuer, jwks }: TokenIssuer): Issuer {
  const { keys } = keySetOf(jwks);
  return { cluster, issuer, keyIds: new Set(keys.map(({ kid }) => kid)), keys: createLocalJWKSet({ keys }) };
}

function keySetOf(jwks: object): JSONWebKeySet {
  const keys: unknown = "keys" in jwks ? jwks.keys : [];
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the controller checked it, and jose checks each key that it uses
  return { keys: (Array.isArray(keys) ? keys : []) as JSONWebKeySet["keys"] };
}

/** Whose keys it has to be checked with; nothing of it is believed before. */
function unverified(token: string): { issuer: unknown; keyId: unknown } {
  try {
    return { issuer: decodeJwt(token).iss, keyId: decodeProtectedHeader(token).kid };
  } catch {
    throw refusedServiceAccount();
  }
}

async function verified(token: string, { keys, issuer }: Issuer): Promise<z.output<typeof claims> | undefined> {
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience: AUDIENCE,
      algorithms: ALGORITHMS,
      maxTokenAge: MAX_AGE,
      clockTolerance: CLOCK_SECONDS,
    });
    return claims.safeParse(payload).data;
  } catch (thrown) {
    if (thrown instanceof errors.JOSEError) return undefined;
    throw thrown;
  }
}

/** The same whatever the reason. */
export function refusedServiceAccount(): KeysteadError {
  return new KeysteadError(
    "unknown_account",
    "No environment of this name takes this ServiceAccount token. It has to be listed in spec.serviceAccounts of an Environment of its own namespace, and the token to be made for the audience keystead and at most an hour old.",
  );
}

function missingEnvironment(): KeysteadError {
  return new KeysteadError(
    "missing_environment_header",
    "A request with a ServiceAccount token has to name its environment: send Keystead-Environment: <name of the Environment>.",
  );
}
