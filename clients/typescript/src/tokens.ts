/** A token, or a function that gets one and may be asynchronous. */
export type TokenOption = string | (() => string | Promise<string>);

const BEARER_TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/** Keeps the token, and asks a function for another one after a refusal. No member shows the token. */
export class Tokens {
  readonly #get: (() => string | Promise<string>) | undefined;
  #token: string | undefined;
  #asking: Promise<string> | undefined;

  constructor(option: TokenOption) {
    if (typeof option === "function") this.#get = option;
    else this.#token = checked(option);
  }

  /** The token to send; rejects with what the function throws. */
  async current(): Promise<string> {
    return this.#token ?? (this.#asking ??= this.#ask().finally(() => (this.#asking = undefined)));
  }

  /** Whether there is another token than the refused one; requests that are refused together ask once. */
  async replace(refused: string): Promise<boolean> {
    if (!this.#get) return false;
    if (this.#token === refused) this.#token = undefined;
    return (await this.current()) !== refused;
  }

  async #ask(): Promise<string> {
    return (this.#token = checked(await this.#get?.()));
  }
}

/** `fetch` would put a token that it can't send into the text of its error. */
function checked(token: unknown): string {
  if (typeof token === "string" && BEARER_TOKEN.test(token)) return token;
  throw new TypeError("the token can't be sent: it must be a string of letters, digits and -._~+/=");
}
