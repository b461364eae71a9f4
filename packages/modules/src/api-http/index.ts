import type { Capability } from "@writ/core/capability";
import { downloadCapability } from "./download.ts";
import { systemResolver, type Resolver } from "./exchange.ts";
import { requestCapabilities } from "./requests.ts";

export type { Address, Resolver } from "./exchange.ts";

/** The plain requests of `api_http`. @param resolver how names become addresses; a test may play a lying one */
export function httpCapabilities(resolver: Resolver = systemResolver): readonly Capability[] {
  return [...requestCapabilities(resolver), downloadCapability(resolver)];
}
