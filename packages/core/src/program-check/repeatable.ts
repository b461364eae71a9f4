import type { CapabilityDefinition } from "../capability.ts";
import type { FrozenWorkspace, Operands } from "../program.ts";

/** The runtime's own fault of a step that took longer than its `timeoutMs`: any capability may be tried again on it. */
export const stepTimeoutCode = "runtime.timeout";

/** Whether a retry may name this fault code for the capability (K90). */
export function isRetryCode(definition: CapabilityDefinition, code: string): boolean {
  return code === stepTimeoutCode || definition.retryOn.includes(code);
}

/**
 * Whether performing it again after a failure cannot repeat its effect (K91): it only reads, its contract is idempotent, or the world can be asked
 * whether it was done. Who was sent something cannot be asked: every host it sends to must be written out and declared to honour the key.
 */
export function isRepeatable(
  definition: CapabilityDefinition,
  params: Operands,
  hosts: FrozenWorkspace["hosts"],
): boolean {
  if (definition.effect.kind === "read" || definition.crash === "idempotent") return true;
  const receivers = definition.resources.filter(({ does }) => does === "send");
  if (receivers.length === 0) return definition.crash === "queryable";
  return receivers.every(({ kind, param }) => {
    const authority = authorityOf(params[param]);
    return (
      kind === "host" &&
      authority !== null &&
      hosts.some(
        ({ host, scheme, idempotent }) => idempotent && `${scheme}://${host}`.toLowerCase() === authority,
      )
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
