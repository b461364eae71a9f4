// Arbitrary valid programs, arbitrary outcomes, and people who order whatever they like at any time, also after the end.
import fc from "fast-check";
import { expect, test } from "vitest";
import { allSteps } from "@writ/core/program";
import { approvalId, eventId, runId, type StepId } from "@writ/core/ids";
import { decide, initialState, outstanding, type MachineEntry } from "@writ/runtime/machine";
import { pauseProblem, resumeProblem, skipProblem } from "@writ/runtime/machine/control";
import { releaseProblem } from "@writ/runtime/machine/intercept";
import { instancesOf } from "@writ/runtime/machine/instances";
import { retryProblem } from "@writ/runtime/machine/reopen";
import { prepareProgram } from "@writ/runtime/program-index";
import { runStatus, transitions, type RunState, type StepState, type StepStatus } from "@writ/runtime/state";
import { programArbitrary } from "@writ/testkit/program-arbitrary";
import { program } from "./support.ts";

type Change = { readonly kind: string; readonly facts: Record<string, unknown> };

const run = runId("r_00000000");
const by = { kind: "node" } as const;
const finals = new Set<string>(["COMPLETED", "FAILED", "SKIPPED", "ABORTED", "ROLLED_BACK"]);
const fault = { code: "demo.busy", kind: "transient", message: "", remedy: "", facts: {} };
const seen = { verdict: { kind: "allow", policy: "", approval: null }, targets: [], before: {}, key: "k" };

/** What the world answers to a command; undefined where it says nothing. */
function answer(
  state: RunState,
  command: ReturnType<typeof outstanding>[number],
  pick: number,
): Change | undefined {
  if (command.kind === "end") {
    const { status, fault: why } = command;
    return { kind: "run.ended", facts: { status, result: null, fault: why } };
  }
  const { step } = command;
  const each = state.steps.get(step);
  if (each === undefined) return undefined;
  const at = { step, attempt: each.attempt };
  switch (command.kind) {
    case "attempt": {
      const { breakpoints } = state.control;
      const released = state.control.steps.get(step)?.released?.attempt === each.attempt;
      if (breakpoints.length > 0 && !released) {
        const effect = { step, capability: "demo.x@1.0.0", params: {}, later: {}, targets: [], hash: null };
        return { kind: "step.intercepted", facts: { ...at, breakpoint: "b_1", effect } };
      }
      if (pick % 5 === 0) return { kind: "effect.refused", facts: { ...at, fault } };
      const facts = { ...at, ...seen, capability: "demo.x@1.0.0", params: {}, effect: "write" };
      return { kind: "effect.intended", facts };
    }
    case "perform":
    case "resolve":
      if (pick % 3 === 0)
        return { kind: "effect.failed", facts: { ...at, fault, retryable: pick % 2 === 0 } };
      if (pick % 7 === 0) return { kind: "effect.held", facts: { ...at, reason: "" } };
      return {
        kind: "effect.completed",
        facts: {
          ...at,
          result: { kind: "inline", value: { key: "k" } },
          labels: [],
          undo: pick % 2 === 0 ? { capability: "demo.unwrite@1.0.0", params: {} } : null,
          evidence: "observed",
          resolved: false,
        },
      };
    case "set-timer":
      return { kind: "timer.set", facts: { ...at, atMs: command.atMs, why: command.why } };
    case "await-timer":
      return { kind: "timer.fired", facts: { ...at, why: command.why } };
    case "request-approval":
      return {
        kind: "approval.requested",
        facts: {
          approval: approvalId(`a_${String(state.seq).padStart(12, "0")}`),
          step,
          role: command.role,
          message: "",
          effects: [],
          expiresAtMs: command.expiresAtMs,
          reason: "program",
          onExpiry: pick % 2 === 0 ? "skip" : "reject",
        },
      };
    case "await-approval": {
      if (each.phase.kind !== "approval" || each.phase.approval === null) return undefined;
      const { approval } = each.phase;
      if (pick % 3 === 0) return { kind: "approval.expired", facts: { approval, step } };
      const decision = pick % 3 === 1 ? "approve" : "reject";
      return { kind: "approval.decided", facts: { approval, step, decision, by, comment: "" } };
    }
    case "emit":
      return { kind: "event.emitted", facts: { step, event: command.event } };
    case "undo":
      if (pick % 6 === 0) return { kind: "undo.held", facts: { step, fault } };
      return { kind: "undo.intended", facts: { step, ...seen, capability: "demo.x@1.0.0", params: {} } };
    case "perform-undo":
    case "resolve-undo":
      if (pick % 6 === 1) return { kind: "undo.held", facts: { step, fault } };
      return { kind: "undo.completed", facts: { step } };
    default:
      return undefined;
  }
}

