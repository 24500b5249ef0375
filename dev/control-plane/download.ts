import { KeysteadError } from "../../src/errors.ts";

export interface DownloadOptions {
  /** As in "downloading …". */
  readonly what: string;
  /** For all of it. */
  readonly deadlineMs: number;
  readonly progress: (line: string) => void;
  /** Milliseconds from one line to the next, 10,000 by default. */
  readonly everyMs?: number;
}

const PROGRESS_EVERY_MS = 10_000;

/**
 * Fetches a file into memory and tells every ten seconds how much of it has arrived, also while nothing does. Throws
 * `part_failed` with a message that reads as a reason.
 */
export async function download(url: string, options: DownloadOptions): Promise<Buffer> {
  const { what, deadlineMs, progress } = options;
  const chunks: Uint8Array[] = [];
  let arrived = 0;
  let length: string | null = null;
  progress(`downloading ${what}`);
  const tell = (): void => {
    const of = length === null ? "" : ` of ${megabytes(Number(length))}`;
    progress(`downloading ${what}: ${megabytes(arrived)}${of} MB`);
  };
  const timer = setInterval(tell, options.everyMs ?? PROGRESS_EVERY_MS);
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(deadlineMs) });
    if (!answer.ok) throw new KeysteadError("part_failed", `${url} answers ${answer.status}`);
    length = answer.headers.get("content-length");
    for await (const chunk of answer.body ?? []) {
      chunks.push(chunk);
      arrived += chunk.length;
    }
    return Buffer.concat(chunks);
  } catch (error) {
    if (error instanceof KeysteadError) throw error;
    const late = error instanceof Error && error.name === "TimeoutError";
    const why = late ? `did not send ${what} in ${deadlineMs / 1_000} s` : "cannot be reached";
    throw new KeysteadError("part_failed", `${new URL(url).host} ${why}`, { cause: error });
  } finally {
    clearInterval(timer);
  }
}

function megabytes(bytes: number): string {
  return Math.round(bytes / 1_000_000).toString();
}
