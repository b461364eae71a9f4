// A run moves to another version of its program, when everything that has begun is the same in both.
//   C8  Begun steps are identical in both versions, the blocks inside them included, and stand in the same place. Only a step that waits
//       for a new version may differ: it has failed, and is what the new version mends.
import type { FaultRecord } from "@writ/core/fault";
import type { StepId } from "@writ/core/ids";
import type { Step } from "@writ/core/program";
import type { MachineEntry } from "../machine.ts";
import type { PreparedProgram } from "../program-index.ts";
import { freshStep, type BlockState, type RunState, type StepState } from "../state.ts";
import { noStepControl } from "./control-state.ts";
import type { Draft } from "./draft.ts";
import { record } from "./failure.ts";
import { setStepControl } from "./intercept.ts";

type Migrating = Pick<RunState, "program" | "prepared" | "steps" | "blocks" | "ending" | "ended">;

/** Why the run cannot move to the version, or null. */
export function migrateProblem(run: Migrating, target: PreparedProgram): FaultRecord | null {
  const why = (reason: string, facts: FaultRecord["facts"] = {}): FaultRecord =>
    record("run.migration", `Cannot move the run to \`${target.hashed.hash.slice(0, 8)}\`: ${reason}`, {
      ...facts,
      source: run.program,
      target: target.hashed.hash,
    });
  const { program: before } = run.prepared.hashed;
  const { program: after } = target.hashed;
  if (run.ended !== null || run.ending !== null) return why("it is ending or has ended");
  if (run.program === target.hashed.hash) return why("it runs that version already");
  if (before.workspace.name !== after.workspace.name) return why("that is of another workspace");
  if ((before.resources ?? []).length + (after.resources ?? []).length > 0)
    return why("it holds resources until its end");
  const differs = [...run.steps].filter(([id, step]) => hasBegun(step) && !isSame(run, target, id));
  if (differs.length === 0) return null;
  const steps = differs.map(([id]) => id);
  const names = steps.slice(0, 5).map((id) => `\`${id}\``);
  return why(`${names.join(", ")} ${steps.length === 1 ? "has" : "have"} begun and differ there`, {
    steps: steps.slice(0, 50),
  });
}

/** @throws runtime.diverged when the version does not fit */
export function runMigrated(
  draft: Draft,
  entry: MachineEntry<"run.migrated">,
  target: PreparedProgram | undefined,
): void {
  if (target?.hashed.hash !== entry.facts.target)
    throw draft.diverged(`the program \`${entry.facts.target}\` is not there`);
  const { base, steps, blocks, ending, ended } = draft;
  const run = { program: base.program, prepared: base.prepared, steps, blocks, ending, ended };
  if (entry.facts.source !== run.program) throw draft.diverged("it is a run of another version");
  const problem = migrateProblem(run, target);
  if (problem !== null) throw draft.diverged(problem.message);
  const waiting = [...steps.keys()].filter((id) => waitsForVersion(run, id));
  const newBlocks = target.blocks.map((_, number) => blockBefore(run, target, number));
  const newSteps = new Map<StepId, StepState>();
  for (const id of target.steps.keys()) newSteps.set(id, stepBefore(run, target, newBlocks, id));
  draft.adopt(target, newSteps, newBlocks);
  for (const id of waiting) {
    const { attempt, group } = draft.step(id);
    const known = draft.control.steps.get(id) ?? noStepControl;
    setStepControl(draft, id, { ...known, changed: null, orderedGroup: group + 1 });
    // As a failed step that a person orders again.
    draft.change(id, { phase: { kind: "blocked" }, attempt: attempt + 1, group: group + 1, tries: 1 });
  }
}

