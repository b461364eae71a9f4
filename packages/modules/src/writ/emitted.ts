// Events that runs emit, as a source: it hears nothing from outside, the engine hands its events on in the commit that records them.
import { capabilityId } from "@writ/core/ids";
import { emittedSource } from "@writ/core/event";
import type { EventSource } from "@writ/core/ports";
import { Type } from "@writ/core/schema";
import type { ValueMap } from "@writ/core/value";

/** `writ.emitted`: with a `type`, only events of this type. What is secret is never handed on, so no event carries that label. */
export const emitted: EventSource = {
  definition: {
    id: capabilityId(emittedSource),
    summary: { en: "An event that a run emits", fr: "Un événement qu'une exécution émet" },
    config: Type.Object(
      { type: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })) },
      { additionalProperties: false },
    ),
    // Whatever the run that emits puts into it.
    event: Type.Unsafe<ValueMap>({}),
    phrases: { en: [], fr: [] },
    labels: ["origin:event", "origin:file", "origin:web", "origin:model", "origin:command", "origin:person"],
  },
  start: () => Promise.resolve({ stop: () => Promise.resolve() }),
};
