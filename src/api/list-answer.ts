import { cursorOf } from "./cursor.ts";
import type { Answer } from "./route.ts";

/**
 * Rows of one question to the database: some 200 KB of answer. A list is sent as it is read, so this and what the socket
 * has not taken yet is all of it that is ever in memory, however long it is.
 */
const BATCH = 500;

/** A list, and how to read it part by part. */
interface List<Row> {
  /** Its member of the answer. */
  readonly name: string;
  /** Rows that the caller wants at most. */
  readonly limit: number;
  /** The next rows after one of them, or the first. Rejects with what the request is refused for. */
  read(after: Row | undefined, limit: number): Promise<readonly Row[]>;
  /** As JSON text. */
  print(row: Row): string;
  /** Where the next part begins when this row is the last of this one. */
  placeOf(row: Row): readonly string[];
}

/** `{"<name>":[...],"next_cursor":"..."}`, the cursor only where more is to come. The first rows are read before it resolves. */
export async function listAnswer<Row>(list: List<Row>): Promise<Answer> {
  const asked = Math.min(BATCH, list.limit + 1);
  const first = { rows: await list.read(undefined, asked), asked };
  if (first.rows.length === asked && asked === BATCH) return pieces(list, first);
  let text = "";
  for await (const piece of pieces(list, first)) text += piece;
  return text;
}

interface Batch<Row> {
  readonly rows: readonly Row[];
  readonly asked: number;
}

async function* pieces<Row>(list: List<Row>, first: Batch<Row>): AsyncGenerator<string> {
  yield `{${JSON.stringify(list.name)}:[`;
  let batch = first;
  let left = list.limit;
  let last: Row | undefined;
  for (;;) {
    const given = batch.rows.slice(0, left);
    if (given.length > 0) yield `${last === undefined ? "" : ","}${given.map((row) => list.print(row)).join(",")}`;
    last = given.at(-1) ?? last;
    left -= given.length;
    const isMore = batch.rows.length > given.length;
    if (isMore || batch.rows.length < batch.asked) {
      yield isMore && last !== undefined ? `],"next_cursor":${JSON.stringify(cursorOf(list.placeOf(last)))}}` : "]}";
      return;
    }
    // One more than is wanted tells whether there is a next part.
    const asked = Math.min(BATCH, left + 1);
    batch = { rows: await list.read(last, asked), asked };
  }
}
