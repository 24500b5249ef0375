import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { isIP } from "node:net";

/** A name server on loopback that knows what it is told. */
export interface NameServer extends AsyncDisposable {
  /** For `Resolver.setServers`. */
  readonly address: string;
  /** Names that were asked for, each time with both kinds of addresses, in order. */
  readonly asked: readonly string[];
}

/** What is said about a name: its addresses, or nothing at all, as of a zone whose servers are away. */
export type Records = Readonly<Record<string, readonly string[] | "silence">>;

const IPV4 = 1;
const IPV6 = 28;

/** Answers questions for addresses (RFC 1035 section 4); a name that is not among the records does not exist. */
export async function startNameServer(records: Records): Promise<NameServer> {
  const asked: string[] = [];
  const socket = createSocket("udp4");
  socket.on("message", (query: Buffer, from: RemoteInfo) => {
    const { name, type, end } = questionOf(query);
    if (type === IPV4) asked.push(name);
    const record = records[name];
    if (record === "silence") return;
    const addresses = (record ?? []).filter((address) => isIP(address) === (type === IPV4 ? 4 : 6));
    const header = Buffer.from(query.subarray(0, 12));
    // An answer of a resolver; with 3 the name does not exist.
    header.writeUInt16BE(0x8180 | (record ? 0 : 3), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(addresses.length, 6);
    header.writeUInt32BE(0, 8);
    socket.send(Buffer.concat([header, query.subarray(12, end), ...addresses.map(recordOf)]), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, "close");
    },
  };
}

function questionOf(query: Buffer): { readonly name: string; readonly type: number; readonly end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

/** Of the name in the question, which stands at byte 12. */
function recordOf(address: string): Buffer {
  const bytes = isIP(address) === 4 ? Buffer.from(address.split(".").map(Number)) : ipv6Bytes(address);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(bytes.length === 4 ? IPV4 : IPV6, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(bytes.length, 10);
  return Buffer.concat([head, bytes]);
}

/** Of a form with one `::`. */
function ipv6Bytes(address: string): Buffer {
  const [left = [], right = []] = address.split("::").map((side) => side.split(":").filter((group) => group !== ""));
  const groups = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => "0"), ...right];
  return Buffer.from(groups.map((group) => group.padStart(4, "0")).join(""), "hex");
}
