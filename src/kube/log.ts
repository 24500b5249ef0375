/** The part of a logger that this folder uses; a pino logger is one. Fields never hold anything of an object's data. */
export interface KubeLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Says nothing. */
export const silentLog: KubeLog = { info: () => undefined, warn: () => undefined, error: () => undefined };
