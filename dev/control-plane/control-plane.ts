import { mkdirSync, readFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { KeysteadError } from "../../src/errors.ts";
import type { ControlPlaneBinaries } from "./binaries.ts";
import { ensureCertificates } from "./certificates.ts";
import type { CertificateFiles } from "./certificates.ts";
import { lastLines } from "../processes/child-process.ts";
import type { Child } from "../processes/child-process.ts";
import type { ChildProcesses } from "../processes/child-processes.ts";
import { freePorts, portsInUse } from "../processes/free-port.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { apiServerArguments, controllerManagerArguments, etcdArguments, portsShape } from "./server-arguments.ts";
import type { Ports } from "./server-arguments.ts";
import { readState, writeText } from "../state-file.ts";

export interface ControlPlaneOptions {
  /** State, certificates and kubeconfigs; a start with the same directory finds everything again. */
  readonly directory: string;
  readonly binaries: ControlPlaneBinaries;
  readonly children: ChildProcesses;
  /** False leaves out every fsync of etcd: right only for state that nobody needs after this run. */
  readonly durable: boolean;
  /** Write what ServiceAccounts ask for to `audit.log`. */
  readonly audit: boolean;
}

export interface ControlPlane {
  readonly url: string;
  /** Path of the kubeconfig of the cluster's administrator. */
  readonly kubeconfig: string;
  /** PEM file of the authority that the API server's certificate comes from. */
  readonly authority: string;
  readonly binaries: ControlPlaneBinaries;
  readonly auditLog: string;
  readonly parts: readonly Child[];
}

/** Rounds of "another process took the port first"; each picks new ports, so more than two are a broken machine. */
const PORT_ROUNDS = 5;

/** A cold disk or a busy machine may take long; a server that has not answered by then never will. */
const READY_DEADLINE_MS = 60_000;

/**
 * Starts etcd, kube-apiserver and, where the binaries have it, kube-controller-manager on 127.0.0.1, and resolves when the
 * API server is ready. Throws `part_failed` with a server's own last words when one of them ends.
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const certificates = await ensureCertificates(join(options.directory, "certificates"));
  for (let round = 1; ; round++) {
    const ports = await choosePorts(options.directory);
    try {
      return await startOn(ports, certificates, options);
    } catch (error) {
      const taken = await portsInUse(Object.values(ports));
      if (taken.length === 0 || round === PORT_ROUNDS) throw error;
    }
  }
}

/** The ports of the last start if they are free, so that kubeconfigs people copied go on working. */
async function choosePorts(directory: string): Promise<Ports> {
  const path = join(directory, "ports.json");
  const before = readState(path, portsShape);
  if (before && (await portsInUse(Object.values(before))).length === 0) return before;
  const [api = 0, etcd = 0, etcdPeer = 0] = await freePorts(3);
  const ports = { api, etcd, etcdPeer };
  writeText(path, JSON.stringify(ports));
  return ports;
}

async function startOn(
  ports: Ports,
  certificates: CertificateFiles,
  options: ControlPlaneOptions,
): Promise<ControlPlane> {
  const { directory, binaries, children } = options;
  const url = `https://127.0.0.1:${ports.api}`;
  const kubeconfig = writeKubeconfig(join(directory, "admin.kubeconfig"), {
    url,
    authority: certificates.authority,
    client: certificates.admin,
  });
  // etcd goes last: the API server would spend its last second on errors without it.
  const start = (name: string, args: string[]): Child =>
    children.start({
      name,
      command: join(binaries.directory, name),
      args,
      cwd: directory,
      // Of a run that ends soon; collecting garbage less often saves some of what these do.
      env: options.durable ? process.env : { ...process.env, GOGC: "400" },
      stopPhase: name === "etcd" ? 0 : 1,
    });

  const parts = [start("etcd", etcdArguments(ports, certificates, options))];
  try {
    parts.push(start("kube-apiserver", apiServerArguments(ports, certificates, options)));
    await ready(`${url}/readyz`, certificates.authority, parts);
    // Not before: it gives up on an API server that takes more than ten seconds, as one on a busy machine does.
    if (binaries.controllerManager) {
      const identity = writeKubeconfig(join(directory, "controller-manager.kubeconfig"), {
        url,
        authority: certificates.authority,
        client: certificates.controllerManager,
      });
      parts.push(start("kube-controller-manager", controllerManagerArguments(identity, certificates)));
    }
  } catch (error) {
    await Promise.all(parts.map((part) => part.stop()));
    throw error;
  }
  return {
    url,
    kubeconfig,
    authority: certificates.authority,
    binaries,
    auditLog: join(directory, "audit.log"),
    parts,
  };
}

async function ready(url: string, authority: string, parts: readonly Child[]): Promise<void> {
  const ca = readFileSync(authority);
  const ended = Promise.race(parts.map((part) => part.ended.then(() => part)));
  const deadline = Date.now() + READY_DEADLINE_MS;
  while (Date.now() < deadline) {
    const part = await Promise.race([ended, answers(url, ca)]);
    if (part === true) return;
    if (part !== false)
      throw new KeysteadError("part_failed", `${part.name} ended while it started:\n${lastLines(part)}`);
    await delay(30);
  }
  throw new KeysteadError(
    "part_failed",
    `kube-apiserver was not ready after ${READY_DEADLINE_MS / 1000} s. Its log is ${parts.at(1)?.logFile}.`,
  );
}

function answers(url: string, ca: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request(url, { ca, timeout: 5_000, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    call.once("timeout", () => call.destroy());
    call.once("error", () => resolve(false));
    call.end();
  });
}
