// The HTTP API as data: every route with its schemas. From this table come the server's routes and validation, the OpenAPI
// document and the sdk's types; a route that is not in it is not served, and every route in it is.
// Long because it is one table: a route and the shapes it speaks of are read and changed together.
//   A1  An expected answer, also a refusal of a program, is a response of the union `kind`; a fault is a problem document (RFC 9457).
//   A2  Every route but those of access `public` and `signed` needs `Authorization: Bearer TOKEN` of a person this node knows.
//   A3  Times are milliseconds since 1970 (UTC), names end in `Ms`; decimals are text in plain notation; bytes are base64.
//   A4  Only `getProgram` takes a prefix of a hash (at least 8 digits, unique); what changes anything names the whole hash.
//   A5  Where a response carries a `Json` value, its schema is open: it is data of programs, not of this API.
import { memoryKeyLengthMax, planBytesMax, ruleTextLengthMax } from "./limits.ts";
import { Type, type Schema, type Static, type TSchema } from "./schema.ts";
import type { Json } from "./value.ts";
import { WorkspaceFile } from "./workspace.ts";

/** Who may call a route. `signed`: whoever signs the request with a secret of what it names. `anyone` is every person with a key; the others name the roles that may (an owner always may). */
export type Access = "public" | "signed" | "anyone" | "owner" | "operator" | "submitter";

/** Roles that satisfy an access. Roles of a workspace (`accountant`) satisfy `anyone` only. */
export const accessRoles: Readonly<
  Record<Exclude<Access, "public" | "signed" | "anyone">, readonly string[]>
> = {
  owner: ["owner"],
  operator: ["owner", "operator"],
  /** May hand in plans and start runs; agents may, and nothing they hand in escapes proof, gate or approval. */
  submitter: ["owner", "operator", "agent"],
};

export interface RouteDefinition {
  readonly method: "GET" | "POST" | "DELETE";
  /** OpenAPI path template; `{name}` stands for one segment. */
  readonly path: string;
  readonly summary: string;
  readonly access: Access;
  /** Status of a success. */
  readonly status: 200 | 201 | 202;
  readonly params?: Schema;
  readonly query?: Schema;
  readonly body?: Schema;
  readonly response: Schema;
  /** Not request and answer: a WebSocket stream of `response` messages, or the Model Context Protocol. */
  readonly protocol?: "websocket" | "mcp" | "webhook";
  /** Largest body accepted; `requestBytesMax` when absent. */
  readonly bodyBytesMax?: number;
}

/** Largest request body of a route that says nothing else. */
export const requestBytesMax = 1024 * 1024;
/** Longest time a request with `wait` is held open. */
export const waitMsMax = 60_000;
export const pageEntriesMax = 1000;
export const pageRunsMax = 500;
export const pageProgramsMax = 1000;

const closed = { additionalProperties: false } as const;
const text = (maxLength: number, description?: string) =>
  Type.String(description === undefined ? { maxLength } : { maxLength, description });
const line = text(1024);
const words = text(64 * 1024);
const timeMs = Type.Integer({ minimum: 0 });
const count = Type.Integer({ minimum: 0 });
const hash = Type.String({ pattern: "^[0-9a-f]{64}$", maxLength: 64 });
const run = Type.String({ pattern: "^r_[0-9a-z]{8,40}$", maxLength: 42 });
const slug = Type.String({ pattern: "^[a-z][a-z0-9_-]{0,63}$", maxLength: 64 });
const json = Type.Unsafe<Json>({});
const jsonObject = Type.Unsafe<{ readonly [key: string]: Json }>({ type: "object" });
const nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);
const list = <S extends TSchema>(schema: S, maxItems = 100_000) => Type.Array(schema, { maxItems });
const span = Type.Tuple([count, count]);
const spans = list(span, 1000);
const language = Type.Enum(["en", "fr"]);

// ---- shared shapes ----

/** RFC 9457 problem document; `type` is `urn:writ:fault:` and the code. */
export const Problem = Type.Object(
  {
    type: line,
    title: line,
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: words,
    instance: Type.Optional(line),
    code: line,
    kind: Type.Enum(["rejected", "transient", "broken"]),
    remedy: words,
    facts: jsonObject,
  },
  closed,
);
export type Problem = Static<typeof Problem>;

export const ApiFault = Type.Object(
  {
    code: line,
    kind: Type.Enum(["rejected", "transient", "broken"]),
    message: words,
    remedy: words,
    facts: jsonObject,
  },
  closed,
);
export type ApiFault = Static<typeof ApiFault>;

/** Something wrong in a text or plan. `span` counts characters of the text; `excerpt` is its line with a line of carets below. */
export const CompileProblem = Type.Object(
  {
    code: line,
    message: words,
    remedy: words,
    span: nullable(span),
    /** JSON pointer into a plan, or null. */
    at: nullable(line),
    excerpt: nullable(words),
    suggestions: list(line, 20),
  },
  closed,
);
export type CompileProblem = Static<typeof CompileProblem>;

export const ApiCounterexample = Type.Object(
  {
    /** Number of the check, as in the proof report. */
    check: Type.Integer(),
    name: line,
    summary: words,
    values: list(Type.Object({ name: line, value: words }, closed), 1000),
    path: list(line, 5000),
    spans,
    /** The text's lines with the clashing words underlined, or null when there is no text. */
    excerpt: nullable(words),
    /** The deployed program it clashes with, and its text underlined the same way. */
    other: nullable(Type.Object({ program: hash, name: line, excerpt: nullable(words) }, closed)),
  },
  closed,
);
export type ApiCounterexample = Static<typeof ApiCounterexample>;

export const Graph = Type.Object(
  {
    /** Drawing for a terminal. */
    text: words,
    nodes: list(Type.Object({ id: line, op: line, label: words }, closed), 5000),
    edges: list(
      Type.Object(
        { source: line, target: line, kind: Type.Enum(["after", "block", "fallback", "data"]) },
        closed,
      ),
    ),
  },
  closed,
);
export type Graph = Static<typeof Graph>;

export const ProofReport = Type.Object(
  {
    verdict: Type.Enum(["proved", "refused"]),
    /** SHA-256 of the certificate; `getCertificate` has it whole, queries included. */
    certificate: hash,
    solver: nullable(line),
    encoder: line,
    against: list(hash),
    elapsedMs: Type.Number({ minimum: 0 }),
    checks: list(
      Type.Object(
        {
          check: Type.Integer(),
          name: line,
          verdict: Type.Enum(["holds", "violated", "unknown", "information"]),
          claim: words,
          method: line,
        },
        closed,
      ),
      1000,
    ),
  },
  closed,
);
export type ProofReport = Static<typeof ProofReport>;

/** What a program will ask of people: its own approval before deployment, and approvals while a run is under way. */
export const ApprovalNeed = Type.Object(
  {
    when: Type.Enum(["before-deployment", "during-run"]),
    role: line,
    /** Step that waits, or null before deployment. */
    step: nullable(line),
    reason: words,
  },
  closed,
);
export type ApprovalNeed = Static<typeof ApprovalNeed>;

