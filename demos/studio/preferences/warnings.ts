/**
 * What a person should know about their judgments before a model learns from them. A row for each kind of warning.
 */
import { counted } from '../../../src/base/counted.ts';
import { type Judgment, meaningOf } from './judgment.ts';
import { labelledOf, pairsOf } from './rows.ts';

export type WarningKind = 'few' | 'duplicate' | 'contradiction' | 'empty' | 'one-sided' | 'side' | 'longer';

export interface Warning {
  kind: WarningKind;
  /** Sentences. */
  text: string;
  /** The judgments that it is about; empty where it is about all. */
  ids: readonly string[];
}

/** Judgments that carry a better or worse draft, below which a model learns little that it can repeat. */
const FEW = 50;
/** Of labels, the least share of either kind. */
const LEAST_SHARE = 0.1;
/** Labels below which their shares say nothing. */
const SOME_LABELS = 10;
/** Chance of a false alarm. Small, because the test is made again after every click. */
const CHANCE = 0.01;

type Finding = Omit<Warning, 'kind'> | undefined;

const RULES: Readonly<Record<WarningKind, (judgments: readonly Judgment[]) => Finding>> = {
  few(judgments) {
    const count = judgments.filter((judgment) => learned(judgment).length > 0).length;
    if (count >= FEW) return undefined;
    const text = `${counted(count, 'judgment')} to learn from: expect a change on prompts like these, and little elsewhere. Aim for ${FEW} or more.`;
    return { text, ids: [] };
  },

  duplicate(judgments) {
    const ids = judgedTwice(judgments).flatMap((group) =>
      [...groups(group, outcome).values()].flatMap((same) => same.slice(1).map(({ id }) => id)),
    );
    if (ids.length === 0) return undefined;
    const text = `${counted(ids.length, 'judgment repeats', 'judgments repeat')} another one: same prompt, same drafts, same verdict. Each counts again in training.`;
    return { text, ids };
  },

  contradiction(judgments) {
    const torn = judgedTwice(judgments).filter((group) => groups(group, outcome).size > 1);
    if (torn.length === 0) return undefined;
    const text = `${counted(torn.length, 'pair of drafts was', 'pairs of drafts were')} judged in different ways. Delete the judgments that you no longer agree with.`;
    return { text, ids: torn.flat().map(({ id }) => id) };
  },

  empty(judgments) {
    const ids = judgments.filter((judgment) => learned(judgment).some(({ text }) => text === ''));
    if (ids.length === 0) return undefined;
    const text = `${counted(ids.length, 'judgment has', 'judgments have')} an empty draft, from which nothing can be learned. They are kept and not trained on.`;
    return { text, ids: ids.map(({ id }) => id) };
  },

  'one-sided'(judgments) {
    const labels = labelledOf(judgments);
    const good = labels.filter(({ label }) => label).length;
    const least = Math.min(good, labels.length - good);
    if (labels.length < SOME_LABELS || least >= LEAST_SHARE * labels.length) return undefined;
    const text = `${good} of ${labels.length} judged drafts are good: KTO needs both kinds. Judge more drafts ${good === least ? 'that you like' : 'that you dislike'}.`;
    return { text, ids: [] };
  },

  side(judgments) {
    const places = judgments
      .filter(({ origin }) => origin === undefined)
      .map((judgment) => meaningOf(judgment).place(judgment))
      .filter((place) => place !== undefined);
    const first = places.filter((place) => place === 0).length;
    if (signTest(first, places.length) >= CHANCE) return undefined;
    const [side, count] = first * 2 > places.length ? ['first', first] : ['second', places.length - first];
    const text = `You chose the ${side} draft in ${count} of ${places.length} judgments. Drafts stand in random order, so chance alone would rarely do that: read both before you choose.`;
    return { text, ids: [] };
  },

  longer(judgments) {
    const unequal = pairsOf(judgments).filter(
      ({ chosen, rejected }) => chosen.text.length !== rejected.text.length,
    );
    const longer = unequal.filter(({ chosen, rejected }) => chosen.text.length > rejected.text.length).length;
    if (signTest(longer, unequal.length) >= CHANCE) return undefined;
    const [which, count] =
      longer * 2 > unequal.length ? ['longer', longer] : ['shorter', unequal.length - longer];
    const text = `The ${which} draft won ${count} of ${unequal.length} times: the model will also learn to write ${which} texts.`;
    return { text, ids: [] };
  },
};

/** What is worth saying about the judgments; nothing of none. */
export function warnings(judgments: readonly Judgment[]): Warning[] {
  if (judgments.length === 0) return [];
  return (Object.keys(RULES) as WarningKind[]).flatMap((kind) => {
    const finding = RULES[kind](judgments);
    return finding ? [{ kind, ...finding }] : [];
  });
}

/**
 * Two-sided exact binomial test of a fair coin: the probability of a count at least as uneven as `count` of `of`. 1 for no throws.
 */
export function signTest(count: number, of: number): number {
  const least = Math.min(count, of - count);
  // Logarithms, because 2^-of is zero from 1075 on.
  let log = -of * Math.LN2;
  let sum = 0;
  for (let k = 0; k <= least; k++) {
    sum += Math.exp(log);
    log += Math.log((of - k) / (k + 1));
  }
  return Math.min(1, 2 * sum);
}

const learned = (judgment: Judgment) => {
  const { good, bad } = meaningOf(judgment);
  return [...good(judgment), ...bad(judgment)];
};

/** Groups of two and more judgments of the same drafts; of ten thousand judgments few are in one. */
function judgedTwice(judgments: readonly Judgment[]): Judgment[][] {
  let found = twice.get(judgments);
  if (!found) {
    found = [...groups(judgments, sameDrafts).values()].filter((group) => group.length > 1);
    twice.set(judgments, found);
  }
  return found;
}

const twice = new WeakMap<readonly Judgment[], Judgment[][]>();

/** Judgments with one key have the same prompt and drafts, in whichever order they were shown. */
function sameDrafts({ prompt, drafts, edit }: Judgment): string {
  const texts = drafts.map(({ text }) => text).sort();
  return JSON.stringify([prompt, texts, edit?.text]);
}

function outcome(judgment: Judgment): string {
  const { good, bad } = meaningOf(judgment);
  const texts = (drafts: readonly { text: string }[]) => drafts.map(({ text }) => text).sort();
  return JSON.stringify([texts(good(judgment)), texts(bad(judgment))]);
}

function groups(
  judgments: readonly Judgment[],
  key: (judgment: Judgment) => string,
): Map<string, Judgment[]> {
  const found = new Map<string, Judgment[]>();
  for (const judgment of judgments) {
    const name = key(judgment);
    const group = found.get(name);
    if (group) group.push(judgment);
    else found.set(name, [judgment]);
  }
  return found;
}
