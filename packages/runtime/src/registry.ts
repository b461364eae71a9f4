// Registry: what the node knows besides its runs (people, workspaces, programs, keys, policy, cursors), folded from the ledger.
//   R1  The registry is a pure fold of node entries; entries of runs change nothing in it.
//   R2  Folding copies only the table that an entry touches, so a million events cost a million small steps.
//   R3  A program is loaded only after its signatures, hash and format were checked again, each with its own fault; to begin with it,
//       none of its capabilities may be revoked. A run that has begun goes on to the gate, which refuses the effect.
import { sessionOfSourceKey } from "@writ/core/event";
import type { Actor, EmergencyScope, EntryDraft, Stored } from "@writ/core/entry";
import { fault as coreFault } from "@writ/core/faults";
import {
  capabilityName,
  type CapabilityId,
  type KeyId,
  type PersonId,
  type ProgramHash,
  type RoleName,
  type Sha256,
} from "@writ/core/ids";
import type { HashedProgram, Program, SignedProgram } from "@writ/core/program";
import type { ValueMap } from "@writ/core/value";
import { fault } from "./faults.ts";

export interface RegisteredPerson {
  readonly id: PersonId;
  readonly name: string;
  readonly roles: readonly RoleName[];
  readonly key: KeyId;
  /** SHA-256 of the one token that is valid now. */
  readonly tokenHash: Sha256;
}

export interface RegisteredWorkspace {
  readonly name: string;
  /** Real path. */
  readonly root: string;
  /** The workspace file as it was when it was added. */
  readonly file: Stored;
}

/** Programs by hash. A node that knows many keeps most of them outside of memory, and finds these without looking at all. */
export interface Programs extends ReadonlyMap<ProgramHash, RegisteredProgram> {
  readonly deployed?: () => readonly RegisteredProgram[];
  readonly newestFirst?: () => Iterable<RegisteredProgram>;
  readonly withPrefix?: (prefix: string) => readonly RegisteredProgram[];
}

export interface RegisteredProgram {
  readonly hash: ProgramHash;
  readonly name: string;
  readonly workspace: string;
  readonly bytes: Stored;
  readonly source: Stored;
  readonly certificate: Stored;
  readonly verdict: "proved" | "refused";
  readonly compiledAtMs: number;
  readonly approval: {
    readonly certificate: Sha256;
    readonly envelope: Stored;
    readonly comment: string;
    readonly by: Actor;
    readonly atMs: number;
  } | null;
  readonly deployedAtMs: number | null;
  /** True once it was deployed and taken back. */
  readonly undeployed: boolean;
  readonly paused: boolean;
}

export interface RegisteredKey {
  readonly id: KeyId;
  readonly algorithm: "ed25519" | "ml-dsa-65";
  /** Hexadecimal. */
  readonly publicKey: string;
  readonly purpose: "programs" | "checkpoints";
  /** Why it was revoked, or null. */
  readonly revoked: string | null;
}

export interface EmergencyStop {
  readonly stop: string;
  readonly scope: EmergencyScope;
  readonly reason: string;
  readonly by: Actor;
  readonly atMs: number;
}

export interface WebhookRecord {
  readonly workspace: string;
  readonly name: string;
  readonly secretId: string;
  readonly secretHash: Sha256;
  readonly previous: { readonly secretHash: Sha256; readonly untilMs: number } | null;
  readonly setAtMs: number;
}

export interface Registry {
  readonly people: ReadonlyMap<PersonId, RegisteredPerson>;
  readonly tokens: ReadonlyMap<Sha256, PersonId>;
  readonly workspaces: ReadonlyMap<string, RegisteredWorkspace>;
  readonly programs: Programs;
  readonly keys: ReadonlyMap<KeyId, RegisteredKey>;
  /** `module.action@1.2.3` or `module.action` → reason. */
  readonly revokedCapabilities: ReadonlyMap<string, string>;
  readonly policy: { readonly hash: Sha256; readonly text: Stored } | null;
  /** Emergency stops that nobody has cleared, by id. */
  readonly emergencies: ReadonlyMap<string, EmergencyStop>;
  /** Webhooks by `workspace/name`; secrets by their hash only. */
  readonly webhooks: ReadonlyMap<string, WebhookRecord>;
  /** Where each source session goes on, by its session key. */
  readonly cursors: ReadonlyMap<string, ValueMap>;
}

export const emptyRegistry: Registry = {
  people: new Map(),
  tokens: new Map(),
  workspaces: new Map(),
  programs: new Map(),
  keys: new Map(),
  revokedCapabilities: new Map(),
  policy: null,
  emergencies: new Map(),
  webhooks: new Map(),
  cursors: new Map(),
};

