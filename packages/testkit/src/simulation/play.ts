// Plays a scenario: life after life on one disk and one world, until everything has come to rest; then what must hold at the end.
import { decodeCbor } from "@writ/core/cbor";
import { faultRecord } from "@writ/core/fault";
import type { Entry } from "@writ/core/entry";
import { eventId, type ProgramHash, type RunId } from "@writ/core/ids";
import type { Disk } from "@writ/core/ports";
import { hashedProgram } from "@writ/core/program-codec";
import type { HashedProgram } from "@writ/core/program";
import { isoTime } from "@writ/runtime/iso-time";
import type { RunState } from "@writ/runtime/state";
import type { NodeKeys } from "@writ/store/keys";
import { nodeHasher } from "@writ/store/node-crypto";
import { seededRandom } from "../seeded-random.ts";
import { simulatedDisk, type SimulatedDisk } from "../simulated-disk.ts";
import { finalProblems, probeOf } from "./invariants.ts";
import { withSimulatedLoop, type SimulatedLoop, type SimulatedProcess } from "./loop.ts";
import { createMatrix, type Observation } from "./matrix.ts";
import { mortalDisk } from "./mortal-disk.ts";
import { accountant, owner, startSimulatedNode, workspaceName, type SimulatedNode } from "./node.ts";
import { createOracle, type Oracle } from "./oracle.ts";
import { giveOrder } from "./orders.ts";
import { attempt, stackOf, startPeople } from "./people.ts";
import { rot } from "./rot.ts";
import type { Action, Crash, Scenario } from "./scenario.ts";
import { simulatedSource } from "./source.ts";
import { createWatch, type Watch } from "./watch.ts";

export interface Played {
  /** What did not hold; empty when all is well. */
  readonly problems: readonly string[];
  /** Points that each life passed at which it could have died. */
  readonly points: readonly number[];
  readonly entries: readonly Entry[];
  readonly deeds: number;
  readonly simulatedMs: number;
  readonly observations: readonly Observation[];
}

/** Far more than any scenario needs. */
const wakesMax = 60_000;
const livesMax = 60;

export function play(scenario: Scenario, keys: NodeKeys): Promise<Played> {
  return withSimulatedLoop(scenario.seed, (loop) => new Player(scenario, keys, loop).play());
}

type End =
  | { readonly kind: "rest" }
  | { readonly kind: "died"; readonly point: string }
  | { readonly kind: "stopped"; readonly downMs: number }
  | { readonly kind: "failed"; readonly code: string }
  | { readonly kind: "stuck" };

class Player {
  readonly #scenario: Scenario;
  readonly #keys: NodeKeys;
  readonly #loop: SimulatedLoop;
  readonly #oracle: Oracle;
  readonly #watch: Watch;
  readonly #programs: readonly HashedProgram[];
  readonly #probe: HashedProgram;
  readonly #matrix = createMatrix();
  readonly #acknowledged = new Set<string>();
  readonly #startsAcknowledged = new Set<RunId>();
  readonly #points: number[] = [];
  readonly #actions: Action[];
  readonly #crashes: Crash[];
  #disk: SimulatedDisk;
  #startNumber = 0;
  /** Everything has come to rest: nothing more goes wrong. */
  #isFinal = false;

