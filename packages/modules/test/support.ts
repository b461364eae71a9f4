// A workspace in a temporary folder, blobs in memory, and the road a capability takes: inspect, perform, resolve, undo.
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type {
  BlobAccess,
  CallContext,
  Capability,
  Inspection,
  Performed,
  Resolution,
} from "@writ/core/capability";
import { capabilityId, sha256 } from "@writ/core/ids";
import type { Modules, World } from "@writ/core/ports";
import { schemaProblems } from "@writ/core/schema";
import { toJson, type ValueMap } from "@writ/core/value";
import type { WorkspaceFile } from "@writ/core/workspace";
import { builtInModules } from "@writ/modules/registry";

export interface Bench extends Disposable {
  readonly root: string;
  readonly modules: Modules;
  readonly blobs: BlobAccess;
  file(name: string, content: string | Uint8Array): string;
  context(overrides?: Partial<CallContext>): CallContext;
  /** Inspect and perform, as the runtime does. */
  do(name: string, params: ValueMap, overrides?: Partial<CallContext>): Promise<Done>;
  undo(performed: Performed): Promise<Performed>;
}

export interface Done {
  readonly inspection: Inspection;
  readonly performed: Performed;
  readonly context: CallContext;
  readonly result: Record<string, unknown>;
}

const workspaceFile: WorkspaceFile = {
  version: 1,
  name: "test",
  zone: "Europe/Paris",
  currencies: ["EUR"],
  folders: {
    inbox: { path: "inbox" },
    approved: { path: "approved" },
    archive: { path: "archive", access: "read" },
  },
  files: {},
  roles: {},
  tables: {
    inbox: {
      columns: {
        amount: {
          type: "decimal",
          currency: "EUR",
          min: "-1000000000000",
          max: "1000000000000000000000000000000",
          aliases: ["montant", "Total TTC"],
        },
        number: { type: "text" },
      },
    },
  },
  hosts: [],
  profile: "local_worker",
};

export function bench(
  options: {
    readonly workspace?: Partial<WorkspaceFile>;
    readonly modules?: Modules;
    readonly root?: string;
    /** Where blobs are kept over the death of a process; in memory otherwise. */
    readonly blobsFolder?: string;
  } = {},
): Bench {
  const root = options.root ?? realpathSync(mkdtempSync(join(tmpdir(), "writ-modules-")));
  for (const folder of ["inbox", "approved", "archive"]) mkdirSync(join(root, folder), { recursive: true });
  const modules = options.modules ?? builtInModules();
  const blobs = blobsIn(options.blobsFolder ?? null);
  const context = (overrides: Partial<CallContext> = {}): CallContext => ({
    run: null,
    step: null,
    idempotencyKey: randomBytes(16).toString("hex"),
    workspace: { name: "test", root, file: { ...workspaceFile, ...options.workspace } },
    blobs,
    before: {},
    nowMs: 1_790_000_000_000,
    signal: new AbortController().signal,
    ...overrides,
  });
  return {
    root,
    modules,
    blobs,
    context,
    file(name, content) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), content);
      return name;
    },
    async do(name, params, overrides) {
      const capability = find(modules, name);
      const first = context(overrides);
      const inspection = await inspectWith(capability, params, first);
      const acting = { ...first, before: inspection.before };
      const performed = await capability.perform(params, acting);
      const problems = schemaProblems(capability.result, plain(performed.result, capability));
      if (problems.length > 0)
        throw new Error(`${name} breaks its result schema: ${JSON.stringify(problems)}`);
      return { inspection, performed, context: acting, result: Object(toJson(performed.result)) };
    },
    async undo(performed) {
      if (performed.undo === null) throw new Error("nothing to undo");
      const capability = modules.find(performed.undo.capability);
      if (capability === undefined) throw new Error(`no capability ${performed.undo.capability}`);
      const problems = schemaProblems(capability.params, toJson(performed.undo.params));
      if (problems.length > 0) throw new Error(`bad undo parameters: ${JSON.stringify(problems)}`);
      const first = context();
      const inspection = await inspectWith(capability, performed.undo.params, first);
      return capability.perform(performed.undo.params, { ...first, before: inspection.before });
    },
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Decimals are objects to their schema, and texts in JSON. */
function plain(value: unknown, capability: Capability): unknown {
  return JSON.stringify(capability.result).includes("x-decimal") ? value : toJson(value as ValueMap);
}

export function find(modules: Modules, name: string): Capability {
  const capability = modules.find(capabilityId(name.includes("@") ? name : `${name}@1.0.0`));
  if (capability === undefined) throw new Error(`no capability ${name}`);
  return capability;
}

export function inspectWith(
  capability: Capability,
  params: ValueMap,
  context: CallContext,
): Promise<Inspection> {
  return capability.inspect?.(params, context) ?? Promise.resolve({ targets: [], before: {} });
}

export async function resolveWith(
  capability: Capability,
  params: ValueMap,
  context: CallContext,
): Promise<Resolution> {
  if (capability.resolve === undefined) throw new Error("not queryable");
  return capability.resolve(params, context);
}

function blobsIn(folder: string | null): BlobAccess {
  const kept = new Map<string, Uint8Array>();
  const get = (hash: string) => {
    const bytes = kept.get(hash) ?? (folder === null ? undefined : readFileSync(join(folder, hash)));
    if (bytes === undefined) throw new Error(`no blob ${hash}`);
    return bytes;
  };
  return {
    async put(bytes) {
      const parts: Uint8Array[] = [];
      if (bytes instanceof Uint8Array) parts.push(bytes);
      else for await (const chunk of bytes) parts.push(Buffer.from(chunk));
      const whole = Buffer.concat(parts);
      const hash = sha256(createHash("sha256").update(whole).digest("hex"));
      if (folder === null) kept.set(hash, whole);
      else {
        mkdirSync(folder, { recursive: true });
        writeFileSync(join(folder, hash), whole, { flush: true });
      }
      return { sha256: hash, sizeBytes: whole.length };
    },
    get: async (hash) => get(hash),
    async *stream(hash) {
      const bytes = get(hash);
      for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
    },
  };
}

/** The real clock, as tests of sources against the real file system need it. */
export const realWorld: World = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  randomBelow: (below) => Math.floor(Math.random() * below),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(new Error("aborted"));
      const onAbort = () => {
        clearTimeout(timer);
        reject(new Error("aborted"));
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      signal?.addEventListener("abort", onAbort);
    }),
};

export async function until(holds: () => boolean, withinMs = 8000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!holds()) {
    if (Date.now() > end) throw new Error("it did not happen in time");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
