import type { Capability } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { Type } from "@writ/core/schema";
import { fileCapability } from "../filesystem/file-capability.ts";
import { fault } from "../faults.ts";
import { inspectInstall, performInstall, resolveInstall, restoreFileId } from "../filesystem/install.ts";
import { filePath, fileRetries, flag, sha256Text, shownPath, sizeBytes } from "../filesystem/params.ts";
import { httpDownloadBytesMax } from "../limits.ts";
import { exchange, type Answer, type Resolver } from "./exchange.ts";
import { assertStatus, auth, headers, requestOf, timeoutSeconds, url, verifySsl } from "./message.ts";
import { inspectHost, transientHttpCodes } from "./requests.ts";

export function downloadCapability(resolver: Resolver): Capability {
  return fileCapability({
    id: capabilityId("api_http.download_file@1.0.0"),
    summary: { en: "Downloads a web address into a file", fr: "Télécharge une adresse web dans un fichier" },
    params: Type.Object(
      {
        url,
        destination: filePath,
        headers,
        timeout: timeoutSeconds(300, 3600),
        verify_ssl: verifySsl,
        chunk_size: Type.Optional(Type.Integer({ minimum: 1024, maximum: 10_485_760, default: 65_536 })),
        auth,
        overwrite: flag(true),
      },
      { additionalProperties: false },
    ),
    result: Type.Object(
      { path: shownPath, status: Type.Integer(), sizeBytes, sha256: sha256Text, created: Type.Boolean() },
      { additionalProperties: false },
    ),
    effect: { kind: "write", undo: restoreFileId },
    resources: [
      { kind: "host", param: "url", does: "read" },
      { kind: "file", param: "destination", does: "replace" },
    ],
    crash: "queryable",
    risk: "medium",
    criticality: "guarded",
    permission: "network.read",
    labels: ["origin:web"],
    phrases: {
      en: ["download {url} to {destination}"],
      fr: ["télécharge {url} dans {destination}", "télécharger {url} dans {destination}"],
    },
    timeoutMs: 3_600_000,
    resultBytesMax: 8192,
    retryOn: [...transientHttpCodes, ...fileRetries],
    async inspect(params, context) {
      const host = await inspectHost("GET", params, { context, resolver });
      const file = await inspectInstall(optionsOf(params), context);
      return { targets: [...host.targets, ...file.targets], before: file.before };
    },
    async perform(params, context) {
      const sent = requestOf("GET", params, { timeoutSeconds: 300, follow: true, key: null });
      const options = { workspace: context.workspace.file, signal: context.signal, resolver };
      return exchange(sent, options, async (answer) => {
        assertStatus(answer, { excerpt: "", outcome: {} });
        const source = chunked(answer, params.chunk_size ?? 65_536);
        const { content, created, undo } = await performInstall({ ...optionsOf(params), source }, context);
        return {
          result: { path: params.destination, status: answer.status, ...content, created },
          undo,
          evidence: "observed",
        };
      });
    },
    async resolve(params, context) {
      const resolved = await resolveInstall(params.destination, null, context);
      if (resolved.kind !== "done") return resolved;
      const { content, created, undo } = resolved.installed;
      const result = { path: params.destination, status: 200, ...content, created };
      return { kind: "done", performed: { result, undo, evidence: "observed" } };
    },
  });
}

function optionsOf(params: { readonly destination: string; readonly overwrite?: boolean }) {
  return { path: params.destination, overwrite: params.overwrite ?? true, createFolders: false };
}

/** Body in pieces of about the wanted size. @throws http.response-too-large */
async function* chunked(answer: Answer, sizeWanted: number): AsyncGenerator<Uint8Array> {
  let kept: Uint8Array[] = [];
  let keptBytes = 0;
  let total = 0;
  for await (const chunk of answer.body) {
    total += chunk.length;
    if (total > httpDownloadBytesMax) {
      throw fault("http.response-too-large", `Cannot download more than ${httpDownloadBytesMax} bytes`, {
        url: answer.url,
        sizeBytesMax: httpDownloadBytesMax,
      });
    }
    kept.push(chunk);
    keptBytes += chunk.length;
    if (keptBytes < sizeWanted) continue;
    yield Buffer.concat(kept);
    kept = [];
    keptBytes = 0;
  }
  if (keptBytes > 0) yield Buffer.concat(kept);
}
