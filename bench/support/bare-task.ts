/** What the bare server is told. */
export interface BareTask {
  readonly port: number;
  readonly databaseUrl: string;
  readonly encryptionKey: string;
  readonly environmentId: string;
  readonly integrationId: string;
}
