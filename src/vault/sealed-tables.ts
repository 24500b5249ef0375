import type { SealedLabel } from "../crypto/sealed-value.ts";

/** A column that holds sealed values. */
interface SealedColumn {
  readonly name: string;
  /** SQL of the revision its value was sealed at. */
  readonly revision: string;
  readonly label: SealedLabel;
}

/** A table with values that are sealed under the data key of their environment. */
export interface SealedTable {
  readonly name: string;
  /** With the environment the primary key; also the row's id in the place of its values. */
  readonly idColumn: string;
  readonly columns: readonly SealedColumn[];
}

/**
 * Everything that has to be re-encrypted when a data key is replaced. A test compares it with the schema, where every
 * such column is called `*_sealed`.
 */
export const SEALED_TABLES: readonly SealedTable[] = [
  {
    name: "environments",
    idColumn: "environment_id",
    columns: [
      // Sealed once and never changed, so it has no column for its revision.
      { name: "digest_key_sealed", revision: "1::int8", label: "environment.digest-key" },
      { name: "variables_sealed", revision: "variables_revision", label: "environment.variables" },
    ],
  },
  {
    name: "secret_keys",
    idColumn: "secret_key_id",
    columns: [{ name: "secret_key_sealed", revision: "secret_key_revision", label: "environment.secret-key" }],
  },
  {
    name: "integrations",
    idColumn: "integration_id",
    columns: [{ name: "client_sealed", revision: "client_revision", label: "integration.client" }],
  },
  {
    name: "connections",
    idColumn: "connection_row_id",
    columns: [
      { name: "credentials_sealed", revision: "credentials_revision", label: "connection.credentials" },
      { name: "config_sealed", revision: "config_revision", label: "connection.config" },
    ],
  },
];
