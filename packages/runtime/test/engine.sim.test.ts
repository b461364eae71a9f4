// Simulation: programs by seed, a crash at every point that a run passes (before and after each sync, before and after each effect),
// a restart on the same world and what of the ledger survived, and then what must hold. A failure names its seed and point; run
// `SIM_SEED=42 SIM_COUNT=1 vitest run --project simulation packages/runtime` to see it again.
import { expect, test } from "vitest";
import { roleName, type RunId } from "@writ/core/ids";
import type { FailurePolicy, HashedProgram, Step } from "@writ/core/program";
import { hasCode } from "@writ/core/fault";
import type { Modules } from "@writ/core/ports";
import type { RunState } from "@writ/runtime/state";
import { replay } from "@writ/runtime/replay";
import { memoryLedger, type MemoryLedger } from "@writ/testkit/memory-ledger";
import { memoryParkedRuns, type MemoryParkedRuns } from "@writ/testkit/memory-parked-runs";
import { memoryBlobs, simulatedSite, type SimulatedSite } from "@writ/testkit/simulated-modules";
import {
  accountant,
  act,
  call,
  carry,
  describe,
  each,
  evaluate,
  literal,
  load,
  loop,
  owner,
  program,
  retry,
  rig,
  step,
  type Rig,
} from "./support.ts";

const firstSeed = Number(process.env["SIM_SEED"] ?? 1);
const seedCount = Number(process.env["SIM_COUNT"] ?? 20);

interface Random {
  below(n: number): number;
  pick<T>(items: readonly T[]): T;
}

function randomOf(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  const below = (n: number): number => next() % n;
  return { below, pick: (items) => items[below(items.length)] as (typeof items)[number] };
}

interface Story {
  readonly hashed: HashedProgram;
  readonly runs: number;
  /** Names whose first call fails with a transient fault. */
  readonly failing: readonly string[];
  /** Some effect can neither be repeated nor asked about. */
  readonly hasNeither: boolean;
}

/** A program of up to a dozen steps with every opcode that acts or waits, every contract and most failure policies. */
function storyOf(seed: number): Story {
  const random = randomOf(seed);
  let count = 0;
  const failing: string[] = [];
  let hasNeither = false;
  const policy = (inner: boolean): FailurePolicy =>
    random.pick<FailurePolicy>([
      { kind: "safe_halt" },
      { kind: "safe_halt" },
      { kind: "continue" },
      { kind: "skip" },
      { kind: "compensate" },
      ...(inner ? [] : [{ kind: "degrade" as const, block: { steps: [leaf(true)] } }]),
      { kind: "ask_person", role: roleName("accountant"), withinMs: 60_000 },
    ]);
  const leaf = (inner = false): Step => {
    const id = `s${count++}`;
    const name = random.pick(["a", "b", `own${count}`]);
    const kind = random.pick(["put", "append", "note", "count", "load", "wait", "eval"] as const);
    if (kind === "note" || kind === "count") hasNeither = true;
    if (kind === "wait")
      return step(id, { op: "wait", until: { kind: "duration", ms: 1 + random.below(5000) } });
    if (kind === "eval") return step(id, evaluate("1 + 1", `v${count}`));
    if (kind === "load") return step(id, load(name, `v${count}`));
    if (kind === "count") return step(id, call("count", { text: literal(id) }));
    const shouldFail = random.below(4) === 0;
    if (shouldFail) failing.push(`${name}`);
    return step(id, act(kind, name, id), {
      failure:
        kind === "note" || random.below(2) === 0 ? policy(inner) : retry(3, ["sim.busy"], policy(true)),
    });
  };
  const block = (depth: number): readonly Step[] => {
    const steps = Array.from({ length: 1 + random.below(3) }, () => {
      const shape = depth > 1 ? 0 : random.below(8);
      if (shape === 4 && depth === 0) {
        const over = random.below(2) === 0 ? each(literal(["x", "y"]), `item${count}`) : {};
        return step(
          `s${count++}`,
          loop(block(depth + 1), {
            ...over,
            iterationsMax: 2,
            until: random.pick([null, null, "1 < 2"]),
            carry: [carry(`n${count++}`, 0, "1")],
          }),
          { failure: policy(true) },
        );
      }
      if (shape === 5) {
        const id = `s${count++}`;
        return step(id, {
          op: "branch",
          arms: [{ when: random.pick(["1 < 2", "2 < 1"]), block: { steps: block(depth + 1) } }],
          otherwise: { steps: block(depth + 1) },
        });
      }
      if (shape === 6) {
        const id = `s${count++}`;
        const branches = [{ steps: block(depth + 1) }, { steps: block(depth + 1) }];
        return step(id, { op: "parallel", branches, join: { kind: "all" } });
      }
      if (shape === 7) {
        const id = `s${count++}`;
        return step(id, {
          op: "approve",
          role: roleName("accountant"),
          withinMs: 600_000,
          message: literal("may I?"),
          body: { steps: block(depth + 1) },
          otherwise: null,
        });
      }
      return leaf();
    });
    return steps.map((each, i) => {
      const before = steps[i - 1];
      const after = before !== undefined && random.below(3) > 0 ? [before.id] : [];
      return { ...each, after, tolerates: random.below(2) === 0 ? after : [] };
    });
  };
  const hashed = program(block(0), { concurrencyMax: 1 + random.below(2) });
  return { hashed, runs: 1 + random.below(2), failing, hasNeither };
}

