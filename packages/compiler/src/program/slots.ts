// What the slots of a written program hold. An author does not say it: a promise about a value that nothing checks would be believed by the
// proof. It is what the capability, the schema or the event says; a computed value is declared as anything.
import type { Catalog } from "@writ/core/capability";
import { slotName, type SlotName } from "@writ/core/ids";
import type { Label } from "@writ/core/label";
import { outputSlotOf, effectCallOf } from "@writ/core/program-steps";
import type { SlotDeclaration, Step, Trigger } from "@writ/core/program";
import { Type, type Schema } from "@writ/core/schema";
import { eventSchema } from "../bind/freeze.ts";

export function declareSlots(
  steps: readonly Step[],
  trigger: Trigger,
  catalog: Catalog,
): readonly SlotDeclaration[] {
  const source =
    trigger.kind === "source" ? catalog.sources.find(({ id }) => id === trigger.source) : undefined;
  const declared = new Map<SlotName, SlotDeclaration>();
  const declare = (name: SlotName, schema: Schema, labels: readonly Label[]): void => {
    const before = declared.get(name);
    // Arms of a branch may write one slot: then it holds what either says, which nobody narrows.
    declared.set(
      name,
      before === undefined ? { name, schema, labels } : { name, schema: anything, labels: [] },
    );
  };
  if (source !== undefined) declare(slotName("event"), eventSchema(source), source.labels);
  for (const { op } of steps) {
    const output = outputSlotOf(op);
    const call = effectCallOf(op);
    const definition =
      call === null ? undefined : catalog.capabilities.find(({ id }) => id === call.capability);
    if (output !== null) {
      const schema = op.op === "ask" ? op.schema : op.op === "recall" ? anything : definition?.result;
      declare(output, schema ?? anything, definition?.labels ?? []);
    }
    if (op.op !== "loop") continue;
    if (op.over !== null) declare(op.over.item, anything, []);
    if (op.index !== null) declare(op.index, Type.Integer({ minimum: 0 }), []);
    for (const { slot } of op.carry) declare(slot, anything, []);
  }
  return [...declared.values()];
}

const anything: Schema = Type.Unknown();
