import { once } from "node:events";
import { createServer, request, type IncomingMessage } from "node:http";

// A provider that sends back what it gets, and a caller who sends a lot through the proxy, in a process of their own: what
// they take of memory is not the proxy's. `node flood.ts` tells its parent the provider's port, and then answers each
// `Flood` with the bytes that came back.

/** What the caller is to send. */
export interface Flood {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: number;
}

const CHUNK = Buffer.alloc(256 * 1024, "x");

async function send({ url, headers, bytes }: Flood): Promise<number> {
  const call = request(url, { method: "POST", headers });
  const answered = once(call, "response");
  const sending = (async () => {
    for (let sent = 0; sent < bytes; sent += CHUNK.length) {
      if (!call.write(CHUNK)) await once(call, "drain");
    }
    call.end();
  })();
  const [answer] = (await answered) as [IncomingMessage];
  let returned = 0;
  for await (const data of answer as AsyncIterable<Buffer>) returned += data.length;
  await sending;
  return returned;
}

const provider = createServer((asked, answer) => void asked.pipe(answer.writeHead(200))).listen(0, "127.0.0.1");
await once(provider, "listening");
process.on("message", (flood: Flood) => void send(flood).then((returned) => process.send?.(returned)));
process.on("disconnect", () => process.exit());
const address = provider.address();
process.send?.(address !== null && typeof address === "object" ? address.port : 0);