/** The registry after one more entry, in ledger order. Pure. */
export function foldRegistry(registry: Registry, entry: EntryDraft): Registry {
  switch (entry.kind) {
    case "person.added": {
      const { person, name, roles, key, tokenHash } = entry.facts;
      return {
        ...registry,
        people: withKey(registry.people, person, { id: person, name, roles, key, tokenHash }),
        tokens: withKey(registry.tokens, tokenHash, person),
      };
    }
    case "person.token-replaced": {
      const { person, key, tokenHash } = entry.facts;
      const known = registry.people.get(person);
      if (known === undefined) return registry;
      return {
        ...registry,
        people: withKey(registry.people, person, { ...known, key, tokenHash }),
        tokens: withKey(withoutKey(registry.tokens, known.tokenHash), tokenHash, person),
      };
    }
    case "person.roles-set": {
      const known = registry.people.get(entry.facts.person);
      if (known === undefined) return registry;
      return {
        ...registry,
        people: withKey(registry.people, known.id, { ...known, roles: entry.facts.roles }),
      };
    }
    case "person.removed": {
      const known = registry.people.get(entry.facts.person);
      if (known === undefined) return registry;
      return {
        ...registry,
        people: withoutKey(registry.people, known.id),
        tokens: withoutKey(registry.tokens, known.tokenHash),
      };
    }
    case "workspace.added":
      return { ...registry, workspaces: withKey(registry.workspaces, entry.facts.name, entry.facts) };
    case "workspace.removed":
      return { ...registry, workspaces: withoutKey(registry.workspaces, entry.facts.name) };
    case "policy.set":
      return { ...registry, policy: { hash: entry.facts.hash, text: entry.facts.text } };
    case "key.added": {
      const { key, algorithm, publicKey, purpose } = entry.facts;
      return {
        ...registry,
        keys: withKey(registry.keys, key, { id: key, algorithm, publicKey, purpose, revoked: null }),
      };
    }
    case "key.revoked": {
      const known = registry.keys.get(entry.facts.key);
      if (known === undefined) return registry;
      return {
        ...registry,
        keys: withKey(registry.keys, known.id, { ...known, revoked: entry.facts.reason }),
      };
    }
    case "capability.revoked":
      return {
        ...registry,
        revokedCapabilities: withKey(
          registry.revokedCapabilities,
          entry.facts.capability,
          entry.facts.reason,
        ),
      };
    case "capability.restored":
      return {
        ...registry,
        revokedCapabilities: withoutKey(registry.revokedCapabilities, entry.facts.capability),
      };
    case "emergency.stopped": {
      const { stop, scope, reason } = entry.facts;
      const { actor: by, atMs } = entry;
      return {
        ...registry,
        emergencies: withKey(registry.emergencies, stop, { stop, scope, reason, by, atMs }),
      };
    }
    case "emergency.cleared":
      return { ...registry, emergencies: withoutKey(registry.emergencies, entry.facts.stop) };
    case "program.compiled": {
      const { program, bytes, source, certificate, verdict, name, workspace } = entry.facts;
      const known = registry.programs.get(program);
      return {
        ...registry,
        programs: withKey(registry.programs, program, {
          hash: program,
          name,
          workspace,
          bytes,
          source,
          certificate,
          verdict,
          compiledAtMs: entry.atMs,
          approval: known?.approval ?? null,
          deployedAtMs: known?.deployedAtMs ?? null,
          undeployed: known?.undeployed ?? false,
          paused: known?.paused ?? false,
        }),
      };
    }
    case "program.approved": {
      const { program, certificate, envelope, comment } = entry.facts;
      return changeProgram(registry, program, {
        approval: { certificate, envelope, comment, by: entry.actor, atMs: entry.atMs },
      });
    }
    case "program.deployed":
      return changeProgram(registry, entry.facts.program, {
        deployedAtMs: entry.atMs,
        undeployed: false,
        paused: false,
      });
    case "program.undeployed":
      return changeProgram(registry, entry.facts.program, {
        deployedAtMs: null,
        undeployed: true,
        paused: false,
      });
    case "program.paused":
      return changeProgram(registry, entry.facts.program, { paused: true });
    case "program.resumed":
      return changeProgram(registry, entry.facts.program, { paused: false });
    case "event.received":
      return {
        ...registry,
        cursors: withKey(registry.cursors, sessionOfSourceKey(entry.facts.sourceKey), entry.facts.cursor),
      };
    case "webhook.secret-set": {
      const { workspace, name } = entry.facts;
      const set = { ...entry.facts, setAtMs: entry.atMs };
      return { ...registry, webhooks: withKey(registry.webhooks, `${workspace}/${name}`, set) };
    }
    case "webhook.removed": {
      const { workspace, name } = entry.facts;
      return { ...registry, webhooks: withoutKey(registry.webhooks, `${workspace}/${name}`) };
    }
    case "source.missed":
      return { ...registry, cursors: withKey(registry.cursors, entry.facts.session, entry.facts.cursor) };
    default:
      return registry;
  }
}

