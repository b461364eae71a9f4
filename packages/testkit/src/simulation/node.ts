// A node as the server wires it, without HTTP: the real store, engine, triggers and registry on simulated disk, time and modules.
import type { EntryDraft, Entry, NodeEntryKind, EntryFacts, Actor } from "@writ/core/entry";
import type { ProgramHash } from "@writ/core/ids";
import { keyId, personId, roleName, sha256, type Sha256 } from "@writ/core/ids";
import { toHex } from "@writ/core/bytes";
import type { Blobs, Disk, EventSource } from "@writ/core/ports";
import type { HashedProgram } from "@writ/core/program";
import { decodeProgram, hashProgram } from "@writ/core/program-codec";
import { decodeEnvelope, encodeEnvelope, signProgram, verifySignedProgram } from "@writ/core/signature";
import { createEngine, type Engine } from "@writ/runtime/engine";
import {
  checkCapabilities,
  emptyRegistry,
  foldRegistry,
  openProgram,
  type Registry,
} from "@writ/runtime/registry";
import { createTriggers, type Triggers } from "@writ/runtime/triggers";
import { nodeHasher } from "@writ/store/node-crypto";
import { simulatedKeyRing } from "./keys.ts";
import type { NodeKeys } from "@writ/store/keys";
import type { LedgerLimits } from "@writ/store/limits";
import { openStore, type Store } from "@writ/store/open-store";
import { simulatedPolicy } from "../simulated-modules.ts";
import { simulationModules, hostName } from "./modules.ts";
import type { SimulatedProcess } from "./loop.ts";
import type { Oracle } from "./oracle.ts";

export interface SimulatedNode {
  readonly store: Store;
  readonly engine: Engine;
  readonly triggers: Triggers;
  readonly registry: () => Registry;
  /** Records a decision about the node, as its handlers do; resolves when it is durable. */
  record<Kind extends NodeEntryKind>(kind: Kind, facts: EntryFacts[Kind]): Promise<void>;
  stop(): Promise<void>;
}

export interface NodeParts {
  readonly disk: Disk;
  readonly process: SimulatedProcess;
  readonly oracle: Oracle;
  readonly keys: NodeKeys;
  readonly source: EventSource;
  readonly programs: readonly HashedProgram[];
  /** Told of every durable entry, in order, beginning with those of earlier lives. */
  readonly told: (entries: readonly Entry[]) => void;
  readonly runsActiveMax: number;
  /** Told of every blob before it is stored. */
  readonly keepBlob: (hash: Sha256, bytes: Uint8Array) => void;
}

export const workspaceName = "sim";
export const accountant: Actor = {
  kind: "person",
  id: personId("ada"),
  key: keyId("k_0000000000000002"),
};
export const owner: Actor = { kind: "person", id: personId("olga"), key: keyId("k_0000000000000001") };

/** Small, so that a few hundred entries roll segments and sign checkpoints now and then. */
const limits: Partial<LedgerLimits> = {
  segmentBytesMax: 512 * 1024,
  frameBytesMax: 256 * 1024,
  preallocateBytes: 16 * 1024,
  checkpointEntries: 512,
  runTailsMax: 8,
};

const workspaceFile = {
  version: 1,
  name: workspaceName,
  zone: "Europe/Paris",
  currencies: ["EUR"],
  folders: {},
  files: {},
  roles: { accountant: {} },
  tables: {},
  hosts: [{ host: hostName, scheme: "http", risk: "low" }],
  profile: "local_worker",
} as const;

