import type { Connection } from "./connection.ts";
import { type Credentials, credentialOf } from "./credentials.ts";
import type { Environment } from "./environment.ts";
import type { Integration } from "./integration.ts";

/** A value in a Secret, or with no `key` all that is in it. */
interface SecretRef {
  readonly name: string;
  readonly key?: string | undefined;
}

/** The Secrets that a resource takes values from, each once, and which keys of each; none where all of it is taken. */
export function secretKeysOf(resource: Environment | Integration | Connection): ReadonlyMap<string, readonly string[]> {
  const keys = new Map<string, string[]>();
  for (const ref of refsIn(resource)) {
    if (!ref) continue;
    const known = keys.get(ref.name) ?? [];
    keys.set(ref.name, ref.key === undefined || known.includes(ref.key) ? known : [...known, ref.key]);
  }
  return keys;
}

/** Names of these Secrets, which its referrers are indexed by. */
export function secretNamesOf(resource: Environment | Integration | Connection): string[] {
  return [...secretKeysOf(resource).keys()];
}

function refsIn(resource: Environment | Integration | Connection): (SecretRef | undefined)[] {
  if (resource.kind === "Environment") {
    return (resource.spec.variables ?? []).map(({ valueFrom }) => valueFrom?.secretKeyRef);
  }
  if (resource.kind === "Integration") {
    const { clientIdRef, clientSecretRef, privateKeyRef } = resource.spec;
    return [clientIdRef, clientSecretRef, privateKeyRef];
  }
  return refsInCredentials(resource.spec.credentials);
}

/** Top level only: `claims` is free-form and may hold anything that looks like a reference without being one. */
function refsInCredentials(credentials: Credentials | undefined): (SecretRef | undefined)[] {
  const credential = credentialOf(credentials);
  switch (credential?.kind) {
    case "apiKey":
      return [credential.from.apiKeyRef];
    case "basic":
      return [credential.from.usernameRef, credential.from.passwordRef];
    case "oauth2":
      return [credential.from.accessTokenRef, credential.from.refreshTokenRef];
    case "oauth2ClientCredentials":
      return [credential.from.clientIdRef, credential.from.clientSecretRef];
    case "jwt":
      return [credential.from.privateKeyRef];
    case "custom":
      return [credential.from.secretRef];
    case "app":
    case undefined:
      break;
  }
  return [];
}