/** `broken`: deployed, but refused when it was verified again; its trigger is not armed. */
export const ProgramState = Type.Enum([
  "compiled",
  "refused",
  "approved",
  "deployed",
  "paused",
  "undeployed",
  "broken",
]);
export type ProgramState = Static<typeof ProgramState>;

const programFields = {
  hash,
  name: line,
  kind: Type.Enum(["rule", "plan", "program"]),
  workspace: line,
  state: ProgramState,
  /** `manual`, or the source's id. */
  trigger: line,
  compiledAtMs: timeMs,
  approvedAtMs: nullable(timeMs),
  deployedAtMs: nullable(timeMs),
  /** Why it is `broken`. */
  fault: nullable(ApiFault),
};
export const ProgramSummary = Type.Object(programFields, closed);
export type ProgramSummary = Static<typeof ProgramSummary>;

/** `runs`: what became of the runs of the version it replaces, when they were to be moved. */
export const DeployedProgram = Type.Object(
  {
    ...programFields,
    runs: Type.Optional(
      Type.Object({ migrated: list(run), stay: list(Type.Object({ run, reason: words }, closed)) }, closed),
    ),
  },
  closed,
);
export type DeployedProgram = Static<typeof DeployedProgram>;

export const ProgramDetail = Type.Object(
  {
    ...programFields,
    text: text(planBytesMax),
    language: nullable(language),
    /** The tree rendered back as a text, in both languages; null for a plan. */
    rendered: nullable(Type.Object({ en: words, fr: words }, closed)),
    graph: Graph,
    proof: ProofReport,
    capabilities: list(Type.Object({ id: line, risk: line, effect: line }, closed), 5000),
    approvalsNeeded: list(ApprovalNeed, 5000),
    approvedBy: nullable(line),
    sizeBytes: count,
  },
  closed,
);
export type ProgramDetail = Static<typeof ProgramDetail>;

const refused = Type.Object(
  {
    kind: Type.Literal("refused"),
    /** Hash of the program that was refused; its certificate is kept. */
    hash,
    name: line,
    rendered: nullable(Type.Object({ en: words, fr: words }, closed)),
    proof: ProofReport,
    counterexamples: list(ApiCounterexample, 1000),
  },
  closed,
);
const ambiguous = Type.Object(
  {
    kind: Type.Literal("ambiguous"),
    readings: list(Type.Object({ en: words, fr: words, difference: words }, closed), 64),
  },
  closed,
);
const rejected = Type.Object(
  { kind: Type.Literal("rejected"), problems: list(CompileProblem, 10_000) },
  closed,
);
export const CompileOutcome = Type.Union([
  Type.Object({ kind: Type.Literal("compiled"), program: ProgramDetail }, closed),
  refused,
  ambiguous,
  rejected,
]);
export type CompileOutcome = Static<typeof CompileOutcome>;

export const RunStatus = Type.Enum([
  "running",
  "paused",
  "waiting",
  "held",
  "cancelling",
  "undoing",
  "finished",
  "failed",
  "cancelled",
  "rolled_back",
]);
export type RunStatus = Static<typeof RunStatus>;

/** States of a step; anything else is refused by the machine. */
export const StepState = Type.Enum([
  "PENDING",
  "WAITING",
  "AWAITING_APPROVAL",
  "RUNNING",
  "RETRYING",
  "UNKNOWN",
  "HELD",
  "COMPLETED",
  "FAILED",
  "SKIPPED",
  "ABORTED",
  "UNDOING",
  "ROLLED_BACK",
]);
export type StepState = Static<typeof StepState>;

export const Effect = Type.Object(
  {
    step: line,
    capability: line,
    params: jsonObject,
    /** Parameters that depend on a later step, as expressions. */
    later: jsonObject,
    targets: list(
      Type.Object(
        {
          kind: line,
          name: words,
          resolved: words,
          does: line,
          state: nullable(hash),
          /** What else will hold when it happens, such as the sandbox of a command. */
          conditions: Type.Optional(words),
        },
        closed,
      ),
      10_000,
    ),
    /** What its guard has it wait for and how it is seen to have happened; empty without a guard. */
    guard: Type.Optional(list(words, 100)),
    /** What an approval of it binds to; null while `later` is not empty. */
    hash: nullable(hash),
  },
  closed,
);
export type Effect = Static<typeof Effect>;

export const Approval = Type.Object(
  {
    id: line,
    run,
    step: line,
    program: hash,
    programName: line,
    workspace: line,
    role: line,
    message: words,
    effects: list(Effect, 5000),
    reason: Type.Enum(["program", "gate"]),
    onExpiry: Type.Enum(["reject", "skip"]),
    requestedAtMs: timeMs,
    expiresAtMs: timeMs,
    state: Type.Enum(["waiting", "approved", "rejected", "expired"]),
    /** Whether the caller has the role. */
    mayDecide: Type.Boolean(),
  },
  closed,
);
export type Approval = Static<typeof Approval>;

const runFields = {
  id: run,
  program: hash,
  programName: line,
  workspace: line,
  status: RunStatus,
  startedAtMs: timeMs,
  endedAtMs: nullable(timeMs),
  /** Something of it was done by a simulation: its result is none of the real world. Absent in lists of ended runs. */
  simulated: Type.Optional(Type.Literal(true)),
  /** What started it. */
  event: Type.Object({ id: line, type: line, subject: nullable(line) }, closed),
};
export const RunSummary = Type.Object(runFields, closed);
export type RunSummary = Static<typeof RunSummary>;

export const EntrySummary = Type.Object(
  { seq: count, atMs: timeMs, kind: line, step: nullable(line), text: words },
  closed,
);
export type EntrySummary = Static<typeof EntrySummary>;
export const RunDetail = Type.Object(
  {
    ...runFields,
    startedBy: line,
    eventData: json,
    steps: list(
      Type.Object(
        {
          id: line,
          op: line,
          label: words,
          state: StepState,
          attempt: count,
          fault: nullable(ApiFault),
          /** Why a person must decide, while the state is HELD. */
          held: nullable(Type.Object({ what: Type.Enum(["effect", "undo"]), reason: words }, closed)),
          /** What it would do, while it stands at a breakpoint. */
          intercepted: Type.Optional(Type.Object({ breakpoint: line, effect: Effect }, closed)),
          /** What a person put in the place of what the author wrote, which stands beside it as an expression. */
          changed: Type.Optional(Type.Object({ by: line, params: jsonObject, written: jsonObject }, closed)),
          /** What the effect last said while it ran. */
          progress: Type.Optional(json),
        },
        closed,
      ),
      5000,
    ),
    approvals: list(Approval, 5000),
    /** Where it began, when it is a fork. */
    forkedFrom: Type.Optional(Type.Object({ run, seq: count }, closed)),
    /** The step that started it and waits for its end. */
    parent: Type.Optional(Type.Object({ run, step: words }, closed)),
    /** Runs that its steps started and that are under way, or whose effects stand or were taken back with it. */
    children: Type.Optional(list(Type.Object({ step: words, run }, closed), 10_000)),
    breakpoints: Type.Optional(list(Type.Object({ id: line, where: line }, closed), 100)),
    result: json,
    fault: nullable(ApiFault),
    /** The newest, in order; a loop may have written many thousands. */
    entries: list(EntrySummary, pageEntriesMax),
    entriesCount: count,
  },
  closed,
);
export type RunDetail = Static<typeof RunDetail>;

