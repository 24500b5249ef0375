import { alignedTable } from "./aligned-table.ts";
import { loadConfig } from "./config.ts";
import { createKeyEncryptionKeys } from "./crypto/kek.ts";
import { openDatabase } from "./db/database.ts";
import { checkSchema } from "./db/migrate.ts";
import { KeysteadError } from "./errors.ts";
import { findAuditKeys } from "./vault/audit-keys.ts";
import { type ChainReport, verifyAuditChain } from "./vault/verify-audit.ts";

/** Nobody waits behind it, and a day of a busy installation is one statement. */
const STATEMENT_TIMEOUT_MS = 600_000;

/** Between two lines about the progress: those who look on see it move, and a log stays short. */
const PROGRESS_INTERVAL_MS = 2_000;

const HEAD = /^(\d{1,15}):([0-9a-f]{64})$/;

/** How to verify, and how to say what came out. */
export interface AuditVerifyOptions {
  readonly format: "table" | "json";
  /** As the log shows it. */
  readonly head?: string | undefined;
}

/**
 * `keystead audit verify`: the text to print, and the exit status, 1 when the chain is broken. It needs the running role and
 * the encryption key, and writes nothing. `progress` gets lines for people. Rejects with `configuration_invalid`,
 * `schema_outdated` or a `database_*` error.
 */
export async function auditVerify(
  { format, head }: AuditVerifyOptions,
  progress: (line: string) => void,
): Promise<{ text: string; status: number }> {
  const wanted = head === undefined ? undefined : parseHead(head);
  const { database: settings, encryption } = loadConfig(process.env, ["database", "encryption"]);
  const keys = createKeyEncryptionKeys(encryption.key, encryption.previousKeys);
  await using database = openDatabase({
    ...settings,
    applicationName: "keystead audit",
    poolSize: 1,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  });
  await checkSchema(database);
  let toldAt = performance.now();
  const report = await verifyAuditChain(database, {
    keys: await findAuditKeys(database, keys),
    head: wanted,
    progress(links, ofLinks, events) {
      if (performance.now() < toldAt + PROGRESS_INTERVAL_MS) return;
      toldAt = performance.now();
      progress(`${links} of ${ofLinks} links, ${events} events`);
    },
  });
  const text = format === "json" ? `${JSON.stringify(report, undefined, 2)}\n` : summaryOf(report);
  return { text, status: report.break ? 1 : 0 };
}

function parseHead(text: string): { sequence: number; mac: Buffer } {
  const [, sequence, mac] = HEAD.exec(text) ?? [];
  if (sequence === undefined || mac === undefined) {
    throw new KeysteadError(
      "configuration_invalid",
      "--head has to be as the log shows it: a number, a colon, 64 hex digits",
    );
  }
  return { sequence: Number(sequence), mac: Buffer.from(mac, "hex") };
}

function summaryOf(report: ChainReport): string {
  const { last } = report;
  const table = alignedTable([
    ["LINKS", String(report.links)],
    ["EVENTS", String(report.events)],
    ["FIRST LINK", String(report.first ?? "-")],
    ["LAST LINK", last ? `${last.sequence} of ${last.linkedAt}` : "-"],
    ["HEAD", last ? `${last.sequence}:${last.mac}` : "-"],
    ["DROPPED BY AGE", report.droppedThrough === undefined ? "nothing" : `until ${report.droppedThrough}`],
    ["NOT LINKED YET", String(report.unlinked)],
    ["IDS WITHOUT EVENT", String(report.idsWithoutEvent)],
  ]);
  return `${table}\n${verdictOf(report)}\n`;
}

function verdictOf({ break: found }: ChainReport): string {
  if (!found) return "The chain is whole.";
  const places = [
    found.sequence !== undefined && `link ${found.sequence}`,
    found.eventId !== undefined && `event ${found.eventId}`,
    found.day !== undefined && `of ${found.day}`,
  ].filter((place) => place !== false);
  return `The chain is BROKEN at ${places.join(", ")}: ${found.problem}.`;
}
