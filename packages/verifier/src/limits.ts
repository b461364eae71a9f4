// Limits of the verifier. Relations are asserted in test/limits.test.ts.

/** One query to the solver. */
export const queryTimeoutMs = 5_000;
/** What a query may run past its timeout before its thread is ended. */
export const solverGraceMs = 500;
export const solverStartMs = 30_000;
export const solverMemoryMb = 1024;
/** States of a product of automata; beyond it the answer is "unknown". */
export const automatonStatesMax = 50_000;
/** Times the solver is asked again because its texts were impossible. */
export const textRoundsMax = 24;
/** Characters of query text kept in a certificate; the hash always covers the whole. */
export const queryTextLengthMax = 256 * 1024;
/** Segments of a path that are followed through `..`; deeper ones count as escaping. */
export const pathDepthMax = 12;
export const deployedMax = 10_000;
/** Alternatives of one path operand that are told apart. */
export const operandAlternativesMax = 64;
/** Results of one check with one verdict that a certificate keeps. */
export const resultsMax = 25;
