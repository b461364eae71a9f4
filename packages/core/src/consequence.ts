// What is consequential: it cannot be taken back, or it leaves containment. One definition for the verifier and for the gate.
//   I4  Leaving containment is reaching a host or a person, or moving a device. Looking at a device is not.
import type { CapabilityDefinition, ResourceUse } from "./capability.ts";

/** What is touched and how: a resource of a definition, or a target as it was found. */
export type Touched = Pick<ResourceUse, "kind" | "does">;

export function isConsequential(
  definition: Pick<CapabilityDefinition, "effect">,
  touched: readonly Touched[],
): boolean {
  const isRead = definition.effect.kind === "read";
  return (
    definition.effect.kind === "irreversible" ||
    touched.some((one) => isSending(one) || (!isRead && isMoving(one)))
  );
}

/** Something of it is seen by a host or a person. */
export function isSending({ kind }: Touched): boolean {
  return kind === "host" || kind === "person";
}

/** A device does something it would not have done. */
export function isMoving({ kind, does }: Touched): boolean {
  return kind === "device" && does !== "read" && does !== "list";
}
