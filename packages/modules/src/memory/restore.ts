import { capability, type Capability } from "@writ/core/capability";
import type { Memory } from "@writ/core/ports";
import { restoreMemoryCapability } from "@writ/core/program-steps";
import { Type } from "@writ/core/schema";
import type { Value } from "@writ/core/value";
import { fault } from "../faults.ts";
import { inspectionOf, keySchema, scopeSchema } from "./place.ts";
import { memoryOf } from "./remember.ts";

/** Puts back what was there, as long as what stands there is still what the effect wrote. */
export function restoreMemory(memory: Memory | null): Capability {
  return capability({
    id: restoreMemoryCapability,
    summary: {
      en: "Put back what was remembered before",
      fr: "Remettre ce qui était mémorisé avant",
    },
    params: Type.Object(
      {
        scope: scopeSchema,
        owner: Type.String({ maxLength: 256 }),
        key: keySchema,
        writer: Type.String({ maxLength: 64 }),
        previous: Type.Unsafe<Value>({}),
      },
      { additionalProperties: false },
    ),
    result: Type.Unsafe<Value>({}),
    effect: { kind: "write", undo: restoreMemoryCapability },
    resources: [{ kind: "memory", param: "key", does: "replace" }],
    crash: "idempotent",
    internal: true,
    risk: "low",
    criticality: "safe",
    permission: "memory.remember",
    labels: [],
    phrases: { en: [], fr: [] },
    timeoutMs: 10_000,
    resultBytesMax: 64,
    retryOn: [],
    inspect: async (params) => inspectionOf(params, "replace"),
    perform: async ({ scope, owner, key, writer }) => {
      const now = memoryOf(memory).find({ scope, owner, key });
      if (now?.writer !== writer) {
        throw fault(
          "memory.moved-on",
          `Cannot put back what was under \`${key}\`: it was ${now === null ? "forgotten" : "written again"} since`,
          { scope, owner, key },
        );
      }
      return { result: null, undo: null, evidence: "observed" };
    },
  });
}
