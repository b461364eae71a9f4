import { lstatSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import type { CallContext } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import { fileCapability } from "./file-capability.ts";
import { openSpotOrMissing, openChild } from "./contained.ts";
import { assertActive } from "./files.ts";
import { filePath, shownPath } from "./params.ts";
import { entriesBelow } from "./walk-tree.ts";

const lookMs = 200;
const eventsMax = 1000;
const eventKind = Type.Enum(["created", "modified", "deleted", "moved"]);
type EventKind = "created" | "modified" | "deleted" | "moved";

export const watchPath = fileCapability({
  id: capabilityId("filesystem.watch_path@1.0.0"),
  summary: {
    en: "Waits until something changes at a path, at most for the timeout",
    fr: "Attend un changement à un chemin, au plus pendant le délai",
  },
  params: Type.Object(
    {
      path: filePath,
      events: Type.Optional(
        Type.Array(eventKind, { maxItems: 4, default: ["created", "modified", "deleted"] }),
      ),
      /** Seconds. */
      timeout: Type.Optional(Type.Integer({ minimum: 1, maximum: 3600, default: 60 })),
    },
    { additionalProperties: false },
  ),
  result: Type.Object(
    {
      path: shownPath,
      events: Type.Array(
        Type.Object(
          { kind: eventKind, path: shownPath, from: Type.Union([shownPath, Type.Null()]) },
          { additionalProperties: false },
        ),
        { maxItems: eventsMax },
      ),
      timedOut: Type.Boolean(),
    },
    { additionalProperties: false },
  ),
  effect: { kind: "read" },
  resources: [{ kind: "file", param: "path", does: "read" }],
  crash: "idempotent",
  risk: "low",
  criticality: "safe",
  permission: "filesystem.read",
  labels: ["origin:file"],
  phrases: { en: [], fr: [] },
  timeoutMs: 3_600_000,
  resultBytesMax: 1024 * 1024,
  retryOn: [],
  async inspect({ path }, context) {
    using spot = openSpotOrMissing(context.workspace.root, path, { followLast: true });
    const resolved = "at" in spot ? spot.resolved : [spot.folder.real, ...spot.rest].join("/");
    return { targets: [{ kind: "file", name: path, resolved, does: "read", state: null }], before: {} };
  },
  async perform(params, context) {
    const wanted = new Set<EventKind>(params.events ?? ["created", "modified", "deleted"]);
    const looks = Math.ceil(((params.timeout ?? 60) * 1000) / lookMs);
    let before = stateAt(params.path, context);
    for (let look = 0; look < looks; look++) {
      await wait(lookMs);
      assertActive(context.signal);
      const now = stateAt(params.path, context);
      const events = changesBetween(before, now).filter((event) => wanted.has(event.kind));
      if (events.length > 0) {
        const result = { path: params.path, events: events.slice(0, eventsMax), timedOut: false };
        return { result, undo: null, evidence: "observed" };
      }
      before = now;
    }
    return { result: { path: params.path, events: [], timedOut: true }, undo: null, evidence: "observed" };
  },
});

/** Path → inode and version, of the path itself and of what is directly in it. */
type State = ReadonlyMap<string, { readonly ino: bigint; readonly version: string }>;

function stateAt(path: string, context: CallContext): State {
  const state = new Map<string, { readonly ino: bigint; readonly version: string }>();
  using spot = openSpotOrMissing(context.workspace.root, path, { followLast: true });
  if (!("at" in spot)) return state;
  const stat = lstatSync(spot.at, { throwIfNoEntry: false, bigint: true });
  if (stat === undefined) return state;
  if (!stat.isDirectory())
    return state.set(spot.relative, { ino: stat.ino, version: `${stat.size} ${stat.mtimeNs}` });
  using folder = openChild(spot.folder, spot.name);
  state.set(spot.relative, { ino: stat.ino, version: "" });
  for (const entry of entriesBelow(folder, { signal: context.signal, isRecursive: false })) {
    const version = entry.kind === "folder" ? "" : `${entry.stat.size} ${entry.stat.mtimeNs}`;
    state.set(`${spot.relative}/${entry.path}`, { ino: entry.stat.ino, version });
  }
  return state;
}

function changesBetween(before: State, now: State) {
  const events: { kind: EventKind; path: string; from: string | null }[] = [];
  const gone = new Map([...before].filter(([path]) => !now.has(path)).map(([path, { ino }]) => [ino, path]));
  for (const [path, { ino, version }] of now) {
    const old = before.get(path);
    const from = gone.get(ino);
    if (old !== undefined && (old.ino !== ino || old.version !== version))
      events.push({ kind: "modified", path, from: null });
    if (old !== undefined) continue;
    if (from === undefined) events.push({ kind: "created", path, from: null });
    else {
      events.push({ kind: "moved", path, from });
      gone.delete(ino);
    }
  }
  for (const path of gone.values()) events.push({ kind: "deleted", path, from: null });
  return events;
}
