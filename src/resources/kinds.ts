/** How the API server addresses one of our kinds; the shape that the client takes. */
interface OwnKind {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: "Environment" | "Integration" | "Connection";
}

const GROUP = "keystead.dev";
/** Alpha: fields are only ever added, but nobody promises yet that one will stay. */
const VERSION = "v1alpha1";

/** One isolated set of connections, `kenv`. */
export const ENVIRONMENT = {
  group: GROUP,
  version: VERSION,
  plural: "environments",
  kind: "Environment",
} as const satisfies OwnKind;
/** The client or API that connections are made with, `kint`. */
export const INTEGRATION = {
  group: GROUP,
  version: VERSION,
  plural: "integrations",
  kind: "Integration",
} as const satisfies OwnKind;
/** One credential of one account, `kconn`. */
export const CONNECTION = {
  group: GROUP,
  version: VERSION,
  plural: "connections",
  kind: "Connection",
} as const satisfies OwnKind;
