// The structure of a plan: IML 2.0 fields, their forms and bounds. Nothing is dropped: a field is read, refused as unsupported, or unknown.
import { approvalTimeoutMsDefault, planActionsMax, stepTimeoutMsDefault } from "@writ/core/limits";
import { fieldReader, required, type FieldReader } from "./fields.ts";
import type { JsonNode } from "./json.ts";
import { pointer, problem, type PlanProblem } from "./problem.ts";

export type OnError = "abort" | "continue" | "skip" | "retry" | "rollback";

export interface Plan {
  readonly id: string | null;
  readonly description: string;
  readonly mode: "sequential" | "parallel";
  readonly moduleRequirements: readonly {
    readonly module: string;
    readonly range: string;
    readonly at: string;
  }[];
  readonly actions: readonly PlanAction[];
}

export interface PlanAction {
  readonly id: string;
  readonly module: string;
  readonly action: string;
  readonly params: JsonNode | null;
  readonly dependsOn: readonly { readonly id: string; readonly at: string }[];
  readonly onError: OnError;
  readonly timeoutMs: number;
  readonly retry: PlanRetry | null;
  readonly rollback: PlanRollback | null;
  readonly approval: PlanApproval | null;
  readonly label: string | null;
  /** The action's own place in the text. */
  readonly node: JsonNode;
}

export interface PlanRetry {
  readonly attemptsMax: number;
  readonly delayMs: number;
  readonly factor: number;
  readonly on: readonly string[];
  readonly at: string;
}

export interface PlanRollback {
  readonly action: string;
  readonly params: JsonNode | null;
  readonly at: string;
}

export interface PlanApproval {
  readonly message: string | null;
  readonly risk: string | null;
  readonly withinMs: number;
  readonly onTimeout: "reject" | "skip";
  readonly at: string;
}

/** The plan, or null when it is too broken to look further. Wrong fields are pushed to the list and read as absent. */
export function readPlan(root: JsonNode, problems: PlanProblem[]): Plan | null {
  const read = fieldReader(problems);
  const fields = read.object(root, "the plan", planFields, planUnsupported);
  if (fields === undefined) return null;
  const version = fields.get("protocol_version");
  if (version === undefined || version.kind !== "scalar" || version.value !== "2.0") {
    problems.push(
      problem("plan.version", "/protocol_version", 'Cannot read the plan: `protocol_version` must be "2.0"', {
        found: version?.kind === "scalar" ? version.value : null,
      }),
    );
    return null;
  }
  refuseOtherMode(fields, problems);
  const id = read.text(fields.get("plan_id"), {
    pattern: /^[A-Za-z0-9_-]{1,128}$/,
    form: "1 to 128 letters, digits, `_` or `-`",
  });
  const description = read.text(required(fields, "description", "", problems), { lengthMax: 1024 });
  for (const name of ["session_id", "app_id", "agent_id"]) read.text(fields.get(name), { lengthMax: 256 });
  read.object(fields.get("metadata"), "`metadata`", ["created_by", "llm_model", "tags", "context"], {});
  const modes = ["execution_mode", "mode"].filter((name) => fields.has(name));
  if (modes.length === 2) {
    problems.push(
      problem("plan.field", "/mode", "Cannot read both `mode` and `execution_mode`: they are one field"),
    );
  }
  const mode = read.choice(fields.get(modes[0] ?? ""), ["sequential", "parallel"] as const) ?? "sequential";
  const list = required(fields, "actions", "", problems);
  const actions = list === undefined ? undefined : readActions(list, problems, read);
  if (actions === undefined) return null;
  return {
    id: id ?? null,
    description: description ?? "",
    mode,
    moduleRequirements: readRequirements(fields.get("module_requirements"), read),
    actions,
  };
}

const planFields = [
  "plan_id",
  "protocol_version",
  "description",
  "session_id",
  "app_id",
  "agent_id",
  "execution_mode",
  "mode",
  "plan_mode",
  "metadata",
  "module_requirements",
  "actions",
] as const;

const planUnsupported: Readonly<Record<string, string>> = {
  compiler_trace: "a trace written by a model proves nothing here: the compiler writes its own report",
  trigger: "a plan starts when it is submitted",
  ttl: "plans do not expire yet",
  nonce: "plans are not replay-protected yet",
  signature: "programs are signed, plans are not",
  target_group: "a plan runs on this node",
  broadcast: "a plan runs on this node",
};

const actionFields = [
  "id",
  "module",
  "action",
  "params",
  "depends_on",
  "on_error",
  "requires_approval",
  "timeout",
  "retry",
  "rollback",
  "approval",
  "label",
  "tags",
] as const;

