// CloudEvents 1.0 over HTTP, JSON only: structured (`application/cloudevents+json`) and binary (`ce-` headers) mode.
import type { Delivery } from "@writ/core/ports";
import { isMap, type Value } from "@writ/core/value";
import { fault } from "../faults.ts";

export interface CloudEventAttributes {
  readonly type: string;
  readonly subject?: string;
  /** `source` and `id` of the sender, which name the event in its system. */
  readonly correlation: string;
}

const visible = /^[\x20-\x7e]{1,256}$/;

/**
 * Attributes and data of the event; a delivery that is no CloudEvent is its own data.
 * @throws webhook.cloud-event when it says that it is one and is not
 */
export function cloudEventOf(
  delivery: Pick<Delivery, "contentType" | "headers">,
  body: Value,
): { readonly attributes: CloudEventAttributes | null; readonly data: Value } {
  if (/^application\/cloudevents\+json\b/i.test(delivery.contentType)) {
    if (!isMap(body)) throw invalid("its body is no object");
    if (body["data_base64"] !== undefined) throw invalid("its data is not JSON");
    return { attributes: attributesOf(body), data: body["data"] ?? null };
  }
  if (delivery.headers["ce-specversion"] === undefined) return { attributes: null, data: body };
  const named = Object.entries(delivery.headers).map(
    ([name, value]) => [name.replace(/^ce-/, ""), value] as const,
  );
  return { attributes: attributesOf(Object.fromEntries(named)), data: body };
}

function attributesOf(given: Readonly<Record<string, Value>>): CloudEventAttributes {
  const { specversion, id, source, type, subject } = given;
  if (specversion !== "1.0") throw invalid("its `specversion` is not 1.0");
  const correlation = `${textOf("source", source)}#${textOf("id", id)}`;
  return {
    type: textOf("type", type),
    correlation,
    ...(subject === undefined ? {} : { subject: textOf("subject", subject) }),
  };
}

function textOf(name: string, value: Value | undefined): string {
  if (typeof value === "string" && visible.test(value)) return value;
  throw invalid(`its \`${name}\` is not 1 to 256 visible ASCII characters`);
}

function invalid(why: string) {
  return fault("webhook.cloud-event", `Cannot take the CloudEvent: ${why}`);
}
