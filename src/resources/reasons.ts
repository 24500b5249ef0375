/** What a reason does to the conditions of a resource. */
interface ReasonKind {
  /**
   * `Ready` while the reason stands. `kept`: as before, because what is stored is still served. `lost`: `False` if it was
   * reached before, because the parent took along what was stored. Both are `Unknown` on a resource that was never ready.
   */
  readonly ready: "True" | "False" | "kept" | "lost";
  /** The condition beside `Ready`, if any: `Reconciling` heals by itself, `Stalled` takes an edit or a person. */
  readonly beside?: "Reconciling" | "Stalled";
}

/**
 * Every reason that a condition of ours can carry. `docs/reasons.md` tells users what each means and what to do, and a
 * test compares the two. A reason is what alerts and scripts match on: it may be added, never renamed.
 */
export const REASONS = {
  Succeeded: { ready: "True" },
  Suspended: { ready: "kept" },

  ProgressingWithRetry: { ready: "kept", beside: "Reconciling" },
  DatabaseUnavailable: { ready: "kept", beside: "Reconciling" },
  EnvironmentNotFound: { ready: "lost", beside: "Reconciling" },
  EnvironmentNotReady: { ready: "lost", beside: "Reconciling" },
  IntegrationNotFound: { ready: "lost", beside: "Reconciling" },
  IntegrationNotReady: { ready: "kept", beside: "Reconciling" },
  SecretNotFound: { ready: "kept", beside: "Reconciling" },
  ServiceAccountNotFound: { ready: "kept", beside: "Reconciling" },

  AuthorizationRequired: { ready: "False", beside: "Stalled" },
  ConnectionIdInUse: { ready: "False", beside: "Stalled" },
  CredentialsMismatch: { ready: "False", beside: "Stalled" },
  AdmissionDenied: { ready: "False", beside: "Stalled" },
  AdoptConflict: { ready: "False", beside: "Stalled" },
  AdoptRefused: { ready: "False", beside: "Stalled" },
  AppIdMissing: { ready: "False", beside: "Stalled" },
  EnvironmentMismatch: { ready: "False", beside: "Stalled" },
  Failed: { ready: "kept", beside: "Stalled" },
  ForbiddenSecretType: { ready: "False", beside: "Stalled" },
  IntegrationForbidden: { ready: "False", beside: "Stalled" },
  IntegrationKeyInUse: { ready: "False", beside: "Stalled" },
  InvalidSecretValue: { ready: "False", beside: "Stalled" },
  InvalidSpec: { ready: "False", beside: "Stalled" },
  InvalidToken: { ready: "kept", beside: "Stalled" },
  OriginChanged: { ready: "False", beside: "Stalled" },
  PermissionDenied: { ready: "False", beside: "Stalled" },
  ProviderUnknown: { ready: "False", beside: "Stalled" },
  RestoreAlive: { ready: "False", beside: "Stalled" },
  RestoreConflict: { ready: "False", beside: "Stalled" },
  RestoreForbidden: { ready: "False", beside: "Stalled" },
  RestoreNotFound: { ready: "False", beside: "Stalled" },
  RestoreNotManaged: { ready: "False", beside: "Stalled" },
  SecretImmutable: { ready: "False", beside: "Stalled" },
  SecretNotOwned: { ready: "False", beside: "Stalled" },
  Superseded: { ready: "False", beside: "Stalled" },
} as const satisfies Record<string, ReasonKind>;

/** A word from the list; everything that writes a condition takes this type, so no reason can be made up. */
export type Reason = keyof typeof REASONS;
