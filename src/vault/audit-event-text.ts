/**
 * An event of `keystead.audit_events` as one text, in SQL: what links digest. Every column is in it, in an order and a form that
 * depend on no setting of the session (an instant is a number of seconds), and JSON keeps their boundaries.
 */
export const AUDIT_EVENT_TEXT = `json_build_array(
  environment_id, event_id, extract(epoch from occurred_at)::text, actor_kind, actor, field_manager, address, action,
  target_kind, target_id, target_revision, deletion_id, fields, occurrences, transaction_id::text
)::text`;
