/** On every resource that may have a row: it is set before the first write to the database and goes after the soft-delete. */
export const FINALIZER = "keystead.dev/finalizer";

/** A new token rotates the secret key of an Environment once; the one present at creation counts as handled. */
export const ROTATE_SECRET_KEY = "keystead.dev/rotate-secret-key";

/** Origins that an Integration may send stored credentials to although it was edited to point there. */
export const ACCEPT_ORIGIN = "keystead.dev/accept-origin";

/** A new token replaces the data key of an Environment once, by the same rules. */
export const ROTATE_DATA_KEY = "keystead.dev/rotate-data-key";
