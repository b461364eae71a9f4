// One node: everything wired, and nothing else. The parts know only what they need; here alone they meet.
//   S32  A node recovers its runs before it arms a trigger, and arms its triggers before it answers a request.
//   S33  Every deployed program is verified again; one that fails is not armed, is reported with its fault, and the node goes on.
import { createServer } from "node:net";
import path from "node:path";
import type { FastifyInstance } from "fastify";
import type { FaultRecord } from "@writ/core/fault";
import type { KeyId, ProgramHash } from "@writ/core/ids";
import type { Models, Modules, World } from "@writ/core/ports";
import { builtInModules } from "@writ/modules/registry";
import { createInbox } from "@writ/modules/webhook";
import { createEngine } from "@writ/runtime/engine";
import type { Registry } from "@writ/runtime/registry";
import { createRates } from "@writ/runtime/rates";
import { createTriggers } from "@writ/runtime/triggers";
import { openStore, type Store } from "@writ/store/open-store";
import type { NodeLimits } from "./config.ts";
import { fault } from "./faults.ts";
import { createHandlers } from "./handlers.ts";
import { createApp } from "./http/app.ts";
import type { KnownPerson } from "./http/guard.ts";
import { asFault } from "./http/problem.ts";
import { stopTimeoutMs } from "./limits.ts";
import { openLog, type Log } from "./log.ts";
import { createQueue, type NodeContext } from "./node/context.ts";
import { addExample, addOwner, pinKeys, recordPolicy } from "./node/first-start.ts";
import { removeLocalKey, writeLocalKey } from "./node/local-key.ts";
import { createProgramLoader } from "./node/loader.ts";
import { lazyMcp, lazyRoad } from "./node/lazy.ts";
import { followRegistry } from "./node/registry.ts";
import { keepRetention, type Retention } from "./node/retention.ts";
import { createRunWatch } from "./node/run-watch.ts";
import { createUpkeep } from "./node/upkeep.ts";
import { createWebhooks } from "./node/webhooks.ts";
import { createNotifier } from "./notify.ts";
import { loadPolicy } from "./policies.ts";
import { createEntryStreams } from "./stream.ts";
import { statusOf } from "./views/run.ts";
import { newToken } from "./token.ts";
import { systemEntropy, systemWorld } from "./world.ts";

export interface NodeOptions {
  /** Absolute path of the data folder. */
  readonly data: string;
  /** On 127.0.0.1; 0 takes a free one. */
  readonly port: number;
  readonly version: string;
  /** Lines for whoever looks at the node's terminal. */
  readonly print: (line: string) => void;
  readonly world?: World;
  /** Capabilities beside the built-in ones. */
  readonly modules?: Modules;
  /** Models that answer questions; absent: every question fails by code. */
  readonly models?: Models;
  /** Variables by which applications find the desktop; absent: there is none. */
  readonly desktop?: Readonly<Record<string, string>>;
  readonly limits?: NodeLimits;
  /** What the node prunes by itself; absent: nothing. */
  readonly retention?: Retention;
  /** False leaves the example workspace out on the first start. */
  readonly example?: boolean;
}

export interface RunningNode {
  readonly port: number;
  /** The owner's token, on the first start only. */
  readonly ownerToken: string | undefined;
  /** Where the example workspace is, on the first start only. */
  readonly exampleRoot: string | undefined;
  /** Deployed programs that were not armed, and why. */
  readonly broken: ReadonlyMap<ProgramHash, FaultRecord>;
  readonly recovered: { readonly runs: number; readonly held: number };
  readonly context: NodeContext;
  /** Resolves when the node cannot record any more (a failed write, a full disk): nothing happens on it from then on. */
  readonly failed: Promise<FaultRecord>;
  close(reason: string): Promise<void>;
}