const actionUnsupported: Readonly<Record<string, string>> = {
  perception: "screens are not captured",
  memory: "plans do not read or write memory yet",
  target_node: "an action runs on this node",
  target_group: "an action runs on this node",
  broadcast: "an action runs on this node",
  ttl: "actions do not expire yet",
  nonce: "actions are not replay-protected yet",
  signature: "programs are signed, actions are not",
};

/** Modes that exist in IML but not here yet: refused by name. */
function refuseOtherMode(fields: ReadonlyMap<string, JsonNode>, problems: PlanProblem[]): void {
  for (const [name, value] of [
    ["execution_mode", "reactive"],
    ["mode", "reactive"],
    ["plan_mode", "compiler"],
  ] as const) {
    const node = fields.get(name);
    if (node?.kind !== "scalar" || node.value === null) continue;
    if (node.value === value) {
      problems.push(
        problem(
          "plan.unsupported",
          node.at,
          `Cannot run a plan whose \`${name}\` is \`${value}\`: that mode is not supported yet`,
          {
            field: name,
          },
        ),
      );
    } else if (name === "plan_mode" && node.value !== "standard") {
      problems.push(
        problem("plan.field", node.at, "Cannot read `plan_mode`: expected standard", {
          allowed: ["standard"],
        }),
      );
    }
  }
}

function readRequirements(node: JsonNode | undefined, read: FieldReader) {
  const fields = read.object(node, "`module_requirements`", null, {});
  return [...(fields ?? [])].flatMap(([module, item]) => {
    const range = read.text(item, { lengthMax: 256 });
    return range === undefined ? [] : [{ module, range, at: item.at }];
  });
}

function readActions(
  list: JsonNode,
  problems: PlanProblem[],
  read: FieldReader,
): readonly PlanAction[] | undefined {
  const items = read.list(list);
  if (items === undefined) return undefined;
  if (items.length === 0) {
    problems.push(problem("plan.field", list.at, "Cannot run a plan without actions"));
    return undefined;
  }
  if (items.length > planActionsMax) {
    problems.push(
      problem(
        "plan.too-many-actions",
        list.at,
        `Cannot take ${items.length} actions: a plan holds at most ${planActionsMax}`,
        {
          count: items.length,
          countMax: planActionsMax,
        },
      ),
    );
    return undefined;
  }
  const actions = items.flatMap((item) => readAction(item, problems, read) ?? []);
  let isComplete = actions.length === items.length;
  const seen = new Set<string>();
  for (const { id, node } of actions) {
    if (seen.has(id)) {
      isComplete = false;
      problems.push(
        problem("plan.duplicate-id", `${node.at}/id`, `Cannot have two actions called \`${id}\``, { id }),
      );
    }
    seen.add(id);
  }
  // Without an action, or with two of one name, everything that names it would look wrong too.
  return isComplete ? actions : undefined;
}

function readAction(node: JsonNode, problems: PlanProblem[], read: FieldReader): PlanAction | undefined {
  const fields = read.object(node, "an action", actionFields, actionUnsupported);
  if (fields === undefined) return undefined;
  const id = read.text(required(fields, "id", node.at, problems), {
    pattern: /^[A-Za-z0-9_-]{1,64}$/,
    form: "1 to 64 letters, digits, `_` or `-`",
  });
  const name = {
    pattern: /^[a-z][a-z0-9_]{0,63}$/,
    form: "a small letter, then small letters, digits or `_`",
  };
  const module = read.text(required(fields, "module", node.at, problems), name);
  const action = read.text(required(fields, "action", node.at, problems), name);
  const params = fields.get("params");
  const isObject = read.object(params, "`params`", null, {}) !== undefined;
  const isMissing = params === undefined || (params.kind === "scalar" && params.value === null);
  const dependsOn = (read.list(fields.get("depends_on")) ?? []).flatMap((item) => {
    const other = read.text(item, {});
    return other === undefined ? [] : [{ id: other, at: item.at }];
  });
  const onError = readOnError(fields.get("on_error"), problems, read);
  const timeoutMs = read.number(fields.get("timeout"), { min: 1, max: 3600 });
  const needsApproval = read.truth(fields.get("requires_approval"));
  const approval = readApproval(fields.get("approval"), problems, read);
  const label = read.text(fields.get("label"), { lengthMax: 256 });
  const tags = read.list(fields.get("tags")) ?? [];
  if (tags.length > 20)
    problems.push(problem("plan.field", pointer(node.at, "tags"), "Cannot take more than 20 tags"));
  for (const tag of tags) read.text(tag, { lengthMax: 64 });
  const retry = readRetry(fields.get("retry"), onError, pointer(node.at, "on_error"), read);
  const rollback = readRollback(fields.get("rollback"), problems, read);
  if (id === undefined || module === undefined || action === undefined) return undefined;
  if (!isObject && !isMissing) return undefined;
  return {
    id,
    module,
    action,
    params: isObject ? (params ?? null) : null,
    dependsOn,
    onError: onError ?? "abort",
    timeoutMs: timeoutMs === undefined ? stepTimeoutMsDefault : Math.round(timeoutMs * 1000),
    retry,
    rollback,
    approval:
      approval ??
      (needsApproval === true ? { ...plainApproval, at: pointer(node.at, "requires_approval") } : null),
    label: label ?? null,
    node,
  };
}

