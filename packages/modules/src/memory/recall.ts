import { capability, type Capability } from "@writ/core/capability";
import { decodeCbor } from "@writ/core/cbor";
import { resultBytesMax } from "@writ/core/limits";
import type { Memory } from "@writ/core/ports";
import { recallCapability } from "@writ/core/program-steps";
import { Type } from "@writ/core/schema";
import type { Value } from "@writ/core/value";
import { inspectionOf, keySchema, placeOf, scopeSchema } from "./place.ts";
import { memoryOf } from "./remember.ts";

export function recall(memory: Memory | null): Capability {
  return capability({
    id: recallCapability,
    summary: {
      en: "Recall what a program remembered, or nothing",
      fr: "Retrouver ce qu'un programme a mémorisé, ou rien",
    },
    params: Type.Object({ scope: scopeSchema, key: keySchema }, { additionalProperties: false }),
    result: Type.Unsafe<Value>({}),
    effect: { kind: "read" },
    resources: [{ kind: "memory", param: "key", does: "read" }],
    crash: "idempotent",
    risk: "low",
    criticality: "safe",
    permission: "memory.recall",
    labels: [],
    phrases: { en: [], fr: [] },
    timeoutMs: 10_000,
    resultBytesMax,
    retryOn: [],
    inspect: async (params, context) => inspectionOf(placeOf(params, context), "read"),
    perform: async (params, context) => {
      const known = memoryOf(memory).find(placeOf(params, context));
      if (known === null) return { result: null, undo: null, evidence: "observed" };
      const { value, labels } = known;
      const bytes = "inline" in value ? value.inline : await context.blobs.get(value.blob);
      return { result: decodeCbor(bytes), labels, undo: null, evidence: "observed" };
    },
  });
}
