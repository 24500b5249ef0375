import { type Credential, CREDENTIALS_TYPE } from "../resources/credentials.ts";
import type { DesiredCredentials } from "../vault/connection.ts";
import { type Outcome, stalled } from "./outcome.ts";
import type { SecretTaker } from "./secret-value.ts";

/** What a Connection's credentials take from its Integration. */
export interface CredentialsIntegration {
  readonly name: string;
  readonly authMode: string;
  readonly appId?: string | undefined;
}

/** Refuses credentials that the integration cannot use; the same rule holds for connections made over the API. */
export function refuseMismatch(credential: Credential, integration: CredentialsIntegration): Outcome | undefined {
  const type = CREDENTIALS_TYPE[credential.kind];
  if (credential.kind === "app" && type === integration.authMode && integration.appId === undefined) {
    return stalled(
      "AppIdMissing",
      `Integration ${integration.name} has no spec.appId, and an installation is nothing without its app. Set it there.`,
    );
  }
  if (type === integration.authMode) return undefined;
  return stalled(
    "CredentialsMismatch",
    `spec.credentials.${credential.kind} is for integrations of mode ${type}, and Integration ${integration.name} is of mode ${integration.authMode}. Change one of the two.`,
  );
}

/**
 * Puts the credentials together. Values that are missing or invalid are reported by `take.problem`, which the caller has
 * to look at before it uses the result.
 */
export function assembleCredentials(
  credential: Credential,
  integration: CredentialsIntegration,
  take: SecretTaker,
): DesiredCredentials {
  const type = CREDENTIALS_TYPE[credential.kind];
  switch (credential.kind) {
    case "apiKey":
      return { type, value: { apiKey: take.value(credential.from.apiKeyRef) } };
    case "basic": {
      const { username = "", usernameRef, passwordRef } = credential.from;
      return {
        type,
        value: { username: usernameRef ? take.value(usernameRef) : username, password: take.value(passwordRef) },
      };
    }
    case "oauth2":
      return assembleOAuth2(credential.from, take);
    case "oauth2ClientCredentials": {
      const { clientId = "", clientIdRef, clientSecretRef } = credential.from;
      return {
        type,
        value: {
          client_id: clientIdRef ? take.value(clientIdRef) : clientId,
          client_secret: take.value(clientSecretRef),
        },
      };
    }
    case "app":
      return {
        type,
        value: { app_id: integration.appId, installation_id: credential.from.installationId },
      };
    case "jwt": {
      const { privateKeyRef, keyId, claims } = credential.from;
      return {
        type,
        value: { private_key: take.value(privateKeyRef), key_id: keyId, claims },
      };
    }
    case "custom":
      return { type, value: Object.fromEntries(take.all(credential.from.secretRef.name)) };
  }
}

function assembleOAuth2(from: Extract<Credential, { kind: "oauth2" }>["from"], take: SecretTaker): DesiredCredentials {
  const token = {
    access_token: take.value(from.accessTokenRef),
    refresh_token: from.refreshTokenRef && take.value(from.refreshTokenRef),
    expires_at: from.expiresAt,
  };
  return {
    type: CREDENTIALS_TYPE.oauth2,
    // `raw` is the provider's answer; of a token that was given by hand this is all there is.
    value: { ...token, raw: token },
    ...(from.expiresAt !== undefined && { expiresAt: new Date(from.expiresAt) }),
  };
}
