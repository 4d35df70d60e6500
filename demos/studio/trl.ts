/** What a run hands to TRL: its judgments as rows under TRL's names, and where it stands. */
import { zipSync } from 'fflate';
import { InputError } from 'webalign/files';
import { type GoingOn, goingOnFolder, type TrlRows } from '../../src/cli/trl-going-on.ts';
import type { Exported } from './exports.ts';
import type { MethodName } from './methods.ts';
import type { Judgment } from './preferences/judgment.ts';
import { labelRows, pairRows, textRows } from './preferences/rows.ts';
import { trainingArgs } from './task.ts';
import { pairIds } from './tokens.ts';

const FOLDER = 'webalign-trl';

type ToRows = (judgments: readonly Judgment[], run: Exported) => TrlRows;

const pairs = (judgments: readonly Judgment[]) =>
  pairRows(judgments).map(({ prompt, chosen, rejected }) => ({ prompt, chosen, rejected }));

/** Methods whose rows are there before the run. Those of the others come from models of many steps. */
type OnRows = Exclude<MethodName, 'online' | 'rloo'>;

/** Why a run of the other methods has no fixed rows. */
const WITHOUT_ROWS: Readonly<Record<Exclude<MethodName, OnRows>, string>> = {
  online: 'learned while you picked, and TRL continues with fixed rows',
  rloo: 'learned from its own rollouts and your reward model, and TRL continues with fixed rows',
};

const hasRows = (method: MethodName): method is OnRows => !(method in WITHOUT_ROWS);

const ROWS: Readonly<Record<OnRows, ToRows>> = {
  // With the token ids: a draft that was judged before its end has no end token there.
  dpo: (judgments, { tokenizer, config: { vocabSize, maxPositionEmbeddings: maxLength } }) => ({
    rows: pairs(judgments),
    ids: pairRows(judgments)
      .map((row) => pairIds(row, { tokenizer, vocabSize, maxLength }))
      .map(({ prompt, chosen, rejected }) => ({
        prompt_ids: [...prompt],
        chosen_ids: chosen,
        rejected_ids: rejected,
      })),
  }),
  orpo: (judgments) => ({ rows: pairs(judgments) }),
  kto: (judgments) => ({
    rows: labelRows(judgments).map(({ prompt, completion, label }) => ({ prompt, completion, label })),
  }),
  sft: (judgments) => ({
    rows: textRows(judgments).map(({ prompt, completion }) => ({ prompt, completion })),
  }),
};

/** The zip of the folder. Throws `InputError` during a run, and for a model that TRL does not train. */
export async function trlZip(run: Exported): Promise<Uint8Array<ArrayBuffer>> {
  const { record, isRunning, state, checkpoint, adapter, files } = run;
  if (isRunning) {
    const what = 'is under way, and TRL continues from a completed step';
    throw new InputError('the run', what, 'Pause or stop it first');
  }
  const { method, settings, train, heldOut, start } = record.lesson;
  if (!hasRows(method))
    throw new InputError('the run', WITHOUT_ROWS[method], 'Export the adapter and the pairs instead');
  const toRows = ROWS[method];
  const rows = toRows(train, run);
  if (!rows.ids)
    run.onNotice('TRL puts an end token behind every draft, those too that you judged before their end.');
  const folder = await goingOnFolder({
    method,
    source: files,
    settings: trainingArgs(method, settings) as unknown as GoingOn['settings'],
    train: rows,
    evaluation: toRows(heldOut, run),
    start,
    adapter,
    step: state?.step ?? 0,
    checkpoint,
  });
  const below = Object.fromEntries(
    Object.entries(folder).map(([path, bytes]) => [`${FOLDER}/${path}`, bytes]),
  );
  return zipSync(below, { level: 0, mtime: '1980-01-01T00:00:00' });
}
