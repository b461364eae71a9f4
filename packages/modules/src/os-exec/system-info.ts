import { statfsSync } from "node:fs";
import os from "node:os";
import { capability } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { Type } from "@writ/core/schema";

const count = Type.Integer({ minimum: 0 });
const part = Type.Enum(["cpu", "memory", "disk", "network", "os"]);
const text = Type.String({ maxLength: 256 });
const closed = { additionalProperties: false } as const;

/** Figures of the machine; no names of users, no environment. */
export const getSystemInfo = capability({
  id: capabilityId("os_exec.get_system_info@1.0.0"),
  summary: { en: "Reads figures of the machine", fr: "Lit les caractéristiques de la machine" },
  params: Type.Object(
    { include: Type.Optional(Type.Array(part, { maxItems: 5, default: ["cpu", "memory", "disk", "os"] })) },
    closed,
  ),
  result: Type.Object(
    {
      cpu: Type.Optional(Type.Object({ model: text, cores: count, load1: Type.Number() }, closed)),
      memory: Type.Optional(Type.Object({ totalBytes: count, freeBytes: count }, closed)),
      /** Of the file system that holds the workspace. */
      disk: Type.Optional(Type.Object({ totalBytes: count, freeBytes: count }, closed)),
      network: Type.Optional(
        Type.Array(Type.Object({ name: text, address: text, internal: Type.Boolean() }, closed), {
          maxItems: 256,
        }),
      ),
      os: Type.Optional(
        Type.Object({ platform: text, release: text, arch: text, uptimeSeconds: count }, closed),
      ),
    },
    closed,
  ),
  effect: { kind: "read" },
  resources: [],
  crash: "idempotent",
  risk: "low",
  criticality: "safe",
  permission: "system.read",
  labels: ["origin:command"],
  phrases: { en: [], fr: [] },
  timeoutMs: 5000,
  resultBytesMax: 64 * 1024,
  retryOn: [],
  async perform(params, context) {
    const wanted = new Set(params.include ?? ["cpu", "memory", "disk", "os"]);
    const disk = wanted.has("disk") ? statfsSync(context.workspace.root) : null;
    const cpus = os.cpus();
    const result = {
      ...(wanted.has("cpu")
        ? {
            cpu: {
              model: (cpus[0]?.model ?? "").slice(0, 256),
              cores: cpus.length,
              load1: os.loadavg()[0] ?? 0,
            },
          }
        : {}),
      ...(wanted.has("memory") ? { memory: { totalBytes: os.totalmem(), freeBytes: os.freemem() } } : {}),
      ...(disk === null
        ? {}
        : { disk: { totalBytes: disk.blocks * disk.bsize, freeBytes: disk.bavail * disk.bsize } }),
      ...(wanted.has("network") ? { network: networks() } : {}),
      ...(wanted.has("os")
        ? {
            os: {
              platform: os.platform(),
              release: os.release(),
              arch: os.arch(),
              uptimeSeconds: Math.floor(os.uptime()),
            },
          }
        : {}),
    };
    return { result, undo: null, evidence: "observed" };
  },
});

function networks() {
  return Object.entries(os.networkInterfaces())
    .flatMap(([name, addresses = []]) =>
      addresses.map(({ address, internal }) => ({ name, address, internal })),
    )
    .slice(0, 256);
}
