import { pipeline, type Readable, Transform } from "node:stream";
import { collectYoungGarbage } from "../heap.ts";

/** Bytes that pass through the process, in all streams together, between two collections of the buffers they were in. */
const SWEPT_BYTES = 8 * 1024 * 1024;

let passed = 0;

/** The same bytes, whose buffers are collected as they go. */
export function swept(body: Readable): Readable {
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      passed += chunk.length;
      if (passed >= SWEPT_BYTES) {
        passed = 0;
        collectYoungGarbage();
      }
      done(null, chunk);
    },
  });
  // Its error is that of `counted`, which is given to whoever reads.
  return pipeline(body, counted, () => undefined);
}
