// Long work in the simulated world: it goes chunk by chunk, says how far it is, and goes on where it was.
import { capability, type CallContext, type Capability, type Performed } from "@writ/core/capability";
import { Fault } from "@writ/core/fault";
import { capabilityId } from "@writ/core/ids";
import { Type, type Static } from "@writ/core/schema";
import { isMap } from "@writ/core/value";
import type { SimulatedSite } from "./simulated-modules.ts";

/** Time one chunk takes. */
export const chunkMs = 300;

const Params = Type.Object(
  {
    name: Type.String({ maxLength: 256, "x-path": "file" }),
    chunks: Type.Integer({ minimum: 1, maximum: 100_000 }),
    /** Chunk before which it falls silent for good, as a module that hangs does. */
    hangsBefore: Type.Optional(Type.Integer()),
    /** It gives signs of life instead of progress. */
    quiet: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);

/** `sim.long` (idempotent) and `sim.job` (neither, and it can be interrupted); both write a line a chunk. */
export function longCapabilities(site: Pick<SimulatedSite, "world" | "files">): readonly Capability[] {
  const work = async (given: Static<typeof Params>, context: CallContext): Promise<Performed> => {
    const last = context.lastProgress;
    const done = last !== undefined && isMap(last) && typeof last["done"] === "number" ? last["done"] : 0;
    for (let chunk = done; chunk < given.chunks; chunk++) {
      if (chunk === given.hangsBefore) await new Promise(() => undefined);
      try {
        await site.world.sleep(chunkMs, context.signal);
      } catch {
        throw new Fault({
          code: "sim.stopped",
          kind: "rejected",
          message: `stopped after ${chunk} chunks`,
          remedy: "",
          facts: { done: chunk },
        });
      }
      site.files.set(given.name, [...(site.files.get(given.name) ?? []), `chunk ${chunk}`]);
      if (given.quiet === true) context.heartbeat?.();
      else void context.progress?.({ done: chunk + 1 });
    }
    const kept = await context.attach?.(new TextEncoder().encode(`${given.chunks} chunks`));
    return {
      result: { chunks: given.chunks, sha256: kept?.sha256 ?? "" },
      undo: null,
      evidence: "observed",
    };
  };
  const base = {
    summary: { en: "simulated", fr: "simulé" },
    params: Params,
    result: Type.Object(
      { chunks: Type.Integer(), sha256: Type.String({ maxLength: 64 }) },
      { additionalProperties: false },
    ),
    effect: { kind: "irreversible", approval: "listed" },
    resources: [],
    risk: "low",
    criticality: "safe",
    permission: "sim.write",
    labels: [],
    phrases: { en: [], fr: [] },
    timeoutMs: 3_600_000,
    heartbeatMs: 5000,
    resultBytesMax: 4096,
    retryOn: [],
    perform: work,
  } as const;
  return [
    capability({ ...base, id: capabilityId("sim.long@1.0.0"), crash: "idempotent" }),
    capability({ ...base, id: capabilityId("sim.job@1.0.0"), crash: "neither", interruptible: true }),
  ];
}
