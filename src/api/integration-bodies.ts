import { z } from "zod";
import { integrationKey } from "./request-schemas.ts";
import { providerName } from "./providers.ts";

// What requests about integrations bring, in the names of Nango's contract.

const text = z.string().min(1).max(1_024);
const scopes = z.string().max(8_192).describe("One text, separated by commas.");

/** As the contract has it; a key in PKCS#8 is as good. */
const pem = z
  .string()
  .max(16_384)
  .regex(/^-----BEGIN (RSA )?PRIVATE KEY-----[\s\S]*-----END (RSA )?PRIVATE KEY-----\s*$/, "is no private key in PEM");

const oauth = { client_id: text, client_secret: text };
const app = { app_id: text, app_link: text.optional(), private_key: pem };

/** The OAuth client or app, as it is stored. */
const credentials = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("OAUTH1"), ...oauth, scopes: scopes.optional(), webhook_secret: text.optional() }),
  z.strictObject({ type: z.literal("OAUTH2"), ...oauth, scopes: scopes.optional(), webhook_secret: text.optional() }),
  z.strictObject({ type: z.literal("APP"), ...app }),
  z.strictObject({ type: z.literal("CUSTOM"), ...oauth, ...app }),
]);

const common = {
  display_name: z.string().min(1).max(255).optional(),
  forward_webhooks: z.literal(false, "must be false or left out: this version takes no webhooks in").optional(),
};

const nothing = z.strictObject({}, "must be left out or empty: no provider has any in this version").optional();

/** `POST /integrations/quickstart` */
export const quickIntegration = z.strictObject({ provider: providerName, unique_key: integrationKey, ...common });

/** `POST /integrations` */
export const newIntegration = quickIntegration.extend({
  credentials: credentials.optional(),
  integration_config: nothing,
  custom: nothing,
});

/** `PATCH /integrations/{name}` */
export const integrationPatch = z.strictObject({
  unique_key: integrationKey.optional().describe("Another name; possible while there are no connections."),
  ...common,
  credentials: credentials.optional(),
  integration_config: nothing,
  custom: nothing,
});
