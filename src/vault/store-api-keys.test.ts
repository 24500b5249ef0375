import { expect, test } from "vitest";
import { createTestVault, storeParents } from "../../test/support/vault.ts";
import type { DesiredApiKeyWithToken } from "./api-key.ts";
import { storeApiKeys } from "./store-api-keys.ts";

test("an edit and the removal of a named key that has expired are audited against its environment, with its name", async () => {
  await using context = await createTestVault();
  const { vault, database } = context;
  const { environmentId, environment } = await storeParents(vault);
  const store = (...keys: DesiredApiKeyWithToken[]) =>
    storeApiKeys(vault, { environmentId, owner: environment.owner, keys });
  const key = {
    name: "reports",
    scopes: ["connections:read"],
    connectionSelector: undefined,
    expiresAfterSeconds: 600,
    rotationToken: undefined,
  };
  await store(key);
  // As the controller does once its instant has come.
  await database.query("delete from keystead.secret_keys where environment_id = $1 and name = $2", [
    environmentId,
    key.name,
  ]);
  await store({ ...key, expiresAfterSeconds: 900 });
  await store();
  const events = await database.query(
    `select action, target_id, fields
       from keystead.audit_events
      where target_kind = 'secret-key' and target_id = $1
      order by event_id`,
    [environmentId],
  );
  expect(events).toEqual([
    { action: "secret-key.updated", target_id: environmentId, fields: ["reports", "expiresAfterSeconds"] },
    { action: "secret-key.ended", target_id: environmentId, fields: ["reports"] },
  ]);
});
