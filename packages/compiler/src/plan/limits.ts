// Limits of plans. Those that other packages share stand in core/limits.

/** Actions a plan may hold under each profile. */
export const profileActionsMax = {
  readonly: 20,
  local_worker: 50,
  power_user: 200,
  unrestricted: 500,
} as const;

/** Templates of one plan; each becomes a part of an expression, which costs time to read and to prove. */
export const planReferencesMax = 10_000;

/** Problems reported at once: enough to correct a plan from; a wrong generator repeats itself. */
export const problemsMax = 100;

/** Runs of one plan at once. Plans that are handed in are independent requests; locks order what they share. */
export const planConcurrencyMax = 128;

/** A retry's delay never grows beyond this, unless the first one is longer. */
export const retryDelayMsMax = 64_000;
