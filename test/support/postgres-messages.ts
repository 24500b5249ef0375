/** Cuts a stream into the protocol's messages: a type of one byte, then the length of the rest, itself included. */
export function messageReader(take: (message: Buffer, type: string) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 5 && rest.length > rest.readUInt32BE(1)) {
      const end = 1 + rest.readUInt32BE(1);
      take(rest.subarray(0, end), rest.toString("latin1", 0, 1));
      rest = rest.subarray(end);
    }
  };
}
