import type { InitializationVectors } from "../crypto/initialization-vectors.ts";
import type { KeyEncryptionKeys } from "../crypto/kek.ts";
import type { Batcher } from "../db/batch.ts";
import type { AuditKeys } from "./audit-keys.ts";
import type { AuditRead } from "./audit.ts";
import type { ConnectionReader } from "./connection-reader.ts";
import type { DesiredConnection, StoredConnection } from "./connection.ts";
import type { EnvironmentKeys } from "./environment-keys.ts";
import type { DesiredIntegration, StoredIntegration } from "./integration.ts";
import type { Outcome } from "./outcome.ts";
import type { ProxiedRow } from "./proxied-reads.ts";
import type { Reign, VaultDatabase } from "./reign.ts";

/** What every operation of the vault works with. Operations are functions that take it first; it has no methods of its own. */
export interface Vault {
  readonly database: VaultDatabase;
  readonly keys: KeyEncryptionKeys;
  readonly environmentKeys: EnvironmentKeys;
  readonly auditKeys: AuditKeys;
  readonly ivs: InitializationVectors;
  /** Connections read at the same moment share a statement, their audit events included. */
  readonly readConnectionRow: ConnectionReader;
  /** The same for calls on behalf of connections. */
  readonly readProxiedRow: ConnectionReader<ProxiedRow>;
  /** Reads of other secrets at the same moment share an insert. */
  readonly auditReads: Batcher<AuditRead, true>;
}

/**
 * What operations work with that store and soft-delete for resources. Its transactions are those of its reign: one that has
 * been followed by another can write nothing.
 */
export interface ReigningVault extends Vault {
  readonly reign: Reign;
  /** Connections stored at the same moment share a statement. */
  readonly connectionBatch: Batcher<DesiredConnection, Outcome<StoredConnection>>;
  readonly integrationBatch: Batcher<DesiredIntegration, Outcome<StoredIntegration>>;
}