function settle(state: RunState, pick: number): Change | undefined {
  for (const [step, each] of state.steps) {
    const result = null;
    if (each.phase.kind === "held") {
      const decisions = ["done", "failed", "skip", ...(state.ending === null ? ["again"] : [])];
      const decision = decisions[pick % decisions.length];
      return { kind: "effect.settled", facts: { step, attempt: each.attempt, decision, by, result } };
    }
    if (each.undo?.phase === "held")
      return { kind: "undo.settled", facts: { step, decision: ["done", "leave", "again"][pick % 3], by } };
  }
  return undefined;
}

/** An order of a person, and whether what it is judged by speaks against it. */
function order(state: RunState, pick: number): { readonly change: Change; readonly refused: boolean } {
  const ids = [...state.steps.keys()];
  const step = ids[Math.floor(pick / 16) % ids.length] ?? ("" as StepId);
  const attempt = state.steps.get(step)?.attempt;
  const base = { by, reason: "" };
  switch (pick % 9) {
    case 0:
      return { change: { kind: "run.paused", facts: base }, refused: pauseProblem(state) !== null };
    case 1:
    case 2:
      return { change: { kind: "run.resumed", facts: base }, refused: resumeProblem(state) !== null };
    case 3:
      return {
        change: { kind: "step.skip-ordered", facts: { ...base, step } },
        refused: skipProblem(state, step) !== null,
      };
    case 4:
    case 5:
      return {
        change: { kind: "step.retry-ordered", facts: { ...base, step } },
        refused: retryProblem(state, step) !== null,
      };
    case 6:
      return {
        change: { kind: "breakpoint.set", facts: { breakpoint: "b_1", step: null, capability: "*", by } },
        refused: state.ended !== null && state.ending === null,
      };
    case 7: {
      const params = pick % 2 === 0 ? null : { a: 1 };
      return {
        change: { kind: "step.released", facts: { step, attempt, by, params, comment: "" } },
        refused:
          releaseProblem(state, step, params !== null) !== null ||
          (state.ended !== null && state.ending === null),
      };
    }
    default: {
      const ended = state.ended !== null && state.ending === null;
      if (ended) return { change: { kind: "undo.requested", facts: base }, refused: false };
      const facts = { ...base, undo: pick % 2 === 0 };
      return { change: { kind: "run.cancel-requested", facts }, refused: state.ending !== null };
    }
  }
}

/** Whether one or more lines of the table lead there. */
function isReachable(from: StepStatus, to: StepStatus): boolean {
  const reached = new Set<StepStatus>([from]);
  for (const status of reached) for (const next of transitions[status]) reached.add(next);
  return reached.has(to);
}

const undosOf = (step: StepState): readonly number[] =>
  instancesOf(step).flatMap(({ undo }) => (undo === null ? [] : [undo.completedSeq]));

function checkStep(before: RunState, after: RunState, id: StepId, hasLoops: boolean): void {
  const [was, is] = [before.steps.get(id), after.steps.get(id)];
  if (was === undefined || is === undefined) throw new Error("a step is gone");
  // What can be taken back stays so until it is, or somebody leaves it.
  const kept = undosOf(is);
  for (const seq of undosOf(was)) expect([id, kept.includes(seq), seq]).toEqual([id, true, seq]);
  // Instances of earlier iterations come back for their undo; that their own moves are legal is the test of the machine.
  if (hasLoops) return;
  const isNew = is.group > was.group && (was.status === "SKIPPED" || was.status === "ABORTED");
  const from: StepStatus = isNew ? "PENDING" : was.status;
  if (from !== is.status)
    expect([id, from, is.status, isReachable(from, is.status)]).toEqual([id, from, is.status, true]);
  if (!isNew && (was.status === "SKIPPED" || was.status === "ABORTED" || was.status === "ROLLED_BACK"))
    expect([id, is.status]).toEqual([id, was.status]);
  expect(is.attempt).toBeGreaterThanOrEqual(was.attempt);
}

