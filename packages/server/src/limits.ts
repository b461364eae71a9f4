// Limits of the server. Each name carries its unit.
import { valueDepthMax } from "@writ/core/limits";

/** Nesting of a request's JSON. */
export const bodyDepthMax = valueDepthMax + 8;
/** Remembered policy verdicts; forgotten all at once when full. */
export const policyVerdictsMax = 10_000;
/** Programs kept in memory with their certificates; forgotten all at once when full. */
export const keptProgramsMax = 1000;
/** Programs that are not deployed and still known without reading; the oldest is forgotten. */
export const programsAtHandMax = 1000;
/** Parts of programs kept in memory that entries hold inline, at most 4 KiB each; the oldest is forgotten. */
export const recentPartsMax = 256;
/** Random bytes of a bearer token: 43 characters of base64url. */
export const tokenBytes = 32;
/** What a WebSocket client has not taken yet before it is waited for, and how long until one that takes nothing is closed. */
export const streamBytesMax = 8 * 1024 * 1024;
export const streamWaitMs = 100;
export const streamWaitsMax = 100;
export const streamsMax = 64;
export const connectionsMax = 1024;
export const requestTimeoutMs = 120_000;
export const keepAliveTimeoutMs = 72_000;
/** How long a stopping node waits for requests under way. */
export const stopTimeoutMs = 10_000;
/** How long a node whose ledger has stopped may take to tell those who wait for an answer. */
export const failedStopTimeoutMs = 2000;
/** `node.log` and `notifications.ndjson`, each; the file before is kept too. */
export const logBytesMax = 32 * 1024 * 1024;
/** How often a node with a retention looks for what need not be kept. */
export const retentionEveryMs = 24 * 3_600_000;
/** A workspace file. */
export const workspaceFileBytesMax = 1024 * 1024;
/** Bytes of blobs that an exported run carries; what does not fit is named by its hash. */
export const exportBlobBytesMax = 64 * 1024 * 1024;
/** Entries before a run's start among which its event is looked for: a hold time may have passed between them. */
export const exportLookBackEntries = 100_000;
/** Difference between a delivery's time and the node's, to either side. */
export const deliveryToleranceMs = 5 * 60_000;
/** Deliveries to one webhook, those with a good signature and those without each on their own. */
export const deliveriesPerMinuteMax = 600;
export const deliveriesAtOnceMax = 32;
export const webhookSecretBytes = 32;
export const webhooksMax = 1000;

/** Keys of the memory in one answer. */
export const memoryPageMax = 1000;
/** Entries of an exported run and of those it called. */
export const exportEntriesMax = 200_000;
