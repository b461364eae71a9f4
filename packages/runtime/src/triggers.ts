// Triggers: arms deployed programs and starts their runs. See SPEC.md, rules T1 to T9.
import type { ProgramHash } from "@writ/core/ids";
import type { Ledger, Modules, World } from "@writ/core/ports";
import type { HashedProgram } from "@writ/core/program";
import type { FaultRecord } from "@writ/core/fault";
import type { Engine, Log } from "./engine.ts";
import type { Registry } from "./registry.ts";

export interface TriggerOptions {
  readonly ledger: Ledger;
  readonly engine: Engine;
  readonly modules: Modules;
  readonly registry: () => Registry;
  readonly world: World;
  /** Verified again at each arming; what it throws makes the program `broken`. */
  readonly loadProgram: (program: ProgramHash) => Promise<HashedProgram>;
  /** Whether an `event.received` entry with this `sourceKey` stands in the ledger, from the projections; asked for keys of earlier processes. */
  readonly seen: (sourceKey: string) => boolean;
  readonly log?: Log;
}

export interface Triggers {
  /** Arms what is deployed and disarms what is not. Call after `engine.recover()` and after every change of a program. */
  sync(): Promise<void>;
  /** Programs that are deployed but could not be armed, and why. */
  broken(): ReadonlyMap<ProgramHash, FaultRecord>;
  /** Source sessions that listen. */
  sessions(): readonly {
    readonly key: string;
    readonly source: string;
    readonly workspace: string;
    readonly programs: readonly ProgramHash[];
  }[];
  stop(): Promise<void>;
}
