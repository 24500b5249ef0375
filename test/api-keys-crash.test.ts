import { afterAll, beforeEach, expect, inject, test } from "vitest";
import { loadIdentity } from "../src/kube/identity.ts";
import { type PassingCall, startApiServerProxy } from "./support/api-server-proxy.ts";
import { query } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import type { KeysteadProcess } from "./support/keystead-process.ts";
import { environment, namedKey } from "./support/resources.ts";

// A named key that is taken from the list is gone for good, whatever becomes of the controller that is about to do it.

const installation = await createInstallation("killed-keys");
const { objects, database } = installation;
const { server } = await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} });
const proxy = await startApiServerProxy(server);
const kubeconfig = proxy.kubeconfigLike(installation.environment["KUBECONFIG"] ?? "");

let keystead = start();
beforeEach(() => proxy.decide(() => undefined));
afterAll(async () => {
  await installation[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
});

/** With leader election each successor would wait 15 s for the lease of the dead one. */
function start(): KeysteadProcess {
  return installation.start("run", { KUBECONFIG: kubeconfig, KEYSTEAD_LEADER_ELECTION: "false" });
}

async function keyIn(secretName: string): Promise<string> {
  const { data = {} } = await objects.get(`secret/${secretName}`);
  return Buffer.from(data["KEYSTEAD_SECRET_KEY"] ?? "", "base64").toString();
}

/** What the API answers to a key. */
async function statusOf(secretKey: string): Promise<number> {
  const host = await installation.apiOf(keystead);
  return (await fetch(`${host}/connections`, { headers: { authorization: `Bearer ${secretKey}` } })).status;
}

async function eventsOf(keyName: string): Promise<string[]> {
  const events = await query<{ action: string }>(
    database.ownerUrl,
    "select action from keystead.audit_events where target_kind = 'secret-key' and $1 = any(fields) order by event_id",
    [keyName],
  );
  return events.map(({ action }) => action);
}

function isDeletion({ method, url }: PassingCall): boolean {
  return method === "DELETE" && url.includes("/secrets/ending-key");
}

test("the Secret of a key that was removed while the controller was killed goes with the next one, and the key is dead", async () => {
  await objects.apply(environment("absent", { apiKeys: [namedKey("leaver"), namedKey("stayer")] }));
  await objects.ready("environment/absent");
  const [leaver, stayer] = [await keyIn("leaver-key"), await keyIn("stayer-key")];
  await keystead.end("SIGKILL");
  await objects.apply(environment("absent", { apiKeys: [namedKey("stayer")] }));

  keystead = start();
  await objects.ready("environment/absent");
  expect(await objects.find("secret/leaver-key")).toBeUndefined();
  expect(await Promise.all([leaver, stayer].map(statusOf))).toEqual([401, 200]);
  expect(await keyIn("stayer-key")).toBe(stayer);
  expect(await eventsOf("leaver")).toEqual(["secret-key.created", "secret-key.ended"]);
});

test("a controller that is killed between the end of a key and that of its Secret leaves the rest to the next one", async () => {
  await objects.apply(environment("between", { apiKeys: [namedKey("ending"), namedKey("staying")] }));
  await objects.ready("environment/between");
  const [ending, staying] = [await keyIn("ending-key"), await keyIn("staying-key")];
  proxy.decide((call) => (isDeletion(call) ? { lost: "call" } : undefined));
  await objects.apply(environment("between", { apiKeys: [namedKey("staying")] }));
  await eventually(() => expect(proxy.calls.some(isDeletion)).toBe(true));

  expect(await Promise.all([ending, staying].map(statusOf)), "before its Secret goes").toEqual([401, 200]);
  expect(await objects.find("secret/ending-key")).toBeDefined();
  await keystead.end("SIGKILL");
  proxy.decide(() => undefined);
  keystead = start();

  await objects.ready("environment/between");
  expect(await objects.find("secret/ending-key")).toBeUndefined();
  expect(await Promise.all([ending, staying].map(statusOf))).toEqual([401, 200]);
  expect(await eventsOf("ending"), "once").toEqual(["secret-key.created", "secret-key.ended"]);
});
