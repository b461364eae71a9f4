// Limits of the server. Each name carries its unit.
import { valueDepthMax } from "@writ/core/limits";

/** Nesting of a request's JSON. */
export const bodyDepthMax = valueDepthMax + 8;
/** Remembered policy verdicts; forgotten all at once when full. */
export const policyVerdictsMax = 10_000;
/** Programs kept in memory with their certificates; forgotten all at once when full. */
export const keptProgramsMax = 1000;
/** Characters of a bearer token: the prefix and 43 of base64url (256 bits). */
export const tokenBytes = 32;
/** Messages a slow WebSocket client may lag behind before it is closed. */
export const streamBytesMax = 8 * 1024 * 1024;
export const streamsMax = 64;
export const connectionsMax = 1024;
export const requestTimeoutMs = 120_000;
export const keepAliveTimeoutMs = 72_000;
/** How long a stopping node waits for requests under way. */
export const stopTimeoutMs = 10_000;
