import type { Connection } from "./connection.ts";
import { type Credentials, credentialOf } from "./credentials.ts";
import type { Environment } from "./environment.ts";
import type { Integration } from "./integration.ts";

/** Names of the Secrets that a resource takes values from, each once: what its referrers are indexed by. */
export function secretNamesOf(resource: Environment | Integration | Connection): string[] {
  return [...new Set(namesIn(resource).filter((name) => name !== undefined))];
}

function namesIn(resource: Environment | Integration | Connection): (string | undefined)[] {
  if (resource.kind === "Environment") {
    return (resource.spec.variables ?? []).map(({ valueFrom }) => valueFrom?.secretKeyRef.name);
  }
  if (resource.kind === "Integration") {
    const { clientIdRef, clientSecretRef, privateKeyRef } = resource.spec;
    return [clientIdRef?.name, clientSecretRef?.name, privateKeyRef?.name];
  }
  return namesInCredentials(resource.spec.credentials);
}

/** Top level only: `claims` is free-form and may hold anything that looks like a reference without being one. */
function namesInCredentials(credentials: Credentials | undefined): (string | undefined)[] {
  const credential = credentialOf(credentials);
  switch (credential?.kind) {
    case "apiKey":
      return [credential.from.apiKeyRef.name];
    case "basic":
      return [credential.from.usernameRef?.name, credential.from.passwordRef.name];
    case "oauth2":
      return [credential.from.accessTokenRef.name, credential.from.refreshTokenRef?.name];
    case "oauth2ClientCredentials":
      return [credential.from.clientIdRef?.name, credential.from.clientSecretRef.name];
    case "jwt":
      return [credential.from.privateKeyRef.name];
    case "custom":
      return [credential.from.secretRef.name];
    case "app":
    case undefined:
      break;
  }
  return [];
}
