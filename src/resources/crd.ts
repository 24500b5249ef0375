import { stringify } from "yaml";
import type { z } from "zod";
import { connectionSpec, connectionStatus } from "./connection.ts";
import { environmentSpec, environmentStatus } from "./environment.ts";
import { integrationSpec, integrationStatus } from "./integration.ts";
import { CONNECTION, ENVIRONMENT, INTEGRATION } from "./kinds.ts";
import type { CelValidation } from "./rule.ts";
import { type StructuralSchema, structuralSchema } from "./structural-schema.ts";

/** A column of `kubectl get`; `wide` ones show with `-o wide` only. */
interface Column {
  readonly name: string;
  readonly path: string;
  readonly description: string;
  readonly wide?: true;
  readonly type?: "date";
}

/** What a CRD says beyond the schemas of its spec and status. */
interface Definition {
  readonly names: typeof ENVIRONMENT | typeof INTEGRATION | typeof CONNECTION;
  readonly shortName: string;
  readonly description: string;
  readonly spec: z.ZodType;
  readonly specDescription: string;
  /** Whether a manifest may leave out `spec`. */
  readonly specOptional?: true;
  readonly status: z.ZodType;
  /** CEL rules that need `metadata`, which is visible at the root only. */
  readonly rules?: readonly CelValidation[];
  readonly selectableFields: readonly string[];
  readonly columns: readonly Column[];
}

/** The first two columns of each kind: whether all is well, and the word to look up if not. */
const READY: readonly Column[] = [
  {
    name: "Ready",
    path: '.status.conditions[?(@.type=="Ready")].status',
    description: "Whether it is stored as declared.",
  },
  {
    name: "Reason",
    path: '.status.conditions[?(@.type=="Ready")].reason',
    description: "Why, in one word.",
  },
];

/** Wide, because a sentence would push the age off most terminals. */
const MESSAGE: Column = {
  name: "Message",
  path: '.status.conditions[?(@.type=="Ready")].message',
  description: "Why, in a sentence, and what to do.",
  wide: true,
};

const AGE: Column = {
  name: "Age",
  path: ".metadata.creationTimestamp",
  description: "Since when it exists.",
  type: "date",
};

/**
 * The three kinds in the order in which a user meets them, which is the order of the stream of `keystead crds`. Only what
 * belongs to one namespace can be referred to, so all are namespaced. Selectable fields are the immutable references:
 * the API server filters by them in lists and watches.
 */
const DEFINITIONS: readonly Definition[] = [
  {
    names: ENVIRONMENT,
    shortName: "kenv",
    description:
      "An Environment is one isolated set of connections with a secret key, a public key and an encryption key of its own. The controller writes its keys into a Secret.",
    spec: environmentSpec,
    specDescription: "What is wanted. Everything has a default.",
    specOptional: true,
    status: environmentStatus,
    // The only rule about a name: 253 characters less those of "-keystead".
    rules: [
      {
        rule: "has(self.spec.secretName) || size(self.metadata.name) <= 244",
        message:
          "must be given where metadata.name has more than 244 characters: the name of the Secret that is made from it would be too long",
        fieldPath: ".spec.secretName",
      },
    ],
    selectableFields: [],
    columns: [
      ...READY,
      {
        name: "Fingerprint",
        path: ".status.secretKey.fingerprint",
        description: "Fingerprint of the secret key.",
        wide: true,
      },
      { name: "ID", path: ".status.environmentId", description: "Id in the database.", wide: true },
      MESSAGE,
      AGE,
    ],
  },
  {
    names: INTEGRATION,
    shortName: "kint",
    description:
      "An Integration is the OAuth client or the API that connections are made with. Its name is the provider_config_key by which applications ask for it.",
    spec: integrationSpec,
    specDescription: "What is wanted.",
    status: integrationStatus,
    selectableFields: [".spec.environmentRef.name"],
    columns: [
      ...READY,
      { name: "Environment", path: ".spec.environmentRef.name", description: "The Environment it belongs to." },
      { name: "Mode", path: ".spec.auth.mode", description: "How the provider authenticates." },
      { name: "Provider", path: ".spec.provider", description: "Name of the provider.", wide: true },
      { name: "ID", path: ".status.integrationId", description: "Id in the database.", wide: true },
      MESSAGE,
      AGE,
    ],
  },
  {
    names: CONNECTION,
    shortName: "kconn",
    description:
      "A Connection is one credential for one account at a provider. It is stored encrypted, and applications read it over the API with the secret key of its Environment.",
    spec: connectionSpec,
    specDescription: "What is wanted.",
    status: connectionStatus,
    selectableFields: [".spec.environmentRef.name", ".spec.integrationRef.name"],
    columns: [
      ...READY,
      { name: "Environment", path: ".spec.environmentRef.name", description: "The Environment it belongs to." },
      { name: "Integration", path: ".spec.integrationRef.name", description: "The Integration it is a connection of." },
      {
        name: "Connection ID",
        path: ".spec.connectionId",
        description: "Id by which applications ask for it; empty where that is the name.",
        wide: true,
      },
      { name: "Type", path: ".status.credentials.type", description: "Kind of the stored credential.", wide: true },
      // Not of type date: kubectl prints how long ago a date was, and an instant to come as "<invalid>".
      { name: "Expires", path: ".status.credentials.expiresAt", description: "When the credential ends.", wide: true },
      { name: "ID", path: ".status.connectionId", description: "Id in the database.", wide: true },
      MESSAGE,
      AGE,
    ],
  },
];