interface Finish {
  readonly made: Rig;
  readonly runs: readonly RunId[];
  readonly heldCount: number;
  readonly points: number;
  readonly violations: readonly string[];
}

/** Plays the story; the process dies at the given points (counted from each start). */
async function play(story: Story, seed: number, deaths: readonly number[]): Promise<Finish> {
  const site = simulatedSite({ seed });
  site.files.set("a", ["first"]);
  for (const name of story.failing)
    site.behave(name, { kind: "fault", code: "sim.busy", times: 1, transient: true });
  const blobs = memoryBlobs();
  const random = randomOf(seed * 7919 + (deaths[0] ?? 0));
  const programs = new Map([[story.hashed.hash as string, story.hashed]]);
  const violations: string[] = [];
  let points = 0;
  let heldCount = 0;
  let ledger: MemoryLedger | undefined;
  let parked: MemoryParkedRuns | undefined;
  const wanted = story.runs;
  for (let life = 0; ; life++) {
    const dieAt = deaths[life] ?? Number.POSITIVE_INFINITY;
    let reached = 0;
    let dead = false;
    let isOver = false;
    const current: { ledger?: MemoryLedger } = {};
    const reach = (point: string): boolean => {
      if (life === 0) points += 1;
      if (dead) return false;
      if (point.startsWith("before sim")) checkIntent(current.ledger, point, violations);
      dead = !isOver && reached++ === dieAt;
      return !dead;
    };
    const opened = memoryLedger({ ...(ledger === undefined ? {} : { entries: ledger.entries() }), reach });
    current.ledger = opened;
    site.setReach(reach);
    const modules = mortal(site, () => dead);
    // Every second story lets runs that only wait leave memory.
    parked = memoryParkedRuns(opened, parked);
    const index = parked;
    const parking = { parked: index, unfinishedRuns: () => Promise.resolve(index.unparked()) };
    const options = { modules, ...(seed % 2 === 0 ? parking : {}) };
    const made = rig({ site, ledger: opened, blobs, programs, options });
    await made.engine.recover();
    const known = opened.entries().filter((entry) => entry.kind === "run.started").length;
    for (let i = known; i < wanted; i++) made.start(story.hashed);
    await site.runUntil(() => dead || made.engine.approvals().length > 0);
    for (let turn = 0; turn < 200 && !dead; turn++) {
      const moved = await decide(made, site, {
        held: () => (heldCount += 1),
        cancels: seed % 4 === 0 && turn === 1,
        // A step whose approval is stale asks for ever, if somebody answers for ever.
        patience: turn < 50,
      });
      await site.runUntil(() => dead || made.engine.approvals().length > 0);
      if (!moved && (await unfinished(made)).length === 0) break;
    }
    if (!dead) {
      isOver = true;
      const runs = opened.entries().flatMap((entry) => (entry.kind === "run.started" ? [entry.run] : []));
      return { made, runs, heldCount, points, violations };
    }
    ledger = opened.crash(random.below(3));
    await site.advance(random.below(10_000));
  }
}

