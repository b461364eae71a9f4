// Limits that two or more packages share. Each name carries its unit; relations are asserted in limits.test.ts.

/** Values larger than this live in the blob store; entries carry their hash. */
export const inlineBytesMax = 4096;
export const textLengthMax = 10 * 1024 * 1024;
export const pathLengthMax = 4096;
export const urlLengthMax = 8192;
export const ruleTextLengthMax = 64 * 1024;
export const planBytesMax = 8 * 1024 * 1024;
export const programBytesMax = 4 * 1024 * 1024;
export const planActionsMax = 500;
export const programStepsMax = 5000;
export const blockDepthMax = 32;
export const expressionLengthMax = 16 * 1024;
export const expressionDepthMax = 64;
/** Elements a comprehension or an aggregate may visit. */
export const expressionItemsMax = 100_000;
export const valueDepthMax = 64;
export const entryBytesMax = 1024 * 1024;
export const checkpointEntries = 4096;
export const decimalDigitsMax = 100;
export const stepTimeoutMsDefault = 60_000;
export const stepTimeoutMsMax = 3_600_000;
export const runTimeoutMsDefault = 7 * 24 * 3_600_000;
export const retryAttemptsMax = 10;
export const approvalTimeoutMsDefault = 300_000;
export const approvalTimeoutMsMax = 30 * 24 * 3_600_000;
/** Runs in memory. */
export const runsActiveMax = 10_000;
/** Runs that have not ended: those in memory and those that only wait. */
export const runsUnfinishedMax = 1_000_000;
export const resultBytesMax = 512 * 1024;
/** Iterations of one loop, and of loops inside loops multiplied. */
export const loopIterationsMax = 10_000;

/** Runs above a run, each of which waits for the one it started (`run`). */
export const childDepthMax = 8;
export const loopIterationsTotalMax = 1_000_000;
/** Answers a model is asked for until one fits. */
export const askAttemptsMax = 3;
export const askContextLengthMax = 64 * 1024;
export const resourcesPerProgramMax = 16;
export const listensPerProgramMax = 32;
/** Characters of a key under which something is remembered. */
export const memoryKeyLengthMax = 256;
/** Remembered values that are larger, as CBOR, live in the blob store; smaller ones stand in the entry of their effect. */
export const memoryInlineBytesMax = 1024;
