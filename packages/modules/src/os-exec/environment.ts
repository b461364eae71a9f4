// The environment of commands: empty but for what is declared. Nothing is inherited from the node.
import { Type } from "@writ/core/schema";
import { fault } from "../faults.ts";
import { environmentValueLengthMax, environmentVariablesMax } from "../limits.ts";

export const variableName = Type.String({ pattern: "^[A-Za-z_][A-Za-z0-9_]{0,127}$", maxLength: 128 });
export const variableValue = Type.String({ maxLength: environmentValueLengthMax });

/** They make a program load or run what nobody listed. */
const loading =
  /^(LD_.*|DYLD_.*|PATH|IFS|ENV|BASH_.*|SHELLOPTS|PS4|PROMPT_COMMAND|NODE_OPTIONS|NODE_PATH|PYTHON.*|PERL.*|RUBY.*|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|GIT_.*|EDITOR|VISUAL|PAGER|SHELL|GCONV_PATH|HOSTALIASES|MALLOC_.*)$/i;
const secret =
  /(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIALS?)(_|$)/i;

/** @throws exec.environment */
export function checkVariable(name: string, value: string): void {
  if (loading.test(name)) throw refused(name, "it decides what a program loads or starts");
  if (secret.test(name)) throw refused(name, "it names a secret, and secrets do not enter commands in clear");
  if (value.includes("\0")) throw refused(name, "its value holds a NUL character");
}

/** What is declared, the call's own variables over those of the workspace. @throws exec.environment */
export function environmentOf(
  kept: ReadonlyMap<string, string>,
  own: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  for (const [name, value] of Object.entries(own)) checkVariable(name, value);
  const environment = { ...Object.fromEntries(kept), ...own };
  if (Object.keys(environment).length > environmentVariablesMax) {
    throw fault("exec.environment", `Cannot set more than ${environmentVariablesMax} variables`, {
      variablesMax: environmentVariablesMax,
    });
  }
  return environment;
}

function refused(name: string, why: string) {
  return fault("exec.environment", `Cannot set the variable \`${name}\`: ${why}`, { name });
}

/** Variables that `set_env_var` set, by workspace; they live as long as the node's process. */
export interface Variables {
  of(workspace: string): Map<string, string>;
}

export function createVariables(): Variables {
  const known = new Map<string, Map<string, string>>();
  return {
    of(workspace) {
      let own = known.get(workspace);
      if (own === undefined) known.set(workspace, (own = new Map()));
      return own;
    },
  };
}
