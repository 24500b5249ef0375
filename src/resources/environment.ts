import { z } from "zod";
import { parseCidr } from "../cidr.ts";
import { apiKeys } from "./api-keys.ts";
import { durationBetween } from "./duration.ts";
import { deletionPolicy, objectName, restoreFrom, secretKeyRef, text, uuid } from "./field.ts";
import { resourceParser } from "./parse.ts";
import { rotation } from "./rotation.ts";
import { serviceAccounts } from "./service-accounts.ts";
import { matches, oneOf, withRules } from "./rule.ts";
import { MAX_TOKEN } from "./token.ts";
import { commonStatus, instant, rowId } from "./status.ts";

/** Characters of a variable that is written out; 128 of them are half of what etcd stores in one object. */
const MAX_VARIABLE = 4_096;

const variable = withRules(
  z.object({
    name: withRules(
      z.string().max(256),
      matches(
        /^[A-Za-z_][A-Za-z0-9_.-]*$/,
        "must be the name of a variable: letters, digits, '_', '.' and '-', not beginning with a digit",
      ),
    ).describe("Name of the variable, such as REGION. Each name once."),
    value: text(MAX_VARIABLE)
      .optional()
      .describe(`The value, written out, at most ${MAX_VARIABLE} characters. Exactly one of value and valueFrom.`),
    valueFrom: z
      .object({ secretKeyRef: secretKeyRef("Key of a Secret of the same namespace that holds the value.") })
      .optional()
      .describe("Where the value comes from instead. Exactly one of value and valueFrom."),
  }),
  oneOf("exactly", ["value", "valueFrom"]),
);

/** 64 blocks: the exits of a large company. A list of single addresses is a network policy's. */
const MAX_CIDRS = 64;

const cidr = withRules(z.string().max(49), {
  cel: "isCIDR(self)",
  holds: (block) => parseCidr(block) !== undefined,
  message: "must be a block of addresses with its prefix, such as 10.0.0.0/8, 192.0.2.7/32 or 2001:db8::/32",
});

/** A million a minute is more than a process answers. */
const MAX_REQUESTS = 1_000_000;

const fields = z.object({
  // Can be changed: a new name is one of the two ways out of SecretNotOwned.
  secretName: objectName
    .optional()
    .describe(
      "Name of the Secret that the controller writes and owns; <name of the Environment>-keystead if left out. It holds KEYSTEAD_SECRET_KEY, KEYSTEAD_PUBLIC_KEY and KEYSTEAD_HOST, made for envFrom. A Secret that exists and belongs to somebody else is never touched: the Environment is then Stalled with SecretNotOwned.",
    ),
  rotation: rotation
    .optional()
    .describe(
      "How the secret key is replaced: by hand with a new value of the annotation keystead.dev/rotate-secret-key, and on a schedule.",
    ),
  // An hour is what a person needs to notice a wrong delete; ten years is longer than any backup that could bring the
  // rows back, and far from where milliseconds stop being exact.
  retention: durationBetween("1h", "3660d")
    .default("31d")
    .describe(
      "How long something deleted can be restored before it is erased for good, from 1h to 3660d, such as 31d, 36h or 1h30m. 31d if left out.",
    ),
  apiKeys: apiKeys.optional().meta({
    description:
      "Further keys, at most 32, each with scopes and a Secret of its own. One that is removed from the list opens nothing at once, and its Secret is deleted.",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
  }),
  serviceAccounts: serviceAccounts.optional().meta({
    description:
      "ServiceAccounts of the same namespace, at most 32, whose pods may send their token instead of a key, made for the audience keystead. Each token works while its ServiceAccount lives and is listed.",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
  }),
  requestsPerMinute: z
    .int()
    .min(0)
    .max(MAX_REQUESTS)
    .optional()
    .describe(
      `How many requests with keys of this Environment the API answers a minute, over all its replicas, up to ${MAX_REQUESTS}; a tenth of them at once. Beyond that it answers 429. 0, the default: as many as come.`,
    ),
  allowedCIDRs: z.array(cidr).min(1).max(MAX_CIDRS).optional().meta({
    description:
      "Blocks of addresses, at most 64, from which keys of this Environment may be used, such as 10.0.0.0/8. A request from elsewhere is answered 403. Left out: from everywhere. Behind a proxy this needs KEYSTEAD_TRUSTED_PROXIES.",
    "x-kubernetes-list-type": "set",
  }),
  // A map by name, so that a server-side apply owns single variables: two teams can declare one each.
  variables: z
    .array(variable)
    .max(128)
    .check(
      z.refine((list) => new Set(list.map(({ name }) => name)).size === list.length, "must have each name only once"),
    )
    .optional()
    .meta({
      description:
        "Environment variables that applications read at GET /environment-variables, at most 128. Stored encrypted.",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name"],
    }),
  deletionPolicy: deletionPolicy(
    ["SoftDelete", "Purge"],
    "What becomes of the stored environment, with its keys and everything in it, when this resource is deleted. SoftDelete, the default: its keys open nothing any more, and it can be restored until its retention ends. Purge: all of it is erased at once, for good.",
  ),
  adopt: z
    .object({
      environmentId: uuid().describe("Id of the environment, as status.environmentId of its present owner shows it."),
      secretKeyRef: secretKeyRef(
        "Key of a Secret of the same namespace that holds the environment's current secret key.",
      ),
    })
    .optional()
    .describe(
      "Takes over a living environment with all that is in it, from any cluster on the same database, on proof of its current secret key. The resource that had it before is Stalled with Superseded. Done once: afterwards it may stay or go, and the Secret with it. At most one of adopt and restoreFrom.",
    ),
  restoreFrom: restoreFrom("environment", " with the same secret key and with all that was deleted together with it"),
  // No default: `suspend: false` in every object that was ever stored would show up in every diff and say nothing.
  suspend: z
    .boolean()
    .optional()
    .describe("Whether the controller leaves everything of this Environment as it is. What is stored is still served."),
});

