import { z } from "zod";
import type { JsonObject } from "../crypto/canonical-json.ts";
import type { DesiredCredentials, EndUser } from "../vault/connection.ts";
import { jsonObject } from "./json.ts";
import { connectionId, integrationKey } from "./request-schemas.ts";

// What requests about connections bring, in the names of Nango's contract.

/** Characters of a token; the contract has 16 KiB. */
const MAX_TOKEN = 16_384;
const MAX_TEXT = 1_024;
const MAX_TAGS = 64;

/** Connections that one change of metadata may name. */
const MAX_CONNECTIONS = 1_000;

const token = z.string().min(1).max(MAX_TOKEN);
const text = z.string().min(1).max(MAX_TEXT);
const instant = z.iso.datetime({ offset: true, error: "must be an instant such as 2030-01-01T00:00:00.000Z" });

/** Tags; their names are kept in lower case, as clients of the contract ask for them. */
const tags = z
  .record(
    z.string().regex(/^[A-Za-z0-9_./-]{1,64}$/, "is no name of a tag: 1 to 64 letters, digits, '_', '.', '/' and '-'"),
    z.string().max(255),
  )
  .refine((map) => Object.keys(map).length <= MAX_TAGS, `must have at most ${MAX_TAGS} tags`)
  .transform((map) => Object.fromEntries(Object.entries(map).map(([name, value]) => [name.toLowerCase(), value])));

const configOverride = z.strictObject({ client_id: text.optional(), client_secret: text.optional() });

/** Types of the contract whose connections can be stored as they are sent. */
const credentials = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("API_KEY"), apiKey: text }),
  z.strictObject({ type: z.literal("BASIC"), username: z.string().max(MAX_TEXT), password: z.string().max(MAX_TEXT) }),
  z.strictObject({
    type: z.literal("OAUTH2"),
    access_token: token,
    refresh_token: token.optional(),
    expires_at: instant.optional(),
    config_override: configOverride.optional(),
  }),
  z.strictObject({ type: z.literal("OAUTH1"), oauth_token: token, oauth_token_secret: token }),
  z.strictObject({
    type: z.literal("OAUTH2_CC"),
    token,
    expires_at: instant.optional(),
    client_id: text,
    client_secret: text,
    client_certificate: token.optional(),
    client_private_key: token.optional(),
  }),
  z.strictObject({ type: z.literal("APP"), app_id: text, installation_id: text }),
  z.strictObject({ type: z.literal("CUSTOM"), app_id: text, installation_id: text }),
  z.strictObject({ type: z.literal("NONE") }),
]);

const line = z.string().min(1).max(255);
const endUser = z.strictObject({
  id: line,
  email: z.string().min(1).max(320).optional(),
  display_name: line.optional(),
  tags: tags.optional(),
  organization: z.strictObject({ id: line, display_name: line.optional() }).optional(),
});

const webhookOverride = z.literal("", "must be left out or empty: this version sends no webhooks").optional();

/** `POST /connections` */
export const newConnection = z.strictObject({
  provider_config_key: integrationKey,
  connection_id: connectionId.optional().describe("A new UUID if left out."),
  credentials,
  metadata: jsonObject.optional(),
  connection_config: jsonObject.optional(),
  tags: tags.optional(),
  end_user: endUser.optional(),
  webhook_url_override: webhookOverride,
});

/** `PATCH /connections/{id}` */
export const connectionPatch = z.strictObject({
  end_user: endUser.optional(),
  tags: tags.optional(),
  webhook_url_override: webhookOverride,
});

/** `POST` and `PATCH /connections/metadata` */
export const metadataChange = z.strictObject({
  provider_config_key: integrationKey,
  connection_id: connectionId.or(z.array(connectionId).min(1).max(MAX_CONNECTIONS)),
  metadata: jsonObject,
});

/** Credentials as they are stored. */
export function desiredCredentials(given: z.output<typeof credentials>): DesiredCredentials | null {
  const expiresAt = "expires_at" in given && given.expires_at !== undefined ? new Date(given.expires_at) : undefined;
  switch (given.type) {
    case "NONE":
      return null;
    case "OAUTH2":
    case "OAUTH1":
    case "OAUTH2_CC":
      return { type: given.type, value: withRaw(given), ...(expiresAt && { expiresAt }) };
    case "API_KEY":
    case "BASIC":
    case "APP":
    case "CUSTOM":
      return { type: given.type, value: given };
    default:
      return given satisfies never;
  }
}

/** `raw` is the provider's answer; of a token that was given by hand this is all there is. */
function withRaw(given: JsonObject): JsonObject {
  const { type: _type, config_override: _override, ...raw } = given;
  return { ...given, raw };
}

/** Whom a connection belongs to, in our own names. */
export function endUserOf(given: z.output<typeof endUser> | undefined): EndUser | undefined {
  if (!given) return undefined;
  const { id, email, display_name: displayName, tags: own, organization } = given;
  return {
    id,
    email,
    displayName,
    tags: own,
    organization: organization && { id: organization.id, displayName: organization.display_name },
  };
}
