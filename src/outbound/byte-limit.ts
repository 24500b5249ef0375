import { pipeline, Transform, type Readable } from "node:stream";
import { KeysteadError } from "../errors.ts";

/** The same bytes, ending with `outbound_answer_too_large` once there are more than `most`. */
export function limitBytes(body: Readable, most: number): Readable {
  let passed = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      passed += chunk.length;
      if (passed <= most) done(null, chunk);
      else done(new KeysteadError("outbound_answer_too_large", `An answer had more than ${most} bytes.`));
    },
  });
  // Its error is that of `counted`, which is given to whoever reads.
  return pipeline(body, counted, () => undefined);
}
