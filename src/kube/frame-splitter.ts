import { KeysteadError } from "../errors.ts";

/** Cuts a stream of bytes into lines. */
export interface FrameSplitter {
  /** The lines that `chunk` completes, without their line feeds. Empty lines are left out. */
  push(chunk: Buffer): string[];
  /** Bytes of a line that is not complete yet. */
  pendingBytes(): number;
}

const LINE_FEED = 0x0a;

/**
 * Cuts on bytes and decodes whole lines only, so that a chunk may end in the middle of a UTF-8 character. JSON never holds a
 * bare line feed. Throws `kube_answer_too_large` for a line over `maxFrameBytes`: without the bound a server that never
 * sends one would fill the memory.
 */
export function createFrameSplitter(maxFrameBytes: number): FrameSplitter {
  let pending: Buffer[] = [];
  let pendingBytes = 0;

  const complete = (end: Buffer): string => {
    if (pending.length === 0) return end.toString("utf8");
    const line = Buffer.concat([...pending, end]).toString("utf8");
    pending = [];
    pendingBytes = 0;
    return line;
  };

  return {
    push(chunk) {
      const lines: string[] = [];
      let from = 0;
      for (let feed = chunk.indexOf(LINE_FEED); feed !== -1; feed = chunk.indexOf(LINE_FEED, from)) {
        const line = complete(chunk.subarray(from, feed));
        if (line !== "") lines.push(line);
        from = feed + 1;
      }
      if (from < chunk.length) {
        pending.push(chunk.subarray(from));
        pendingBytes += chunk.length - from;
      }
      if (pendingBytes > maxFrameBytes) {
        throw new KeysteadError("kube_answer_too_large", `A watch sent a frame of more than ${maxFrameBytes} bytes`);
      }
      return lines;
    },
    pendingBytes: () => pendingBytes,
  };
}
