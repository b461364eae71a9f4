// The plain requests. A request that changes something counts as done once: after a crash it is sent again only where the receiver is
// listed as honouring the idempotency key; elsewhere a person decides.
import {
  capability,
  type CallContext,
  type Capability,
  type Inspection,
  type Resolution,
} from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import { httpResponseBytesMax } from "../limits.ts";
import { endpointOf } from "./address.ts";
import { addressesOf, exchange, isSafe, type Exchange, type Resolver } from "./exchange.ts";
import {
  answerSchema,
  auth,
  bodyJson,
  followRedirects,
  formMap,
  cookies,
  headers,
  rawBody,
  requestOf,
  resultOf,
  textMap,
  timeoutSeconds,
  url,
  verifySsl,
  type RequestParams,
} from "./message.ts";

export const transientHttpCodes = ["http.timeout", "http.connection", "http.status-5xx"];

const closed = { additionalProperties: false };

/** @param resolver how names become addresses */
export function requestCapabilities(resolver: Resolver): readonly Capability[] {
  const reading = {
    result: answerSchema,
    effect: { kind: "read" },
    resources: [{ kind: "host", param: "url", does: "read" }],
    crash: "idempotent",
    risk: "low",
    criticality: "guarded",
    permission: "network.read",
    labels: ["origin:web"],
    resultBytesMax: httpResponseBytesMax * 3,
    retryOn: transientHttpCodes,
  } as const;
  const sending = {
    result: answerSchema,
    effect: { kind: "irreversible", approval: "listed" },
    resources: [{ kind: "host", param: "url", does: "send" }],
    crash: "queryable",
    risk: "medium",
    criticality: "controlled",
    permission: "network.send",
    labels: ["origin:web"],
    timeoutMs: 310_000,
    resultBytesMax: httpResponseBytesMax * 3,
    retryOn: transientHttpCodes,
    resolve: (params: RequestParams, context: CallContext) => resolveSent(params, context),
  } as const;
  const acting = (method: Exchange["method"], preset: number, follow: boolean) => ({
    inspect: (params: RequestParams, context: CallContext) =>
      inspectHost(method, params, { context, resolver }),
    perform: (params: RequestParams, context: CallContext) =>
      perform(method, params, { context, resolver, timeoutSeconds: preset, follow }),
  });
  return [
    capability({
      ...reading,
      ...acting("GET", 30, true),
      id: capabilityId("api_http.http_get@1.0.0"),
      summary: { en: "Fetches a web address", fr: "Récupère une adresse web" },
      timeoutMs: 310_000,
      params: Type.Object(
        {
          url,
          headers,
          params: textMap,
          timeout: timeoutSeconds(30, 300),
          follow_redirects: followRedirects,
          verify_ssl: verifySsl,
          auth,
          cookies,
        },
        closed,
      ),
      phrases: { en: ["fetch {url}"], fr: ["récupère {url}", "récupérer {url}"] },
    }),
    capability({
      ...reading,
      ...acting("HEAD", 10, true),
      id: capabilityId("api_http.http_head@1.0.0"),
      summary: { en: "Asks for the headers of a web address", fr: "Demande les en-têtes d'une adresse web" },
      timeoutMs: 70_000,
      params: Type.Object(
        {
          url,
          headers,
          timeout: timeoutSeconds(10, 60),
          follow_redirects: followRedirects,
          verify_ssl: verifySsl,
        },
        closed,
      ),
      phrases: {
        en: ["ask for headers of {url}"],
        fr: ["demande en-têtes de {url}", "demander en-têtes de {url}"],
      },
    }),
    capability({
      ...sending,
      ...acting("POST", 30, true),
      id: capabilityId("api_http.http_post@1.0.0"),
      summary: {
        en: "Sends data to a web address (POST)",
        fr: "Envoie des données à une adresse web (POST)",
      },
      params: Type.Object(
        {
          url,
          headers,
          body_json: bodyJson,
          data: formMap,
          form: formMap,
          raw_body: rawBody,
          timeout: timeoutSeconds(30, 300),
          follow_redirects: followRedirects,
          verify_ssl: verifySsl,
          auth,
          cookies,
        },
        closed,
      ),
      phrases: {
        en: ["send {body_json} to {url}"],
        fr: ["envoie {body_json} à {url}", "envoyer {body_json} à {url}"],
      },
    }),
    capability({
      ...sending,
      ...acting("PUT", 30, false),
      id: capabilityId("api_http.http_put@1.0.0"),
      summary: { en: "Puts data at a web address (PUT)", fr: "Dépose des données à une adresse web (PUT)" },
      params: Type.Object(
        {
          url,
          headers,
          body_json: bodyJson,
          data: formMap,
          raw_body: rawBody,
          timeout: timeoutSeconds(30, 300),
          verify_ssl: verifySsl,
          auth,
        },
        closed,
      ),
      phrases: {
        en: ["put {body_json} at {url}"],
        fr: ["dépose {body_json} sur {url}", "déposer {body_json} sur {url}"],
      },
    }),
    capability({
      ...sending,
      ...acting("PATCH", 30, false),
      id: capabilityId("api_http.http_patch@1.0.0"),
      summary: {
        en: "Changes data at a web address (PATCH)",
        fr: "Modifie des données à une adresse web (PATCH)",
      },
      params: Type.Object(
        {
          url,
          headers,
          body_json: bodyJson,
          data: formMap,
          timeout: timeoutSeconds(30, 300),
          verify_ssl: verifySsl,
        },
        closed,
      ),
      phrases: { en: [], fr: [] },
    }),
    capability({
      ...sending,
      ...acting("DELETE", 30, false),
      id: capabilityId("api_http.http_delete@1.0.0"),
      summary: {
        en: "Deletes what is at a web address (DELETE)",
        fr: "Supprime ce qui est à une adresse web (DELETE)",
      },
      risk: "high",
      params: Type.Object(
        { url, headers, timeout: timeoutSeconds(30, 300), verify_ssl: verifySsl, body_json: bodyJson },
        closed,
      ),
      phrases: { en: [], fr: [] },
    }),
    capability({
      ...reading,
      id: capabilityId("api_http.check_url_availability@1.0.0"),
      summary: { en: "Says whether a web address answers", fr: "Dit si une adresse web répond" },
      timeoutMs: 70_000,
      params: Type.Object(
        {
          url,
          timeout: timeoutSeconds(10, 60),
          expected_status: Type.Optional(Type.Integer({ minimum: 100, maximum: 599 })),
          verify_ssl: verifySsl,
        },
        closed,
      ),
      result: Type.Object(
        {
          available: Type.Boolean(),
          status: Type.Union([Type.Integer({ minimum: 100, maximum: 599 }), Type.Null()]),
          /** Fault code of why there was no answer, or null. */
          reason: Type.Union([Type.String({ maxLength: 64 }), Type.Null()]),
        },
        closed,
      ),
      resultBytesMax: 8192,
      phrases: { en: [], fr: [] },
      inspect: (params, context) => inspectHost("GET", params, { context, resolver, mayFail: true }),
      perform: (params, context) => checkAvailability(params, context, resolver),
    }),
  ];
}