export const RunStarted = Type.Object(
  {
    run,
    program: hash,
    status: RunStatus,
    result: json,
    fault: nullable(ApiFault),
    simulated: Type.Optional(Type.Literal(true)),
  },
  closed,
);
export type RunStarted = Static<typeof RunStarted>;

export const PlanOutcome = Type.Union([
  Type.Object(
    {
      kind: Type.Literal("started"),
      run,
      program: hash,
      status: RunStatus,
      approvals: list(Approval, 5000),
      result: json,
      fault: nullable(ApiFault),
      simulated: Type.Optional(Type.Literal(true)),
    },
    closed,
  ),
  refused,
  rejected,
]);
export type PlanOutcome = Static<typeof PlanOutcome>;

export const Preview = Type.Object(
  {
    program: hash,
    /** What the run would come to, as far as it can be told without acting. */
    outcome: Type.Enum(["not-started", "finished", "failed", "waiting", "unknown"]),
    reason: nullable(words),
    steps: list(
      Type.Object(
        {
          id: line,
          op: line,
          label: words,
          /** `would-run`, `would-wait` for a person or a time, `would-skip`, `would-fail`, or `unknown`: depends on what cannot be known. */
          forecast: Type.Enum(["would-run", "would-wait", "would-skip", "would-fail", "unknown"]),
          note: words,
          effect: nullable(Effect),
          result: json,
        },
        closed,
      ),
      5000,
    ),
    result: json,
  },
  closed,
);
export type Preview = Static<typeof Preview>;

/** What a fork would do; nothing of it happened and nothing of it is recorded. */
export const SimulatedRun = Type.Object(
  {
    simulated: Type.Literal(true),
    forkedFrom: Type.Object({ run, seq: count }, closed),
    preview: Preview,
    /** Steps whose reads were taken from the record of the run. */
    replayed: list(line, 5000),
    /** What would have been recorded, in order. */
    entries: list(
      Type.Object({ simulated: Type.Literal(true), atMs: timeMs, kind: line, step: nullable(line) }, closed),
    ),
  },
  closed,
);
export type SimulatedRun = Static<typeof SimulatedRun>;

export const ForkOutcome = Type.Union([
  Type.Object({ kind: Type.Literal("started"), run: RunSummary }, closed),
  Type.Object({ kind: Type.Literal("simulated"), result: SimulatedRun }, closed),
]);
export type ForkOutcome = Static<typeof ForkOutcome>;

export const Replay = Type.Object(
  {
    run,
    entries: count,
    /** True when every state and command was derived again as it is recorded. */
    agrees: Type.Boolean(),
    differences: list(words, 1000),
    status: RunStatus,
    states: list(
      Type.Object(
        {
          seq: count,
          kind: line,
          step: nullable(line),
          changed: list(Type.Object({ step: line, state: StepState }, closed), 5000),
          commands: list(line, 5000),
        },
        closed,
      ),
    ),
    /** The run as it stood after its last entry at or before `to`, when that was asked for. */
    at: nullable(
      Type.Object(
        {
          seq: count,
          status: RunStatus,
          steps: list(
            Type.Object({ step: line, state: StepState, attempt: count, waitsFor: nullable(line) }, closed),
            5000,
          ),
          slots: list(Type.Object({ name: line, value: json, labels: list(line, 16) }, closed), 5000),
          /** What the machine would do next. */
          next: list(line, 5000),
        },
        closed,
      ),
    ),
    result: json,
  },
  closed,
);
export type Replay = Static<typeof Replay>;

const Change = Type.Object(
  { at: line, kind: Type.Enum(["added", "removed", "changed"]), before: json, after: json },
  closed,
);

/** Where two runs part: what they began with, what each step did, how they ended. Steps that agree are left out. */
export const RunDiff = Type.Object(
  {
    a: RunSummary,
    b: RunSummary,
    sameProgram: Type.Boolean(),
    event: list(Change, 1000),
    steps: list(
      Type.Object(
        {
          step: line,
          /** Null where the program of that run has no such step. */
          a: nullable(StepState),
          b: nullable(StepState),
          /** Below `/params`, `/result`, `/fault`, `/attempt`. */
          changes: list(Change, 1000),
        },
        closed,
      ),
      5000,
    ),
    result: list(Change, 1000),
    /** The first step, in program order, that differs: where to look. */
    first: nullable(line),
  },
  closed,
);
export type RunDiff = Static<typeof RunDiff>;

/** The chain of causes of a step, first cause first: the event, the words, the people who agreed, the steps before it, and what it did. */
export const Why = Type.Object(
  {
    run,
    step: line,
    state: StepState,
    links: list(
      Type.Object(
        {
          kind: Type.Enum([
            "event",
            "words",
            "program",
            "person",
            "start",
            "step",
            "decision",
            "data",
            "gate",
            "effect",
          ]),
          text: words,
          /** Lines of the rule or plan with the words that became this step underlined. */
          excerpt: nullable(words),
          /** The entry that says so. */
          seq: nullable(count),
          hash: nullable(hash),
          atMs: nullable(timeMs),
          by: nullable(line),
          /** Another run that caused this one. */
          run: nullable(run),
        },
        closed,
      ),
      5000,
    ),
  },
  closed,
);
export type Why = Static<typeof Why>;

/** A run as one file that proves itself (`core/run-export`). */
export const RunExportFile = Type.Object(
  {
    name: line,
    /** Base64. */
    bytes: Type.String({ maxLength: 256 * 1024 * 1024 }),
    sizeBytes: count,
    entries: count,
    treeSize: count,
    blobsMissing: count,
  },
  closed,
);
export type RunExportFile = Static<typeof RunExportFile>;

export const Person = Type.Object(
  { id: slug, name: line, roles: list(slug, 64), key: line, addedAtMs: timeMs },
  closed,
);
export type Person = Static<typeof Person>;

/** A token is shown once; the node keeps its SHA-256. */
export const PersonToken = Type.Object({ person: Person, token: line }, closed);
export type PersonToken = Static<typeof PersonToken>;

export const Workspace = Type.Object({ name: slug, root: words, file: WorkspaceFile }, closed);
export type Workspace = Static<typeof Workspace>;

export const AddedWorkspace = Type.Object(
  {
    name: slug,
    root: words,
    file: WorkspaceFile,
    /** What differs from the file that counted before; empty for a folder that was not known. */
    changes: list(line),
    /** What was made in the folder, relative to it. */
    created: list(words),
  },
  closed,
);
export type AddedWorkspace = Static<typeof AddedWorkspace>;