  constructor(scenario: Scenario, keys: NodeKeys, loop: SimulatedLoop) {
    this.#scenario = scenario;
    this.#keys = keys;
    this.#loop = loop;
    this.#oracle = createOracle(scenario.misbehaviours);
    this.#programs = scenario.programs.map((program) => hashedProgram(program, nodeHasher));
    this.#probe = probeOf(scenario.programs);
    const all = [...this.#programs, this.#probe];
    const byHash = new Map<ProgramHash, HashedProgram>(all.map((each) => [each.hash, each]));
    this.#watch = createWatch(this.#oracle, byHash);
    this.#actions = [...scenario.actions];
    this.#crashes = [...scenario.crashes];
    this.#disk = simulatedDisk({ seed: scenario.seed, turnsMax: scenario.disk.turnsMax });
  }

  async play(): Promise<Played> {
    for (let life = 0; life < livesMax; life++) {
      const crash = this.#crashes.shift();
      const end = await this.#live(life, crash);
      if (end.kind === "rest" || end.kind === "stuck" || this.#watch.problems.length > 0) break;
      if (life === livesMax - 1) this.#watch.problem("the node never came to rest");
      this.#matrix.end(end, this.#watch.entries, crash?.how ?? "power");
      this.#oracle.newLife();
      this.#watch.newLife();
      const isKill =
        end.kind === "stopped" || end.kind === "failed" || (end.kind === "died" && crash?.how === "kill");
      this.#disk = this.#disk.crash(isKill ? "kill" : "power");
      this.#loop.pass(end.kind === "stopped" ? end.downMs : (crash?.downMs ?? 1000));
      if (crash?.rot === true) await this.#rotAndRefuse();
    }
    return {
      problems: this.#watch.problems,
      points: this.#points,
      entries: this.#watch.entries,
      deeds: this.#oracle.deeds.length,
      simulatedMs: this.#loop.world.monotonicMs(),
      observations: this.#matrix.observations(this.#watch.entries, this.#oracle),
    };
  }

  async #live(life: number, crash: Crash | undefined): Promise<End> {
    const { seed, disk } = this.#scenario;
    let points = 0;
    let lastPoint = "";
    const process = this.#loop.process((point) => {
      lastPoint = point;
      this.#matrix.point(point);
      if (point.startsWith("before effect") && !point.includes("sim.read"))
        this.#watch.deed(point.split(" ")[3] ?? "");
      return points++ === crash?.point && !this.#isFinal ? "die" : "go";
    });
    const random = seededRandom(seed * 31 + life);
    this.#arrange(life);
    const latency = (): number => (disk.latencyMs === 0 ? 0 : random.below(disk.latencyMs + 1));
    let node: SimulatedNode | undefined;
    let failure: unknown;
    this.#start(process, mortalDisk(this.#disk, process, latency), random).then(
      (started) => {
        node = started;
      },
      (error: unknown) => {
        failure = error;
      },
    );
    await this.#loop.run(() => process.isDead() || node !== undefined || failure !== undefined, wakesMax);
    let end: End;
    if (process.isDead()) end = { kind: "died", point: lastPoint };
    else if (failure !== undefined) end = this.#failed(process, failure);
    else if (node === undefined) {
      this.#watch.problem("the node neither starts nor says why");
      end = { kind: "stuck" };
    } else
      end = await this.#serve(node, {
        process,
        life,
        people: seededRandom(seed * 37 + life),
        last: () => lastPoint,
      });
    process.die();
    this.#points.push(points);
    return end;
  }

  #start(
    process: SimulatedProcess,
    disk: Disk,
    random: ReturnType<typeof seededRandom>,
  ): Promise<SimulatedNode> {
    const source = simulatedSource({
      happenings: this.#scenario.happenings,
      process,
      random,
      acknowledged: this.#acknowledged,
      sinceMs: 0,
    });
    return startSimulatedNode({
      disk,
      process,
      oracle: this.#oracle,
      keys: this.#keys,
      source,
      programs: [...this.#programs, this.#probe],
      runsActiveMax: this.#scenario.runsActiveMax,
      told: (entries) => this.#watch.told(entries),
      keepBlob: (hash, bytes) => this.#watch.blob(hash, decodeCbor(bytes)),
    });
  }

  /** Disk faults of this life. */
  #arrange(life: number): void {
    this.#disk.behave();
    for (const fault of this.#scenario.faults) {
      if (fault.life !== life) continue;
      if (fault.kind === "full") this.#disk.limitFreeBytes(fault.freeBytes);
      else this.#disk.failSyncAfter(fault.prefix, fault.after);
    }
  }

  /** The ledger could not go on: the process ends, as the server does. Anything else that stops a start is a violation. */
  #failed(process: SimulatedProcess, error: unknown): End {
    const code = faultRecord(error)?.code ?? "none";
    process.die();
    const isDisk = ["ledger.stopped", "store.disk-failed", "ledger.disk-full", "runtime.stopped"].includes(
      code,
    );
    if (!isDisk) {
      this.#watch.problem(`the node does not start: ${stackOf(error)}`);
      return { kind: "stuck" };
    }
    return { kind: "failed", code };
  }

  async #serve(
    node: SimulatedNode,
    life: {
      readonly process: SimulatedProcess;
      readonly life: number;
      readonly people: ReturnType<typeof seededRandom>;
      readonly last: () => string;
    },
  ): Promise<End> {
    const { process } = life;
    const problem = (text: string): void => this.#watch.problem(text);
    let stop: number | null = null;
    let isStopping = false;
    let isStopped = false;
    let isLate = false;
    startPeople({
      node,
      process,
      oracle: this.#oracle,
      unfinished: () => this.#unfinished(),
      random: life.people,
      temper: this.#scenario.people,
      isLate: () => isLate,
      problem,
    });
    const acts = async (): Promise<void> => {
      for (;;) {
        const [next] = this.#actions;
        if (next === undefined) break;
        const waitMs = next.atMs - process.world.monotonicMs();
        if (waitMs > 0) await process.world.sleep(waitMs);
        // Taken off only when it is done: what a crash keeps somebody from asking, he asks again.
        this.#actions.shift();
        if (next.kind === "stop") {
          stop = next.downMs;
          return;
        }
        this.#act(node, next);
      }
      const lastMs = this.#scenario.happenings.at(-1)?.atMs ?? 0;
      const waitMs = lastMs - process.world.monotonicMs();
      await process.world.sleep(Math.max(1, waitMs + 1));
      isLate = true;
    };
    acts().catch((error: unknown) => problem(`actions: ${stackOf(error)}`));
    const haltCode = (): string | null => node.engine.halted()?.code ?? null;
    let compared = -1;
    const isOver = (): boolean => {
      if (process.isDead() || stop !== null || haltCode() !== null || this.#watch.problems.length > 0)
        return true;
      const head = node.store.ledger.head().seq;
      if (head !== compared && head === node.store.ledger.durableSeq()) {
        compared = head;
        this.#watch.compare(node.engine, head);
      }
      const { active, parked } = node.engine.load();
      return isLate && active + parked === 0 && head === node.store.ledger.durableSeq();
    };
    const isDone = await this.#loop.run(isOver, wakesMax);
    if (process.isDead()) return { kind: "died", point: life.last() };
    if (haltCode() !== null) return this.#halted(node, process);
    if (!isDone) {
      const open = this.#unfinished().map((state) => describeRun(state));
      const { active, parked } = node.engine.load();
      problem(`runs are stuck (${active} in memory, ${parked} parked): ${open.join("; ")}`);
      return { kind: "stuck" };
    }
    if (stop === null && this.#watch.problems.length === 0) {
      const found = await this.#check(node, process);
      if (found !== null) return found;
    }
    isStopping = true;
    let stopFailure: unknown;
    node.stop().then(
      () => {
        isStopped = true;
      },
      (error: unknown) => {
        stopFailure = error;
      },
    );
    await this.#loop.run(() => process.isDead() || isStopped || stopFailure !== undefined, wakesMax);
    if (process.isDead()) return { kind: "died", point: life.last() };
    if (stopFailure !== undefined) return this.#failed(process, stopFailure);
    if (!isStopped) {
      problem(`the node does not stop (${String(isStopping)})`);
      return { kind: "stuck" };
    }
    if (stop !== null) return { kind: "stopped", downMs: stop };
    await finalProblems.files(this.#disk, this.#watch);
    return { kind: "rest" };
  }

  #unfinished(): readonly RunState[] {
    return [...this.#watch.runs.values()].filter(({ ended, ending }) => ended === null || ending !== null);
  }

  /** The last invariants, on the node that is still there. Not null when the node ended meanwhile. */
  async #check(node: SimulatedNode, process: SimulatedProcess): Promise<End | null> {
    this.#isFinal = true;
    this.#disk.behave();
    let isDone = false;
    let failure: unknown;
    const { happenings, actions, programs } = this.#scenario;
    finalProblems
      .node({
        node,
        watch: this.#watch,
        oracle: this.#oracle,
        scenario: { happenings, actions, programs },
        programs: this.#programs,
        probe: this.#probe,
        acknowledged: this.#acknowledged,
        startsAcknowledged: this.#startsAcknowledged,
      })
      .then(
        () => {
          isDone = true;
        },
        (error: unknown) => {
          failure = error;
        },
      );
    await this.#loop.run(
      () => process.isDead() || isDone || failure !== undefined || node.engine.halted() !== null,
      wakesMax,
    );
    if (process.isDead()) return { kind: "died", point: "final check" };
    if (node.engine.halted() !== null) return this.#halted(node, process);
    if (failure !== undefined) this.#watch.problem(`the final check: ${stackOf(failure)}`);
    else if (!isDone) this.#watch.problem("the last run does not end: something is not released");
    return null;
  }

  #halted(node: SimulatedNode, process: SimulatedProcess): End {
    const halted = node.engine.halted();
    process.die();
    if (
      halted === null ||
      (halted.code !== "ledger.stopped" &&
        halted.code !== "store.disk-failed" &&
        halted.code !== "ledger.disk-full")
    )
      this.#watch.problem(
        `the engine halted: ${halted?.code ?? ""} ${halted?.message ?? ""} ${JSON.stringify(halted?.facts ?? {})}`,
      );
    return { kind: "failed", code: halted?.code ?? "none" };
  }

  #act(node: SimulatedNode, action: Action): void {
    const problem = (text: string): void => this.#watch.problem(text);
    const { engine } = node;
    switch (action.kind) {
      case "start": {
        const program = this.#programs[action.program];
        if (program === undefined) return;
        try {
          const number = this.#startNumber++;
          const { run, durable } = engine.startRun({
            program,
            event: {
              specversion: "1.0",
              id: eventId(`start-${number}`),
              source: "/people/olga",
              type: "sim.asked",
              time: isoTime(node.store.ledger.head().seq),
              data: { n: number % 10, key: "k" },
            },
            labels: [],
            principal: owner,
            workspace: workspaceName,
          });
          attempt(
            durable.then(() => this.#startsAcknowledged.add(run)),
            problem,
          );
        } catch (error) {
          attempt(Promise.reject(error), problem);
        }
        return;
      }
      case "cancel": {
        const states = engine.active();
        const state = states[action.pick % Math.max(1, states.length)];
        if (state === undefined) return;
        attempt(engine.cancelRun(state.run, accountant, { undo: action.undo, reason: "enough" }), problem);
        return;
      }
      case "undo": {
        const ended = [...this.#watch.runs.values()].filter(
          (state) => state.ended !== null && state.ending === null,
        );
        const state = ended[action.pick % Math.max(1, ended.length)];
        if (state !== undefined) attempt(engine.undoRun(state.run, owner, "take it back"), problem);
        return;
      }
      case "order":
        giveOrder(node, action.order, action.pick, [...this.#watch.runs.values()], problem);
        return;
      case "emergency": {
        const scope =
          action.scope === "everything"
            ? ({ kind: "everything" } as const)
            : ({ kind: "target", name: "a" } as const);
        attempt(engine.emergencyStop(scope, owner, "stop it"), problem);
        return;
      }
      case "jump":
        this.#loop.jump(action.ms);
        return;
      case "meddle":
        this.#oracle.meddle(action.name, this.#loop.random);
        return;
      case "pause":
      case "resume":
      case "undeploy": {
        const program = this.#programs[action.program]?.hash;
        if (program === undefined) return;
        const recorded =
          action.kind === "pause"
            ? node.record("program.paused", { program })
            : action.kind === "resume"
              ? node.record("program.resumed", { program })
              : node.record("program.undeployed", { program, reason: "enough" });
        attempt(
          recorded.then(() => node.triggers.sync()),
          problem,
        );
        return;
      }
      case "revoke":
      case "restore": {
        const { capability } = action;
        const recorded =
          action.kind === "revoke"
            ? node.record("capability.revoked", { capability, reason: "unsafe" })
            : node.record("capability.restored", { capability });
        attempt(
          recorded.then(() => node.triggers.sync()),
          problem,
        );
        return;
      }
      case "stop":
    }
  }

  /** Old sectors rot while the node is down: it must refuse and name the place, or find everything as it was. */
  async #rotAndRefuse(): Promise<void> {
    const rotten = rot(this.#disk, this.#loop.random);
    if (rotten === null) return;
    const process = this.#loop.process(() => "go");
    let outcome: string | null = null;
    this.#start(
      process,
      mortalDisk(this.#disk, process, () => 0),
      this.#loop.random.fork(),
    ).then(
      () => {
        outcome = "started";
      },
      (error: unknown) => {
        const record = faultRecord(error);
        const isNamed = record?.code === "ledger.damaged" && typeof record.facts["segment"] === "string";
        outcome = isNamed ? "refused" : `failed with ${stackOf(error)}`;
      },
    );
    await this.#loop.run(() => outcome !== null, wakesMax);
    process.die();
    this.#matrix.rot(rotten.kind, outcome ?? "silent");
    if (outcome !== "refused" && outcome !== "started")
      this.#watch.problem(`SV5 after bit rot in ${rotten.name} the node ${outcome ?? "is silent"}`);
    this.#watch.newLife();
    this.#oracle.newLife();
    this.#disk = this.#disk.crash("kill");
    rotten.mend(this.#disk);
  }
}

function describeRun(state: RunState): string {
  const steps = [...state.steps].filter(
    ([, { phase, undo }]) => phase.kind !== "settled" || undo?.phase === "held",
  );
  return `${state.run} ${steps.map(([id, { status, phase, undo }]) => `${id} ${status} ${phase.kind} ${undo?.phase ?? ""}`).join(", ")}`;
}
