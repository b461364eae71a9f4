// Variables of the module itself, by workspace: commands of the workspace get them. The node's own environment is never shown.
import { capability, type Capability } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import { fault } from "../faults.ts";
import { environmentVariablesMax } from "../limits.ts";
import { checkVariable, variableName, variableValue, type Variables } from "./environment.ts";

const restoreId = capabilityId("os_exec.restore_env_var@1.0.0");
const nullableValue = Type.Union([variableValue, Type.Null()]);
const base = {
  resources: [],
  risk: "low",
  criticality: "guarded",
  phrases: { en: [], fr: [] },
  timeoutMs: 5000,
  resultBytesMax: 64 * 1024,
  retryOn: [],
} as const;

export function getEnvVar(variables: Variables): Capability {
  return capability({
    ...base,
    id: capabilityId("os_exec.get_env_var@1.0.0"),
    summary: {
      en: "Reads a variable that was set for commands",
      fr: "Lit une variable définie pour les commandes",
    },
    params: Type.Object({ name: variableName }, { additionalProperties: false }),
    result: Type.Object(
      { name: variableName, value: nullableValue, set: Type.Boolean() },
      { additionalProperties: false },
    ),
    effect: { kind: "read" },
    crash: "idempotent",
    permission: "environment.read",
    labels: ["origin:command"],
    async perform({ name }, context) {
      const value = variables.of(context.workspace.name).get(name);
      return {
        result: { name, value: value ?? null, set: value !== undefined },
        undo: null,
        evidence: "observed",
      };
    },
  });
}

export function setEnvVar(variables: Variables): Capability {
  return capability({
    ...base,
    id: capabilityId("os_exec.set_env_var@1.0.0"),
    summary: { en: "Sets a variable for commands", fr: "Définit une variable pour les commandes" },
    params: Type.Object(
      {
        name: variableName,
        value: variableValue,
        scope: Type.Optional(Type.Enum(["process"], { default: "process" })),
      },
      { additionalProperties: false },
    ),
    result: Type.Object({ name: variableName, previous: nullableValue }, { additionalProperties: false }),
    effect: { kind: "write", undo: restoreId },
    // It is gone with the node's process, so setting it again is right after every crash.
    crash: "idempotent",
    permission: "environment.write",
    labels: [],
    async inspect({ name, value }, context) {
      checkVariable(name, value);
      return { targets: [], before: { previous: variables.of(context.workspace.name).get(name) ?? null } };
    },
    async perform({ name, value }, context) {
      checkVariable(name, value);
      const own = variables.of(context.workspace.name);
      if (!own.has(name) && own.size >= environmentVariablesMax) {
        throw fault("exec.environment", `Cannot set more than ${environmentVariablesMax} variables`, {
          variablesMax: environmentVariablesMax,
        });
      }
      const previous = context.before["previous"] ?? null;
      own.set(name, value);
      const undo = { capability: restoreId, params: { name, value, previous } };
      return { result: { name, previous }, undo, evidence: "observed" };
    },
  });
}

export function restoreEnvVar(variables: Variables): Capability {
  return capability({
    ...base,
    id: restoreId,
    internal: true,
    summary: { en: "Takes back a variable that was set", fr: "Rétablit une variable définie" },
    params: Type.Object(
      { name: variableName, value: variableValue, previous: nullableValue },
      { additionalProperties: false },
    ),
    result: Type.Object({ name: variableName }, { additionalProperties: false }),
    effect: { kind: "irreversible", approval: "listed" },
    crash: "idempotent",
    permission: "environment.write",
    labels: [],
    async inspect() {
      return { targets: [], before: {} };
    },
    async perform({ name, value, previous }, context) {
      const own = variables.of(context.workspace.name);
      const now = own.get(name);
      // After a restart no variable is set: nothing is left to take back.
      if (now !== undefined && now !== value && now !== previous) {
        throw fault(
          "undo.world-changed",
          `Cannot take back \`${name}\`: it was set to something else since`,
          { name },
        );
      }
      if (previous === null) own.delete(name);
      else if (now !== undefined) own.set(name, previous);
      return { result: { name }, undo: null, evidence: "observed" };
    },
  });
}
