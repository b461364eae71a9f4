/** Changes with every change of what a check asks or means. */
export const encoderVersion = "writ-encoder 2";
