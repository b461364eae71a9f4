// Arbitrary valid programs against the machine, with arbitrary outcomes: every command is answered somehow until the run ends.
import { decodeCbor, encodeCbor } from "@writ/core/cbor";
import { decodeState, encodeState } from "@writ/runtime/state-codec";
import fc from "fast-check";
import { expect, test } from "vitest";
import { approvalId, eventId, runId } from "@writ/core/ids";
import { hasCode, type FaultRecord } from "@writ/core/fault";
import type { Program } from "@writ/core/program";
import { decide, initialState, outstanding, type Command, type MachineEntry } from "@writ/runtime/machine";
import { prepareProgram } from "@writ/runtime/program-index";
import { runStatus, type RunState } from "@writ/runtime/state";
import { program2Arbitrary, programArbitrary } from "@writ/testkit/program-arbitrary";
import { program } from "./support.ts";

const run = runId("r_00000000");
const finals = new Set(["COMPLETED", "FAILED", "SKIPPED", "ABORTED", "ROLLED_BACK"]);
const faults: readonly FaultRecord[] = ["demo.busy", "demo.lost", "demo.other"].map((code) => ({
  code,
  kind: "transient",
  message: code,
  remedy: "",
  facts: {},
}));

type Change = Pick<MachineEntry, "kind" | "facts">;