const capabilityFields = {
  id: line,
  summary: Type.Object({ en: words, fr: words }, closed),
  effect: Type.Enum(["read", "write", "irreversible"]),
  risk: Type.Enum(["low", "medium", "high", "critical"]),
  criticality: line,
  permission: line,
  phrases: Type.Object({ en: list(line, 100), fr: list(line, 100) }, closed),
  revoked: Type.Boolean(),
};
export const CapabilitySummary = Type.Object(capabilityFields, closed);
export type CapabilitySummary = Static<typeof CapabilitySummary>;
export const CapabilityDetail = Type.Object(
  {
    ...capabilityFields,
    params: jsonObject,
    result: jsonObject,
    undo: nullable(line),
    crash: Type.Enum(["idempotent", "queryable", "neither"]),
    labels: list(line, 16),
    timeoutMs: count,
    resultBytesMax: count,
    retryOn: list(line, 100),
  },
  closed,
);
export type CapabilityDetail = Static<typeof CapabilityDetail>;

/** An entry of the ledger as JSON; the CBOR bytes are the record. */
export const ApiEntry = Type.Object(
  {
    seq: count,
    epoch: count,
    node: line,
    kind: line,
    run: nullable(run),
    cause: nullable(line),
    actor: jsonObject,
    atMs: timeMs,
    hash,
    previousHash: hash,
    runPrevious: nullable(hash),
    facts: jsonObject,
  },
  closed,
);
export type ApiEntry = Static<typeof ApiEntry>;

export const LedgerReport = Type.Union([
  Type.Object(
    {
      kind: Type.Literal("intact"),
      entries: count,
      runs: count,
      checkpoints: count,
      blobs: count,
      head: nullable(Type.Object({ seq: count, hash }, closed)),
      elapsedMs: Type.Number({ minimum: 0 }),
      /** Of the entries, those that were pruned; absent when there are none. */
      pruned: Type.Optional(count),
    },
    closed,
  ),
  Type.Object({ kind: Type.Literal("damaged"), fault: ApiFault, entries: count }, closed),
]);
export type LedgerReport = Static<typeof LedgerReport>;

/** DSSE envelope: signatures cover PAE(payloadType, payload). */
export const Envelope = Type.Object(
  {
    payloadType: text(256),
    payload: text(6 * 1024 * 1024, "base64"),
    signatures: list(
      Type.Object(
        { keyId: line, algorithm: Type.Enum(["ed25519", "ml-dsa-65"]), signature: text(8192, "base64") },
        closed,
      ),
      16,
    ),
  },
  closed,
);
export type Envelope = Static<typeof Envelope>;

const ScheduledRun = { run, step: nullable(line) };
/** What is waited for on the node. A line names its first holders and waiters; the counts are whole. Times in milliseconds. */
export const ScheduleView = Type.Object(
  {
    effects: Type.Object({ active: count, activeMax: count, waiting: count }, closed),
    /** Runs that wait for their turn. */
    turnsWaiting: count,
    /** Starts refused since the node began, by programs that do not queue. */
    rejected: list(Type.Object({ program: hash, count }, closed), 10_000),
    /** Runs that wait for each other and can never go on. */
    stuck: list(run, 10_000),
    endsPerSecond: nullable(Type.Number({ minimum: 0 })),
    /** What a start that is refused now is told. */
    retryAfterMs: count,
    lines: list(
      Type.Object(
        {
          kind: Type.Enum(["turn", "resource", "lock", "module", "node"]),
          name: words,
          held: count,
          heldMax: nullable(count),
          waiting: count,
          holders: list(Type.Object(ScheduledRun, closed), 100),
          waiters: list(
            Type.Object(
              {
                ...ScheduledRun,
                priority: Type.Enum(["critical", "high", "normal", "low", "background"]),
                waitedMs: Type.Number({ minimum: 0 }),
                dueInMs: Type.Number(),
              },
              closed,
            ),
            100,
          ),
        },
        closed,
      ),
      100_000,
    ),
  },
  closed,
);
export type ScheduleView = Static<typeof ScheduleView>;

export const EmergencyScope = Type.Union([
  Type.Object(
    {
      kind: Type.Literal("target"),
      name: text(512, "a device, host, file or folder; a folder stands for all below it"),
    },
    closed,
  ),
  Type.Object({ kind: Type.Literal("workspace"), name: slug }, closed),
  Type.Object({ kind: Type.Literal("everything") }, closed),
]);
export type EmergencyScope = Static<typeof EmergencyScope>;

export const Emergency = Type.Object(
  { stop: line, scope: EmergencyScope, reason: words, by: line, atMs: timeMs },
  closed,
);
export type Emergency = Static<typeof Emergency>;

export const Status = Type.Object(
  {
    version: line,
    node: line,
    data: words,
    startedAtMs: timeMs,
    nowMs: timeMs,
    ledger: Type.Object(
      { seq: Type.Integer({ minimum: -1 }), durableSeq: Type.Integer({ minimum: -1 }), hash },
      closed,
    ),
    runs: Type.Object({ active: count, waiting: count, held: count }, closed),
    schedule: ScheduleView,
    programs: Type.Object({ deployed: count, paused: count, broken: count }, closed),
    approvalsWaiting: count,
    /** In force: what they hold fails until an owner clears them. */
    emergencyStops: Type.Optional(list(Emergency, 10_000)),
    workspaces: list(slug, 10_000),
    policy: hash,
    /** Sources and deployed programs that need attention. */
    problems: list(Type.Object({ what: words, fault: ApiFault }, closed), 10_000),
  },
  closed,
);
export type Status = Static<typeof Status>;

// ---- routes ----

const memoryKey = Type.String({ minLength: 1, maxLength: memoryKeyLengthMax });
const memoryOwner = {
  scope: Type.Enum(["program", "workspace"]),
  /** The workspace's name, or the program's hash or the beginning of it. */
  owner: text(64),
};

export const RememberedSummary = Type.Object(
  {
    ...memoryOwner,
    key: memoryKey,
    labels: list(line),
    sizeBytes: Type.Integer({ minimum: 0 }),
    /** The run that remembered it, and the entry that says so. */
    run,
    seq: Type.Integer({ minimum: 0 }),
    atMs: timeMs,
  },
  closed,
);
export type RememberedSummary = Static<typeof RememberedSummary>;

const stepOfRun = Type.Object({ run, step: line }, closed);

export const Countdown = Type.Object(
  {
    id: line,
    run,
    step: line,
    program: hash,
    programName: line,
    workspace: line,
    /** Who acknowledges and may cancel; operators and owners may cancel too. */
    role: line,
    effect: Effect,
    announcedAtMs: timeMs,
    /** When it will be done. */
    endsAtMs: timeMs,
    requiresAcknowledgment: Type.Boolean(),
    onMissed: Type.Enum(["abort", "execute", "escalate"]),
    escalated: Type.Boolean(),
    acknowledgedBy: nullable(line),
    mayCancel: Type.Boolean(),
  },
  closed,
);
export type Countdown = Static<typeof Countdown>;
const byCountdown = Type.Object(
  { countdown: Type.String({ pattern: "^c_[0-9a-z]{8,40}$", maxLength: 42 }) },
  closed,
);
const countdownDecided = Type.Object({ countdown: line, run, step: line }, closed);

