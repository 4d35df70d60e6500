/** Judgments for tests of the demo `studio`. */
import type { Draft, Judgment, Prompt, Verdict } from '../../demos/studio/preferences/judgment.ts';

export const CHAT: Prompt = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Why is the sky blue?' },
];

export const draft = (text: string, ended = true): Draft => ({
  text,
  ended,
  source: { model: 'storyteller', adapter: 'first run' },
});

let made = 0;

/** A judgment of two drafts, or of one under a thumb; each a second after the one before. */
export function judgment(verdict: Verdict, changes: Partial<Judgment> = {}): Judgment {
  made++;
  const drafts = [draft(`the good text ${made}`), draft(`the bad one ${made}`, false)];
  return {
    id: `id-${made}`,
    time: 1_700_000_000_000 + 1000 * made,
    prompt: `Once upon a time ${made}`,
    drafts: verdict === 'up' || verdict === 'down' ? drafts.slice(0, 1) : drafts,
    verdict,
    ...(verdict === 'edit' && { edit: { draft: 1, text: `my own words ${made}`, ended: true } }),
    ...changes,
  };
}
