/**
 * A model behind an address or on the hub: which servers it takes, its files as they lie there, and those of them that a model is
 * made of.
 */
import {
  type ByteSource,
  type Files,
  fetchFiles,
  hubEndpoint,
  InputError,
  isSingleFile,
  openSingleFile,
  type RepositoryName,
  repositoryNamed,
  repositoryOfPage,
} from 'webalign/files';
import type { FileToKeep } from './library.ts';

const HUB = hubEndpoint({});
/** Where the hub and its stores of large files are. */
const HUB_HOSTS = [HUB, 'https://*.huggingface.co', 'https://*.hf.co'];

/** A repository of the hub, or an address. */
export type Origin = { repository: RepositoryName } | { address: URL };

/** What a person has typed. Throws `InputError` for what is neither. */
export function originOf(text: string, revision: string): Origin {
  const isAddress = /^https?:\/\//i.test(text) && URL.canParse(text);
  const named = isAddress ? repositoryOfPage(new URL(text), HUB) : repositoryNamed(text);
  if (named) return { repository: { ...named, revision: revision || named.revision } };
  if (isAddress) return { address: new URL(text) };
  const wayOut = 'Expected owner/name of the hub, or an address that begins with https://';
  throw new InputError(`"${text}"`, 'is neither a repository nor an address', wayOut);
}

/** The servers that a page must be able to reach for it, as a policy names them. */
export function hostsOf(origin: Origin): readonly string[] {
  return 'address' in origin ? [origin.address.origin] : HUB_HOSTS;
}

/** Where its files lie. */
export function addressOf(origin: Origin): URL {
  if ('address' in origin) return origin.address;
  const { id, file = '', revision = 'main' } = origin.repository;
  return new URL(`${HUB}/${id}/resolve/${encodeURIComponent(revision)}/${file}`);
}

/** The files at an address: those of a folder, or what a single file stands for. They are read in pieces as they are needed. */
export async function remoteFiles(address: URL): Promise<Files> {
  const last = decodeURIComponent(address.pathname.split('/').at(-1) ?? '');
  if (!isSingleFile(last)) return fetchFiles(address.href);
  return openSingleFile(fetchFiles(new URL('.', address).href), last);
}

/** Files of a model's folder beside its weights, as far as they are there. */
const BESIDE = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
];
const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
/** Bytes that are fetched at a time. */
const PIECE = 2 ** 23;

/** What has to be copied of the model at an address. */
export async function filesToKeep(address: URL): Promise<FileToKeep[]> {
  const last = decodeURIComponent(address.pathname.split('/').at(-1) ?? '');
  const single = isSingleFile(last);
  const folder = fetchFiles(single ? new URL('.', address).href : address.href);
  const paths = single ? [last] : await pathsOf(folder);
  return Promise.all(paths.map(async (path) => fileOf(path, await folder.open(path))));
}

async function pathsOf(folder: Files): Promise<string[]> {
  const there = await Promise.all(BESIDE.map((path) => folder.exists(path)));
  const beside = BESIDE.filter((_, i) => there[i]);
  if (!(await folder.exists(INDEX))) return [...beside, WEIGHTS];
  const { weight_map: map = {} } = JSON.parse(await folder.readText(INDEX)) as {
    weight_map?: Record<string, string>;
  };
  return [...beside, INDEX, ...new Set(Object.values(map))];
}

function fileOf(name: string, source: ByteSource): FileToKeep {
  let at = 0;
  const stream = () =>
    new ReadableStream<Uint8Array<ArrayBuffer>>({
      async pull(controller) {
        const length = Math.min(PIECE, source.size - at);
        if (length === 0) return controller.close();
        controller.enqueue(await source.read(at, length));
        at += length;
      },
    });
  return { name, size: source.size, stream };
}
