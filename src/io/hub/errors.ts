/**
 * Explains the hub's errors, one row each: by its error code, or by the status alone. Says what the user can do; never
 * repeats a token.
 */
import { InputError, quote } from '../errors.ts';
import { statusError } from '../http-failures.ts';

export interface Asked {
  /** `owner/name` */
  id: string;
  endpoint: string;
  file: string | undefined;
  revision: string | undefined;
  hasToken: boolean;
}

interface Refusal {
  /** The value of `X-Error-Code`, or the status. */
  code: string | number;
  what(asked: Asked): string;
  wayOut(asked: Asked): string;
}

const GIVE_TOKEN = 'give a token that may read it (HF_TOKEN, --token or the option token)';
const page = ({ endpoint, id }: Asked) => `${endpoint}/${id}`;
const mayRead = (asked: Asked) =>
  asked.hasToken
    ? `Check that the account of the token may read ${page(asked)}`
    : `Check the name, or ${GIVE_TOKEN}`;

const REFUSALS: readonly Refusal[] = [
  {
    code: 'GatedRepo',
    what: () => 'is gated: it requires accepting its conditions',
    wayOut: (asked) =>
      asked.hasToken
        ? `Accept them at ${page(asked)} with the account of the token`
        : `Accept them at ${page(asked)}, then ${GIVE_TOKEN}`,
  },
  { code: 'RepoNotFound', what: () => 'does not exist, or is private', wayOut: mayRead },
  {
    code: 'RevisionNotFound',
    what: ({ revision }) => `has no revision ${quote(revision ?? 'of that name')}`,
    wayOut: (asked) => `Choose one of ${page(asked)}/tree/main`,
  },
  {
    code: 'EntryNotFound',
    what: ({ file }) => `has no file ${quote(file ?? 'of that name')}`,
    wayOut: (asked) => `Look at ${page(asked)}/tree/main`,
  },
  { code: 'DisabledRepo', what: () => 'has been disabled', wayOut: () => 'Choose another' },
  {
    code: 401,
    what: ({ hasToken }) => (hasToken ? 'the token was rejected (401)' : 'requires a token (401)'),
    wayOut: mayRead,
  },
  {
    code: 403,
    what: () => 'is not accessible to you (403)',
    wayOut: (asked) => `If ${page(asked)} has conditions, accept them there, and ${GIVE_TOKEN}`,
  },
  { code: 404, what: () => 'does not exist (404)', wayOut: mayRead },
];

/** The error for a response that is neither the requested one nor a temporary failure. */
export function refusal(response: Response, asked: Asked): InputError {
  const code = response.headers.get('x-error-code');
  const row = [code, response.status].flatMap(
    (each) => REFUSALS.find((known) => known.code === each) ?? [],
  )[0];
  const where = asked.file === undefined ? asked.id : `${asked.id}/${asked.file}`;
  return row ? new InputError(where, row.what(asked), row.wayOut(asked)) : statusError(where, response);
}
