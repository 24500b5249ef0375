/** Where the purger of `purge-process.ts` works. */
export interface PurgeTask {
  readonly databaseUrl: string;
}

/** What it did. */
export interface PurgeResult {
  readonly seconds: number;
  readonly connections: number;
  /** Single statements, which are transactions as well, among them. */
  readonly transactions: number;
  readonly longestMilliseconds: number;
}