/** @throws server.port-in-use, store.*, ledger.*, policy.invalid */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const { data, version, print } = options;
  const world = options.world ?? systemWorld;
  const policy = loadPolicy(path.join(data, "policies"));
  const store = await openStore({ dataFolder: data, world, entropy: systemEntropy, version });
  const log = openLog(path.join(data, "node.log"));
  const closing: (() => Promise<void> | void)[] = [];
  let stopping: Promise<void> | undefined;
  try {
    await assertPortFree(options.port);
    const registry = await followRegistry(store);
    const inbox = createInbox();
    if (registry.now().policy?.hash !== policy.hash) policy.check();
    const modules =
      options.modules ??
      builtInModules({
        deliveries: inbox,
        memory: store.projections.memory,
        ...(options.models === undefined ? {} : { models: options.models }),
        exec: { hidden: [data], ...(options.desktop === undefined ? {} : { desktop: options.desktop }) },
      });
    const { blobs } = registry;
    const { hasher, keyRing } = store;
    const programs = createProgramLoader({ blobs, hasher, keyRing, registry: registry.now });
    const notifier = createNotifier({
      file: path.join(data, "notifications.ndjson"),
      world,
      log,
      print,
      record: (draft) => store.ledger.append(draft),
    });
    const engine = createEngine({
      ledger: store.ledger,
      blobs,
      modules,
      policy: () => policy,
      registry: registry.now,
      world,
      entropy: systemEntropy,
      hasher,
      loadProgram: programs.open,
      unfinishedRuns: async () => store.projections.unfinishedRuns(),
      parked: store.projections.parked,
      log,
      notifier,
      ...engineLimits(options.limits),
    });
    const triggers = createTriggers({
      ledger: store.ledger,
      engine,
      modules,
      registry: registry.now,
      world,
      loadProgram: programs.load,
      seen: (sourceKey) => store.projections.eventSeen(sourceKey),
      log,
    });
    const context: NodeContext = {
      version,
      data,
      startedAtMs: world.nowMs(),
      world,
      entropy: systemEntropy,
      hasher,
      signer: store.signer,
      keyRing,
      ledger: store.ledger,
      blobs,
      modules,
      policy,
      engine,
      triggers,
      log,
      registry: registry.now,
      addedAtMs: registry.addedAtMs,
      loadProgram: programs.load,
      openProgram: programs.open,
      inOrder: createQueue(),
      kept: new Map(),
      unfinishedIn: (workspace, limit) => store.projections.unfinishedIn(workspace, limit),
      problems: () =>
        engine.broken().map(({ run, fault: record }) => ({ what: `run ${run}`, fault: record })),
    };
    const ownKeys = store.keyRing
      .all()
      .filter(({ id }) => id === store.signer.ed25519KeyId || id === store.signer.mlDsa65KeyId);
    const isFirst = registry.now().people.size === 0;
    await pinKeys(context, ownKeys);
    await recordPolicy(context);
    const exampleRoot = isFirst && options.example !== false ? await addExample(context) : undefined;
    const ownerToken = isFirst ? await addOwner(context) : undefined;

    const { runs } = await engine.recover();
    const held = store.projections.held().length;
    closing.push(() => engine.stop());
    await triggers.sync();
    closing.push(() => triggers.stop());

    const road = lazyRoad(context);
    closing.push(() => road.close());
    const watch = createRunWatch(store.ledger, world, (run) => {
      const state = engine.state(run);
      return state === undefined || !["running", "cancelling", "undoing"].includes(statusOf(state));
    });
    const upkeep = createUpkeep(context, store);
    const webhooks = createWebhooks(context, inbox);
    const handlers = createHandlers({
      node: context,
      webhooks,
      road,
      watch,
      projections: store.projections,
      upkeep,
      prove: (seqs) => store.prove(seqs),
    });
    const streams = createEntryStreams(store.ledger, world, log);
    const mcp = lazyMcp({
      version,
      handlers,
      checkPlan: (text, workspace) => road.check(text, workspace),
      log,
    });
    closing.push(() => mcp.close());
    const local = newToken(systemEntropy);
    const findByKey = peopleByKey(registry.now, local);
    const app = await createApp({
      version,
      handlers,
      findByKey,
      ...rateOf(options.limits, world),
      stream(socket, { query, caller }) {
        const { actor } = caller;
        streams.open(socket, query, () => actor.kind === "person" && findByKey(actor.key) !== undefined);
      },
      mcp: (request, reply, caller) => mcp.handle(request, reply, caller),
      webhook: (request) => webhooks.deliver(request),
      log,
    });
    closing.push(async () => {
      // First those who wait for something that may take a minute: they are answered with what is so far.
      watch.close();
      streams.closeAll();
      await app.close();
    });
    const port = await listen(app, options.port);
    if (options.retention !== undefined)
      closing.push(keepRetention(options.retention, { upkeep, store, world, log }));
    writeLocalKey(data, port, local);
    closing.push(() => removeLocalKey(data));
    log.info("node.started", { node: store.node, port, version, runs, held });
    return {
      port,
      ownerToken,
      exampleRoot,
      broken: triggers.broken(),
      recovered: { runs, held },
      context,
      failed: ledgerFailure(store, log, () => stopping !== undefined),
      close: (reason) => (stopping ??= stop(closing, store, world, log, reason)),
    };
  } catch (error) {
    await stop(closing, store, world, log, "the start failed").catch(() => {});
    throw error;
  }
}

