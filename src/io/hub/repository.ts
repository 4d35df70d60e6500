/**
 * Parses names of Hugging Face Hub repositories: `owner/name`, `owner/name@revision`, either with the prefix `hf://`,
 * optionally with a file that contains a whole model. Makes no requests.
 */
import { InputError, quote } from '../errors.ts';

const HUB = 'https://huggingface.co';

export interface RepositoryName {
  /** `owner/name` */
  id: string;
  /** Branch, tag or commit. */
  revision?: string | undefined;
  /** A file of the repository, if it contains several models. */
  file?: string | undefined;
}

const PART = '[A-Za-z0-9](?:[\\w.-]{0,94}[\\w])?';
const NAME = new RegExp(
  `^(?:hf://)?(?<id>${PART}/${PART})(?:@(?<revision>[^@?#]+?))?(?:/(?<file>[^@?#]+\\.\\w+))?/?$`,
);
/** The path of a repository's page. */
const PAGE = new RegExp(`^/(?<id>${PART}/${PART})(?:/tree/(?<revision>[^?#]+?))?/?$`);
/** First path segments that are not owners. */
const NO_OWNERS = ['api', 'collections', 'datasets', 'docs', 'models', 'papers', 'spaces'];

/** The repository that the text names, if it has the form of a name; the hub decides whether it exists. */
export function repositoryNamed(text: string): RepositoryName | undefined {
  return checked(NAME.exec(text)?.groups);
}

/** The hub's URL, without a trailing slash. */
export function hubEndpoint({ endpoint = HUB }: { endpoint?: string | undefined }): string {
  if (/^https?:\/\//.test(endpoint) && URL.canParse(endpoint)) return endpoint.replace(/\/+$/, '');
  throw new InputError('endpoint', `is ${quote(endpoint)}`, 'Give the address of a hub, https://…');
}

/** The repository whose page on the hub at `endpoint` has this URL. */
export function repositoryOfPage(url: URL, endpoint: string): RepositoryName | undefined {
  if (url.origin !== new URL(endpoint).origin) return undefined;
  const found = checked(PAGE.exec(decodeURI(url.pathname))?.groups);
  return found && !NO_OWNERS.includes(found.id.split('/')[0]) ? found : undefined;
}

/** Whether it can be a revision, and is safe as a path inside a folder: git's rules are slightly stricter. */
export function isRevision(text: string): boolean {
  return /^[\w][\w.+/-]*$/.test(text) && !/\.\.|\/\/|\/\.|[./]$/.test(text) && text.length <= 200;
}

/** Whether it is a commit, which never changes. */
export function isCommit(text: unknown): text is string {
  return typeof text === 'string' && /^[0-9a-f]{40}$/.test(text);
}

function checked(groups: Record<string, string | undefined> | undefined): RepositoryName | undefined {
  const { id, revision, file } = groups ?? {};
  if (id === undefined || /--|\.\.|\.git$/.test(id)) return undefined;
  return { id, revision, file };
}
