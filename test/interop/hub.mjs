/**
 * Fetches a repository's files into a cache, for `check_hub.py`: the hub is simulated by a function.
 *
 *   node hub.mjs CACHE COMMIT FILES.json
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { nodeHubCache, openSource } from 'webalign/node';

const [cache = '', commit = '', list = ''] = process.argv.slice(2);
/** @type {Record<string, string>} */
const contents = JSON.parse(readFileSync(list, 'utf8'));
const files = Object.entries(contents).map(([path, text]) => {
  const size = Buffer.byteLength(text);
  const oid = createHash('sha1').update(`blob ${size}\0${text}`).digest('hex');
  const lfs = path.endsWith('.safetensors') && {
    lfs: { oid: createHash('sha256').update(text).digest('hex'), size },
  };
  return { type: 'file', path, size, oid, ...lfs };
});

/** @type {typeof fetch} */
const hub = async (input) => {
  const { pathname } = new URL(String(input));
  if (pathname.includes('/revision/')) return Response.json({ sha: commit });
  if (pathname.includes('/tree/')) return Response.json(files);
  return new Response(contents[pathname.split(`/${commit}/`)[1] ?? '']);
};

// The checks run with HF_HUB_OFFLINE; this hub needs no network.
const options = { fetch: hub, endpoint: 'https://hub.invalid', offline: false };
const source = await openSource('org/tiny', { cache: nodeHubCache(cache), ...options });
for (const path of Object.keys(contents)) if (path !== 'README.md') await source.read(path);
