// Faults: failures with a code, facts and a remedy.
// Recognise a fault by its code, never by `instanceof`: faults cross workers, nodes and copies.

/** What a fault means for the caller: change something, try again within limits, or stop and ask a person. */
export type FaultKind = "rejected" | "transient" | "broken";

export type FaultFacts = Readonly<Record<string, unknown>>;

/** A fault as data: what entries, HTTP problems and workers carry. */
export interface FaultRecord {
  readonly code: string;
  readonly kind: FaultKind;
  readonly message: string;
  readonly remedy: string;
  readonly facts: FaultFacts;
}

export interface FaultDefinition {
  readonly kind: FaultKind;
  readonly remedy: string;
}

export type FaultTable = Readonly<Record<string, FaultDefinition>>;

export class Fault extends Error implements FaultRecord {
  override readonly name = "Fault";
  readonly code: string;
  readonly kind: FaultKind;
  readonly remedy: string;
  readonly facts: FaultFacts;

  constructor(record: FaultRecord, cause?: unknown) {
    super(record.message.toWellFormed(), cause === undefined ? undefined : { cause });
    this.code = record.code;
    this.kind = record.kind;
    this.remedy = record.remedy;
    this.facts = wellFormed(record.facts);
  }
}

/**
 * A maker of faults for one table of codes (`area.reason`). Every table is a package's `faults.ts` and is
 * rendered into `docs/faults.md`.
 */
export function faultsOf<const Table extends FaultTable>(table: Table) {
  return (code: keyof Table & string, message: string, facts: FaultFacts = {}, cause?: unknown): Fault => {
    const definition = table[code] as FaultDefinition;
    return new Fault({ code, kind: definition.kind, remedy: definition.remedy, message, facts }, cause);
  };
}

/** The error as a fault record, or undefined when it carries no code of ours (then it is a bug). */
export function faultRecord(error: unknown): FaultRecord | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const { code, kind, message, remedy, facts } = error as Partial<FaultRecord>;
  if (typeof code !== "string" || typeof message !== "string" || typeof remedy !== "string") return undefined;
  if (kind !== "rejected" && kind !== "transient" && kind !== "broken") return undefined;
  return { code, kind, message: message.toWellFormed(), remedy, facts: wellFormed(facts ?? {}) };
}

/** A text that was cut in the middle of a character can be written nowhere: not into the ledger, not as UTF-8. */
function wellFormed(facts: FaultFacts): FaultFacts {
  const isCut = (fact: unknown): boolean =>
    typeof fact === "string"
      ? !fact.isWellFormed()
      : Array.isArray(fact) && fact.some((one: unknown) => isCut(one));
  const mended = (fact: unknown): unknown =>
    typeof fact === "string"
      ? fact.toWellFormed()
      : Array.isArray(fact)
        ? fact.map((one: unknown) => mended(one))
        : fact;
  if (!Object.values(facts).some(isCut)) return facts;
  return Object.fromEntries(Object.entries(facts).map(([name, fact]) => [name, mended(fact)]));
}

export function hasCode(error: unknown, code: string): boolean {
  return faultRecord(error)?.code === code;
}

/** Assertions stay on in production: a broken invariant stops the step or the node, state stays on disk. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new Error(`Invariant broken: ${invariant}`);
}
