/**
 * `webalign preferences`: the controlled-sentiment task of the DPO paper (Rafailov et al. 2023, section 6) for any model.
 * For each opening the model generates several continuations; the most positive and the most negative become a pair.
 */

import { InputError } from 'webalign';
import { shuffle } from 'webalign/data';
import { lockFolder, writeFiles } from 'webalign/node';
import { sentiment } from 'webalign/rollouts';
import { counted } from '../../base/counted.ts';
import { command } from '../../cli/command.ts';
import { openModel, openModelFiles, readText, withGpu } from '../../cli/open.ts';
import { MODEL_OPTIONS } from '../../cli/options.ts';
import { makePairs, type Pair } from './pairs.ts';

export const preferences = command({
  name: 'preferences',
  summary: 'make preference pairs by sentiment',
  description:
    'Continues every opening several times and pairs the most positive continuation with the most negative, by the words of\n' +
    'AFINN-165. Writes train.jsonl and eval.jsonl, which share no opening, and a README.md that says how.',
  example: 'preferences --model demos/align/model --openings demos/align/recipe/openings.txt --out pairs',
  options: [
    ...MODEL_OPTIONS,
    'dtype',
    'openings',
    'out',
    'pairs',
    'heldOut',
    'completions',
    'margin',
    'maxTokens',
    'temperature',
    'topK',
    'topP',
    'minP',
    'repetitionPenalty',
    'seed',
  ],
  required: ['model', 'openings', 'out'],
  defaults: {
    // Other types give the same pairs, but not the same fingerprint of the model in the README.
    dtype: 'float32',
    pairs: 640,
    heldOut: 160,
    completions: 6,
    margin: 5,
    maxTokens: 40,
    temperature: 1,
    topK: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1,
    seed: 42,
  },
  async run({ settings, terminal, signal }) {
    await using _ = await lockFolder(settings.out);
    const { pairs, heldOut, completions, margin, maxTokens, seed } = settings;
    const { temperature, topK, topP, minP, repetitionPenalty } = settings;
    const drawing = { temperature, topK, topP, minP, repetitionPenalty };
    const lines = (await readText(settings.openings)).split('\n').map((line) => line.trim());
    const openings = [...new Set(lines)].filter(Boolean);
    const order = [...shuffle(openings.length, seed, 0)].map((i) => openings[i]);
    const wanted = pairs + heldOut;
    const files = await openModelFiles(settings, terminal, signal);
    return await withGpu(terminal, settings, async (gpu) => {
      const open = await openModel(gpu, files, { dtype: settings.dtype });
      const sampling = { ...drawing, maxNewTokens: maxTokens, numReturnSequences: completions };
      const made: Pair[] = [];
      let tried = 0;
      for await (const group of makePairs(open, order, { ...sampling, seed, margin, signal })) {
        made.push(...group.pairs);
        tried = group.tried;
        terminal.progress(
          'Pairs',
          Math.min(made.length, wanted),
          wanted,
          `from ${counted(tried, 'opening')}`,
        );
        if (made.length >= wanted) break;
      }
      if (made.length < wanted) {
        const what = `its ${counted(tried, 'opening')} gave ${counted(made.length, 'pair')} of the ${wanted} asked for`;
        const wayOut = 'Lower --margin or --pairs, raise --completions, or give more openings';
        throw new InputError(settings.openings, what, wayOut);
      }
      const [train, evaluation] = [made.slice(0, pairs), made.slice(pairs, wanted)];
      const sizes = { openings: openings.length, tried, completions, margin };
      const about = { model: open.model.fingerprint, ...sizes, maxTokens, ...drawing, seed };
      const encode = (text: string) => new TextEncoder().encode(text);
      await writeFiles(settings.out, {
        'train.jsonl': encode(jsonLines(train)),
        'eval.jsonl': encode(jsonLines(evaluation)),
        'README.md': encode(readme(train, evaluation, about)),
      });
      terminal.print(
        `${counted(train.length, 'pair')} for training and ${evaluation.length} held out written to ${settings.out}`,
      );
      return { json: { pairs: train.length, heldOut: evaluation.length, ...about, out: settings.out } };
    });
  },
});

function jsonLines(rows: readonly object[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}

function readme(
  train: readonly Pair[],
  evaluation: readonly Pair[],
  about: Record<string, string | number>,
): string {
  const mean = (side: 'chosen' | 'rejected') =>
    (train.reduce((sum, pair) => sum + sentiment(pair[side]), 0) / train.length).toFixed(2);
  return `# Preference pairs by sentiment

The controlled-sentiment task of *Direct Preference Optimization* (Rafailov et al. 2023, section 6), made by
\`webalign preferences\`: for each opening the model wrote ${about.completions} continuations of at most ${about.maxTokens} tokens; each was
ended at its last sentence end and rated by AFINN-165 (F. Å. Nielsen, 2011), the sum over its words. The highest is
\`chosen\`, the lowest \`rejected\`; an opening whose two differ by less than ${about.margin} was left out.

| file | pairs | openings |
|---|---|---|
| \`train.jsonl\` | ${train.length} | one a pair |
| \`eval.jsonl\` | ${evaluation.length} | one a pair, none of them in \`train.jsonl\` |

Mean sentiment in \`train.jsonl\`: chosen ${mean('chosen')}, rejected ${mean('rejected')}.

\`\`\`json
${JSON.stringify(about, null, 2)}
\`\`\`
`;
}