/** Those that are deployed, paused ones too. */
export function deployedPrograms({ programs }: Registry): readonly RegisteredProgram[] {
  return programs.deployed?.() ?? [...programs.values()].filter(({ deployedAtMs }) => deployedAtMs !== null);
}

/** All, those that were compiled last first; a node with many reads no further than is asked. */
export function newestPrograms({ programs }: Registry): Iterable<RegisteredProgram> {
  return programs.newestFirst?.() ?? [...programs.values()].reverse();
}

/** Those whose hash begins so. */
export function programsWithPrefix({ programs }: Registry, prefix: string): readonly RegisteredProgram[] {
  return (
    programs.withPrefix?.(prefix) ?? [...programs.values()].filter(({ hash }) => hash.startsWith(prefix))
  );
}

/** Roles of the actor now; none for a person who was removed. */
export function rolesOf(registry: Registry, actor: Actor): readonly string[] {
  return actor.kind === "person" ? (registry.people.get(actor.id)?.roles ?? []) : [];
}

/** The owner and operator roles nest; a workspace's own roles stand for themselves only. */
export function hasRole(roles: readonly string[], role: string): boolean {
  return roles.includes(role) || (role === "operator" && roles.includes("owner"));
}

/** Why the capability may not be used, or undefined. A revocation names one version, or every version. */
export function revocationOf(registry: Registry, capability: CapabilityId): string | undefined {
  return (
    registry.revokedCapabilities.get(capability) ??
    registry.revokedCapabilities.get(capabilityName(capability))
  );
}

export interface ProgramLoader {
  /** Bytes of a stored envelope, read from the entry or the blob store. */
  readonly bytesOf: (stored: Stored) => Promise<Uint8Array>;
  /** @throws program.malformed */
  readonly decodeEnvelope: (bytes: Uint8Array) => SignedProgram;
  /** Checks every signature against the pinned key ring. @throws signature.* */
  readonly verify: (envelope: SignedProgram) => void;
  /** @throws program.malformed, program.version */
  readonly decode: (payload: Uint8Array) => Program;
  readonly hash: (payload: Uint8Array) => ProgramHash;
}

/**
 * An approved program, for runs that go on, are undone or replayed: what was revoked since they began is refused by the gate, effect by
 * effect, so that they end by their own policies. Whoever begins with it asks `checkCapabilities` too.
 * @throws program.unknown, program.refused, signature.missing (never approved), signature.*, program.version, program.malformed
 */
export async function openProgram(
  registry: Registry,
  hash: ProgramHash,
  loader: ProgramLoader,
): Promise<HashedProgram> {
  const known = registry.programs.get(hash);
  if (known === undefined)
    throw fault("program.unknown", `Cannot find the program \`${hash}\``, { program: hash });
  if (known.verdict === "refused") {
    throw fault("program.refused", `Cannot run the program \`${known.name}\`: its proof was refused`, {
      program: hash,
    });
  }
  if (known.approval === null) {
    throw coreFault(
      "signature.missing",
      `Cannot run the program \`${known.name}\`: nobody has approved and signed it`,
      {
        program: hash,
      },
    );
  }
  const envelope = loader.decodeEnvelope(await loader.bytesOf(known.approval.envelope));
  loader.verify(envelope);
  const actual = loader.hash(envelope.payload);
  if (actual !== hash) {
    throw coreFault(
      "signature.invalid",
      `Cannot run the program \`${known.name}\`: what was signed is another program`,
      {
        program: hash,
        actual,
      },
    );
  }
  return { hash, program: loader.decode(envelope.payload), bytes: envelope.payload };
}

/** @throws capability.revoked */
export function checkCapabilities(registry: Registry, program: Program): void {
  for (const capability of program.capabilities) {
    const reason = revocationOf(registry, capability);
    if (reason !== undefined) {
      throw fault("capability.revoked", `Cannot use \`${capability}\`: it was revoked: ${reason}`, {
        capability,
        reason,
      });
    }
  }
}

function changeProgram(registry: Registry, hash: ProgramHash, change: Partial<RegisteredProgram>): Registry {
  const known = registry.programs.get(hash);
  if (known === undefined) return registry;
  return { ...registry, programs: withKey(registry.programs, hash, { ...known, ...change }) };
}

function withKey<K, V>(map: ReadonlyMap<K, V>, key: K, value: V): ReadonlyMap<K, V> {
  return new Map(map).set(key, value);
}

function withoutKey<K, V>(map: ReadonlyMap<K, V>, key: K): ReadonlyMap<K, V> {
  const copy = new Map(map);
  copy.delete(key);
  return copy;
}