/** In reverse: no new request, no new trigger, no effect under way, then the last entry. Waits for each at most `stopTimeoutMs`. */
async function stop(
  closing: readonly (() => Promise<void> | void)[],
  store: Store,
  world: World,
  log: Log,
  reason: string,
): Promise<void> {
  for (const close of [...closing].reverse()) {
    const timer = new AbortController();
    const late = world.sleep(stopTimeoutMs, timer.signal).then(
      () => log.warn("node.stop-slow", {}),
      () => {},
    );
    const done = Promise.resolve()
      .then(close)
      .catch((error: unknown) => log.error("node.stop-failed", { error: String(error) }));
    await Promise.race([done, late]);
    timer.abort();
  }
  await store.close(reason);
  log.info("node.stopped", { reason });
}

/** No entry has this place: waiting for it lasts until the ledger has stopped. */
function ledgerFailure(store: Store, log: Log, isStopping: () => boolean): Promise<FaultRecord> {
  return new Promise((resolve) => {
    store.ledger.durable(Number.MAX_SAFE_INTEGER).catch((error: unknown) => {
      if (isStopping()) return;
      const record = asFault(error);
      log.error("node.failed", { code: record.code, error: record.message });
      resolve(record);
    });
  });
}

/** Asked before any run goes on, so that a node that cannot serve does nothing either. @throws server.port-in-use */
async function assertPortFree(port: number): Promise<void> {
  if (port === 0) return;
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once("error", (error) => reject(portFault(error, port)));
    probe.listen({ host: "127.0.0.1", port }, () => probe.close(() => resolve()));
  });
}

function portFault(error: unknown, port: number): unknown {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : "";
  const why =
    code === "EADDRINUSE" ? "another process does" : code === "EACCES" ? "this user may not" : undefined;
  return why === undefined
    ? error
    : fault("server.port-in-use", `Cannot listen on port ${port}: ${why}`, { port }, error);
}

/** @throws server.port-in-use */
async function listen(app: FastifyInstance, port: number): Promise<number> {
  try {
    await app.listen({ host: "127.0.0.1", port });
  } catch (error) {
    throw portFault(error, port);
  }
  const address = app.server.address();
  if (typeof address !== "object" || address === null)
    throw new Error("Invariant broken: the server has an address");
  return address.port;
}

/** People by the id of their key; the map is made anew only when the people change. */
function peopleByKey(
  registry: () => Registry,
  local: { readonly key: KeyId; readonly tokenHash: KnownPerson["tokenHash"] },
) {
  let people: unknown;
  let byKey = new Map<KeyId, KnownPerson>();
  return (key: KeyId): KnownPerson | undefined => {
    const now = registry().people;
    if (now !== people) {
      people = now;
      byKey = new Map([...now.values()].map((person) => [person.key, person]));
      const owner = [...now.values()].find(({ roles }) => roles.some((role) => role === "owner"));
      if (owner !== undefined)
        byKey.set(local.key, { ...owner, key: local.key, tokenHash: local.tokenHash, isMachine: true });
    }
    return byKey.get(key);
  };
}

function engineLimits({
  runsActiveMax,
  effectsActiveMax,
  actionsPerMinuteMax,
  resources = {},
}: NodeLimits = {}) {
  return {
    ...(runsActiveMax === undefined ? {} : { runsActiveMax }),
    ...(effectsActiveMax === undefined ? {} : { effectsActiveMax }),
    ...(actionsPerMinuteMax === undefined ? {} : { actionsPerMinuteMax }),
    resourceUnits: (name: string) => (Object.hasOwn(resources, name) ? resources[name] : undefined),
  };
}

/** Counts the requests of a key; two limits, since one request may start many effects and many may start none. */
function rateOf({ requestsPerMinuteMax: countMax }: NodeLimits = {}, world: World) {
  if (countMax === undefined) return {};
  const rates = createRates(() => world.monotonicMs());
  return {
    checkRate(key: string) {
      const count = rates.count(key);
      if (count >= countMax) {
        const facts = { count, countMax, retryAfterMs: rates.retryAfterMs() };
        throw fault("request.rate", `Cannot serve a request now: ${count} with this key in a minute`, facts);
      }
      rates.add(key);
    },
  };
}
