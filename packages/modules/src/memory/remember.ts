// Remembering: the recorded outcome is the writing. Nothing is stored beside the ledger, so a crash before the outcome leaves what was there.
import { capability, type CallContext, type Capability } from "@writ/core/capability";
import { encodeCbor } from "@writ/core/cbor";
import { memoryInlineBytesMax } from "@writ/core/limits";
import type { Memory, Remembered } from "@writ/core/ports";
import { rememberCapability, restoreMemoryCapability } from "@writ/core/program-steps";
import { Type } from "@writ/core/schema";
import type { Value, ValueMap } from "@writ/core/value";
import { fault } from "../faults.ts";
import { memoryValueBytesMax } from "../limits.ts";
import { inspectionOf, keySchema, placeOf, scopeSchema } from "./place.ts";

const anyValue = Type.Unsafe<Value>({});

export function remember(memory: Memory | null): Capability {
  return capability({
    id: rememberCapability,
    summary: {
      en: "Remember a value under a key",
      fr: "Mémoriser une valeur sous une clé",
    },
    params: Type.Object(
      { scope: scopeSchema, key: keySchema, value: anyValue },
      { additionalProperties: false },
    ),
    result: Type.Object(
      { scope: scopeSchema, owner: Type.String({ maxLength: 256 }), key: keySchema, value: anyValue },
      { additionalProperties: false },
    ),
    effect: { kind: "write", undo: restoreMemoryCapability },
    resources: [{ kind: "memory", param: "key", does: "replace" }],
    crash: "idempotent",
    risk: "low",
    criticality: "safe",
    permission: "memory.remember",
    labels: [],
    phrases: { en: [], fr: [] },
    timeoutMs: 10_000,
    resultBytesMax: 4096,
    retryOn: [],
    inspect: async (params, context) => inspectionOf(placeOf(params, context), "replace"),
    perform: async (params, context) => {
      const place = placeOf(params, context);
      const previous = memoryOf(memory).find(place);
      return {
        result: { ...place, value: await keep(params.value, context) },
        undo: {
          capability: restoreMemoryCapability,
          params: {
            ...place,
            writer: context.idempotencyKey,
            previous: previous === null ? null : asValue(previous),
          },
        },
        evidence: "observed",
      };
    },
  });
}

export function memoryOf(memory: Memory | null): Memory {
  if (memory === null) throw fault("memory.none", "Cannot use the memory: this node has none", {});
  return memory;
}

/** The value as the outcome carries it. */
async function keep(value: Value, context: CallContext): Promise<ValueMap> {
  const bytes = encodeCbor(value);
  if (bytes.length > memoryValueBytesMax) {
    throw fault("memory.too-large", `Cannot remember a value of ${bytes.length} bytes`, {
      sizeBytes: bytes.length,
      sizeBytesMax: memoryValueBytesMax,
    });
  }
  if (bytes.length <= memoryInlineBytesMax) return { inline: bytes };
  // An attachment: the entry refers to the blob, so that pruning keeps it.
  const { sha256, sizeBytes } = await (context.attach === undefined
    ? context.blobs.put(bytes)
    : context.attach(bytes));
  return { $blob: sha256, sizeBytes };
}

function asValue({ value, labels, writer, run, seq, atMs }: Remembered): ValueMap {
  const kept =
    "inline" in value ? { inline: value.inline } : { $blob: value.blob, sizeBytes: value.sizeBytes };
  return { value: kept, labels: [...labels], writer, run, seq, atMs };
}
