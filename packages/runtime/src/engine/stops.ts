// The emergency stops in force.
//   D2  One is in force from the moment it is appended, before it is durable.
import type { Capability, Target } from "@writ/core/capability";
import { stopOf } from "../gate/emergency.ts";
import type { EmergencyStop, Registry } from "../registry.ts";

export interface Stops {
  /** All in force. */
  now(): readonly EmergencyStop[];
  /** The stop that holds this effect, or undefined. */
  on(capability: Capability, workspace: string, targets: readonly Target[]): EmergencyStop | undefined;
  add(stop: EmergencyStop): void;
  remove(stop: string): void;
}

/** The registry knows what is durable; what was only appended is kept here. */
export function createStops(registry: () => Registry): Stops {
  const appended = new Map<string, EmergencyStop>();
  const now = (): readonly EmergencyStop[] => {
    const durable = registry().emergencies;
    if (appended.size === 0) return durable.size === 0 ? [] : [...durable.values()];
    return [...new Map([...durable, ...appended]).values()];
  };
  return {
    now,
    on: (definition, workspace, targets) => stopOf(now(), { definition, workspace, targets }),
    add: (stop) => appended.set(stop.stop, stop),
    remove: (stop) => appended.delete(stop),
  };
}
