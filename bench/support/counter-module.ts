import process from "node:process";
import { capability, type Capability } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import type { Modules } from "@writ/core/ports";
import { Type } from "@writ/core/schema";
import { counterClient, type CounterClient } from "./counter-client.ts";

/**
 * A non-idempotent effect counted outside the node. Its crash contract is `neither`: after a crash it is held, never repeated.
 * `fails` makes it fail that share of its first attempts, for retries.
 */
export function counterCapability(port: number): Capability {
  let client: Promise<CounterClient> | undefined;
  return capability({
    id: capabilityId("bench.count@1.0.0"),
    summary: { en: "Count one effect outside the node", fr: "Compter un effet hors du nœud" },
    params: Type.Object({ name: Type.String({ maxLength: 128 }) }, { additionalProperties: false }),
    result: Type.Object({ counted: Type.Boolean() }, { additionalProperties: false }),
    effect: { kind: "irreversible", approval: "listed" },
    resources: [],
    crash: "neither",
    risk: "low",
    criticality: "safe",
    permission: "bench.count",
    labels: [],
    phrases: { en: ["count {name}"], fr: ["compte {name}"] },
    timeoutMs: 10_000,
    resultBytesMax: 1024,
    retryOn: [],
    perform: async (_params, context) => {
      client ??= counterClient(port);
      await (await client).add(context.idempotencyKey);
      return { result: { counted: true }, undo: null, evidence: "observed" };
    },
  });
}

/** The given modules and one capability more. */
export function withCapability(modules: Modules, extra: Capability): Modules {
  return {
    find: (id) => (id === extra.id ? extra : modules.find(id)),
    all: () => [...modules.all(), extra],
    sources: () => modules.sources(),
  };
}

export function numberArgument(name: string, fallback: number): number {
  const index = process.argv.indexOf(`--${name}`);
  return index < 0 ? fallback : Number(process.argv[index + 1]);
}
