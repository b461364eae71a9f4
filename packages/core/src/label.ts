// Labels: where a value came from and whether it may leave. They travel through slots; policy and verifier speak of them.

/** `origin:*` labels make a value untrusted; `secret` means it may not leave the node; `simulated`: no real thing was asked or moved. */
export type Label =
  | "origin:event"
  | "origin:file"
  | "origin:web"
  | "origin:model"
  | "origin:command"
  | "origin:person"
  | "secret"
  | "simulated";

export const labels: readonly Label[] = [
  "origin:event",
  "origin:file",
  "origin:web",
  "origin:model",
  "origin:command",
  "origin:person",
  "secret",
  "simulated",
];

/** Untrusted: chosen by somebody outside. A person's recorded answer is trusted. */
export function isUntrusted(label: Label): boolean {
  return label !== "secret" && label !== "simulated" && label !== "origin:person";
}

/** Union of label sets, sorted and distinct. */
export function joinLabels(...sets: readonly (readonly Label[])[]): readonly Label[] {
  if (sets.every((set) => set.length === 0)) return [];
  return [...new Set(sets.flat())].sort();
}
