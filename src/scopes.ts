/**
 * What a key may be allowed, in the words of Nango's contract. Only scopes of routes that exist: one that opens nothing
 * would be a promise. A named key has some of them, the environment's own key has all, those to come included.
 */
export const SCOPES = [
  "connections:list",
  "connections:read",
  "connections:read_credentials",
  "connections:create",
  "connections:update",
  "connections:delete",
  "integrations:list",
  "integrations:read",
  "integrations:read_credentials",
  "integrations:create",
  "integrations:update",
  "integrations:delete",
  "proxy",
  "variables:read",
  "audit_events:read",
] as const;

/** One of them. */
export type Scope = (typeof SCOPES)[number];