/** The capabilities as one process has them: once it is dead it does nothing more. */
function mortal(site: SimulatedSite, isDead: () => boolean): Modules {
  const bound = site.modules.all().map((each) => ({
    ...each,
    perform: (...given: Parameters<typeof each.perform>) =>
      isDead() ? new Promise<never>(() => undefined) : each.perform(...given),
  }));
  return { ...site.modules, all: () => bound, find: (id) => bound.find((each) => each.id === id) };
}

/** X1: at the moment of an effect its intent is durable. */
function checkIntent(ledger: MemoryLedger | undefined, point: string, violations: string[]): void {
  const key = point.split(" ")[2];
  const durable = ledger?.entries().slice(0, ledger.durableSeq() + 1) ?? [];
  const found = durable.some(
    (entry) =>
      (entry.kind === "effect.intended" || entry.kind === "undo.intended") && entry.facts.key === key,
  );
  if (!found) violations.push(`an effect without a durable intent: ${point}`);
}

/** The people: approve what waits, look at the world and settle what is held. */
async function decide(
  made: Rig,
  site: SimulatedSite,
  given: { readonly held: () => void; readonly cancels: boolean; readonly patience: boolean },
): Promise<boolean> {
  const work: Promise<unknown>[] = [];
  const tell = (promise: Promise<unknown>): void => {
    // A decision that lost a race against an expiry, or whose ledger died, is not this test's subject.
    work.push(
      promise.catch((error: unknown) => {
        if (
          !hasCode(error, "approval.closed") &&
          !hasCode(error, "run.ended") &&
          !hasCode(error, "run.nothing-held")
        )
          throw error;
      }),
    );
  };
  for (const { approval } of made.engine.approvals()) {
    if (approval.startsWith("a_"))
      tell(made.engine.decideApproval(approval, given.patience ? "approve" : "reject", accountant, ""));
  }
  if (given.cancels) {
    const undoable = (await unfinished(made)).find(({ ending, ended }) => ending === null && ended === null);
    if (undoable !== undefined)
      tell(made.engine.cancelRun(undoable.run, owner, { undo: true, reason: "enough" }));
  }
  for (const state of await unfinished(made)) {
    for (const [id, each] of state.steps) {
      if (each.phase.kind === "held") {
        given.held();
        const done = site.effects.some(({ key }) => key === each.effect?.key);
        tell(made.engine.settle(state.run, id, done ? "done" : "failed", owner, { lines: 0 }));
      } else if (each.undo?.phase === "held") {
        given.held();
        tell(made.engine.settle(state.run, id, "leave", owner));
      }
    }
  }
  void Promise.allSettled(work);
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
  return work.length > 0;
}

/** In memory or parked. */
async function unfinished({ engine, ledger }: Rig): Promise<readonly RunState[]> {
  const states = [...engine.active()];
  for (const run of ledger.unfinishedRuns()) {
    if (engine.state(run) !== undefined) continue;
    const state = (await engine.replay(run)).steps.at(-1)?.state;
    if (state !== undefined) states.push(state);
  }
  return states;
}

