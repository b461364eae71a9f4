// The capabilities and sources that come with Writ, found by id.
import type { Capability } from "@writ/core/capability";
import type { EventSource, Modules } from "@writ/core/ports";
import { httpCapabilities } from "./api-http/index.ts";
import { aggregate, appendRow, readTable } from "./csv/index.ts";
import {
  appendFile,
  copyFile,
  fileArrived,
  moveBack,
  moveFile,
  readFile,
  removeAppended,
  restoreFile,
  writeFile,
} from "./filesystem/index.ts";

/** Every built-in capability, the internal ones that only undo included, and every built-in source. */
export function builtInModules(): Modules {
  return modulesOf(
    [
      readFile,
      writeFile,
      appendFile,
      copyFile,
      moveFile,
      restoreFile,
      moveBack,
      removeAppended,
      readTable,
      aggregate,
      appendRow,
      ...httpCapabilities(),
    ],
    [fileArrived],
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
