import { z } from "zod";
import { KeysteadError } from "../errors.ts";
import type { KubeClient } from "../kube/client.ts";
import type { ReigningVault } from "../vault/context.ts";
import { storeTokenIssuer } from "../vault/token-issuers.ts";

/** What the API server says of the tokens that it signs, kept in the database for those that have no access to it. */
export interface IssuerKeys {
  /** Resolves when it was asked once by this process. Rejects with a `kube_*` or `database_*` error. */
  known(signal: AbortSignal | undefined): Promise<void>;
  /** Asks again where anybody needs it and a minute has passed. */
  renew(signal: AbortSignal): Promise<void>;
}

/** OpenID Connect discovery, as the API server serves it (KEP-1393). */
const DISCOVERY = "/.well-known/openid-configuration";
const JWKS = "/openid/v1/jwks";
const JWKS_TYPE = "application/jwk-set+json";

/** A key that signs from now on is known to the API a minute later; clusters announce keys before they use them. */
const RENEW_INTERVAL_MS = 60_000;

const discovery = z.object({ issuer: z.string().min(1).max(2_048) });
const keySet = z.object({ keys: z.array(z.record(z.string(), z.json())).max(64) });

interface IssuerKeysOptions {
  readonly client: KubeClient;
  readonly vault: ReigningVault;
  readonly cluster: string;
}

/** Asks nothing while no Environment lists a ServiceAccount. */
export function createIssuerKeys({ client, vault, cluster }: IssuerKeysOptions): IssuerKeys {
  let askedAt: number | undefined;
  const ask = async (signal: AbortSignal | undefined): Promise<void> => {
    const { issuer } = parsed(discovery, await client.request({ method: "GET", path: DISCOVERY, signal }));
    const jwks = parsed(keySet, await client.request({ method: "GET", path: JWKS, accept: JWKS_TYPE, signal }));
    await storeTokenIssuer(vault, { cluster, issuer, jwks });
    askedAt = performance.now();
  };
  return {
    async known(signal) {
      if (askedAt === undefined) await ask(signal);
    },
    async renew(signal) {
      if (askedAt !== undefined && performance.now() - askedAt >= RENEW_INTERVAL_MS) await ask(signal);
    },
  };
}

function parsed<T>(schema: z.ZodType<T>, answer: unknown): T {
  const result = schema.safeParse(answer);
  if (result.success) return result.data;
  throw new KeysteadError("kube_answer_invalid", "what the API server says of its token issuer has another shape");
}
