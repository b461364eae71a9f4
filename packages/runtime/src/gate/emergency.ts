// Emergency stops: what they cover. Pure; the registry keeps them, the gate and the moment before `perform` ask here.
//   D1  Everything in the scope is refused until an owner clears the stop, but reads and what leads to a safe state.
import type { CapabilityDefinition, Target } from "@writ/core/capability";
import { faultRecord, type FaultRecord } from "@writ/core/fault";
import { fault } from "../faults.ts";
import type { EmergencyStop } from "../registry.ts";

/** The first stop in force that covers the effect, or undefined. */
export function stopOf(
  stops: readonly EmergencyStop[],
  effect: {
    readonly definition: Pick<CapabilityDefinition, "effect" | "leadsToSafeState">;
    readonly workspace: string;
    readonly targets: readonly Target[];
  },
): EmergencyStop | undefined {
  const { definition, workspace, targets } = effect;
  if (stops.length === 0 || definition.effect.kind === "read" || definition.leadsToSafeState === true)
    return undefined;
  return stops.find(({ scope }) => {
    switch (scope.kind) {
      case "everything":
        return true;
      case "workspace":
        return scope.name === workspace;
      case "target":
        return targets.some((target) => isNamed(target, scope.name));
    }
  });
}

/** A folder's name stands for everything below it. */
function isNamed({ name, resolved }: Target, wanted: string): boolean {
  return [name, resolved].some((known) => known === wanted || known.startsWith(`${wanted}/`));
}

export function stoppedFault(capability: string, { stop, reason, scope }: EmergencyStop): FaultRecord {
  const what = scope.kind === "everything" ? "everything" : `${scope.kind} \`${scope.name}\``;
  const made = faultRecord(
    fault(
      "gate.emergency-stop",
      `Cannot use \`${capability}\`: an emergency stop holds ${what}${reason === "" ? "" : `: ${reason}`}`,
      { capability, stop, scope: { ...scope } },
    ),
  );
  if (made === undefined) throw new Error("a fault of our own table has a code");
  return made;
}
