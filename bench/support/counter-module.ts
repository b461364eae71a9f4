import { capability, type Capability } from "@writ/core/capability";
import { faultsOf } from "@writ/core/fault";
import { capabilityId } from "@writ/core/ids";
import type { Modules } from "@writ/core/ports";
import { Type } from "@writ/core/schema";
import { counterClient, type CounterClient } from "./counter-client.ts";

const busy = faultsOf({ "bench.busy": { kind: "transient", remedy: "Try again." } });

/**
 * A non-idempotent effect counted outside the node. `count` has the crash contract `neither`: after a crash it is held, never repeated.
 * `post` is queryable: after a crash the counter is asked. With `failing`, one key in ten is refused the first time it comes.
 */
export function counterCapabilities(port: number): readonly Capability[] {
  let client: Promise<CounterClient> | undefined;
  const counter = (): Promise<CounterClient> => (client ??= counterClient(port));
  const refused = new Set<string>();
  const performed = { result: { counted: true }, undo: null, evidence: "observed" } as const;
  const shared = {
    summary: { en: "Count one effect outside the node", fr: "Compter un effet hors du nœud" },
    params: Type.Object(
      { name: Type.String({ maxLength: 128 }), failing: Type.Optional(Type.Boolean()) },
      { additionalProperties: false },
    ),
    result: Type.Object({ counted: Type.Boolean() }, { additionalProperties: false }),
    effect: { kind: "irreversible", approval: "listed" },
    resources: [],
    risk: "low",
    criticality: "safe",
    permission: "bench.count",
    labels: [],
    timeoutMs: 600_000,
    resultBytesMax: 1024,
  } as const;
  return [
    capability({
      ...shared,
      id: capabilityId("bench.count@1.0.0"),
      crash: "neither",
      retryOn: [],
      phrases: { en: ["count {name}"], fr: ["compte {name}"] },
      perform: async (_params, context) => {
        await (await counter()).add(context.idempotencyKey);
        return performed;
      },
    }),
    capability({
      ...shared,
      id: capabilityId("bench.post@1.0.0"),
      crash: "queryable",
      retryOn: ["bench.busy"],
      phrases: { en: ["post {name}"], fr: ["poste {name}"] },
      perform: async ({ failing }, { idempotencyKey: key }) => {
        if (failing === true && !refused.has(key) && Number.parseInt(key.slice(0, 4), 16) < 6554) {
          refused.add(key);
          throw busy("bench.busy", "Cannot count now: one in ten is refused the first time");
        }
        await (await counter()).add(key);
        return performed;
      },
      resolve: async (_params, { idempotencyKey: key }) =>
        (await (await counter()).has(key)) ? { kind: "done", performed } : { kind: "not-done" },
    }),
  ];
}

/** The given modules and some capabilities more. */
export function withCapabilities(modules: Modules, extra: readonly Capability[]): Modules {
  return {
    find: (id) => extra.find((one) => one.id === id) ?? modules.find(id),
    all: () => [...modules.all(), ...extra],
    sources: () => modules.sources(),
  };
}
