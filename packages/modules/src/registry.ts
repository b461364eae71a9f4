// The capabilities and sources that come with Writ, found by id.
import type { Capability } from "@writ/core/capability";
import type { Deliveries, EventSource, Memory, Models, Modules } from "@writ/core/ports";
import { httpCapabilities } from "./api-http/index.ts";
import * as clock from "./clock/index.ts";
import { execCapabilities, type ExecOptions } from "./os-exec/index.ts";
import { askModel } from "./model.ts";
import { memoryCapabilities } from "./memory/index.ts";
import { emitted } from "./writ/emitted.ts";
import * as csv from "./csv/index.ts";
import { createInbox, webhookSource } from "./webhook/index.ts";
import * as filesystem from "./filesystem/index.ts";

/** Every built-in capability, the internal ones that only undo included, and every built-in source. */
export function builtInModules(
  options: {
    readonly exec?: ExecOptions;
    readonly deliveries?: Deliveries;
    readonly models?: Models;
    readonly memory?: Memory;
  } = {},
): Modules {
  const { fileArrived, ...files } = filesystem;
  return modulesOf(
    [
      ...Object.values(files),
      ...Object.values(csv),
      ...httpCapabilities(),
      ...execCapabilities(options.exec),
      askModel(options.models ?? null),
      ...memoryCapabilities(options.memory ?? null),
    ],
    [fileArrived, ...Object.values(clock), webhookSource(options.deliveries ?? createInbox()), emitted],
  );
}

/** @throws Error when two have one id: which one would run must never depend on their order */
export function modulesOf(capabilities: readonly Capability[], sources: readonly EventSource[]): Modules {
  const byId = new Map<string, Capability>();
  for (const each of capabilities) {
    if (byId.has(each.id)) throw new Error(`Invariant broken: two capabilities are called \`${each.id}\``);
    byId.set(each.id, each);
  }
  return { find: (id) => byId.get(id), all: () => capabilities, sources: () => sources };
}
