/**
 * Where this program runs, as far as addresses are concerned: in a page or a worker, which has an origin and an address of its
 * own, or in Node, which has neither.
 */
import { InputError, quote } from './errors.ts';

/** The origin of this page or worker; `undefined` in Node. */
export function pageOrigin(): string | undefined {
  return typeof globalThis.origin === 'string' && 'location' in globalThis ? globalThis.origin : undefined;
}

/** Whether the address is of another origin than this page: then the server has to allow that it is read (CORS). */
export function isForeign(url: string): boolean {
  const origin = pageOrigin();
  return origin !== undefined && URL.canParse(url) && new URL(url).origin !== origin;
}

/** Whether a browser keeps this page, which came over https, from the address, which is http and not of this machine. */
export function isMixed(url: string): boolean {
  if (!pageOrigin()?.startsWith('https:') || !URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && !/^(localhost|127\..*|\[::1\])$/.test(hostname);
}

/** Whether the text is an address that needs another one to begin from: `/model`, `./model`, `../model`. */
export function isRelative(text: string): boolean {
  return /^\.{0,2}\//.test(text);
}

/**
 * The address that a relative one stands for: below `base`, by default the page's own address, in a worker its script's.
 * {@link InputError} where there is none, as in Node and in a worker that was made from a blob.
 */
export function resolveAddress(relative: string, base?: string | URL): URL {
  const own = globalThis.document?.baseURI ?? globalThis.location?.href;
  const from = String(base ?? own ?? '');
  if (/^https?:/i.test(from) && URL.canParse(relative, from)) return new URL(relative, from);
  const give = `give the address of the page, https://…: openSource(${quote(relative)}, { base })`;
  const wayOut =
    own === undefined
      ? `For a folder take openSource from 'webalign/node'; else ${give}`
      : `G${give.slice(1)}`;
  throw new InputError(quote(relative), `is relative, and ${startOf(base, own)}`, wayOut);
}

function startOf(base: string | URL | undefined, own: string | undefined): string {
  if (base !== undefined) return `the option base, ${quote(String(base))}, is not an address to begin from`;
  if (own === undefined) return 'there is no page here whose address it could begin from';
  const place = globalThis.document ? 'page' : 'worker';
  return `the address of this ${place}, ${quote(own)}, is not one to begin from`;
}
