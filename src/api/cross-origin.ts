import type { FastifyInstance } from "fastify";

/**
 * On every answer: any page may read it, as the contract has it. That is safe because nothing here is authorized by a
 * cookie: a page can only send a key that it already has.
 */
export const CROSS_ORIGIN_HEADERS = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers":
    "X-Request-Id, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, RateLimit, RateLimit-Policy",
};

/** Seconds that a browser remembers the answer to its preflight; Chromium caps it at two hours, the contract has ten minutes. */
const PREFLIGHT_SECONDS = "600";

/** Answers the preflight of a browser, which carries no key, for any path. */
export function answerPreflights(app: FastifyInstance): void {
  app.options("/*", (_request, reply) =>
    reply
      .headers(CROSS_ORIGIN_HEADERS)
      .headers({
        "access-control-allow-methods": "GET, HEAD, PUT, PATCH, POST, DELETE",
        "access-control-allow-headers":
          // `*` is all others, `Nango-Proxy-<name>` among them; it never stands for Authorization (Fetch section 4.9).
          "Authorization, *, Content-Type, Accept, Provider-Config-Key, Connection-Id, Base-Url-Override, Retries, Retry-On, Decompress, Keystead-Environment, X-Request-Id, Traceparent",
        "access-control-max-age": PREFLIGHT_SECONDS,
      })
      .code(204)
      .send(),
  );
}