/** `spec` of an Environment. */
export const environmentSpec = withRules(fields, oneOf("at most", ["adopt", "restoreFrom"]));

/** `status` of an Environment. */
export const environmentStatus = commonStatus.extend({
  environmentId: rowId("Id of the environment in the database, by which it can be restored after a delete.").optional(),
  publicKey: z
    .string()
    .max(128)
    .optional()
    .describe("Public key of the environment. It is no secret and opens nothing by itself."),
  secretKey: z
    .object({
      fingerprint: z
        .string()
        .max(128)
        .describe("Tells keys apart without showing one; the same as in log lines and audit events."),
      issuedAt: instant("When the key was made."),
      lastHandledRotation: z
        .string()
        .max(MAX_TOKEN)
        .optional()
        .describe("The last value of the annotation keystead.dev/rotate-secret-key that counts as handled."),
      nextRotationAt: instant("When the key is rotated by itself, with spec.rotation.interval.").optional(),
      previousExpiresAt: instant(
        "When the key before stops working, while it still works. Until the Secret is written this is the latest possible instant.",
      ).optional(),
    })
    .optional()
    .describe("The secret key that is in the Secret."),
  dataKey: z
    .object({
      lastHandledRotation: z
        .string()
        .max(MAX_TOKEN)
        .describe(
          "The last value of the annotation keystead.dev/rotate-data-key that counts as handled: everything written since is under the new key.",
        ),
    })
    .optional()
    .describe("The key that the values of the environment are encrypted with. Absent while nobody asked for another."),
});

/** See {@link resourceParser}. */
export const parseEnvironment = resourceParser("Environment", environmentSpec, environmentStatus);
/** An Environment with a valid spec, defaults filled in. */
export type Environment = Extract<ReturnType<typeof parseEnvironment>, { ok: true }>["value"];

/** Name of the Secret that the controller writes for an Environment. */
export function secretNameOf(environment: Environment): string {
  return environment.spec.secretName ?? `${environment.metadata.name}-keystead`;
}

/** Names of all Secrets that the controller writes for an Environment. */
export function writtenNamesOf(environment: Environment): string[] {
  return [secretNameOf(environment), ...(environment.spec.apiKeys ?? []).map(({ secretName }) => secretName)];
}
