import { fork } from "node:child_process";
import { once } from "node:events";
import type { Flood } from "./flood.ts";

/** Provider and caller of `flood.ts`, at work. */
export interface StartedFlood extends AsyncDisposable {
  /** Of the provider. */
  readonly port: number;
  /** Sends it all and gives how many bytes came back. */
  send(flood: Flood): Promise<number>;
}

export async function startFlood(): Promise<StartedFlood> {
  const child = fork(new URL("flood.ts", import.meta.url));
  const [port] = (await once(child, "message")) as [number];
  return {
    port,
    async send(flood) {
      child.send(flood);
      const [returned] = (await once(child, "message")) as [number];
      return returned;
    },
    async [Symbol.asyncDispose]() {
      child.disconnect();
      await once(child, "exit");
    },
  };
}
