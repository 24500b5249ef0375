import { pino, stdTimeFunctions, type DestinationStream, type Logger } from "pino";
import type { Config } from "../config.ts";
import { serializeError } from "./error-record.ts";

/** The log of a process. Parts that must not know pino declare the two or three of its methods that they call. */
export type Log = Logger;

/** What a log is made of besides its configuration. */
export interface CreateLogOptions {
  /** Which process writes: `controller`, `api` ... Stands in every line, since one pod may run two of them. */
  readonly process: string;
  /** Where the lines go; standard output unless a test wants to read them. Always JSON when given. */
  readonly destination?: DestinationStream;
}

/**
 * What must not be read in a log by whatever way it came there: our own tokens, the credentials of an Authorization
 * header, and the password inside a URL. Runs over the finished line, so that a message, a key or a provider's echo is
 * covered as well as a field that someone thought of.
 */
const SECRET_TEXT =
  /\bks_(sk|pk|cs)_[0-9A-Za-z]+|\b(Bearer|Basic) [0-9A-Za-z._~+/=-]{8,}|(:\/\/[^/\s:@"\\]*:)[^/\s@"\\]+@/gi;

/** Fields that hold a secret by their name, wherever a library puts its request or options object. */
const SECRET_FIELDS = ["authorization", "cookie", "password", "connectionString"];

/**
 * A log that writes one JSON object a line, or text for a person when standard output is a terminal (or
 * `format: "pretty"`). Lines are written synchronously: the last one before a crash is the one that matters.
 */
export async function createLog(config: Config["log"], options: CreateLogOptions): Promise<Log> {
  return pino(
    {
      level: config.level,
      base: { process: options.process },
      errorKey: "error",
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: serializeError },
      redact: {
        paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]),
        censor: "[redacted]",
      },
      hooks: { streamWrite: withoutSecrets },
    },
    options.destination ?? (await standardOutput(config)),
  );
}

/** The line with every recognisable secret replaced. */
export function withoutSecrets(line: string): string {
  return line.replace(
    SECRET_TEXT,
    (_match, token: string | undefined, scheme: string | undefined, url: string | undefined) => {
      if (token) return `ks_${token}_[redacted]`;
      return scheme ? `${scheme} [redacted]` : `${url ?? ""}[redacted]@`;
    },
  );
}

async function standardOutput(config: Config["log"]): Promise<DestinationStream> {
  const forPeople = config.format === "pretty" || (config.format === "auto" && process.stdout.isTTY);
  if (!forPeople || config.level === "silent") return pino.destination({ fd: 1, sync: true });
  // Loaded only here: in a container it would cost memory and never run.
  const { default: pretty } = await import("pino-pretty");
  return pretty({ colorize: process.stdout.isTTY, translateTime: "SYS:HH:MM:ss", sync: true, errorLikeObjectKeys: [] });
}