const byHash = Type.Object({ hash }, closed);
const byRun = Type.Object({ run }, closed);
const byRunStep = Type.Object(
  { run, step: Type.String({ pattern: "^[A-Za-z0-9_.-]{1,128}$", maxLength: 128 }) },
  closed,
);
const breakpointPlace = Type.String({ pattern: "^[A-Za-z0-9_.*@-]{1,200}$", maxLength: 200 });
const bySlug = Type.Object({ id: slug }, closed);
const comment = text(4096);
const empty = Type.Object({}, closed);

export const WebhookSummary = Type.Object(
  {
    workspace: slug,
    name: slug,
    /** Where to deliver, on the node's address. */
    path: line,
    secretId: line,
    setAtMs: timeMs,
    /** Until when the secret before this one signs too. */
    previousUntilMs: nullable(timeMs),
    /** A deployed program listens. */
    isHeard: Type.Boolean(),
  },
  closed,
);
export type WebhookSummary = Static<typeof WebhookSummary>;

const byWebhook = Type.Object({ workspace: slug, name: slug }, closed);

/** Largest delivery to a webhook. */
export const deliveryBytesMax = 256 * 1024;

export const routes = {
  health: {
    method: "GET",
    path: "/health",
    summary: "Whether the node is serving; nothing else, and no key is needed",
    access: "public",
    status: 200,
    response: Type.Object({ status: Type.Literal("ok") }, closed),
  },
  openapi: {
    method: "GET",
    path: "/openapi.json",
    summary: "This API as an OpenAPI 3.1 document",
    access: "anyone",
    status: 200,
    response: jsonObject,
  },
  status: {
    method: "GET",
    path: "/status",
    summary: "What the node is doing and what needs attention",
    access: "anyone",
    status: 200,
    response: Status,
  },
  compileProgram: {
    method: "POST",
    path: "/programs/compile",
    summary: "Compile a rule or plan, prove it against all deployed ones, and keep it with its certificate",
    access: "submitter",
    status: 200,
    body: Type.Object(
      {
        kind: Type.Enum(["rule", "plan", "program"]),
        /** The sentence, or the plan or program as JSON text. */
        text: text(planBytesMax),
        /** Tried in both languages when absent. */
        language: Type.Optional(language),
        /** The only workspace when absent. */
        workspace: Type.Optional(slug),
        name: Type.Optional(text(256)),
        /** A deployed version that it is to replace: it is not proved against that one. */
        replaces: Type.Optional(hash),
      },
      closed,
    ),
    bodyBytesMax: planBytesMax + ruleTextLengthMax,
    response: CompileOutcome,
  },
  importProgram: {
    method: "POST",
    path: "/programs/import",
    summary:
      "Take in a signed program from elsewhere: verify its signatures, prove it here, keep it as approved",
    access: "owner",
    status: 201,
    body: Type.Object(
      { envelope: Envelope, workspace: Type.Optional(slug), name: Type.Optional(text(256)) },
      closed,
    ),
    bodyBytesMax: 7 * 1024 * 1024,
    response: ProgramSummary,
  },
  listPrograms: {
    method: "GET",
    path: "/programs",
    summary: "The programs of this node, newest first, 200 unless told otherwise",
    access: "anyone",
    status: 200,
    query: Type.Object(
      {
        state: Type.Optional(ProgramState),
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: pageProgramsMax })),
      },
      closed,
    ),
    response: Type.Object({ programs: list(ProgramSummary) }, closed),
  },
  getProgram: {
    method: "GET",
    path: "/programs/{hash}",
    summary: "One program with its rendering, graph and proof; a unique prefix of the hash is enough",
    access: "anyone",
    status: 200,
    params: Type.Object({ hash: Type.String({ pattern: "^[0-9a-f]{8,64}$", maxLength: 64 }) }, closed),
    response: ProgramDetail,
  },
  getCertificate: {
    method: "GET",
    path: "/programs/{hash}/certificate",
    summary: "The whole certificate, with every question asked of the solver",
    access: "anyone",
    status: 200,
    params: byHash,
    response: jsonObject,
  },
  exportProgram: {
    method: "GET",
    path: "/programs/{hash}/envelope",
    summary: "The signed program as a DSSE envelope",
    access: "anyone",
    status: 200,
    params: byHash,
    response: Envelope,
  },
  approveProgram: {
    method: "POST",
    path: "/programs/{hash}/approve",
    summary: "Approve exactly this program and sign it with the node's keys",
    access: "operator",
    status: 200,
    params: byHash,
    body: Type.Object({ comment: Type.Optional(comment) }, closed),
    response: ProgramSummary,
  },
  deployProgram: {
    method: "POST",
    path: "/programs/{hash}/deploy",
    summary: "Verify signature, keys, revocations and proof again, then arm the trigger",
    access: "operator",
    status: 200,
    params: byHash,
    body: Type.Object(
      {
        /** The version it takes the place of, undeployed in the same commit. */
        replaces: Type.Optional(hash),
        /** Move the runs of that version whose begun steps are the same; the others finish on it. */
        migrate: Type.Optional(Type.Boolean()),
      },
      closed,
    ),
    response: DeployedProgram,
  },
  undeployProgram: {
    method: "POST",
    path: "/programs/{hash}/undeploy",
    summary: "Disarm the trigger for good; runs under way go on",
    access: "operator",
    status: 200,
    params: byHash,
    body: Type.Object({ reason: Type.Optional(comment) }, closed),
    response: ProgramSummary,
  },
  pauseProgram: {
    method: "POST",
    path: "/programs/{hash}/pause",
    summary: "Start no further runs; events meanwhile are recorded and not acted on",
    access: "operator",
    status: 200,
    params: byHash,
    body: empty,
    response: ProgramSummary,
  },
  resumeProgram: {
    method: "POST",
    path: "/programs/{hash}/resume",
    summary: "Start runs again",
    access: "operator",
    status: 200,
    params: byHash,
    body: empty,
    response: ProgramSummary,
  },
  previewProgram: {
    method: "POST",
    path: "/programs/{hash}/preview",
    summary: "What a run of this event would do, without any effect",
    access: "submitter",
    status: 200,
    params: byHash,
    body: Type.Object({ data: jsonObject }, closed),
    response: Preview,
  },
  startRun: {
    method: "POST",
    path: "/programs/{hash}/runs",
    summary: "Start a run of a deployed program by hand",
    access: "submitter",
    status: 202,
    params: byHash,
    /** `wait`: answer when the run has ended, waits for a person or is held; at most `waitMsMax`. */
    query: Type.Object({ wait: Type.Optional(Type.Boolean()) }, closed),
    body: Type.Object(
      {
        data: Type.Optional(jsonObject),
        /** Steps or capabilities before which it stops. */
        breakpoints: Type.Optional(list(breakpointPlace, 100)),
      },
      closed,
    ),
    response: RunStarted,
  },
  runPlan: {
    method: "POST",
    path: "/plans",
    summary: "Compile, prove, sign and run a plan (IML 2.0) at once; approvals are asked for by the gate",
    access: "submitter",
    status: 200,
    body: Type.Object(
      { plan: json, workspace: Type.Optional(slug), wait: Type.Optional(Type.Boolean()) },
      closed,
    ),
    bodyBytesMax: planBytesMax,
    response: PlanOutcome,
  },
  listRuns: {
    method: "GET",
    path: "/runs",
    summary: "Runs, newest first",
    access: "anyone",
    status: 200,
    query: Type.Object(
      {
        status: Type.Optional(RunStatus),
        program: Type.Optional(hash),
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: pageRunsMax })),
        /** Id of the last run of the page before. */
        before: Type.Optional(run),
      },
      closed,
    ),
    response: Type.Object({ runs: list(RunSummary, pageRunsMax), next: nullable(run) }, closed),
  },
  getRun: {
    method: "GET",
    path: "/runs/{run}",
    summary: "One run: steps, entries, approvals it waits for, result",
    access: "anyone",
    status: 200,
    params: byRun,
    response: RunDetail,
  },
  cancelRun: {
    method: "POST",
    path: "/runs/{run}/cancel",
    summary: "Stop a run, and undo what it did when asked",
    access: "operator",
    status: 200,
    params: byRun,
    body: Type.Object({ undo: Type.Optional(Type.Boolean()), reason: Type.Optional(comment) }, closed),
    response: RunSummary,
  },
  undoRun: {
    method: "POST",
    path: "/runs/{run}/undo",
    summary: "Take back everything an ended run did, in reverse, as far as the world still allows it",
    access: "operator",
    status: 200,
    params: byRun,
    body: Type.Object({ reason: Type.Optional(comment) }, closed),
    response: RunSummary,
  },
  settleStep: {
    method: "POST",
    path: "/runs/{run}/steps/{step}/settle",
    summary: "Decide on a held effect (done, failed, again, skip) or a held undo (done, again, leave)",
    access: "operator",
    status: 200,
    params: Type.Object(
      { run, step: Type.String({ pattern: "^[A-Za-z0-9_.-]{1,128}$", maxLength: 128 }) },
      closed,
    ),
    body: Type.Object(
      {
        decision: Type.Enum(["done", "failed", "again", "skip", "leave"]),
        /** What the effect returned, when it is settled as done. */
        result: Type.Optional(json),
      },
      closed,
    ),
    response: RunSummary,
  },
  pauseRun: {
    method: "POST",
    path: "/runs/{run}/pause",
    summary: "Let nothing new begin in a run until it is resumed; what is under way finishes",
    access: "operator",
    status: 200,
    params: byRun,
    body: Type.Object({ reason: Type.Optional(comment) }, closed),
    response: RunSummary,
  },
  resumeRun: {
    method: "POST",
    path: "/runs/{run}/resume",
    summary: "Let a paused run go on; what came due meanwhile happens now",
    access: "operator",
    status: 200,
    params: byRun,
    body: Type.Object({ reason: Type.Optional(comment) }, closed),
    response: RunSummary,
  },
  setPriority: {
    method: "POST",
    path: "/runs/{run}/priority",
    summary: "Change the priority of a run",
    access: "operator",
    status: 200,
    params: byRun,
    body: Type.Object({ priority: Type.Enum(["critical", "high", "normal", "low", "background"]) }, closed),
    response: RunSummary,
  },
  setBreakpoint: {
    method: "POST",
    path: "/runs/{run}/breakpoints",
    summary: "Stop before a step, or before every step of a capability, and show what would be done",
    access: "operator",
    status: 201,
    params: byRun,
    /** A step's id, or a capability; `*` stands for any characters. */
    body: Type.Object({ where: breakpointPlace }, closed),
    response: Type.Object({ breakpoint: line, run: RunSummary }, closed),
  },
  clearBreakpoint: {
    method: "DELETE",
    path: "/runs/{run}/breakpoints/{breakpoint}",
    summary: "Clear a breakpoint; a step that stands there is released separately",
    access: "operator",
    status: 200,
    params: Type.Object(
      { run, breakpoint: Type.String({ pattern: "^b_[0-9a-f]{12}$", maxLength: 14 }) },
      closed,
    ),
    response: RunSummary,
  },
  releaseStep: {
    method: "POST",
    path: "/runs/{run}/steps/{step}/release",
    summary: "Let a step go on from a breakpoint; with other parameters it takes a new approval",
    access: "operator",
    status: 200,
    params: byRunStep,
    body: Type.Object(
      {
        /** Those that replace what the author wrote; the others stay. */
        params: Type.Optional(jsonObject),
        comment: Type.Optional(comment),
      },
      closed,
    ),
    response: RunSummary,
  },
  retryStep: {
    method: "POST",
    path: "/runs/{run}/steps/{step}/retry",
    summary: "Try a failed step again, with what fell with it; a run that ended as failed goes on",
    access: "operator",
    status: 200,
    params: byRunStep,
    body: Type.Object({ reason: Type.Optional(comment) }, closed),
    response: RunSummary,
  },
  migrateRun: {
    method: "POST",
    path: "/runs/{run}/migrate",
    summary:
      "Move a run to another approved version of its program, when all that has begun is the same there",
    access: "operator",
    status: 200,
    params: byRun,
    body: Type.Object({ program: hash }, closed),
    response: RunSummary,
  },
  forkRun: {
    method: "POST",
    path: "/runs/{run}/fork",
    summary:
      "Begin where an ended run stood after one of its entries, for real or as a simulation without effect",
    access: "operator",
    status: 200,
    params: byRun,
    body: Type.Object(
      {
        /** Place in the ledger of an entry of the run. */
        at: count,
        simulate: Type.Optional(Type.Boolean()),
      },
      closed,
    ),
    response: ForkOutcome,
  },
  skipStep: {
    method: "POST",
    path: "/runs/{run}/steps/{step}/skip",
    summary: "Go on without a step; what depends on it is skipped too, unless it tolerates that",
    access: "operator",
    status: 200,
    params: byRunStep,
    body: Type.Object({ reason: Type.String({ minLength: 1, maxLength: 4096 }) }, closed),
    response: RunSummary,
  },
  replayRun: {
    method: "GET",
    path: "/runs/{run}/replay",
    summary: "Derive every state of a run again from the ledger, with no effect",
    access: "anyone",
    status: 200,
    params: byRun,
    /** Up to and with the entry at this place of the ledger. */
    query: Type.Object({ to: Type.Optional(count) }, closed),
    response: Replay,
  },
  diffRuns: {
    method: "GET",
    path: "/runs/{run}/diff/{other}",
    summary: "Where two runs part: events, steps, parameters, results",
    access: "anyone",
    status: 200,
    params: Type.Object({ run, other: run }, closed),
    response: RunDiff,
  },
  whyStep: {
    method: "GET",
    path: "/runs/{run}/steps/{step}/why",
    summary: "The chain of causes of a step, back to the event, the words and the people who agreed",
    access: "anyone",
    status: 200,
    params: Type.Object({ run, step: line }, closed),
    response: Why,
  },
  exportRun: {
    method: "GET",
    path: "/runs/{run}/export",
    summary: "The run as one file that anybody can verify without this node",
    access: "anyone",
    status: 200,
    params: byRun,
    response: RunExportFile,
  },
  listApprovals: {
    method: "GET",
    path: "/approvals",
    summary: "Approvals that wait, with exactly what will be done",
    access: "anyone",
    status: 200,
    query: Type.Object({ mine: Type.Optional(Type.Boolean()) }, closed),
    response: Type.Object({ approvals: list(Approval) }, closed),
  },
  decideApproval: {
    method: "POST",
    path: "/approvals/{approval}",
    summary: "Approve or reject; only somebody with the named role may, and never an agent",
    access: "anyone",
    status: 200,
    params: Type.Object({ approval: Type.String({ pattern: "^a_[0-9a-z]{8,40}$", maxLength: 42 }) }, closed),
    body: Type.Object(
      { decision: Type.Enum(["approve", "reject"]), comment: Type.Optional(comment) },
      closed,
    ),
    response: Type.Object({ approval: line, decision: Type.Enum(["approve", "reject"]), run }, closed),
  },
  listCountdowns: {
    method: "GET",
    path: "/countdowns",
    summary: "Effects that are announced, the one that comes first in front",
    access: "anyone",
    status: 200,
    response: Type.Object({ countdowns: list(Countdown) }, closed),
  },
  cancelCountdown: {
    method: "POST",
    path: "/countdowns/{countdown}/cancel",
    summary: "Stop an announced effect; anybody with its role, and every operator, may",
    access: "anyone",
    status: 200,
    params: byCountdown,
    body: Type.Object({ reason: Type.Optional(comment) }, closed),
    response: countdownDecided,
  },
  acknowledgeCountdown: {
    method: "POST",
    path: "/countdowns/{countdown}/acknowledge",
    summary: "Say that an announced effect was seen; it is done at the end of its countdown",
    access: "anyone",
    status: 200,
    params: byCountdown,
    body: Type.Object({ reason: Type.Optional(comment) }, closed),
    response: countdownDecided,
  },
  listEmergencyStops: {
    method: "GET",
    path: "/emergency-stops",
    summary: "Emergency stops in force",
    access: "anyone",
    status: 200,
    response: Type.Object({ stops: list(Emergency) }, closed),
  },
  emergencyStop: {
    method: "POST",
    path: "/emergency-stops",
    summary:
      "Stop a target, a workspace or everything at once: what waits there is cancelled first, nothing new begins until an owner clears it",
    access: "anyone",
    status: 201,
    body: Type.Object({ scope: EmergencyScope, reason: comment }, closed),
    response: Type.Object(
      {
        ...Emergency.properties,
        /** Steps that waited and were taken away. */
        cancelled: list(stepOfRun),
        /** Effects that had begun; `aborted`: it can be interrupted and was told to. */
        underWay: list(Type.Object({ run, step: line, aborted: Type.Boolean() }, closed)),
      },
      closed,
    ),
  },
  clearEmergencyStop: {
    method: "POST",
    path: "/emergency-stops/{stop}/clear",
    summary: "End an emergency stop; what it cancelled does not come back",
    access: "owner",
    status: 200,
    params: Type.Object({ stop: Type.String({ pattern: "^s_[0-9a-z]{8,40}$", maxLength: 42 }) }, closed),
    body: Type.Object({ reason: Type.Optional(comment) }, closed),
    response: Emergency,
  },
  listPeople: {
    method: "GET",
    path: "/people",
    summary: "The people and agents this node knows",
    access: "operator",
    status: 200,
    response: Type.Object({ people: list(Person) }, closed),
  },
  addPerson: {
    method: "POST",
    path: "/people",
    summary: "Add a person or agent with roles; the answer shows the token once",
    access: "owner",
    status: 201,
    body: Type.Object(
      { id: slug, name: Type.Optional(text(256)), roles: Type.Array(slug, { maxItems: 64 }) },
      closed,
    ),
    response: PersonToken,
  },
  removePerson: {
    method: "DELETE",
    path: "/people/{id}",
    summary: "Remove a person; the token is void at once",
    access: "owner",
    status: 200,
    params: bySlug,
    response: Type.Object({ removed: slug }, closed),
  },
  replaceToken: {
    method: "POST",
    path: "/people/{id}/token",
    summary: "Make a new token; the old one is void at once",
    access: "owner",
    status: 200,
    params: bySlug,
    body: empty,
    response: PersonToken,
  },
  listWorkspaces: {
    method: "GET",
    path: "/workspaces",
    summary: "The folders this node works in",
    access: "anyone",
    status: 200,
    response: Type.Object({ workspaces: list(Workspace, 10_000) }, closed),
  },
  addWorkspace: {
    method: "POST",
    path: "/workspaces",
    summary: "Add a folder, or read its workspace file again; a folder without one gets a small one",
    access: "owner",
    status: 201,
    body: Type.Object(
      {
        root: text(4096, "absolute path on the node's machine"),
        confirm: Type.Optional(
          Type.Boolean({ description: "accept a changed workspace file that lets programs do more" }),
        ),
      },
      closed,
    ),
    response: AddedWorkspace,
  },
  removeWorkspace: {
    method: "DELETE",
    path: "/workspaces/{id}",
    summary: "Forget a workspace that no deployed program uses; its files stay",
    access: "owner",
    status: 200,
    params: bySlug,
    response: Type.Object({ removed: slug }, closed),
  },
  listMemory: {
    method: "GET",
    path: "/memory",
    summary: "What the programs of a workspace, or one version of a program, remember, by key",
    access: "operator",
    status: 200,
    query: Type.Object({ ...memoryOwner, after: Type.Optional(memoryKey) }, closed),
    response: Type.Object({ remembered: list(RememberedSummary) }, closed),
  },
  showMemory: {
    method: "GET",
    path: "/memory/value",
    summary: "A remembered value; a secret one is not shown",
    access: "operator",
    status: 200,
    query: Type.Object({ ...memoryOwner, key: memoryKey }, closed),
    response: Type.Object({ ...RememberedSummary.properties, isSecret: Type.Boolean(), value: json }),
  },
  forgetMemory: {
    method: "POST",
    path: "/memory/forget",
    summary: "Have a remembered value forgotten; recorded with who and why",
    access: "operator",
    status: 200,
    body: Type.Object({ ...memoryOwner, key: memoryKey, reason: comment }, closed),
    response: Type.Object({ forgotten: line }, closed),
  },
  listWebhooks: {
    method: "GET",
    path: "/webhooks",
    summary: "Webhooks that may be delivered to, and whether a program listens",
    access: "operator",
    status: 200,
    response: Type.Object({ webhooks: list(WebhookSummary, 10_000) }, closed),
  },
  setWebhookSecret: {
    method: "POST",
    path: "/webhooks/{workspace}/{name}/secret",
    summary: "Make a webhook, or a new secret for it; the answer shows the secret once",
    access: "owner",
    status: 201,
    params: byWebhook,
    body: Type.Object(
      {
        /** How long the secret before it may still sign, at most a week. */
        keepPreviousMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 7 * 24 * 3_600_000 })),
      },
      closed,
    ),
    response: Type.Object({ workspace: slug, name: slug, path: line, secretId: line, secret: line }, closed),
  },
  removeWebhook: {
    method: "DELETE",
    path: "/webhooks/{workspace}/{name}",
    summary: "Remove a webhook; its secret is void at once",
    access: "owner",
    status: 200,
    params: byWebhook,
    response: Type.Object({ removed: line }, closed),
  },
  deliverWebhook: {
    method: "POST",
    path: "/webhooks/{workspace}/{name}",
    summary:
      "Deliver to a webhook, signed as Standard Webhooks say (webhook-id, webhook-timestamp, webhook-signature); JSON or CloudEvents",
    access: "signed",
    status: 202,
    params: byWebhook,
    body: json,
    bodyBytesMax: deliveryBytesMax,
    /** `known`: this delivery was taken before, and nothing follows from it again. */
    response: Type.Object({ delivery: line, status: Type.Enum(["recorded", "known"]) }, closed),
    protocol: "webhook",
  },
  listCapabilities: {
    method: "GET",
    path: "/capabilities",
    summary: "What can be done, optionally by search words",
    access: "anyone",
    status: 200,
    query: Type.Object({ search: Type.Optional(text(512)) }, closed),
    response: Type.Object({ capabilities: list(CapabilitySummary) }, closed),
  },
  getCapability: {
    method: "GET",
    path: "/capabilities/{id}",
    summary: "One capability with the schemas of its parameters and result; the version may be left out",
    access: "anyone",
    status: 200,
    params: Type.Object(
      {
        id: Type.String({
          pattern: "^[a-z][a-z0-9_]*\\.[a-z][a-z0-9_]*(@\\d+\\.\\d+\\.\\d+)?$",
          maxLength: 160,
        }),
      },
      closed,
    ),
    response: CapabilityDetail,
  },
  revokeCapability: {
    method: "POST",
    path: "/capabilities/revocations",
    summary: "Revoke a capability from now on, or restore it",
    access: "owner",
    status: 200,
    body: Type.Object(
      {
        capability: text(160, "id, or module.action for every version"),
        reason: Type.Optional(comment),
        restore: Type.Optional(Type.Boolean()),
      },
      closed,
    ),
    response: Type.Object({ capability: line, revoked: Type.Boolean() }, closed),
  },
  getPolicies: {
    method: "GET",
    path: "/policies",
    summary: "The policies in force, as Cedar text",
    access: "anyone",
    status: 200,
    response: Type.Object(
      { hash, files: list(Type.Object({ name: line, text: text(1024 * 1024) }, closed), 100) },
      closed,
    ),
  },
  readLedger: {
    method: "GET",
    path: "/ledger",
    summary: "Entries of the ledger in order",
    access: "operator",
    status: 200,
    query: Type.Object(
      {
        from: Type.Optional(count),
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: pageEntriesMax })),
      },
      closed,
    ),
    response: Type.Object({ entries: list(ApiEntry, pageEntriesMax), next: nullable(count) }, closed),
  },
  verifyLedger: {
    method: "POST",
    path: "/ledger/verify",
    summary: "Check every link, hash, checkpoint and blob as they are on disk",
    access: "anyone",
    status: 200,
    body: Type.Object({ archive: Type.Optional(text(4096, "folder of archived segments")) }, closed),
    response: LedgerReport,
  },
  pruneLedger: {
    method: "POST",
    path: "/ledger/prune",
    summary:
      "Take entries that nobody needs any more out of old segments; unless `dryRun` is false, only say what would go",
    access: "owner",
    status: 200,
    body: Type.Object(
      {
        beforeSeq: Type.Optional(count),
        beforeMs: Type.Optional(count),
        archive: Type.Optional(nullable(text(4096, "absolute path of a folder outside the data folder"))),
        dryRun: Type.Optional(Type.Boolean()),
      },
      closed,
    ),
    response: Type.Object(
      {
        dryRun: Type.Boolean(),
        segments: count,
        entries: count,
        kept: count,
        runs: count,
        freedBytes: count,
        blobs: count,
        firstSeq: nullable(count),
        lastSeq: nullable(count),
        archive: nullable(words),
      },
      closed,
    ),
  },
  archiveLedger: {
    method: "POST",
    path: "/ledger/archives",
    summary: "Copy whole old segments to a folder on the node's machine, where they verify with the ledger",
    access: "owner",
    status: 201,
    body: Type.Object(
      {
        folder: text(4096, "absolute path of a folder outside the data folder"),
        beforeSeq: Type.Optional(count),
        beforeMs: Type.Optional(count),
      },
      closed,
    ),
    response: Type.Object({ folder: words, segments: count, entries: count, sizeBytes: count }, closed),
  },
  backup: {
    method: "POST",
    path: "/backup",
    summary: "Write a consistent copy of ledger, blobs and keys to a new file on the node's machine",
    access: "owner",
    status: 201,
    body: Type.Object({ file: text(4096, "absolute path of a file that does not exist") }, closed),
    response: Type.Object({ file: words, sizeBytes: count, entries: count }, closed),
  },
  streamEntries: {
    method: "GET",
    path: "/entries",
    summary: "WebSocket: every entry once it is durable, in order, starting at `from` or with the next one",
    access: "operator",
    status: 200,
    query: Type.Object({ from: Type.Optional(count), run: Type.Optional(run) }, closed),
    response: ApiEntry,
    protocol: "websocket",
  },
  mcp: {
    method: "POST",
    path: "/mcp",
    summary:
      "The Model Context Protocol: five tools to find capabilities, check and submit plans, and read runs",
    access: "submitter",
    status: 200,
    body: json,
    bodyBytesMax: planBytesMax,
    response: json,
    protocol: "mcp",
  },
} as const satisfies Readonly<Record<string, RouteDefinition>>;

export type Routes = typeof routes;
export type RouteName = keyof Routes;

type PartOf<Name extends RouteName, Part extends string> =
  Routes[Name] extends Readonly<Record<Part, infer S extends TSchema>> ? Static<S> : undefined;
export type ParamsOf<Name extends RouteName> = PartOf<Name, "params">;
export type QueryOf<Name extends RouteName> = PartOf<Name, "query">;
export type BodyOf<Name extends RouteName> = PartOf<Name, "body">;
export type ResponseOf<Name extends RouteName> = Static<Routes[Name]["response"]>;