/** Opens the store, recovers the runs, then arms the triggers. @throws what the store throws when the disk is damaged */
export async function startSimulatedNode(parts: NodeParts): Promise<SimulatedNode> {
  const { disk, process, oracle, keys, source, programs, told } = parts;
  const { world, entropy } = process;
  const store = await openStore({
    disk,
    keys,
    keyRing: simulatedKeyRing(keys),
    world,
    entropy,
    version: "0.1.0",
    limits,
  });
  const { ledger } = store;
  let registry = emptyRegistry;
  const before: Entry[] = [];
  for await (const entry of ledger.scan(0)) {
    before.push(entry);
    if (entry.run === null) registry = foldRegistry(registry, entry);
  }
  told(before);
  ledger.subscribe((entries) => {
    if (process.isDead()) return;
    for (const entry of entries) if (entry.run === null) registry = foldRegistry(registry, entry);
    told(entries);
  });

  const blobs: Blobs = {
    ...store.blobs,
    put(bytes) {
      if (bytes instanceof Uint8Array) parts.keepBlob(sha256(toHex(nodeHasher.sha256(bytes))), bytes);
      return store.blobs.put(bytes);
    },
  };
  const modules = simulationModules(oracle, process, [source]);
  const bodies = new Map<ProgramHash, Promise<HashedProgram>>();
  const open = (hash: ProgramHash): Promise<HashedProgram> => {
    const known = bodies.get(hash);
    if (known !== undefined) return known;
    const opened = openProgram(registry, hash, {
      bytesOf: async (stored) => {
        if (stored.kind === "blob") return store.blobs.get(stored.sha256);
        if (stored.value instanceof Uint8Array) return stored.value;
        throw new Error("the envelope is no bytes");
      },
      decodeEnvelope,
      verify: (envelope) => verifySignedProgram(envelope, store.keyRing),
      decode: decodeProgram,
      hash: (payload) => hashProgram(payload, nodeHasher),
    });
    bodies.set(hash, opened);
    opened.catch(() => bodies.delete(hash));
    return opened;
  };
  const policy = simulatedPolicy();
  const engine = createEngine({
    ledger,
    blobs,
    modules,
    policy: () => policy,
    registry: () => registry,
    world,
    entropy,
    hasher: nodeHasher,
    loadProgram: open,
    unfinishedRuns: async () => store.projections.unfinishedRuns(),
    parked: store.projections.parked,
    runsActiveMax: parts.runsActiveMax,
  });
  const triggers = createTriggers({
    ledger,
    engine,
    modules,
    registry: () => registry,
    world,
    loadProgram: async (hash) => {
      const program = await open(hash);
      checkCapabilities(registry, program.program);
      return program;
    },
    seen: (sourceKey) => store.projections.eventSeen(sourceKey),
  });

  const draftOf = <Kind extends NodeEntryKind>(kind: Kind, facts: EntryFacts[Kind]): EntryDraft => {
    const draft = { kind, run: null, cause: null, actor: owner, atMs: world.nowMs(), facts };
    // The kind and its facts go together by the signature.
    return draft as unknown as EntryDraft;
  };
  const missing = setup(programs, registry, keys).map(({ kind, facts }) => draftOf(kind, facts));
  // One by one, as people do it, so that a crash may come in between.
  for (const draft of missing) await ledger.durable(ledger.append(draft).seq);

  await engine.recover();
  await triggers.sync();
  return {
    store,
    engine,
    triggers,
    registry: () => registry,
    async record(kind, facts) {
      await ledger.durable(ledger.append(draftOf(kind, facts)).seq);
    },
    async stop() {
      await triggers.stop();
      await engine.stop();
      await store.close();
    },
  };
}

interface Setup {
  readonly kind: NodeEntryKind;
  readonly facts: EntryFacts[NodeEntryKind];
}

/** What of the workspace, the people and the programs is not recorded yet. */
function setup(programs: readonly HashedProgram[], registry: Registry, keys: NodeKeys): readonly Setup[] {
  const wanted: Setup[] = [];
  const add = <Kind extends NodeEntryKind>(kind: Kind, facts: EntryFacts[Kind]): void => {
    wanted.push({ kind, facts });
  };
  if (!registry.workspaces.has(workspaceName)) {
    const file = { kind: "inline", value: workspaceFile } as const;
    add("workspace.added", { name: workspaceName, root: "/sim", file });
  }
  for (const [actor, role, digit] of [
    [owner, "owner", "1"],
    [accountant, "accountant", "2"],
  ] as const) {
    if (actor.kind !== "person" || registry.people.has(actor.id)) continue;
    const tokenHash = sha256(digit.repeat(64));
    add("person.added", {
      person: actor.id,
      name: role,
      roles: [roleName(role)],
      key: actor.key,
      tokenHash,
    });
  }
  for (const { hash, bytes } of programs) {
    const known = registry.programs.get(hash);
    const nothing = { kind: "inline", value: new Uint8Array(0) } as const;
    if (known === undefined) {
      add("program.compiled", {
        program: hash,
        bytes: nothing,
        source: nothing,
        certificate: nothing,
        verdict: "proved",
        name: hash.slice(0, 8),
        workspace: workspaceName,
      });
    }
    if (known?.approval == null) {
      const envelope = encodeEnvelope(signProgram(bytes, keys.signer));
      add("program.approved", {
        program: hash,
        certificate: sha256("0".repeat(64)),
        envelope: { kind: "inline", value: envelope },
        comment: "",
      });
    }
    if (known?.deployedAtMs == null && known?.undeployed !== true) add("program.deployed", { program: hash });
  }
  return wanted;
}
