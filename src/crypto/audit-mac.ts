import { createHash, createHmac, createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { lengthPrefixed } from "./sealed-value.ts";

const KEY_BYTES = 32;

/** What precedes the first link. */
export const BEFORE_CHAIN = Buffer.alloc(32);

/** A key of the audit chain; the id stands in every link that it made. */
export interface AuditKey {
  readonly id: string;
  readonly key: KeyObject;
}

/** A link of the audit chain: what it says of the events that it covers, and what it follows. */
export interface AuditLinkContent {
  readonly sequence: number;
  readonly auditKeyId: string;
  readonly linkedAt: Date;
  /** Day of its events (UTC), `2026-11-24`. */
  readonly day: string;
  readonly after: EventPosition;
  readonly through: EventPosition;
  readonly aboveEvent: number;
  readonly eventIds: readonly number[];
  /** SHA-256 of each event, one after the other. */
  readonly digests: Buffer;
}

/** Where an event stands in the order of the chain. */
export interface EventPosition {
  /** Transaction ids of Postgres, as text: they have 64 bits. */
  readonly transaction: string;
  readonly event: number;
}

/** What is said of days that were dropped. */
export interface AuditCheckpointContent {
  readonly day: string;
  readonly sequence: number;
  readonly linkMac: Buffer;
  readonly auditKeyId: string;
}

export function generateAuditKey(): Buffer {
  return randomBytes(KEY_BYTES);
}

export function importAuditKey(id: string, bytes: Buffer): AuditKey {
  return { id, key: createSecretKey(bytes) };
}

/** What a link holds of the text of an event. */
export function auditEventDigest(text: string): Buffer {
  return createHash("sha256").update(text, "utf8").digest();
}

/** HMAC-SHA-256 over everything a link says and the MAC of the one before, so that none can be changed, left out or moved. */
export function auditLinkMac({ key }: AuditKey, previous: Buffer, link: AuditLinkContent): Buffer {
  const fields = [
    "keystead audit link v1",
    String(link.sequence),
    link.auditKeyId,
    link.linkedAt.toISOString(),
    link.day,
    link.after.transaction,
    String(link.after.event),
    link.through.transaction,
    String(link.through.event),
    String(link.aboveEvent),
    link.eventIds.join(","),
  ].map((field) => Buffer.from(field, "utf8"));
  return createHmac("sha256", key)
    .update(lengthPrefixed([...fields, link.digests, previous]))
    .digest();
}

/** HMAC-SHA-256 over a checkpoint. */
export function auditCheckpointMac({ key }: AuditKey, checkpoint: AuditCheckpointContent): Buffer {
  const fields = ["keystead audit checkpoint v1", checkpoint.day, String(checkpoint.sequence), checkpoint.auditKeyId];
  return createHmac("sha256", key)
    .update(lengthPrefixed([...fields.map((field) => Buffer.from(field, "utf8")), checkpoint.linkMac]))
    .digest();
}