/** One possible answer to a command, chosen by `pick`. */
function answer(
  state: RunState,
  command:
    | Command
    | { kind: "resolve" | "resolve-undo"; step: Command extends { step: infer S } ? S : never },
  pick: number,
): Change | undefined {
  if (command.kind === "end") {
    const { status, fault } = command;
    return { kind: "run.ended", facts: { status, result: null, fault } } as Change;
  }
  if (!("step" in command)) return undefined;
  const { step } = command;
  const each = state.steps.get(step);
  if (each === undefined) return undefined;
  const fault = faults[pick % faults.length];
  const at = { step, attempt: each.attempt };
  const seen = { verdict: { kind: "allow", policy: "", approval: null }, targets: [], before: {}, key: "k" };
  const isCall = state.prepared.calls.includes(step);
  switch (command.kind) {
    case "attempt":
      if (each.phase.kind !== "attempting") return undefined;
      if (isCall) {
        if (pick % 5 === 0) return { kind: "effect.refused", facts: { ...at, fault } } as Change;
        return { kind: "child.started", facts: { ...at, run: `r_${each.attempt}` } } as unknown as Change;
      }
      if (pick % 11 === 3) {
        const waits = { untilMs: 0, queueEndsAtMs: 0, why: "rate", reason: "" };
        return { kind: "guard.postponed", facts: { ...at, ...waits } } as Change;
      }
      if (pick % 11 === 4) {
        const effect = { step, capability: "demo.x@1.0.0", params: {}, later: {}, targets: [], hash: null };
        const asked = { requiresAcknowledgment: pick % 2 === 0, onMissed: "abort", escalated: false };
        const facts = { ...at, countdown: "c_1", effect, role: "owner", endsAtMs: 0, ...asked };
        return { kind: "guard.announced", facts } as unknown as Change;
      }
      if (pick % 5 === 0) return { kind: "effect.refused", facts: { ...at, fault } } as Change;
      return {
        kind: "effect.intended",
        facts: { ...at, ...seen, capability: "demo.x@1.0.0", params: {}, effect: "write" },
      } as unknown as Change;
    case "perform":
    case "resolve":
      if (each.phase.kind !== "intended") return undefined;
      if (pick % 4 === 0)
        return { kind: "effect.failed", facts: { ...at, fault, retryable: pick % 8 === 0 } } as Change;
      if (pick % 7 === 0) return { kind: "effect.held", facts: { ...at, reason: "" } } as Change;
      return {
        kind: "effect.completed",
        facts: {
          ...at,
          result: { kind: "inline", value: { key: "k" } },
          labels: [],
          undo: pick % 2 === 0 ? { capability: "demo.unwrite@1.0.0", params: {} } : null,
          evidence: "observed",
          resolved: pick % 3 === 0,
        },
      } as Change;
    case "set-timer":
      return { kind: "timer.set", facts: { ...at, atMs: command.atMs, why: command.why } } as Change;
    case "await-timer":
      return { kind: "timer.fired", facts: { ...at, why: command.why } } as Change;
    case "request-approval":
      if (each.phase.kind !== "approval") return undefined;
      return {
        kind: "approval.requested",
        facts: {
          approval: approvalId(`a_${String(pick).padStart(12, "0")}${step.length}`),
          step,
          role: command.role,
          message: "",
          effects: [],
          expiresAtMs: command.expiresAtMs,
          reason: "program",
          onExpiry: pick % 2 === 0 ? "skip" : "reject",
        },
      } as unknown as Change;
    case "await-approval": {
      if (each.phase.kind !== "approval" || each.phase.approval === null) return undefined;
      const { approval } = each.phase;
      if (pick % 3 === 0) return { kind: "approval.expired", facts: { approval, step } } as Change;
      const decision = pick % 3 === 1 ? "approve" : "reject";
      return {
        kind: "approval.decided",
        facts: { approval, step, decision, by: { kind: "node" }, comment: "" },
      } as Change;
    }
    case "await-guard": {
      const { phase } = each;
      if (phase.kind !== "countdown")
        return { kind: "guard.passed", facts: { ...at, countdown: null, why: "reached" } } as Change;
      const { countdown, requiresAcknowledgment } = phase.countdown;
      const decided = pick % 3 === 0 ? "cancel" : pick % 3 === 1 ? "stop" : "missed";
      if (requiresAcknowledgment || pick % 4 === 0) {
        const facts = { ...at, countdown, decision: decided, by: { kind: "node" }, reason: "" };
        return { kind: "guard.decided", facts } as Change;
      }
      return { kind: "guard.passed", facts: { ...at, countdown, why: "elapsed" } } as Change;
    }
    case "read-back": {
      if (each.phase.kind !== "read-back") return undefined;
      const facts = { ...at, poll: each.phase.polls + 1, reading: null, fault: null, outcome: "failed" };
      return { kind: "guard.read-back", facts } as unknown as Change;
    }
    case "begin-wait":
      if (each.phase.kind !== "event") return undefined;
      return { kind: "wait.begun", facts: { ...at, untilMs: each.phase.untilMs } } as Change;
    case "await-event": {
      if (each.phase.kind !== "event") return undefined;
      if (pick % 5 === 0) return { kind: "timer.fired", facts: { ...at, why: "wait" } } as Change;
      if (pick % 5 === 1) return { kind: "wait.missed", facts: { ...at, what: "window" } } as Change;
      if (pick % 5 === 2 && each.phase.holding.length > 0)
        return { kind: "timer.fired", facts: { ...at, why: "hold" } } as Change;
      const seen = { ...at, event: state.event, labels: [], holds: pick % 2 === 0, key: `${pick % 3}` };
      return { kind: "wait.matched", facts: seen } as unknown as Change;
    }
    case "emit":
      return { kind: "event.emitted", facts: { step, event: command.event } } as Change;
    case "await-child": {
      if (each.phase.kind !== "child") return undefined;
      const status = (["finished", "failed", "cancelled", "rolled_back"] as const)[pick % 4];
      const why = status === "finished" ? null : pick % 8 < 4 ? fault : null;
      const ended = { run: each.phase.run, status, result: null, fault: why, labels: ["origin:web"] };
      return { kind: "child.ended", facts: { ...at, ...ended } } as unknown as Change;
    }
    case "undo":
      if (isCall && pick % 6 !== 0) {
        const stays = pick % 3 === 1 ? { stays: fault } : {};
        return { kind: "undo.completed", facts: { step, ...stays } } as Change;
      }
      if (pick % 6 === 0) return { kind: "undo.held", facts: { step, fault } } as Change;
      return {
        kind: "undo.intended",
        facts: { step, ...seen, capability: "demo.x@1.0.0", params: {} },
      } as unknown as Change;
    case "perform-undo":
    case "resolve-undo":
      if (pick % 6 === 1) return { kind: "undo.held", facts: { step, fault } } as Change;
      return { kind: "undo.completed", facts: { step } } as Change;
    case "abort":
      return undefined;
  }
}

