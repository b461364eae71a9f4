import type { CapabilityDefinition } from "../capability.ts";
import type { FrozenWorkspace, Operands } from "../program.ts";

/**
 * Whether performing it again after a failure cannot repeat its effect (K91): it only reads, its contract is idempotent or the world can be asked, or every host
 * it sends to is written out and declared to honour the idempotency key.
 */
export function isRepeatable(
  definition: CapabilityDefinition,
  params: Operands,
  hosts: FrozenWorkspace["hosts"],
): boolean {
  if (definition.effect.kind === "read" || definition.crash !== "neither") return true;
  const places = definition.resources.filter(({ kind }) => kind === "host");
  if (places.length === 0) return false;
  return places.every(({ param }) => {
    const authority = authorityOf(params[param]);
    return (
      authority !== null &&
      hosts.some(({ host, scheme, idempotent }) => idempotent && `${scheme}://${host}` === authority)
    );
  });
}

/** `scheme://host:port` of a literal URL, both explicit, or null. */
function authorityOf(operand: Operands[string] | undefined): string | null {
  if (operand?.kind !== "literal" || typeof operand.value !== "string") return null;
  const found = /^(https?):\/\/([^/?#@\\]+)(?:[/?#]|$)/i.exec(operand.value);
  if (found === null) return null;
  const [, scheme = "", host = ""] = found;
  const standard = scheme.toLowerCase() === "https" ? 443 : 80;
  const named = /:\d+$/.test(host) ? host : `${host}:${standard}`;
  return `${scheme.toLowerCase()}://${named.toLowerCase()}`;
}
