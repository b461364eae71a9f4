// A source that floods, repeats and reorders, and outlives the node: it goes on from the cursor that the node gives back.
import { capabilityId, eventId } from "@writ/core/ids";
import type { EventSource } from "@writ/core/ports";
import { Type } from "@writ/core/schema";
import { isoTime } from "@writ/runtime/iso-time";
import type { SeededRandom } from "../seeded-random.ts";
import type { SimulatedProcess } from "./loop.ts";

/** Something there is to see from a time on. */
export interface Happening {
  readonly atMs: number;
  /** Which of the source's channels. */
  readonly channel: string;
  readonly n: number;
}

export const sourceId = capabilityId("sim.ping@1.0.0");

/** One source for all lives; each process gets its own listener. */
export function simulatedSource(parts: {
  readonly happenings: readonly Happening[];
  readonly process: SimulatedProcess;
  readonly random: SeededRandom;
  /** Where it notes what the node has said that it has: channel and number. */
  readonly acknowledged: Set<string>;
  readonly sinceMs: number;
}): EventSource {
  const { happenings, process, random, acknowledged, sinceMs } = parts;
  return {
    definition: {
      id: sourceId,
      summary: { en: "something happens", fr: "quelque chose arrive" },
      config: Type.Object({ channel: Type.String({ maxLength: 64 }) }, { additionalProperties: false }),
      event: Type.Object(
        { n: Type.Integer(), key: Type.String({ maxLength: 64 }) },
        { additionalProperties: false },
      ),
      phrases: { en: [], fr: [] },
      labels: ["origin:event"],
    },
    start(options) {
      const { config, cursor } = options;
      const channel = config["channel"];
      if (typeof channel !== "string") throw new Error("the config has a channel");
      const mine = happenings.filter((each) => each.channel === channel);
      let isOpen = true;
      const { world } = process;
      const listen = async (): Promise<void> => {
        // The cursor is how many from the first were all reported: what came out of turn after a gap is seen again.
        let low = typeof cursor?.["low"] === "number" ? cursor["low"] : 0;
        const waiting = new Set(mine.keys());
        for (let i = 0; i < low; i++) waiting.delete(i);
        while (waiting.size > 0 && isOpen) {
          const nowMs = world.monotonicMs() - sinceMs;
          const ready = [...waiting].filter((i) => (mine[i]?.atMs ?? 0) <= nowMs);
          if (ready.length === 0) {
            const next = Math.min(...[...waiting].map((i) => mine[i]?.atMs ?? 0));
            await world.sleep(Math.max(1, next - nowMs));
            continue;
          }
          const index = random.chance(0.2) ? random.pick(ready) : (ready[0] ?? 0);
          const happening = mine[index];
          if (happening === undefined) break;
          const isKnown = options.seen(String(index));
          const after = new Set(waiting);
          after.delete(index);
          const nextLow = after.size === 0 ? mine.length : Math.min(...after);
          if (!isKnown || random.chance(0.5)) {
            for (let times = random.chance(0.2) ? 2 : 1; times > 0; times--) {
              await options.report({
                event: {
                  specversion: "1.0",
                  id: eventId(`e-${channel}-${index}`),
                  source: `/sources/${channel}`,
                  type: "sim.ping",
                  time: isoTime(world.nowMs()),
                  data: { n: happening.n, key: `k${happening.n % 3}` },
                },
                cursor: { low: nextLow },
                key: String(index),
              });
              acknowledged.add(`${channel} ${index}`);
            }
          }
          waiting.delete(index);
          low = nextLow;
        }
      };
      // A node that stops refuses; whatever was not acknowledged is reported to the next one.
      void listen().catch(() => undefined);
      return Promise.resolve({
        stop() {
          isOpen = false;
          return Promise.resolve();
        },
      });
    },
  };
}