/** What a person decides about something held, or undefined when nothing is. */
function settle(state: RunState, pick: number): Change | undefined {
  for (const [step, each] of state.steps) {
    if (each.phase.kind === "held") {
      const decisions =
        state.ending === null ? ["done", "failed", "skip", "again"] : ["done", "failed", "skip"];
      const decision = decisions[pick % decisions.length];
      return {
        kind: "effect.settled",
        facts: { step, attempt: each.attempt, decision, by: { kind: "node" }, result: null },
      } as Change;
    }
    if (each.undo?.phase === "held") {
      const decision = ["done", "leave", "again"][pick % 3];
      return { kind: "undo.settled", facts: { step, decision, by: { kind: "node" } } } as Change;
    }
  }
  return undefined;
}

/** A seed that is printed is one that is found again. */
const seedOf = (text: string | undefined): { readonly seed?: number } =>
  text === undefined ? {} : { seed: Number(text) };

/** What this runtime runs. */
const runnable = (made: Program): boolean => {
  try {
    const { hash, bytes } = program([]);
    prepareProgram({ hash, bytes, program: made });
    return true;
  } catch (error) {
    if (hasCode(error, "runtime.unknown-opcode")) return false;
    throw error;
  }
};

test.each([
  [1, programArbitrary],
  [2, program2Arbitrary.filter(runnable)],
])(
  "M1 M2 M5 I1 Y1 every valid program of format %i, whatever comes back, ends with every step in a final state and never leaves the table",
  (_, programs) => {
    fc.assert(
      fc.property(
        programs,
        fc.array(fc.nat(1_000_000), { minLength: 20, maxLength: 60 }),
        fc.boolean(),
        (made, picks, cancels) => {
          const { hash, bytes } = program([]);
          const prepared = prepareProgram({ hash, bytes, program: made });
          let seq = 0;
          let turn = 0;
          const entries: MachineEntry[] = [];
          const take = (state: RunState, change: Change): RunState => {
            const entry = {
              ...change,
              run,
              seq,
              atMs: seq++,
              cause: null,
              actor: { kind: "node" },
            } as MachineEntry;
            entries.push(entry);
            const after = decide(state, entry).state;
            // As a snapshot holds it: through the bytes, to the same state, with the same bytes again.
            const bytesOf = encodeCbor(encodeState(after));
            const read = decodeState(decodeCbor(bytesOf), prepared);
            expect(encodeCbor(encodeState(read))).toEqual(bytesOf);
            // As bytes: 0 and -0, which toEqual tells apart, are one number in the ledger.
            const commandsOf = (of: RunState) =>
              encodeCbor(encodeState({ commands: outstanding(of) } as never));
            expect(commandsOf(read)).toEqual(commandsOf(after));
            return read;
          };
          // Somebody who orders another attempt for ever has it for ever: at last every answer is one that ends.
          const pick = (): number =>
            turn < 4000 ? (picks[turn++ % picks.length] ?? 0) : 11 + 60 * (turn++ % 2);
          const event = {
            specversion: "1.0",
            id: eventId("e"),
            source: "s",
            type: "t",
            time: "",
            data: {},
          } as const;
          let state = take(initialState(run, prepared), {
            kind: "run.started",
            facts: {
              program: hash,
              event,
              labels: [],
              priority: "normal",
              principal: { kind: "node" },
              workspace: "w",
            },
          } as Change);
          for (let i = 0; i < 5000 && state.ended === null; i++) {
            if (cancels && i === 7 && state.ending === null) {
              state = take(state, {
                kind: "run.cancel-requested",
                facts: { by: { kind: "node" }, undo: i % 2 === 1, reason: "" },
              } as Change);
              continue;
            }
            const open = outstanding(state);
            const command = open[pick() % Math.max(1, open.length)];
            const change = command === undefined ? undefined : answer(state, command as never, pick());
            const next = change ?? settle(state, pick());
            // Nothing to answer and nothing held: the run would be stuck.
            expect(next, runStatus(state)).toBeDefined();
            if (next !== undefined) state = take(state, next);
          }
          expect(state.ended).not.toBeNull();
          for (const [id, each] of state.steps) expect([id, finals.has(each.status)]).toEqual([id, true]);
          // The same entries give the same state.
          const again = entries.reduce(
            (each, entry) => decide(each, entry).state,
            initialState(run, prepared),
          );
          expect([...again.steps]).toEqual([...state.steps]);
          expect([...again.slots]).toEqual([...state.slots]);
        },
      ),
      { numRuns: Number(process.env["PROPERTY_RUNS"] ?? 150), ...seedOf(process.env["PROPERTY_SEED"]) },
    );
  },
);
