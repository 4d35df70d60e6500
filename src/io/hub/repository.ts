/**
 * How a repository of the Hugging Face hub is named: `owner/name`, `owner/name@revision`, either after `hf://`, and perhaps a
 * file in it that is a model by itself. Reads names; asks nobody.
 */
import { InputError, quote } from '../errors.ts';

const HUB = 'https://huggingface.co';

export interface RepositoryName {
  /** `owner/name` */
  id: string;
  /** Branch, tag or commit. */
  revision?: string | undefined;
  /** A file of the repository, for those that hold several models. */
  file?: string | undefined;
}

const PART = '[A-Za-z0-9](?:[\\w.-]{0,94}[\\w])?';
const NAME = new RegExp(
  `^(?:hf://)?(?<id>${PART}/${PART})(?:@(?<revision>[^@?#]+?))?(?:/(?<file>[^@?#]+\\.\\w+))?/?$`,
);
/** The address of a repository's page. */
const PAGE = new RegExp(`^/(?<id>${PART}/${PART})(?:/tree/(?<revision>[^?#]+?))?/?$`);
/** First parts of pages that are no owners. */
const NO_OWNERS = ['api', 'collections', 'datasets', 'docs', 'models', 'papers', 'spaces'];

/** What the text names, if it is the name of a repository; that there is one is for the hub to say. */
export function repositoryNamed(text: string): RepositoryName | undefined {
  return checked(NAME.exec(text)?.groups);
}

/** The address of the hub, without a slash at its end. */
export function hubEndpoint({ endpoint = HUB }: { endpoint?: string | undefined }): string {
  if (/^https?:\/\//.test(endpoint) && URL.canParse(endpoint)) return endpoint.replace(/\/+$/, '');
  throw new InputError('endpoint', `is ${quote(endpoint)}`, 'Give the address of a hub, https://…');
}

/** The repository whose page on the hub at `endpoint` has this address. */
export function repositoryOfPage(url: URL, endpoint: string): RepositoryName | undefined {
  if (url.origin !== new URL(endpoint).origin) return undefined;
  const found = checked(PAGE.exec(decodeURI(url.pathname))?.groups);
  return found && !NO_OWNERS.includes(found.id.split('/')[0] as string) ? found : undefined;
}

/** Whether it can be a revision, and so a path below a folder: git's own rules are a little narrower. */
export function isRevision(text: string): boolean {
  return /^[\w][\w.+/-]*$/.test(text) && !/\.\.|\/\/|\/\.|[./]$/.test(text) && text.length <= 200;
}

/** Whether it names one state of a repository for ever. */
export function isCommit(text: unknown): text is string {
  return typeof text === 'string' && /^[0-9a-f]{40}$/.test(text);
}

function checked(groups: Record<string, string | undefined> | undefined): RepositoryName | undefined {
  const { id, revision, file } = groups ?? {};
  if (id === undefined || /--|\.\.|\.git$/.test(id)) return undefined;
  return { id, revision, file };
}
