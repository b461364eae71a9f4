// Which blobs an entry refers to, by its kind. Only where Writ itself writes references: the same form inside an event, a file's content
// or a parameter is data, and whoever chose it could otherwise make a sound ledger look as if it had lost a blob.
import { isMap, type Value, type ValueMap } from "../value.ts";

/** Hashes, in the order of the facts' keys. */
export function blobReferences(kind: string, facts: ValueMap): readonly string[] {
  switch (kind) {
    case "effect.intended":
    case "undo.intended":
      // Parameters come from people and data: only their whole may stand in a blob.
      return [...wholly(facts["params"]), ...anywhere(facts["before"])];
    case "effect.completed":
      return [
        ...stored(facts["result"]),
        ...anywhere(field(facts["undo"], "params")),
        ...listOf(facts["attachments"]).flatMap(stored),
      ];
    case "effect.progress":
      // What a module says is data.
      return [];
    case "approval.requested":
      return listOf(facts["effects"]).flatMap((effect) =>
        Object.values(mapOf(field(effect, "params"))).flatMap(shown),
      );
    case "run.started":
      return stored(field(facts["forkedFrom"], "state"));
    case "step.intercepted":
      return Object.values(mapOf(field(facts["effect"], "params"))).flatMap(shown);
    case "step.released":
      // What a person set is data.
      return [];
    default:
      return Object.values(facts).flatMap(stored);
  }
}

const hashPattern = /^[0-9a-f]{64}$/;

function hashIn(value: Value | undefined): readonly string[] {
  return typeof value === "string" && hashPattern.test(value) ? [value] : [];
}

/** `{ kind: "blob", sha256, sizeBytes }` */
function stored(value: Value | undefined): readonly string[] {
  return field(value, "kind") === "blob" ? hashIn(field(value, "sha256")) : [];
}

/** `{ $blob }` and nothing else. */
function wholly(value: Value | undefined): readonly string[] {
  const map = mapOf(value);
  return Object.keys(map).length === 1 ? hashIn(map["$blob"]) : [];
}

/** `{ $blob, sizeBytes }`, as approvals show one large parameter. */
function shown(value: Value): readonly string[] {
  const map = mapOf(value);
  return Object.keys(map).length === 2 && typeof map["sizeBytes"] === "number" ? hashIn(map["$blob"]) : [];
}

/** Every `{ $blob }` in what a capability wrote for itself. */
function anywhere(value: Value | undefined): readonly string[] {
  const found: string[] = [];
  const open: Value[] = value === undefined ? [] : [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (Array.isArray(next)) open.push(...next);
    else if (isMap(next)) {
      found.push(...hashIn(next["$blob"]));
      open.push(...Object.values(next));
    }
  }
  return found;
}

function mapOf(value: Value | undefined): ValueMap {
  return value !== undefined && isMap(value) ? value : {};
}

function listOf(value: Value | undefined): readonly Value[] {
  return Array.isArray(value) ? value : [];
}

function field(value: Value | undefined, name: string): Value | undefined {
  const map = mapOf(value);
  return Object.hasOwn(map, name) ? map[name] : undefined;
}
