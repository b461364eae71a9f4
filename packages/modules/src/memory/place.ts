// Under which key of whom something is remembered, and the target that stands for it.
import type { CallContext, Inspection, ResourceUse } from "@writ/core/capability";
import { memoryKeyLengthMax } from "@writ/core/limits";
import type { MemoryPlace } from "@writ/core/ports";
import { Type } from "@writ/core/schema";
import { fault } from "../faults.ts";

export const scopeSchema = Type.Union([Type.Literal("program"), Type.Literal("workspace")]);
export const keySchema = Type.String({ minLength: 1, maxLength: memoryKeyLengthMax });

/** @throws memory.no-program where no run is */
export function placeOf(
  { scope, key }: { readonly scope: "program" | "workspace"; readonly key: string },
  { program, workspace }: Pick<CallContext, "program" | "workspace">,
): MemoryPlace {
  if (scope === "workspace") return { scope, owner: workspace.name, key };
  if (program === undefined)
    throw fault("memory.no-program", `Cannot look for \`${key}\` of a program: no program asks`, { key });
  return { scope, owner: program, key };
}

/** One key, one lock. Its state is not looked at: what stands there is read under the lock, when all before it is durable. */
export function inspectionOf({ scope, owner, key }: MemoryPlace, does: ResourceUse["does"]): Inspection {
  const shown = scope === "program" ? owner.slice(0, 12) : owner;
  return {
    targets: [
      {
        kind: "memory",
        name: `${scope} ${shown}/${key}`,
        resolved: `${scope} ${owner}/${key}`,
        does,
        state: null,
      },
    ],
    before: {},
  };
}