test("C1 C3 C6 K92 K93 K95 K97 K114 K115 whatever people order, no step leaves the table, no run ends unsettled, no undo is lost", () => {
  let reopened = 0;
  fc.assert(
    fc.property(
      programArbitrary,
      fc.array(fc.nat(1_000_000), { minLength: 40, maxLength: 120 }),
      fc.array(fc.tuple(fc.nat(60), fc.nat(1_000_000)), { minLength: 1, maxLength: 14 }),
      (made, picks, orders) => {
        const hasLoops = allSteps(made.body).some(({ op }) => op.op === "loop");
        const { hash, bytes } = program([]);
        const prepared = prepareProgram({ hash, bytes, program: made });
        let seq = 0;
        let turn = 0;
        const entries: MachineEntry[] = [];
        const undone = new Map<StepId, number>();
        const take = (state: RunState, change: Change): RunState => {
          const entry = { ...change, run, seq, atMs: seq++, cause: null, actor: by } as never as MachineEntry;
          const next = decide(state, entry).state;
          entries.push(entry);
          for (const id of state.steps.keys()) checkStep(state, next, id, hasLoops);
          if (entry.kind === "undo.intended")
            undone.set(entry.facts.step, (undone.get(entry.facts.step) ?? 0) + 1);
          if (entry.kind === "undo.settled" && entry.facts.decision === "again")
            undone.delete(entry.facts.step);
          if (!hasLoops) for (const count of undone.values()) expect(count).toBeLessThanOrEqual(1);
          if (state.ended !== null && next.ended === null) reopened += 1;
          return next;
        };
        const pick = (): number => picks[turn++ % picks.length] ?? 0;
        const event = { specversion: "1.0", id: eventId("e"), source: "s", type: "t", time: "", data: {} };
        const started = {
          program: hash,
          event,
          labels: [],
          priority: "normal",
          principal: by,
          workspace: "w",
        };
        let state = take(initialState(run, prepared), { kind: "run.started", facts: started });
        const left = [...orders];
        let patience = 0;
        for (let i = 0; i < 4000; i++) {
          const over = state.ended !== null && state.ending === null;
          const [next] = left;
          if (next !== undefined && (over || patience >= next[0])) {
            left.shift();
            patience = 0;
            const { change, refused } = order(state, next[1]);
            if (refused) {
              const entry = {
                ...change,
                run,
                seq,
                atMs: seq,
                cause: null,
                actor: by,
              } as never as MachineEntry;
              expect(() => decide(state, entry)).toThrowError();
            } else state = take(state, change);
            continue;
          }
          if (over) break;
          patience += 1;
          const open = outstanding(state);
          const command = open[pick() % Math.max(1, open.length)];
          // A wait that came due while the run is paused fires when it is resumed.
          const isLate =
            state.control.paused !== null && command !== undefined && command.kind.startsWith("await");
          const change = command === undefined || isLate ? undefined : answer(state, command, pick());
          const other = change ?? settle(state, pick()) ?? help(state);
          expect(other, `${runStatus(state)}: nobody can do anything`).toBeDefined();
          if (other !== undefined) state = take(state, other);
        }
        expect(state.ended).not.toBeNull();
        for (const [id, each] of state.steps) expect([id, finals.has(each.status)]).toEqual([id, true]);
        if (state.ended?.status === "rolled_back")
          for (const [id, { undo }] of state.steps) expect([id, undo?.phase ?? "done"]).toEqual([id, "done"]);
        const again = entries.reduce((each, entry) => decide(each, entry).state, initialState(run, prepared));
        expect([...again.steps]).toEqual([...state.steps]);
        expect(again.control).toEqual(state.control);
      },
    ),
    { numRuns: Number(process.env["PROPERTY_RUNS"] ?? 200) },
  );
  // The test would say nothing about going on if no run ever did.
  expect(reopened).toBeGreaterThan(0);
});

/** A person who sees a paused run, or a step at a breakpoint, and lets it go on. */
function help(state: RunState): Change | undefined {
  if (state.control.paused !== null) return { kind: "run.resumed", facts: { by, reason: "" } };
  for (const [step, { phase, attempt }] of state.steps) {
    if (phase.kind === "intercepted")
      return { kind: "step.released", facts: { step, attempt, by, params: null, comment: "" } };
  }
  return undefined;
}
