import { auditEventsRoute } from "./audit-events.ts";
import { connectionChangeRoutes } from "./connection-changes.ts";
import { connectionRoutes } from "./connections.ts";
import { environmentVariablesRoute } from "./environment-variables.ts";
import { integrationChangeRoutes } from "./integration-changes.ts";
import { integrationRoutes } from "./integrations.ts";
import { metadataRoutes } from "./metadata.ts";
import { providerRoutes } from "./providers.ts";
import { proxyRoute } from "./proxy.ts";
import type { PassedOnRoute, Route } from "./route.ts";

/** Every route that needs a key and answers JSON. */
export const ROUTES: readonly Route[] = [
  ...connectionRoutes,
  ...connectionChangeRoutes,
  ...metadataRoutes,
  ...integrationRoutes,
  ...integrationChangeRoutes,
  ...providerRoutes,
  environmentVariablesRoute,
  auditEventsRoute,
];

/** Every route that needs a key and answers what a provider does. */
export const PASSED_ON_ROUTES: readonly PassedOnRoute[] = [proxyRoute];
