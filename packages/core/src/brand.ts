declare const brand: unique symbol;

/** A string (or other primitive) that only its maker can produce. */
export type Brand<T, Name extends string> = T & { readonly [brand]: { readonly [N in Name]: true } };