/** The CRDs of the three kinds, as objects for the API server. */
export function customResourceDefinitions(): StructuralSchema[] {
  return DEFINITIONS.map(customResourceDefinition);
}

function customResourceDefinition(definition: Definition): StructuralSchema {
  const { group, kind, plural } = definition.names;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: {
      name: `${plural}.${group}`,
      labels: { "app.kubernetes.io/name": "keystead", "app.kubernetes.io/part-of": "keystead" },
    },
    spec: {
      group,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames: [definition.shortName],
        // `kubectl get keystead` lists all three.
        categories: ["keystead"],
      },
      scope: "Namespaced",
      versions: [version(definition)],
    },
  };
}

function version(definition: Definition): StructuralSchema {
  return {
    name: definition.names.version,
    served: true,
    storage: true,
    // Status is written apart from the spec: a controller that may patch only the status can never change what is wanted.
    subresources: { status: {} },
    ...(definition.selectableFields.length > 0 && {
      selectableFields: definition.selectableFields.map((jsonPath) => ({ jsonPath })),
    }),
    additionalPrinterColumns: definition.columns.map(({ name, path, description, wide, type }) => ({
      name,
      type: type ?? "string",
      description,
      jsonPath: path,
      ...(wide && { priority: 1 }),
    })),
    schema: { openAPIV3Schema: rootSchema(definition) },
  };
}

function rootSchema({ description, spec, specDescription, specOptional, status, rules }: Definition): StructuralSchema {
  return {
    description,
    type: "object",
    ...(specOptional ? {} : { required: ["spec"] }),
    properties: {
      apiVersion: { description: "Group and version of the schema.", type: "string" },
      kind: { description: "Kind of the object.", type: "string" },
      // Kubernetes fills this in and allows no description of it here.
      metadata: { type: "object" },
      spec: {
        ...structuralSchema(spec),
        description: specDescription,
        ...(specOptional && { default: {} }),
      },
      status: {
        ...structuralSchema(status),
        description: "What the controller found. Written by it alone.",
        // On the object as well as on the field: a default inside an absent object is never applied.
        default: { observedGeneration: -1 },
      },
    },
    ...(rules && { "x-kubernetes-validations": rules }),
  };
}

const HEADER = "# Made from src/resources by `npm run generate`; edit the schemas there.\n";

/** The committed files by their path in the repository, always the same text for the same schemas. */
export function generateCrds(): Map<string, string> {
  return new Map(
    DEFINITIONS.map((definition) => [
      `crds/${definition.names.group}_${definition.names.plural}.yaml`,
      HEADER + toYaml(customResourceDefinition(definition)),
    ]),
  );
}

/** All CRDs as one stream, for `kubectl apply -f -`. */
export function crdYaml(): string {
  return customResourceDefinitions().map(toYaml).join("---\n");
}

/** kubectl reads YAML 1.1, where a bare `y` or `off` is a boolean: the writer has to quote by the same rules. */
function toYaml(definition: StructuralSchema): string {
  return stringify(definition, { version: "1.1", lineWidth: 120, aliasDuplicateObjects: false });
}
