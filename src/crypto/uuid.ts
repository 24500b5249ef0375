import { randomFillSync } from "node:crypto";

/** Random bytes are drawn for 256 ids at a time: one system call each would cost more than all the rest. */
const pool = Buffer.alloc(10 * 256);
let used = pool.length;

/**
 * A UUID version 7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits. Ids made later sort later to the
 * millisecond, which keeps index pages warm; nothing relies on the order within one.
 */
export function uuidv7(now: number = Date.now()): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const bytes = Buffer.allocUnsafe(16);
  bytes.writeUIntBE(now, 0, 6);
  pool.copy(bytes, 6, used, used + 10);
  used += 10;
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return uuidText(bytes);
}

/** The usual text of 16 bytes. */
export function uuidText(bytes: Buffer): string {
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The 16 bytes of a UUID's text, or `undefined` if it is none. Without texts in between: a read of a connection asks four times. */
export function uuidBytes(text: string): Buffer | undefined {
  if (!UUID.test(text)) return undefined;
  const bytes = Buffer.allocUnsafe(16);
  let at = 0;
  for (let position = 0; position < bytes.length; position += 1) {
    if (text.charCodeAt(at) === HYPHEN) at += 1;
    bytes.writeUInt8(digitAt(text, at) * 16 + digitAt(text, at + 1), position);
    at += 2;
  }
  return bytes;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const HYPHEN = 0x2d;

/** The value of a hexadecimal digit: ASCII has small letters 32 after capital ones, and "a" at 97. */
function digitAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code < 0x40 ? code - 0x30 : (code | 0x20) - 0x57;
}
