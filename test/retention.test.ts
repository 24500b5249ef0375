import { expect, test } from "vitest";
import { query } from "./support/database.ts";
import { createInstallation } from "./support/keystead.ts";
import { environment } from "./support/resources.ts";

test.each([
  { retention: "1.001h", seconds: 3_604 },
  { retention: "3600500ms", seconds: 3_601 },
  { retention: "31d", seconds: 2_678_400 },
])(
  "bad case 32: a retention of $retention is kept in whole seconds, never less than asked",
  async ({ retention, seconds }) => {
    await using installation = await createInstallation("retention");
    installation.start("controller");
    await installation.objects.apply(environment("production", { retention }));
    await installation.objects.ready("environment/production");

    const rows = await query(
      installation.database.ownerUrl,
      "select retention_seconds::int as seconds from keystead.environments",
    );
    expect(rows).toEqual([{ seconds }]);
  },
);
