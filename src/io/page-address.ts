/**
 * The origin and URL of this program: a page or a worker has both, Node has neither.
 */
import { InputError, quote } from './errors.ts';

/** The origin of this page or worker; `undefined` in Node. */
export function pageOrigin(): string | undefined {
  return typeof globalThis.origin === 'string' && 'location' in globalThis ? globalThis.origin : undefined;
}

/** Whether the URL has another origin than this page, so that the server must allow reading it (CORS). */
export function isForeign(url: string): boolean {
  const origin = pageOrigin();
  return origin !== undefined && URL.canParse(url) && new URL(url).origin !== origin;
}

/**
 * Whether the browser blocks the URL as mixed content: this page came over https, and the URL is http and not on this
 * machine.
 */
export function isMixed(url: string): boolean {
  if (!pageOrigin()?.startsWith('https:') || !URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && !/^(localhost|127\..*|\[::1\])$/.test(hostname);
}

/** Whether the text is a relative URL: `/model`, `./model`, `../model`. */
export function isRelative(text: string): boolean {
  return /^\.{0,2}\//.test(text);
}

/**
 * Resolves a relative URL against `base`, by default the page's own URL, in a worker its script's. Throws {@link
 * InputError} if there is none, as in Node and in a worker created from a blob.
 */
export function resolveAddress(relative: string, base?: string | URL): URL {
  const own = globalThis.document?.baseURI ?? globalThis.location?.href;
  const from = String(base ?? own ?? '');
  if (/^https?:/i.test(from) && URL.canParse(relative, from)) return new URL(relative, from);
  const give = `give the address of the page, https://…: openSource(${quote(relative)}, { base })`;
  const wayOut =
    own === undefined
      ? `For a folder, use openSource from 'webalign/node'; otherwise ${give}`
      : `G${give.slice(1)}`;
  throw new InputError(quote(relative), `is relative, and ${startOf(base, own)}`, wayOut);
}

function startOf(base: string | URL | undefined, own: string | undefined): string {
  if (base !== undefined)
    return `the option base, ${quote(String(base))}, cannot be the base of a relative address`;
  if (own === undefined) return 'there is no page whose address could be its base';
  const place = globalThis.document ? 'page' : 'worker';
  return `the address of this ${place}, ${quote(own)}, cannot be its base`;
}
