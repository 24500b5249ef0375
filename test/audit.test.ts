import { expect, test } from "vitest";
import { query } from "./support/database.ts";
import { createInstallation } from "./support/keystead.ts";
import { environment } from "./support/resources.ts";

test("an audit event names the resource by its uid, and whoever changed it last by its field manager", async () => {
  await using installation = await createInstallation("audit");
  const { objects, database } = installation;
  installation.start("controller");
  await objects.apply(environment("production"));
  await objects.ready("environment/production");
  const { uid } = (await objects.get("environment/production")).metadata;
  const events = await query(database.ownerUrl, "select actor, field_manager, action from keystead.audit_events");
  expect(events).toEqual([{ actor: uid, field_manager: "keystead-tests", action: "environment.created" }]);
});