async function check({ made, runs, heldCount, violations }: Finish, story: Story): Promise<void> {
  expect(violations).toEqual([]);
  // Where the world can be asked and nobody else changes it, no person is needed.
  if (story.runs === 1 && !story.hasNeither) expect(heldCount).toBe(0);
  const { engine, ledger, site } = made;
  expect(runs).toHaveLength(story.runs);
  for (const run of runs) {
    const state = engine.state(run);
    const entries = await ledger.readRun(run);
    // The state is the fold of the entries, also after restarts; a run that ended before the last restart is known by its entries.
    const again = replay(entries, story.hashed, () => undefined);
    expect(again.divergence).toBeNull();
    const folded = again.steps.at(-1)?.state;
    if (state !== undefined) expect([...state.steps]).toEqual([...(folded?.steps ?? [])]);
    expect(folded?.ended, describe(engine, run)).not.toBeNull();
    const open = [...(folded?.steps ?? [])].filter(([, each]) =>
      [
        "PENDING",
        "WAITING",
        "AWAITING_APPROVAL",
        "RUNNING",
        "RETRYING",
        "UNKNOWN",
        "HELD",
        "UNDOING",
      ].includes(each.status),
    );
    expect(open).toEqual([]);
    if (folded?.ended?.status === "rolled_back") {
      const instances = [...folded.steps.values()].flatMap(({ past = [], ...last }) => [...past, last]);
      const left = instances.filter(({ status, undo }) => status === "COMPLETED" && undo !== null);
      expect(left).toEqual([]);
    }
    const intents = entries.flatMap((entry) => (entry.kind === "effect.intended" ? [entry] : []));
    for (const intent of intents) {
      const closed = entries.some(
        (entry) =>
          (entry.kind === "effect.completed" ||
            entry.kind === "effect.failed" ||
            entry.kind === "effect.held") &&
          entry.facts.step === intent.facts.step &&
          entry.facts.attempt === intent.facts.attempt,
      );
      expect(closed).toBe(true);
    }
  }
  const counts = new Map<string, number>();
  for (const { key, capability } of site.effects) {
    const each = `${capability} ${key}`;
    counts.set(each, (counts.get(each) ?? 0) + 1);
  }
  expect([...counts].filter(([, times]) => times > 1)).toEqual([]);
  // Locks are free: whoever comes next gets them.
  for (const name of story.failing) site.behave(name, { kind: "slow", ms: 0 });
  const names = ["a", "b"];
  const after = program(names.map((name) => step(`z${name}`, act("put", name, "after"))));
  const fresh = made.start(after);
  await site.runUntil(() => engine.state(fresh)?.ended !== null);
  expect(engine.state(fresh)?.ended?.status, describe(engine, fresh)).toBe("finished");
}

const summary = ({ made, runs }: Finish): readonly unknown[] =>
  runs.map((run) => {
    const ended = made.ledger.entries().findLast((entry) => entry.kind === "run.ended" && entry.run === run);
    return ended?.kind === "run.ended" ? ended.facts.status : null;
  });

const worked = ({ made }: Finish): readonly string[] =>
  made.site.effects.map(({ capability, name, text: line }) => `${capability} ${name} ${line}`).sort();

for (let seed = firstSeed; seed < firstSeed + seedCount; seed++) {
  test(`E10 seed ${seed}: a crash at any point loses nothing and doubles nothing`, async () => {
    const story = storyOf(seed);
    const calm = await play(story, seed, []);
    const calmSummary = summary(calm);
    const calmWork = worked(calm);
    const calmAborts = calm.runs.some((run) =>
      [...(calm.made.engine.state(run)?.steps.values() ?? [])].some(({ status }) => status === "ABORTED"),
    );
    await check(calm, story);
    for (let point = 0; point < calm.points; point++) {
      const second = randomOf(seed + point).below(3) === 0 ? [randomOf(seed * 31 + point).below(12)] : [];
      const finish = await play(story, seed, [point, ...second]);
      try {
        // One run without failures ends as it would have without the crash; what was aborted may have begun or not.
        if (
          finish.heldCount === 0 &&
          calm.heldCount === 0 &&
          story.failing.length === 0 &&
          story.runs === 1 &&
          seed % 4 !== 0 &&
          !calmAborts
        ) {
          expect(summary(finish)).toEqual(calmSummary);
          expect(worked(finish)).toEqual(calmWork);
        }
        await check(finish, story);
      } catch (error) {
        throw new Error(`seed ${seed}, point ${point}, then ${second.join()}: ${String(error)}`, {
          cause: error,
        });
      }
    }
  });
}
