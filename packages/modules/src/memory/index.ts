import type { Capability } from "@writ/core/capability";
import type { Memory } from "@writ/core/ports";
import { recall } from "./recall.ts";
import { remember } from "./remember.ts";
import { restoreMemory } from "./restore.ts";

/** What remembers and recalls, on a memory that follows the ledger; without one each fails by code. */
export function memoryCapabilities(memory: Memory | null): readonly Capability[] {
  return [recall(memory), remember(memory), restoreMemory(memory)];
}
