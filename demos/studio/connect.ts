/**
 * The page that fetches a model from the hub or an address. It asks for nothing before a person has; then it first narrows its own
 * policy to the servers of that one model, which holds for its worker too, and looks only after that. A second model is looked up
 * by a page that is reloaded.
 */
import { proxy, type Remote } from 'comlink';
import { formatBytes } from 'webalign/gpu';
import { showAdapter } from '../shared/adapter.ts';
import { byId, make, setText, setUsable } from '../shared/dom.ts';
import { messageOf } from '../shared/message-of.ts';
import { openJob } from '../shared/open.ts';
import type { Connect, Wanted } from './connect-job.ts';
import { chosenPrecision, showPlan } from './plan-view.ts';
import { makeTablesReachable } from './reachable.ts';
import { hostsOf, originOf } from './remote.ts';

/** Where a token is kept while the page reloads, for this tab alone. */
const TOKEN = 'webalign-token';

const from = byId('from', HTMLFormElement);
const own = byId('own', HTMLFormElement);
const use = byId('own-use', HTMLButtonElement);
const bar = byId('own-progress', HTMLProgressElement);
const say = (text: string) => setText(byId('own-said', HTMLElement), text);
const complain = (text: string) => setText(byId('own-error', HTMLElement), text);

from.addEventListener('submit', (event) => {
  event.preventDefault();
  const { model, revision, token } = typed();
  sessionStorage.setItem(TOKEN, token);
  const query = new URLSearchParams({ model, ...(revision && { revision }) });
  location.assign(`?${query}`);
});

makeTablesReachable();
// Before that the browser itself would send the form, the token in its address.
byId('look', HTMLButtonElement).disabled = false;

function typed(): Wanted {
  const value = (name: string) => byId(name, HTMLInputElement).value.trim();
  return { model: value('model'), revision: value('revision'), token: value('token') };
}

/** Nothing in this page can widen it again. */
function narrowTo(hosts: readonly string[]): void {
  const policy = make('meta');
  policy.httpEquiv = 'Content-Security-Policy';
  policy.content = `connect-src 'self' ${hosts.join(' ')}`;
  document.head.append(policy);
}

async function look(wanted: Wanted): Promise<void> {
  const hosts = hostsOf(originOf(wanted.model, wanted.revision));
  narrowTo(hosts);
  byId('adapter', HTMLElement).hidden = false;
  setText(
    byId('hosts', HTMLElement),
    `Until it is reloaded, this page can reach ${hosts.join(', ')} and nothing else.`,
  );
  const job = await openJob<Connect, never>(
    'connect',
    () => {},
    { say, complain },
    complain,
    'connect-worker.js',
  );
  if (!job) return;
  showAdapter(await job.adapter);
  say('Looking at what it needs …');
  const plan = await job.look(wanted);
  if (plan) setUsable(use, showPlan(plan));
  else
    setText(
      byId('own-name', HTMLElement),
      `${wanted.model}: what it needs is known once it is fetched, because a token is needed`,
    );
  own.hidden = false;
  say('');
  own.addEventListener('submit', (event) => {
    event.preventDefault();
    if (use.getAttribute('aria-disabled') !== 'true') void keep(job, wanted);
  });
}

async function keep(job: Remote<Connect>, wanted: Wanted): Promise<void> {
  setUsable(use, false);
  complain('');
  bar.hidden = false;
  const onProgress = proxy((file: string, done: number, total: number) => {
    bar.value = total > 0 ? done / total : 0;
    say(`${file}: ${formatBytes(done)} of ${formatBytes(total)}`);
  });
  try {
    await job.keep(wanted, chosenPrecision(own) ?? 'auto', onProgress);
    location.assign('./#collect');
  } catch (error) {
    complain(messageOf(error));
    setUsable(use, true);
  }
}

const query = new URLSearchParams(location.search);
const token = sessionStorage.getItem(TOKEN) ?? '';
sessionStorage.removeItem(TOKEN);
const wanted = { model: query.get('model') ?? '', revision: query.get('revision') ?? '', token };
// What was typed while the page loaded stays.
for (const [name, value] of Object.entries(wanted)) byId(name, HTMLInputElement).value ||= value;
if (wanted.model) await look(wanted).catch((error: unknown) => complain(messageOf(error)));
