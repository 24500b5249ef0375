import { collectYoungGarbage } from "../heap.ts";
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
  const first = await readPart(list, undefined, list.limit);
  if (!first.isWhole) return pieces(list, first);
  let text = "";
  for await (const piece of pieces(list, first)) text += piece;
  return text;
}

/** Rows as they are sent, and what is to follow them. */
interface Part<Row> {
  readonly text: string;
  readonly last: Row | undefined;
  /** Rows that the caller still wants. */
  readonly left: number;
  /** Whether the answer ends with it. */
  readonly isWhole: boolean;
  /** Whether the list goes on after the answer. */
  readonly isMore: boolean;
}

async function* pieces<Row>(list: List<Row>, first: Part<Row>): AsyncGenerator<string> {
  let part = first;
  let { last } = first;
  yield `{${JSON.stringify(list.name)}:[${part.text}`;
  while (!part.isWhole) {
    // The rows that were sent are garbage by now, and hardly anything else is new.
    collectYoungGarbage();
    part = await readPart(list, last, part.left);
    last = part.last ?? last;
    if (part.text !== "") yield `,${part.text}`;
  }
  yield part.isMore && last !== undefined ? `],"next_cursor":${JSON.stringify(cursorOf(list.placeOf(last)))}}` : "]}";
}

/** Nothing holds the rows beyond this but for the last one. */
async function readPart<Row>(list: List<Row>, after: Row | undefined, left: number): Promise<Part<Row>> {
  // One more than is wanted tells whether there is a next part.
  const asked = Math.min(BATCH, left + 1);
  const rows = await list.read(after, asked);
  const given = rows.slice(0, left);
  const isMore = rows.length > given.length;
  return {
    text: given.map((row) => list.print(row)).join(","),
    last: given.at(-1),
    left: left - given.length,
    isWhole: isMore || rows.length < asked,
    isMore,
  };
}
