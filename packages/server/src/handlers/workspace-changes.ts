// What differs between two versions of a workspace file, and which differences let programs do more than before.
import { decimal } from "@writ/core/value";
import type {
  WorkspaceColumn,
  WorkspaceFile,
  WorkspaceDevice,
  WorkspaceHost,
  WorkspacePlace,
  WorkspaceProgram,
} from "@writ/core/workspace";

export interface WorkspaceChange {
  /** `host https://example.org:443 added, risk low` */
  readonly text: string;
  /** True when programs may do more, or are held back less. */
  readonly widens: boolean;
}

const profiles = ["readonly", "local_worker", "power_user", "unrestricted"] as const;
const risks = ["low", "medium", "high", "critical"] as const;

export function workspaceChanges(before: WorkspaceFile, after: WorkspaceFile): readonly WorkspaceChange[] {
  const guards = [...Object.values(before.folders), ...Object.values(before.files)].some(isReadOnly);
  return [
    ...between(before.profile, after.profile, "profile", isLater(profiles, before.profile, after.profile)),
    ...hostChanges(before.hosts, after.hosts),
    ...programChanges(before.programs ?? {}, after.programs ?? {}),
    ...deviceChanges(before.devices ?? {}, after.devices ?? {}),
    ...placeChanges("folder", before.folders, after.folders, guards),
    ...placeChanges("file", before.files, after.files, guards),
    ...columnChanges(before, after),
    ...rolesChanges(before, after),
    ...between(before.zone, after.zone, "zone"),
    ...between(before.currencies.join(", "), after.currencies.join(", "), "currencies"),
    ...between(String(before.settleMs ?? ""), String(after.settleMs ?? ""), "settleMs"),
  ];
}

function hostChanges(
  before: readonly WorkspaceHost[],
  after: readonly WorkspaceHost[],
): readonly WorkspaceChange[] {
  const byName = (hosts: readonly WorkspaceHost[]) =>
    Object.fromEntries(hosts.map((host) => [`${host.scheme}://${host.host}`, host]));
  return pairs(byName(before), byName(after)).flatMap(([name, old, now]) => {
    if (now === undefined) return [{ text: `host ${name} removed`, widens: false }];
    if (old === undefined) return [{ text: `host ${name} added, risk ${now.risk}`, widens: true }];
    return [
      ...between(old.risk, now.risk, `risk of host ${name}`, isLater(risks, now.risk, old.risk)),
      ...between(
        said(old.idempotent ?? false),
        said(now.idempotent ?? false),
        `idempotence of host ${name}`,
        now.idempotent,
      ),
      ...words(`host ${name}`, old.words, now.words),
    ];
  });
}

/** Whatever changes of an allowed program may let commands do more; taking it off the list cannot. */
function programChanges(
  before: Readonly<Record<string, WorkspaceProgram>>,
  after: Readonly<Record<string, WorkspaceProgram>>,
): readonly WorkspaceChange[] {
  return pairs(before, after).flatMap(([name, old, now]) => {
    if (now === undefined) return [{ text: `program ${name} removed`, widens: false }];
    if (old === undefined)
      return [{ text: `program ${name} added: ${now.path}, risk ${now.risk}`, widens: true }];
    return between(JSON.stringify(old), JSON.stringify(now), `program ${name}`, true);
  });
}

function deviceChanges(
  before: Readonly<Record<string, WorkspaceDevice>>,
  after: Readonly<Record<string, WorkspaceDevice>>,
): readonly WorkspaceChange[] {
  return pairs(before, after).flatMap(([name, old, now]) => {
    if (now === undefined) return [{ text: `device ${name} removed`, widens: false }];
    if (old === undefined) return [{ text: `device ${name} added, risk ${now.risk}`, widens: true }];
    return [
      ...between(old.risk, now.risk, `risk of device ${name}`, isLater(risks, now.risk, old.risk)),
      ...words(`device ${name}`, old.words, now.words),
    ];
  });
}