const plainApproval = {
  message: null,
  risk: null,
  withinMs: approvalTimeoutMsDefault,
  onTimeout: "reject",
} as const;

function readOnError(
  node: JsonNode | undefined,
  problems: PlanProblem[],
  read: FieldReader,
): OnError | undefined {
  if (node?.kind === "scalar" && node.value === "ask_llm") {
    problems.push(
      problem(
        "plan.unsupported",
        node.at,
        "Cannot use `on_error: ask_llm`: no model is asked during a run yet",
        {
          field: "on_error",
        },
      ),
    );
    return undefined;
  }
  return read.choice(node, ["abort", "continue", "skip", "retry", "rollback"] as const);
}

function readRetry(
  node: JsonNode | undefined,
  onError: OnError | undefined,
  onErrorAt: string,
  read: FieldReader,
): PlanRetry | null {
  const known = ["max_attempts", "delay_seconds", "backoff_factor", "retry_on"];
  const fields = read.object(node, "`retry`", known, {});
  if (fields === undefined && onError !== "retry") return null;
  const attemptsMax = read.number(fields?.get("max_attempts"), { min: 1, max: 10, whole: true });
  const delaySeconds = read.number(fields?.get("delay_seconds"), { min: 0.1, max: 300 });
  const factor = read.number(fields?.get("backoff_factor"), { min: 1, max: 10 });
  const classes = read
    .list(fields?.get("retry_on"))
    ?.flatMap((item) => read.text(item, { lengthMax: 64 }) ?? []);
  return {
    attemptsMax: attemptsMax ?? 3,
    delayMs: Math.round((delaySeconds ?? 1) * 1000),
    factor: factor ?? 2,
    on: classes ?? ["TimeoutError", "ConnectionError"],
    at: fields === undefined ? onErrorAt : (node?.at ?? onErrorAt),
  };
}

function readRollback(
  node: JsonNode | undefined,
  problems: PlanProblem[],
  read: FieldReader,
): PlanRollback | null {
  const fields = read.object(node, "`rollback`", ["action", "params"], {});
  if (fields === undefined || node === undefined) return null;
  const action = read.text(required(fields, "action", node.at, problems), {});
  const params = fields.get("params");
  if (action === undefined) return null;
  return {
    action,
    params: read.object(params, "`params`", null, {}) === undefined ? null : (params ?? null),
    at: node.at,
  };
}

function readApproval(
  node: JsonNode | undefined,
  problems: PlanProblem[],
  read: FieldReader,
): PlanApproval | null {
  const known = ["message", "risk_level", "timeout_seconds", "timeout_behavior", "clarification_options"];
  const fields = read.object(node, "`approval`", known, {});
  if (fields === undefined || node === undefined) return null;
  const options = read.list(fields.get("clarification_options"));
  if (options !== undefined && options.length > 0) {
    const at = pointer(node.at, "clarification_options");
    problems.push(
      problem("plan.unsupported", at, "Cannot offer `clarification_options`: an approval is yes or no", {
        field: "clarification_options",
      }),
    );
  }
  const seconds = read.number(fields.get("timeout_seconds"), { min: 10, max: 3600 });
  return {
    message: read.text(fields.get("message"), { lengthMax: 4096 }) ?? null,
    risk: read.choice(fields.get("risk_level"), ["low", "medium", "high", "critical"] as const) ?? null,
    withinMs: seconds === undefined ? approvalTimeoutMsDefault : Math.round(seconds * 1000),
    onTimeout: read.choice(fields.get("timeout_behavior"), ["reject", "skip"] as const) ?? "reject",
    at: node.at,
  };
}
