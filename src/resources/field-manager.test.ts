import { expect, test } from "vitest";
import { fieldManagerOf } from "./field-manager.ts";

const spec = { "f:spec": { "f:retention": {} } };
const token = { "f:metadata": { "f:annotations": { ".": {}, "f:keystead.dev/rotate-secret-key": {} } } };
const older = "2026-11-24T10:00:00Z";
const newer = "2026-11-24T11:00:00Z";

test.each([
  ["whoever applied the spec", [{ manager: "argocd", time: older, fieldsV1: spec }], "argocd"],
  [
    "of two who changed the spec the later one, whatever their order",
    [
      { manager: "helm", time: newer, fieldsV1: spec },
      { manager: "kubectl", time: older, fieldsV1: spec },
    ],
    "helm",
  ],
  [
    "whoever set an annotation of ours after the spec",
    [
      { manager: "argocd", time: older, fieldsV1: spec },
      { manager: "kubectl-annotate", time: newer, fieldsV1: token },
    ],
    "kubectl-annotate",
  ],
  [
    "nobody who only set a finalizer, a label or the status",
    [
      { manager: "argocd", time: older, fieldsV1: spec },
      { manager: "keystead", time: newer, fieldsV1: { "f:metadata": { "f:finalizers": {} } } },
      { manager: "team", time: newer, fieldsV1: { "f:metadata": { "f:annotations": { "f:team/x": {} } } } },
      { manager: "keystead", time: newer, subresource: "status", fieldsV1: { ...spec, "f:status": {} } },
    ],
    "argocd",
  ],
  ["nobody where the API server says nothing", undefined, undefined],
  ["nobody where what it says has another shape", [{ manager: 7, fieldsV1: "x" }, 5], undefined],
])("the field manager is %s", (_, managedFields, expected) => {
  expect(fieldManagerOf(managedFields)).toBe(expected);
});