async function perform(
  method: Exchange["method"],
  params: RequestParams,
  how: {
    readonly context: CallContext;
    readonly resolver: Resolver;
    readonly timeoutSeconds: number;
    readonly follow: boolean;
  },
) {
  const { context, resolver } = how;
  const { file } = context.workspace;
  const { listed } = endpointOf(params.url, file);
  const isKeyed = !isSafe(method) && listed.idempotent === true;
  const sent = requestOf(method, params, {
    timeoutSeconds: how.timeoutSeconds,
    follow: how.follow,
    key: isKeyed ? context.idempotencyKey : null,
  });
  const result = await exchange(sent, { workspace: file, signal: context.signal, resolver }, (answer) =>
    resultOf(answer, method),
  );
  // The receiver answered: that is what was observed. What it did with a request is its own word.
  return { result, undo: null, evidence: isSafe(method) ? ("observed" as const) : ("commanded" as const) };
}

export async function inspectHost(
  method: Exchange["method"],
  params: RequestParams,
  how: { readonly context: CallContext; readonly resolver: Resolver; readonly mayFail?: true },
): Promise<Inspection> {
  const endpoint = endpointOf(params.url, how.context.workspace.file);
  requestOf(method, params, { timeoutSeconds: 1, follow: false, key: null });
  let addresses: readonly string[] = [];
  try {
    addresses = await addressesOf(endpoint, how.resolver);
  } catch (error) {
    if (how.mayFail !== true || codeOf(error) !== "http.connection") throw error;
  }
  return {
    targets: [
      {
        kind: "host",
        name: endpoint.name,
        resolved: addresses.join(", "),
        does: isSafe(method) ? "read" : "send",
        state: null,
      },
    ],
    before: {},
  };
}

/** Not done means: safe to send again with the same key. */
async function resolveSent(params: RequestParams, context: CallContext): Promise<Resolution> {
  const { listed, name } = endpointOf(params.url, context.workspace.file);
  return listed.idempotent === true
    ? { kind: "not-done" }
    : {
        kind: "unknown",
        reason: `\`${name}\` may have received the request, and does not honour idempotency keys`,
      };
}

async function checkAvailability(
  params: RequestParams & { readonly expected_status?: number },
  context: CallContext,
  resolver: Resolver,
) {
  const sent = requestOf("GET", params, { timeoutSeconds: 10, follow: true, key: null });
  const options = { workspace: context.workspace.file, signal: context.signal, resolver };
  const wanted = params.expected_status;
  try {
    const status = await exchange(sent, options, async (answer) => answer.status);
    const available = wanted === undefined ? status < 400 : status === wanted;
    return { result: { available, status, reason: null }, undo: null, evidence: "observed" as const };
  } catch (error) {
    const code = codeOf(error);
    if (!["http.connection", "http.timeout", "http.certificate"].includes(code)) throw error;
    return {
      result: { available: false, status: null, reason: code },
      undo: null,
      evidence: "observed" as const,
    };
  }
}

function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
}