/** The step stands until a new version is there. */
export function waitsForVersion(run: Pick<Migrating, "steps" | "prepared">, id: StepId): boolean {
  const step = run.steps.get(id);
  const index = run.prepared.steps.get(id);
  if (step?.phase.kind !== "approval" || step.phase.why !== "failure" || index === undefined) return false;
  let policy = index.step.failure;
  while (policy.kind === "retry") policy = policy.then;
  return policy.kind === "recompile";
}

function hasBegun({ status, phase, past }: StepState): boolean {
  if (past !== undefined && past.length > 0) return true;
  return phase.kind !== "blocked" || (status !== "PENDING" && status !== "WAITING");
}

function isSame(run: Migrating, target: PreparedProgram, id: StepId): boolean {
  const before = run.prepared.steps.get(id)?.step;
  const after = target.steps.get(id)?.step;
  if (before === undefined || after === undefined || !isInPlace(run, target, id)) return false;
  // Its blocks never began, so that nothing of what it did is lost with it.
  const mended = new Set(
    [...run.steps.keys()].filter((each) => waitsForVersion(run, each) && isLeaf(run, each)),
  );
  return sameData(before, after, mended);
}

function isLeaf(run: Migrating, id: StepId): boolean {
  const index = run.prepared.steps.get(id);
  return index !== undefined && index.blocks.length === 0 && index.degrade === null;
}

/** In the same block of the same step. */
function isInPlace(run: Migrating, target: PreparedProgram, id: StepId): boolean {
  const places = [run.prepared, target].map((prepared) => {
    const block = prepared.steps.get(id)?.block;
    return block === undefined ? null : placeOf(prepared, block);
  });
  const [before, after] = places;
  return before != null && after != null && before.owner === after.owner && before.index === after.index;
}

function placeOf(
  prepared: PreparedProgram,
  block: number,
): { readonly owner: StepId | null; readonly index: number } {
  const owner = prepared.blocks[block]?.owner ?? null;
  return { owner, index: owner === null ? 0 : numbersOf(prepared, owner).indexOf(block) };
}

function numbersOf(prepared: PreparedProgram, owner: StepId): readonly number[] {
  const index = prepared.steps.get(owner);
  if (index === undefined) return [];
  return index.degrade === null ? index.blocks : [...index.blocks, index.degrade];
}

function blockBefore(run: Migrating, target: PreparedProgram, number: number): BlockState {
  const idle: BlockState = { status: "idle", control: [], fault: null };
  const { owner, index } = placeOf(target, number);
  if (owner === null) return run.blocks[0] ?? idle;
  const step = run.steps.get(owner);
  if (step === undefined || !hasBegun(step) || !isInPlace(run, target, owner)) return idle;
  return run.blocks[numbersOf(run.prepared, owner)[index] ?? -1] ?? idle;
}

function stepBefore(
  run: Migrating,
  target: PreparedProgram,
  blocks: readonly BlockState[],
  id: StepId,
): StepState {
  const known = run.steps.get(id);
  if (known !== undefined && hasBegun(known)) return known;
  const block = blocks[target.steps.get(id)?.block ?? 0];
  return {
    ...freshStep,
    status: block?.status === "active" ? "WAITING" : "PENDING",
    attempt: known?.attempt ?? 1,
    group: known?.group ?? 1,
  };
}

/** The same data, but for what `mended` steps do. Programs are decoded with a bounded depth. */
function sameData(a: unknown, b: unknown, mended: ReadonlySet<StepId>): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (isStep(a) && isStep(b) && a.id === b.id && mended.has(a.id))
    return sameData([a.after, a.tolerates], [b.after, b.tolerates], mended);
  const [left, right] = [Object.entries(a), new Map(Object.entries(b))];
  return (
    Array.isArray(a) === Array.isArray(b) &&
    left.length === right.size &&
    left.every(([name, value]) => right.has(name) && sameData(value, right.get(name), mended))
  );
}

function isStep(value: object): value is Step {
  return Object.hasOwn(value, "id") && Object.hasOwn(value, "op") && Object.hasOwn(value, "failure");
}
