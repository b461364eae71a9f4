import { capability, type CallContext, type Capability, type TypedCapability } from "@writ/core/capability";
import { capabilityName } from "@writ/core/ids";
import type { Static, TSchema } from "@writ/core/schema";
import { fsFault } from "./fs-fault.ts";

/**
 * A capability that works on files: errors of the system that nothing closer to them has named become faults. While performing, such
 * an error leaves open whether the effect happened, so the world is asked.
 */
export function fileCapability<const P extends TSchema>(definition: TypedCapability<P>): Capability {
  const inspect = definition.inspect?.bind(definition);
  const perform = definition.perform.bind(definition);
  const resolve = definition.resolve?.bind(definition);
  const predict = definition.predict?.bind(definition);
  const what = `Cannot complete \`${capabilityName(definition.id)}\``;
  const named =
    <T>(action: (params: Static<P>, context: CallContext) => Promise<T>) =>
    async (params: Static<P>, context: CallContext): Promise<T> => {
      try {
        return await action(params, context);
      } catch (error) {
        throw fsFault(error, what, "");
      }
    };
  return capability({
    ...definition,
    ...(inspect === undefined ? {} : { inspect: named(inspect) }),
    ...(resolve === undefined ? {} : { resolve: named(resolve) }),
    ...(predict === undefined ? {} : { predict: named(predict) }),
    async perform(params: Static<P>, context: CallContext) {
      try {
        return await perform(params, context);
      } catch (error) {
        throw fsFault(error, what, "", { outcome: "unknown" });
      }
    },
  });
}
