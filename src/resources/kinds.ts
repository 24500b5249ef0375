/** How the API server addresses one of our kinds; the shape that the client takes. */
interface OwnKind {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: "Environment" | "Integration" | "Connection";
}

const GROUP = "keystead.dev";
const VERSION = "v1alpha1";

export const ENVIRONMENT = {
  group: GROUP,
  version: VERSION,
  plural: "environments",
  kind: "Environment",
} as const satisfies OwnKind;
export const INTEGRATION = {
  group: GROUP,
  version: VERSION,
  plural: "integrations",
  kind: "Integration",
} as const satisfies OwnKind;
export const CONNECTION = {
  group: GROUP,
  version: VERSION,
  plural: "connections",
  kind: "Connection",
} as const satisfies OwnKind;

/** Keeps a deleted object until what is stored for it is soft-deleted. The same on all three kinds. */
export const FINALIZER = `${GROUP}/finalizer`;
