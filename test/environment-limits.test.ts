import { afterAll, expect, test } from "vitest";
import { applicationOf } from "./support/application.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { environment } from "./support/resources.ts";

// What an Environment says about how often and from where its keys are used, from the manifest to two replicas of the API.

const installation = await createInstallation("limits");
const { objects } = installation;
const keystead = installation.start("run");
const replica = installation.start("api");

afterAll(() => installation[Symbol.asyncDispose]());

test("a limit of the manifest holds on every replica, for all of them together, and is gone when it is taken away", async () => {
  await objects.apply(environment("shop", { requestsPerMinute: 60 }));
  await objects.ready("environment/shop");
  const [one, other] = await Promise.all([keystead, replica].map((api) => applicationOf(installation, api, "shop")));
  const answer = await one?.ask("/connections");
  expect([answer?.status, answer?.headers.get("x-ratelimit-limit")]).toEqual([200, "60"]);

  // Six may come at once, and one each second: neither replica can go on while the other uses it up.
  const statuses = async (): Promise<number[]> => {
    const asked = [one, other].flatMap((api) => (api ? Array.from({ length: 10 }, () => api.ask("/connections")) : []));
    const answers = await Promise.all(asked);
    return answers.map((each) => each.status);
  };
  expect(new Set(await statuses())).toEqual(new Set([200, 429]));
  await eventually(async () => expect(new Set(await statuses())).toEqual(new Set([429])));

  await objects.patch("environment/shop", { spec: { requestsPerMinute: null } });
  await eventually(async () => expect(new Set(await statuses())).toEqual(new Set([200])));
});

test("keys are refused from outside the blocks of the manifest, and let in again once it allows them", async () => {
  await objects.apply(environment("closed", { allowedCIDRs: ["192.0.2.0/24"] }));
  await objects.ready("environment/closed");
  const application = await applicationOf(installation, keystead, "closed");
  const refused = await application.ask("/connections");
  expect(refused.status).toBe(403);
  expect(await refused.json()).toMatchObject({ error: { code: "address_not_allowed" } });

  await objects.patch("environment/closed", { spec: { allowedCIDRs: ["192.0.2.0/24", "127.0.0.0/8"] } });
  await eventually(async () => expect((await application.ask("/connections")).status).toBe(200));
});
