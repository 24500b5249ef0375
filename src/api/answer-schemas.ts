import { z } from "zod";
import { jsonObject } from "./json.ts";

// What routes answer, in the shapes of Nango's contract. Answers are put together as text and not checked against these on
// their way; the tests hold every answer against them, and /openapi.json shows them.

const tags = z.record(z.string(), z.string());
const optionalText = z.string().nullable();
/** In a POST's answer with `Z`, in others with `+00:00`. */
export const instant = z.iso.datetime({ offset: true });

const endUser = z
  .strictObject({
    id: z.string(),
    display_name: optionalText,
    email: optionalText,
    tags: tags.nullable(),
    organization: z.strictObject({ id: z.string(), display_name: optionalText }).nullable(),
  })
  .nullable();

const connectionBase = {
  id: z.int().describe("Whole-number id, another one for each incarnation of a connection id."),
  connection_id: z.string(),
  provider_config_key: z.string(),
  provider: z.string(),
  errors: z.array(z.never()),
  end_user: endUser,
  tags,
  metadata: jsonObject.nullable(),
};

/** A connection in a list. */
const simpleConnection = z.strictObject({ ...connectionBase, created: instant });

/** A connection with everything it holds. */
export const fullConnection = z.strictObject({
  ...connectionBase,
  webhook_url_override: z.null(),
  created_at: instant,
  updated_at: instant,
  last_fetched_at: z.null(),
  connection_config: jsonObject,
  credentials: jsonObject.optional().describe("Left out for a key without the scope to read them."),
});

const deletedConnection = z.strictObject({
  ...connectionBase,
  created: instant,
  deletedAt: instant,
  purgeAt: instant.describe("When it is erased for good."),
});

/** Where a list goes on. */
export const nextCursor = z.string().optional().describe("`cursor` of the next part; left out with the last one.");

/** A list of connections. */
export const connectionList = z.strictObject({
  connections: z.array(simpleConnection.or(deletedConnection)),
  next_cursor: nextCursor,
});

const integrationBase = {
  unique_key: z.string(),
  provider: z.string(),
  display_name: z.string(),
  logo: z.string(),
  forward_webhooks: z.literal(false),
  created_at: instant,
  updated_at: instant,
};

/** An integration without anything secret. */
export const integration = z.strictObject(integrationBase);

/** An integration with what `include` asked for. */
export const integrationWithMore = z.strictObject({
  ...integrationBase,
  webhook_url: z.null().optional(),
  credentials: z.record(z.string(), optionalText).nullable().optional(),
});

/** The shape of `GET /config/:uniqueKey`. */
export const legacyIntegration = z.strictObject({
  unique_key: z.string(),
  provider: z.string(),
  client_id: optionalText.optional(),
  client_secret: optionalText.optional(),
  scopes: optionalText.optional(),
  app_link: optionalText.optional(),
  auth_mode: optionalText.optional(),
  syncs: z.array(z.never()),
  actions: z.array(z.never()),
});

/** Of whatever is refused or fails. */
export const errorBody = z.strictObject({
  error: z.strictObject({
    code: z.string(),
    message: z.string(),
    errors: z
      .array(
        z.strictObject({ code: z.string(), message: z.string(), path: z.array(z.union([z.string(), z.number()])) }),
      )
      .optional()
      .describe("What is wrong with the request, one entry each."),
    payload: jsonObject.optional(),
  }),
});

/** That something was done. */
export const success = z.strictObject({ success: z.literal(true) });