function placeChanges(
  kind: string,
  before: Readonly<Record<string, WorkspacePlace>>,
  after: Readonly<Record<string, WorkspacePlace>>,
  guards: boolean,
): readonly WorkspaceChange[] {
  return pairs(before, after).flatMap(([name, old, now]) => {
    const wasRead = old !== undefined && isReadOnly(old);
    // What no place is said of may be written.
    if (now === undefined) return [{ text: `${kind} ${name} removed`, widens: wasRead }];
    const access = now.access ?? "write";
    // It may lie in a place that is only read; the narrowest place decides.
    if (old === undefined)
      return [
        { text: `${kind} ${name} added: ${now.path}, ${access}`, widens: guards && access === "write" },
      ];
    return [
      ...between(old.path, now.path, `path of ${kind} ${name}`, wasRead),
      ...between(old.access ?? "write", access, `access of ${kind} ${name}`, access === "write"),
      ...words(`${kind} ${name}`, old.words, now.words),
    ];
  });
}

function isReadOnly(place: WorkspacePlace): boolean {
  return place.access === "read";
}

function columnChanges(before: WorkspaceFile, after: WorkspaceFile): readonly WorkspaceChange[] {
  const columns = ({ tables }: WorkspaceFile) =>
    Object.fromEntries(
      Object.entries(tables).flatMap(([table, { columns: all }]) =>
        Object.entries(all).map(([name, column]) => [`${table}.${name}`, column] as const),
      ),
    );
  return pairs(columns(before), columns(after)).flatMap(([name, old, now]) => {
    if (now === undefined) return [{ text: `column ${name} removed`, widens: isLimited(old) }];
    if (old === undefined) return [{ text: `column ${name} added`, widens: false }];
    const { min: oldMin, max: oldMax, ...oldRest } = old;
    const { min, max, ...rest } = now;
    const isLower = oldMin !== undefined && (min === undefined || decimal(min).lt(decimal(oldMin)));
    const isHigher = oldMax !== undefined && (max === undefined || decimal(max).gt(decimal(oldMax)));
    return [
      ...between(oldMin ?? "none", min ?? "none", `min of column ${name}`, isLower),
      ...between(oldMax ?? "none", max ?? "none", `max of column ${name}`, isHigher),
      ...between(JSON.stringify(oldRest), JSON.stringify(rest), `column ${name}`),
    ];
  });
}

function isLimited(column: WorkspaceColumn | undefined): boolean {
  return column?.min !== undefined || column?.max !== undefined;
}

function rolesChanges(before: WorkspaceFile, after: WorkspaceFile): readonly WorkspaceChange[] {
  return pairs(before.roles, after.roles).flatMap(([name, old, now]) => {
    if (now === undefined) return [{ text: `role ${name} removed`, widens: false }];
    if (old === undefined) return [{ text: `role ${name} added`, widens: false }];
    return words(`role ${name}`, old.words, now.words);
  });
}

/** Words decide what a sentence of a rule means, so they are shown too. */
function words(what: string, before: unknown, after: unknown): readonly WorkspaceChange[] {
  return between(JSON.stringify(before ?? {}), JSON.stringify(after ?? {}), `words of ${what}`);
}

function between(before: string, after: string, what: string, widens = false): readonly WorkspaceChange[] {
  const shown = (text: string) => text.slice(0, 200);
  return before === after ? [] : [{ text: `${what}: ${shown(before)} → ${shown(after)}`, widens }];
}

function pairs<Item>(before: Readonly<Record<string, Item>>, after: Readonly<Record<string, Item>>) {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
  const own = (items: Readonly<Record<string, Item>>, name: string) =>
    Object.hasOwn(items, name) ? items[name] : undefined;
  return names.map((name) => [name, own(before, name), own(after, name)] as const);
}

function isLater<Name extends string>(order: readonly Name[], before: Name, after: Name): boolean {
  return order.indexOf(after) > order.indexOf(before);
}

function said(flag: boolean): string {
  return flag ? "yes" : "no";
}
