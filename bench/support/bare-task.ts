/** What the bare server is told. */
export interface BareTask {
  readonly port: number;
  /** Only the credentials, or all that the contract says of a connection. */
  readonly answer: "credentials" | "connection";
  readonly databaseUrl: string;
  readonly encryptionKey: string;
  readonly environmentId: string;
  readonly integrationId: string;
}
