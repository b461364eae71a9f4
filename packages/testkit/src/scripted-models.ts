// A model that answers from a script.
import { Fault } from "@writ/core/fault";
import type { Models } from "@writ/core/ports";
import type { Value } from "@writ/core/value";

export interface ScriptedModels extends Models {
  /** The questions, in order. */
  readonly asked: readonly Parameters<Models["answer"]>[0][];
}

/** Gives the answers in order; when there is none left it is not there. */
export function scriptedModels(answers: readonly Value[]): ScriptedModels {
  const asked: Parameters<Models["answer"]>[0][] = [];
  const models: Models = {
    answer(question) {
      asked.push(question);
      const answer = answers[asked.length - 1];
      return answer === undefined ? Promise.reject(new Fault(unavailable)) : Promise.resolve(answer);
    },
  };
  return { ...models, asked };
}

const unavailable = {
  code: "model.unavailable",
  kind: "transient",
  message: "Cannot ask the model: its script is at its end",
  remedy: "This is a simulation.",
  facts: {},
} as const;
