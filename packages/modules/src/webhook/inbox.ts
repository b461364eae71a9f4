// Where the HTTP server leaves what was delivered and the sources take it from. Holds nothing: a delivery nobody takes is refused.
import type { Deliveries, Delivery } from "@writ/core/ports";

export interface DeliveryInbox extends Deliveries {
  isHeard(workspace: string, name: string): boolean;
  /** Resolves when the event is durable; undefined when nobody listens. */
  deliver(workspace: string, name: string, delivery: Delivery): Promise<"recorded" | "known" | undefined>;
}

export function createInbox(): DeliveryInbox {
  const listening = new Map<string, Parameters<Deliveries["listen"]>[1]>();
  const keyOf = (workspace: string, name: string): string => `${workspace}/${name}`;
  return {
    listen({ workspace, name }, take) {
      const key = keyOf(workspace, name);
      listening.set(key, take);
      return () => {
        if (listening.get(key) === take) listening.delete(key);
      };
    },
    isHeard: (workspace, name) => listening.has(keyOf(workspace, name)),
    deliver: async (workspace, name, delivery) => listening.get(keyOf(workspace, name))?.(delivery),
  };
}
