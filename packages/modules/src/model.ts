// Models as a capability: a question with a frozen context, an answer that fits a schema. Which model answers is the node's affair.
import { capability, type Capability } from "@writ/core/capability";
import { askAttemptsMax, askContextLengthMax, resultBytesMax, textLengthMax } from "@writ/core/limits";
import type { Models } from "@writ/core/ports";
import { askCapability } from "@writ/core/program-steps";
import { schemaProblems, Type, type Schema } from "@writ/core/schema";
import type { Value } from "@writ/core/value";
import { fault } from "./faults.ts";

const anyValue = Type.Unsafe<Value>({});

/** `model.ask`. Without models every question fails by code: nothing is ever made up. */
export function askModel(models: Models | null): Capability {
  return capability({
    id: askCapability,
    summary: {
      en: "Ask a model, and take its answer only if it fits",
      fr: "Interroger un modèle, et n'accepter sa réponse que si elle convient",
    },
    params: Type.Object(
      {
        model: Type.String({ maxLength: 128 }),
        context: Type.String({ maxLength: askContextLengthMax }),
        prompt: Type.Unsafe<Value>(Type.Union([Type.String({ maxLength: textLengthMax }), anyValue])),
        schema: anyValue,
        attemptsMax: Type.Integer({ minimum: 1, maximum: askAttemptsMax }),
      },
      { additionalProperties: false },
    ),
    result: anyValue,
    effect: { kind: "read" },
    resources: [],
    crash: "idempotent",
    risk: "medium",
    criticality: "guarded",
    permission: "model.ask",
    labels: ["origin:model"],
    phrases: { en: [], fr: [] },
    timeoutMs: 120_000,
    resultBytesMax,
    retryOn: ["model.unavailable"],
    perform: async ({ model, context: frozen, prompt, schema, attemptsMax }, context) => {
      if (models === null)
        throw fault("model.none", `Cannot ask the model \`${model}\`: this node has none`, { model });
      let problems: readonly string[] = [];
      for (let attempt = 1; attempt <= attemptsMax; attempt++) {
        const question = { model, context: frozen, prompt, schema: schema as Schema, problems };
        const answer = await models.answer(question, context.signal);
        problems = schemaProblems(schema as Schema, answer).map(
          ({ at, message }) => `${at === "" ? "it" : at} ${message}`,
        );
        if (problems.length === 0) return { result: answer, undo: null, evidence: "observed" };
        // Every answer that does not fit is recorded before another is asked for.
        await context.progress?.({ attempt, problems: problems.slice(0, 20) });
      }
      throw fault(
        "model.answer",
        `Cannot take the answer of \`${model}\`: after ${attemptsMax} of them, ${problems.join("; ").slice(0, 500)}`,
        { model, attemptsMax, problems: problems.slice(0, 20) },
      );
    },
  });
}
