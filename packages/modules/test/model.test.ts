import { expect, test } from "vitest";
import type { CallContext } from "@writ/core/capability";
import { parseValue, type Value } from "@writ/core/value";
import { Type } from "@writ/core/schema";
import { askModel } from "../src/model.ts";
import { scriptedModels } from "@writ/testkit/scripted-models";

const schema = Type.Object({ total: Type.Integer() }, { additionalProperties: false });
const params = {
  model: "demo",
  context: "Add up.",
  prompt: "1 and 2",
  schema: parseValue(schema),
  attemptsMax: 2,
};

function asking(answers: readonly Value[] | null) {
  const models = answers === null ? null : scriptedModels(answers);
  const said: Value[] = [];
  const context = {
    signal: { aborted: false },
    progress: (value: Value) => Promise.resolve(void said.push(value)),
  } as unknown as CallContext;
  return { asked: models?.asked ?? [], said, answer: () => askModel(models).perform(params, context) };
}

test("A1 an answer that fits is taken, and the model sees the frozen context and the prompt", async () => {
  const { answer, asked, said } = asking([{ total: 3 }]);
  expect(await answer()).toMatchObject({ result: { total: 3 }, undo: null });
  expect(asked).toMatchObject([{ model: "demo", context: "Add up.", prompt: "1 and 2", problems: [] }]);
  expect(said).toEqual([]);
});

test("A1 an answer that does not fit is recorded, told to the model and asked for again, so often and no more", async () => {
  const second = asking([{ total: "three" }, { total: 3 }]);
  expect(await second.answer()).toMatchObject({ result: { total: 3 } });
  expect(second.said).toMatchObject([{ attempt: 1 }]);
  expect(second.asked[1]?.problems).toHaveLength(1);
  const never = asking([{}, "no", { total: 3 }]);
  await expect(never.answer()).rejects.toMatchObject({ code: "model.answer" });
  expect(never.asked).toHaveLength(2);
  expect(never.said).toHaveLength(2);
});

test("K41 A2 a model that is not there is a fault, and nothing is made up", async () => {
  await expect(asking(null).answer()).rejects.toMatchObject({ code: "model.none" });
  await expect(asking([]).answer()).rejects.toMatchObject({ code: "model.unavailable", kind: "transient" });
});
