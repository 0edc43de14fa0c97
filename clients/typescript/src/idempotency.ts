const IDEMPOTENCY_KEY = /^[!-~]([ -~]{0,62}[!-~])?$/;

/** The key of one method call: that of the caller, or a new one. */
export function idempotencyKey(own: string | undefined): string {
  const key = own ?? uuid();
  if (IDEMPOTENCY_KEY.test(key)) return key;
  throw new TypeError("an idempotency key has 1 to 64 printable ASCII characters");
}

/** Node.js 18, and browsers on pages without https, have no `crypto.randomUUID`. Here a UUID need not be a secret. */
export function uuid(crypto: Partial<Crypto> | undefined = globalThis.crypto): string {
  if (crypto?.randomUUID) return crypto.randomUUID();
  const digit = (character: string) => {
    const random = Math.floor(Math.random() * 16);
    return (character === "x" ? random : 8 + (random % 4)).toString(16);
  };
  return "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx".replace(/[xy]/g, digit);
}
