// Limits of the runtime. Relations between them are asserted in limits.test.ts.

/** Looking at the targets of one effect again because they changed while the locks were awaited. */
export const looksMax = 8;
/** How long a capability that was told to stop may take to say what it did. */
export const graceMs = 2000;
/** How long `stop` lets effects finish before it tells them to. */
export const stopGraceMs = 5000;
/** Progress of one effect is recorded at most this often, and ever more seldom the longer it takes. */
export const progressMsMin = 1000;
/** Bytes of one progress value, about. */
export const progressBytesMax = 4096;
/** Bytes of one blob that a capability streams beside its result, and how many it may. */
export const attachmentBytesMax = 256 * 1024 * 1024;
export const attachmentsMax = 16;
/** Performing an idempotent effect to find out what became of it. */
export const unknownTriesMax = 3;
/** Sends to one host in a minute, where the node says nothing else: a bound on what a loop gone wrong does to others. */
export const sendsPerMinuteMaxDefault = 60_000;
/** Ended runs whose last state is kept in memory. */
export const rememberedRunsMax = 1000;
/** Bytes of values in them, about: one state may hold texts of many megabytes. */
export const rememberedBytesMax = 64 * 1024 * 1024;
/** Programs kept ready to run. */
export const preparedProgramsMax = 1000;
/** Verdicts of the policy kept, all of one policy. */
export const verdictsMax = 4096;
/** Runs that may follow from each other by the events they emit; the last one's events are recorded and start nothing. */
export const emittedHopsMax = 16;
/** Iterations of loops that follow from one entry; then the loop lets others have their turn. */
export const loopTurnsMax = 1000;
/** Keys whose last writer is remembered. */
export const rememberedLocksMax = 4096;
/** Longest sleep of the timers: so long a jump of the wall clock may go unseen. */
export const sleepMsMax = 10_000;
/** How long a start that was refused because the node is full should wait, while nothing was measured, and the bounds of it. */
export const busyRetryMs = 1000;
export const busyRetryMsMin = 20;
export const busyRetryMsMax = 60_000;
/** Ends of runs from which the pace is measured. */
export const paceSamples = 64;
/** Hosts, sessions and capabilities counted in one minute. */
export const ratedKeysMax = 100_000;
/** Times that a run, with those it started again, gives way to others; then it is let finish. */
export const preemptionsMax = 3;
/** Effects under way at once, where the node says nothing else. */
export const effectsActiveMaxDefault = 4096;
/** Effects that wait for one lock, module or for the node. */
export const effectsWaitingMax = 100_000;
/** Time, and events and starts, that a restart reads back for hold and throttle times. */
export const lookBackMs = 24 * 3_600_000;
export const lookBackEntriesMax = 100_000;
export const lookBackChunk = 4096;
/** Sightings of this process that the projections may not have yet. */
export const recentSightingsMax = 100_000;
/** Commands that a preview carries out before it gives up. */
export const previewCommandsMax = 100_000;
/** Entries of a run between two snapshots of its state, and how large one may be. */
export const snapshotEntriesDefault = 1000;
export const snapshotBytesMax = 16 * 1024 * 1024;
/** How long a run must have waited, and must still wait, before it leaves memory. */
export const parkAfterMs = 2000;
/** Runs that a restart hands to the index of those that wait, in one transaction. */
export const recoveredBatch = 1000;
/** Parked runs that are folded again at once when their time has come. */
export const wakesAtOnceMax = 256;
/** How long parked runs whose time has come wait for room in memory, before they ask again. */
export const wakeRetryMs = 100;
/** How often a full node looks for runs that could leave memory. */
export const roomEveryMs = 100;

/** Breakpoints of one run at once. */
export const breakpointsMax = 100;
/** How long after its end a countdown still stands for its effect; later it is announced again. */
export const announcedValidMs = 60_000;
/** Announcements of one attempt: beyond, what it would do does not come to rest. */
export const announcementsMax = 8;
/** How long a step waits for a rate where its guard names no queue of its own. */
export const guardQueueMsDefault = 3_600_000;
/** Targets whose last effects are remembered, and how many of each. */
export const guardTargetsMax = 10_000;
export const guardEffectsMax = 2048;
export const guardLookBackChunk = 4096;
