import { expect, test } from "vitest";
import { applicationOf } from "./support/application.ts";
import { controllerCalls } from "./support/audit-log.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation, type Installation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, type Manifest, secret } from "./support/resources.ts";

// A Secret from which many Connections take their values is read once for all of them, however large it is and in whatever
// order they stand. Counted in the API server's audit log.

const parents = { environment: "production", integration: "stripe" };

/** A busy machine shall not fail this. */
const PATIENCE_MS = 180_000;

function connectionWith(name: string, secretName: string, key: string): Manifest {
  return connection(name, parents, { credentials: { apiKey: { apiKeyRef: { name: secretName, key } } } });
}

/** How often the controller has read each Secret of whose name this is the beginning: the different numbers. */
function readsOfEach({ namespace }: Installation, beginning: string): number[] {
  const names = controllerCalls(namespace)
    .filter(({ verb, objectRef }) => verb === "get" && objectRef?.resource === "secrets")
    .map(({ objectRef }) => objectRef?.name ?? "")
    .filter((name) => name.startsWith(beginning));
  return [...new Set([...Map.groupBy(names, (name) => name).values()].map((reads) => reads.length))];
}

test(
  "a Secret of 800 KiB with the keys of 80 Connections is read once by a controller that starts, and once after an edit",
  { timeout: PATIENCE_MS },
  async () => {
    await using installation = await createInstallation("large-secret");
    const { objects } = installation;
    const names = Array.from({ length: 80 }, (_, index) => `c-${index}`);
    const valuesOf = (round: string) =>
      Object.fromEntries(names.map((name) => [name, canary(`${round}-${name}`).padEnd(10 * 1024, "x")]));
    const manifests = names.map((name) => connectionWith(name, "large", name));
    await objects.apply(environment("production"), integration("stripe", "production"));
    await objects.apply(secret("large", valuesOf("first")), ...manifests);

    const keystead = installation.start("run");
    await objects.ready(...names.map((name) => `connection/${name}` as const));
    expect(readsOfEach(installation, "large")).toEqual([1]);

    const edited = valuesOf("second");
    await objects.apply(secret("large", edited));
    const application = await applicationOf(installation, keystead, "production");
    await eventually(
      async () => {
        const served = await Promise.all(names.map((name) => application.credentials(name, "stripe")));
        expect(served).toEqual(names.map((name) => ({ type: "API_KEY", apiKey: edited[name] })));
      },
      { deadlineMs: PATIENCE_MS },
    );
    expect(readsOfEach(installation, "large")).toEqual([2]);
  },
);

test(
  "more Secrets than are held at one time, each of four Connections far apart, are read once each, and once after an edit of all",
  { timeout: PATIENCE_MS },
  async () => {
    await using installation = await createInstallation("many-secrets");
    const { objects } = installation;
    // 40 of 200 KiB are 11 MB as the API server sends them.
    const secrets = Array.from({ length: 40 }, (_, index) => `shared-${index}`);
    const tokens = new Map(secrets.map((name) => [name, canary(name)]));
    const versionOf = (name: string, token = tokens.get(name) ?? "") =>
      secret(name, { token, ...Object.fromEntries(["a", "b", "c"].map((key) => [key, key.repeat(66 * 1024)])) });
    // The API server lists them by name: the first of each Secret, then the second of each.
    const owners = ["1", "2", "3", "4"].flatMap((turn) => secrets.map((of) => ({ name: `c-${turn}-${of}`, of })));
    await objects.apply(environment("production"), integration("stripe", "production"));
    await objects.apply(...secrets.map((name) => versionOf(name)));
    await objects.apply(...owners.map(({ name, of }) => connectionWith(name, of, "token")));

    const keystead = installation.start("run");
    await objects.ready(...owners.map(({ name }) => `connection/${name}` as const));
    expect(readsOfEach(installation, "shared-")).toEqual([1]);

    for (const name of secrets) tokens.set(name, canary(`${name}-edited`));
    await Promise.all(secrets.map((name) => objects.apply(versionOf(name))));
    const application = await applicationOf(installation, keystead, "production");
    await eventually(
      async () => {
        const served = await Promise.all(owners.map(({ name }) => application.credentials(name, "stripe")));
        expect(served).toEqual(owners.map(({ of }) => ({ type: "API_KEY", apiKey: tokens.get(of) })));
      },
      { deadlineMs: PATIENCE_MS },
    );
    expect(readsOfEach(installation, "shared-")).toEqual([2]);
  },
);
