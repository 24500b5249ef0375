import { z } from "zod";
import { apiKeyFields } from "./api-keys.ts";
import { objectName } from "./field.ts";

/** As many as there may be named keys: one for each application of a team. */
const MAX_SERVICE_ACCOUNTS = 32;

/** `spec.serviceAccounts` of an Environment. */
export const serviceAccounts = z
  .array(
    z.object({
      name: objectName.describe(
        "Name of the ServiceAccount, which has to be in the same namespace. It may be created later.",
      ),
      scopes: apiKeyFields.scopes,
      connectionSelector: apiKeyFields.connectionSelector,
    }),
  )
  .max(MAX_SERVICE_ACCOUNTS)
  .check(
    z.refine((list) => new Set(list.map(({ name }) => name)).size === list.length, "must have each name only once"),
  );
