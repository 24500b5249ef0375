import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, type KeyObject } from "node:crypto";
import { KeysteadError } from "../errors.ts";
import { IV_BYTES, type InitializationVectors } from "./initialization-vectors.ts";
import { uuidBytes, uuidText } from "./uuid.ts";

/*
 * A sealed value, in bytes:
 *
 *   | 0       | 1 .. 16        | 17 .. 28 | 29 .. 44 | 45 ..      |
 *   | version | data key's id  | IV       | tag      | ciphertext |
 *
 * The additional data says where the value belongs, so it opens nowhere else. `docs/encryption.md` describes both, and
 * `test-vectors.json` lets another program check them.
 */
const VERSION = 1;
const VERSION_FIELD = Buffer.of(VERSION);
const ID_BYTES = 16;
const TAG_BYTES = 16;
const IV_START = 1 + ID_BYTES;
const TAG_START = IV_START + IV_BYTES;
const CIPHERTEXT_START = TAG_START + TAG_BYTES;

/** Size of the length before each field of the additional data. */
const LENGTH_BYTES = 4;

/** AES-256 takes no other length. */
const DATA_KEY_BYTES = 32;

/** What a value is. Stable for ever: they are part of the additional data, whatever tables and columns are called. */
const LABEL_BYTES = {
  "environment.digest-key": Buffer.from("environment.digest-key"),
  "environment.variables": Buffer.from("environment.variables"),
  "environment.secret-key": Buffer.from("environment.secret-key"),
  "integration.client": Buffer.from("integration.client"),
  "connection.credentials": Buffer.from("connection.credentials"),
  "connection.config": Buffer.from("connection.config"),
} as const;

export type SealedLabel = keyof typeof LABEL_BYTES;

/** Where a sealed value belongs. */
export interface SealedPlace {
  readonly label: SealedLabel;
  readonly environmentId: string;
  /** Id of the row that holds the value. */
  readonly rowId: string;
  /** Revision of that row at which the value was sealed; a whole number from 1. */
  readonly revision: number;
}

/** A data encryption key, ready for use. */
export interface DataKey {
  readonly id: string;
  /** As values sealed with it name it. */
  readonly idBytes: Buffer;
  readonly key: KeyObject;
}

/** 32 fresh random bytes for a data key. */
export function generateDataKey(): Buffer {
  return randomBytes(DATA_KEY_BYTES);
}

/** Throws `encryption_key_invalid` unless `bytes` are 32 and `id` is a UUID. */
export function importDataKey(id: string, bytes: Buffer): DataKey {
  const idBytes = uuidBytes(id);
  if (!idBytes) throw new KeysteadError("encryption_key_invalid", `data key ${JSON.stringify(id)} is named by no UUID`);
  if (bytes.length !== DATA_KEY_BYTES) {
    throw new KeysteadError(
      "encryption_key_invalid",
      `data key ${id} has ${bytes.length} bytes instead of ${DATA_KEY_BYTES}`,
    );
  }
  return { id, idBytes, key: createSecretKey(bytes) };
}

/** Encrypts `plaintext` (UTF-8) for one place. Throws `sealed_value_invalid` for an empty text: nothing stored is empty. */
export function sealValue(key: DataKey, plaintext: string, place: SealedPlace, ivs: InitializationVectors): Buffer {
  if (plaintext === "") throw invalid(place, "there is nothing to seal");
  const iv = ivs();
  const cipher = createCipheriv("aes-256-gcm", key.key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(additionalData(place));
  const ciphertext = Buffer.concat([cipher.update(plaintext, "utf8"), cipher.final()]);
  return Buffer.concat([VERSION_FIELD, key.idBytes, iv, cipher.getAuthTag(), ciphertext]);
}

/** Id of the data key that a value was sealed with. Throws `sealed_value_invalid` when the bytes are no sealed value. */
export function dataKeyIdOf(sealed: Buffer, place: SealedPlace): string {
  if (sealed.length <= CIPHERTEXT_START)
    throw invalid(place, `it has ${sealed.length} bytes, too few for a sealed value`);
  const version = sealed.readUInt8(0);
  if (version !== VERSION) throw invalid(place, `its format version ${version} is unknown`);
  return uuidText(sealed.subarray(1, IV_START));
}

/** Whether a value names this key, in the format of today. Says nothing of whether it opens. */
export function isSealedWith(key: DataKey, sealed: Buffer): boolean {
  return sealed.length > CIPHERTEXT_START && sealed[0] === VERSION && key.idBytes.compare(sealed, 1, IV_START) === 0;
}

/**
 * The plaintext of a sealed value. Throws `sealed_value_invalid` when it was made for another place, revision or key,
 * or was changed or cut: GCM cannot tell these apart, and none of them is ever answered with anything but an error.
 */
export function openValue(key: DataKey, sealed: Buffer, place: SealedPlace): string {
  if (!isSealedWith(key, sealed)) {
    throw invalid(place, `it was sealed with data key ${dataKeyIdOf(sealed, place)}, not ${key.id}`);
  }
  const iv = sealed.subarray(IV_START, TAG_START);
  // The tag's length is fixed here, not taken from the input: a cut tag would be 2^32 times easier to forge.
  const decipher = createDecipheriv("aes-256-gcm", key.key, iv, { authTagLength: TAG_BYTES });
  decipher.setAAD(additionalData(place));
  decipher.setAuthTag(sealed.subarray(TAG_START, CIPHERTEXT_START));
  // Not turned into text before the tag was checked, and then at once: a decoder for pieces costs a quarter more.
  const plaintext = decipher.update(sealed.subarray(CIPHERTEXT_START));
  try {
    decipher.final();
    return plaintext.toString("utf8");
  } catch (cause) {
    throw invalid(place, "it was not sealed for this place and revision, or it was changed since", cause);
  }
}

/**
 * The additional data: version, label, environment, row, revision, each preceded by its length in four bytes (big
 * endian), so that no two different places are ever the same bytes.
 */
export function additionalData(place: SealedPlace): Buffer {
  const revision = Buffer.allocUnsafe(8);
  revision.writeUInt32BE(Math.floor(place.revision / 2 ** 32), 0);
  revision.writeUInt32BE(place.revision % 2 ** 32, 4);
  return lengthPrefixed([
    VERSION_FIELD,
    LABEL_BYTES[place.label],
    placeIdBytes(place, place.environmentId),
    placeIdBytes(place, place.rowId),
    revision,
  ]);
}

/** Joins fields so that their boundaries stay part of the result. */
export function lengthPrefixed(fields: readonly Buffer[]): Buffer {
  const size = fields.reduce((sum, field) => sum + LENGTH_BYTES + field.length, 0);
  // One allocation: this runs for every value sealed or opened.
  const joined = Buffer.allocUnsafe(size);
  let position = 0;
  for (const field of fields) {
    position = joined.writeUInt32BE(field.length, position);
    position += field.copy(joined, position);
  }
  return joined;
}

function placeIdBytes(place: SealedPlace, id: string): Buffer {
  const bytes = uuidBytes(id);
  if (!bytes) throw invalid(place, `${JSON.stringify(id)} is not a UUID`);
  return bytes;
}

function invalid(place: SealedPlace, why: string, cause?: unknown): KeysteadError {
  const { label, environmentId, rowId, revision } = place;
  return new KeysteadError("sealed_value_invalid", `the sealed ${label} of row ${rowId} cannot be used: ${why}`, {
    cause,
    details: { label, environmentId, rowId, revision },
  });
}
