// The runs of a version that was replaced: moved to the new one where that is possible, by an operator's choice.
import type { DeployedProgram } from "@writ/core/api";
import type { Actor } from "@writ/core/entry";
import { programHash } from "@writ/core/ids";
import { faultRecord } from "@writ/core/fault";
import type { RegisteredProgram } from "@writ/runtime/registry";
import type { Projections } from "@writ/store/projections";
import type { NodeContext } from "../node/context.ts";

const runsMax = 100_000;

/** Each on its own: those that cannot be moved finish on their version, and are listed with the reason. */
export async function migrateRuns(
  node: Pick<NodeContext, "engine"> & { readonly projections: Projections },
  before: RegisteredProgram,
  target: string,
  actor: Actor,
): Promise<NonNullable<DeployedProgram["runs"]>> {
  const migrated: string[] = [];
  const stay: { run: string; reason: string }[] = [];
  for (const run of node.projections.unfinishedIn(before.workspace, runsMax)) {
    const program = node.engine.state(run)?.program ?? node.projections.run(run)?.program;
    if (program !== before.hash) continue;
    try {
      await node.engine.migrateRun(run, programHash(target), actor);
      migrated.push(run);
    } catch (error) {
      const known = faultRecord(error);
      if (known === undefined) throw error;
      stay.push({ run, reason: known.message });
    }
  }
  return { migrated, stay };
}
