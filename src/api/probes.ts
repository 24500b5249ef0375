import type { FastifyInstance } from "fastify";
import type { Verdict } from "../telemetry/readiness.ts";

/**
 * `/livez` and `/readyz` on the API's own port: what a load balancer asks has to come the way that requests come. A
 * process that answers is alive; an outage of the database is no reason to restart it.
 */
export function serveProbes(app: FastifyInstance, readyz: () => Verdict): void {
  app.get("/livez", (_request, reply) => reply.type("text/plain").send("ok\n"));
  app.get("/readyz", (_request, reply) => {
    const verdict = readyz();
    return verdict.ok
      ? reply.type("text/plain").send("ok\n")
      : reply.code(503).type("text/plain").send(`not ok: ${verdict.reason}\n`);
  });
}
