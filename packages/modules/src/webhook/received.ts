// Webhooks as a source: what the node's HTTP server has found authentic becomes an event.
//   B1  A delivery is answered for only when its event is durable.
//   B2  A delivery id is taken once for ever, also after a restart.
//   B3  What came over the network is `origin:web`.
import type { SourceDefinition } from "@writ/core/capability";
import { capabilityId, eventId } from "@writ/core/ids";
import type { Deliveries, Delivery, EventSource, Sighting } from "@writ/core/ports";
import { parse, Type, type Schema } from "@writ/core/schema";
import { isMap, parseValue, decimal, type Value, type ValueMap } from "@writ/core/value";
import { fault } from "../faults.ts";
import { cloudEventOf } from "./cloud-event.ts";

const webhookName = Type.String({ pattern: "^[a-z][a-z0-9_-]{0,63}$", maxLength: 64 });
const Config = Type.Object({ name: webhookName }, { additionalProperties: false });

const definition: SourceDefinition = {
  id: capabilityId("webhook.received@1.0.0"),
  summary: { en: "A webhook was called", fr: "Un webhook a été appelé" },
  config: Config,
  // The body decides: whoever calls says what it holds.
  event: Type.Unsafe<Value>({}) satisfies Schema,
  phrases: {
    en: ["webhook {name} is called"],
    fr: ["le webhook {name} est appelé", "webhook {name} est appelé"],
  },
  labels: ["origin:web"],
};

export function webhookSource(deliveries: Deliveries): EventSource {
  return {
    definition,
    async start(options) {
      const { name } = parse(Config, options.config, "the configuration of webhook.received");
      const workspace = options.workspace.name;
      let turn: Promise<unknown> = Promise.resolve();
      const close = deliveries.listen({ workspace, name }, (delivery) => {
        // Read before its turn, so that a body that is none is refused at once.
        const sighting = sightingOf(delivery, workspace, name, options.world.nowMs());
        const taken = turn.then(async () => {
          if (options.seen(sighting.key)) return "known" as const;
          await options.report(sighting);
          return "recorded" as const;
        });
        turn = taken.catch(() => undefined);
        return taken;
      });
      return {
        async stop() {
          close();
          await turn;
        },
      };
    },
  };
}

/** @throws webhook.body, webhook.cloud-event */
function sightingOf(delivery: Delivery, workspace: string, name: string, nowMs: number): Sighting {
  const body = bodyOf(delivery.text);
  const { attributes, data } = cloudEventOf(delivery, body);
  return {
    event: {
      specversion: "1.0",
      id: eventId(`webhook-${name}-${delivery.id}`),
      source: `/sources/${encodeURIComponent(workspace)}/webhook/${name}`,
      type: attributes?.type ?? "webhook.received",
      time: new Date(nowMs).toISOString(),
      ...(attributes?.subject === undefined ? {} : { subject: attributes.subject }),
      ...(attributes === null ? {} : { correlation: attributes.correlation }),
      data: mapOf(data),
    },
    cursor: {},
    key: `delivery-${delivery.id}`,
  };
}

/** The body itself when it is an object; a body of another kind stands under `value`. */
function mapOf(data: Value): ValueMap {
  return isMap(data) ? data : { value: data };
}

/** @throws webhook.body */
function bodyOf(text: string): Value {
  try {
    return parseValue(JSON.parse(text, readItem));
  } catch (error) {
    throw fault("webhook.body", "Cannot read the delivery as JSON", {}, error);
  }
}

/** Numbers that a double does not hold exactly become decimals; a key that would change what every object is, is refused. */
function readItem(key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (key === "__proto__") throw new SyntaxError("the key `__proto__` is not accepted");
  if (typeof value !== "number" || Number.isSafeInteger(value) || context?.source === undefined) return value;
  return decimal(context.source);
}
