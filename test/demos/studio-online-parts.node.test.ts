/** Parts of an online run without a page: what a step may learn from, its trainer, its figures, and the checkpoints to go back to. */
import { expect } from 'chai';
import { type CausalLM, type Gpu, Tokenizer, writeAdapter } from 'webalign';
import type { TokenizedExample } from 'webalign/data';
import { type CheckpointStore, InputError, memoryCheckpointStore } from 'webalign/files';
import { CausalLM as Model } from 'webalign/models';
import { folderFiles, requestGpu } from 'webalign/node';
import { picksPerMinute } from '../../demos/studio/online/pace.ts';
import { judgedNow, onHeldOut, pending } from '../../demos/studio/online/pending.ts';
import { PickSource } from '../../demos/studio/online/pick-source.ts';
import { type Reading, readDrafts, standingOf } from '../../demos/studio/online/reading.ts';
import { PickTrainer } from '../../demos/studio/online/trainer.ts';
import { UndoPoints } from '../../demos/studio/online/undo-points.ts';
import type { Draft, Judgment, Source } from '../../demos/studio/preferences/judgment.ts';
import { isHeldOut } from '../../demos/studio/preferences/split.ts';
import { judgment } from './studio-judgments.ts';

const NOW: Source = { model: 'storyteller', adapter: 'Online DPO, step 3' };
const whole = (changes: Partial<Draft> = {}): Draft => ({
  text: 'a',
  ended: true,
  source: NOW,
  tokens: [5, 0],
  ...changes,
});
const prompts = Array.from({ length: 40 }, (_, i) => `A story ${i}`);
const open = prompts.find((prompt) => !isHeldOut(prompt))!;
const held = prompts.find((prompt) => isHeldOut(prompt))!;
const pick = (changes: Partial<Judgment> = {}) =>
  judgment('first', { time: 100, prompt: open, drafts: [whole(), whole({ text: 'b' })], ...changes });

describe('what an online step learns from', () => {
  const standing = { since: 50, source: NOW };

  it('is a pick between two drafts of the current model', () => {
    const one = pick();
    expect(pending(judgedNow([one], standing))).to.deep.equal([one]);
  });

  const REFUSED: Readonly<Record<string, Judgment>> = {
    'a pick from before the run, or from before an undo': pick({ time: 50 }),
    'a draft of an earlier step': pick({
      drafts: [whole(), whole({ source: { ...NOW, adapter: 'Online DPO, step 2' } })],
    }),
    'a draft of the untrained model': pick({
      drafts: [whole({ source: { model: 'storyteller' } }), whole()],
    }),
    'a draft that was judged before its end': pick({
      drafts: [whole(), { text: 'b', ended: false, source: NOW }],
    }),
    'a held-out prompt': pick({ prompt: held }),
  };
  for (const [what, refused] of Object.entries(REFUSED))
    it(`is not ${what}`, () => expect(judgedNow([refused], standing)).to.deep.equal([]));

  it('is not a tie, although its drafts are samples too', () => {
    const tie = pick({ verdict: 'tie' });
    expect(judgedNow([tie], standing)).to.deep.equal([tie]);
    expect(pending([tie])).to.deep.equal([]);
  });

  it('is counted separately on held-out prompts', () => {
    expect(onHeldOut([pick({ prompt: held }), pick(), pick({ prompt: held, time: 10 })], 50)).to.equal(1);
  });
});

describe('figures of an online run', () => {
  const reading = (logRatios: number[][], agreed: number, compared: number): Reading => ({
    step: 1,
    logRatios,
    agreed,
    compared,
    seconds: 2,
  });

  it('estimate the KL from the last steps, with the standard error between prompts', () => {
    const [old, ...last] = [
      reading([[99, 99]], 0, 8),
      reading([[1, 3]], 1, 4),
      reading([[0, 0]], 2, 4),
      reading([[4, 4]], 3, 4),
      reading([[2, 0]], 4, 4),
    ];
    const { kl, drafts, agreed, compared, secondsPerStep } = standingOf([old, ...last]);
    // Means within prompts are 2, 0, 4, 1.
    expect(kl?.mean).to.equal(7 / 4);
    expect(kl?.standardError).to.be.closeTo(
      Math.sqrt((0.25 ** 2 + 1.75 ** 2 + 2.25 ** 2 + 0.75 ** 2) / 3 / 4),
      1e-12,
    );
    expect([drafts, agreed, compared, secondsPerStep]).to.deep.equal([8, 10, 24, 2]);
    expect(standingOf([]).kl).to.equal(undefined);
  });

  it('exclude the time in which the person was away', () => {
    const minute = 60_000;
    expect(picksPerMinute([0, minute, 2 * minute, 60 * minute, 61 * minute])).to.equal(1);
    expect(picksPerMinute([5])).to.equal(undefined);
  });
});

describe('undo points of an online run', () => {
  const bytes = (first: number, length = 4) => new Uint8Array(length).fill(first);

  it('return the stored bytes, and find the latest one before a step', async () => {
    const points = await UndoPoints.of(1, false);
    for (const step of [0, 1, 2]) await points.add(step, bytes(step));
    expect(points.before(2)).to.equal(1);
    expect(points.countBefore(2)).to.equal(2);
    expect(await points.read(1)).to.deep.equal(bytes(1));
    expect(points.before(0)).to.equal(undefined);
  });

  it('are removed if an earlier step is repeated', async () => {
    const points = await UndoPoints.of(1, false);
    for (const step of [0, 1, 2, 1]) await points.add(step, bytes(10 + step));
    expect(points.countBefore(9)).to.equal(2);
  });

  it('drop the oldest, but always keep one step to undo, whatever their size', async () => {
    const points = await UndoPoints.of(1, false);
    for (let step = 0; step < 40; step++) await points.add(step, bytes(step));
    expect(points.countBefore(40)).to.equal(16);
    const large = await UndoPoints.of(2, false);
    for (const step of [0, 1, 2]) await large.add(step, bytes(step, 65 * 2 ** 20));
    expect(large.before(2)).to.equal(1);
    expect(large.countBefore(9)).to.equal(2);
  });
});

describe('the trainer of an online run', function () {
  this.timeout(120_000);

  let gpu: Gpu;
  let tokenizer: Tokenizer;
  let model: CausalLM;
  const files = folderFiles('demos/align/model');
  before(async () => {
    gpu = await requestGpu();
    tokenizer = await Tokenizer.fromFiles(files);
  });
  beforeEach(async () => {
    model = await Model.load(gpu, files, { dtype: 'float32' });
  });
  afterEach(() => model.dispose());
  after(() => gpu?.dispose());

  const TEXTS = [' was happy.', ' was sad and cried.', ' had a red ball.', ' lost the toy.'];
  const batch = (seed: number): TokenizedExample[] =>
    [0, 1].map((i) => ({
      prompt: tokenizer.encode(`Tom ${seed}`),
      completions: [TEXTS[(seed + i) % 4], TEXTS[(seed + i + 1) % 4]].map((text) => tokenizer.encode(text)),
    }));

  const make = (checkpoint: CheckpointStore, passes = 1) =>
    new PickTrainer({
      model,
      args: { perDeviceTrainBatchSize: 2, numTrainEpochs: passes, learningRate: 1e-2 },
      peftConfig: { r: 2 },
      checkpoint,
      heldOut: [],
      planned: { prompt: 8, draft: 16 },
    });

  /** Gives batches where they are asked for, and stops when there are no more; the checkpoint whenever the trainer waits. */
  async function run(trainer: PickTrainer, store: CheckpointStore, batches: TokenizedExample[][]) {
    const stop = new AbortController();
    const asked: Uint8Array[] = [];
    const steps: number[] = [];
    for await (const event of trainer.train({ signal: stop.signal })) {
      if (event.type === 'step') steps.push(event.step);
      if (event.type !== 'writing') continue;
      asked.push((await store.read())!);
      const next = batches[asked.length - 1];
      if (next) trainer.picks.give(next);
      else stop.abort();
    }
    const adapter = writeAdapter(await trainer.adapter!.toAdapter())['adapter_model.safetensors'];
    model.detach(trainer.adapter!);
    trainer.dispose();
    return { asked, steps, adapter };
  }

  it('has a checkpoint before every batch, including the first', async () => {
    const store = memoryCheckpointStore();
    const { asked, steps } = await run(make(store), store, [batch(0), batch(1)]);
    expect(steps).to.deep.equal([1, 2]);
    expect(asked).to.have.length(3);
    expect(asked[0]).to.not.deep.equal(asked[1]);
  });

  it('returns to the same bytes, and learns the same from there', async () => {
    const store = memoryCheckpointStore();
    const whole = await run(make(store), store, [batch(0), batch(1), batch(2)]);
    await store.write(whole.asked[1] as Uint8Array<ArrayBuffer>);
    const idle = await run(make(store), store, []);
    expect(await store.read(), 'adapter, both moments, step and log').to.deep.equal(whole.asked[1]);
    const rest = await run(make(store), store, [batch(1), batch(2)]);
    expect(rest.steps).to.deep.equal([2, 3]);
    expect(rest.adapter).to.deep.equal(whole.adapter);
    expect(idle.adapter).to.not.deep.equal(whole.adapter);
  });

  it('takes several steps on a batch, and resumes within a batch', async () => {
    const store = memoryCheckpointStore();
    const whole = await run(make(store, 3), store, [batch(0)]);
    expect(whole.steps).to.deep.equal([1, 2, 3]);
    const again = memoryCheckpointStore();
    const trainer = make(again, 3);
    const stop = new AbortController();
    for await (const event of trainer.train({ signal: stop.signal })) {
      if (event.type === 'writing') trainer.picks.give(batch(0));
      if (event.type === 'step' && event.step === 2) stop.abort();
    }
    model.detach(trainer.adapter!);
    trainer.dispose();
    const rest = await run(make(again, 3), again, []);
    expect(rest.steps).to.deep.equal([3]);
    expect(rest.adapter).to.deep.equal(whole.adapter);
  });

  it('scores drafts of the untrained model with log-ratio 0, and agrees with learned picks', async () => {
    const store = memoryCheckpointStore();
    const trainer = make(store, 8);
    const { adapter } = trainer;
    const [example] = batch(0);
    const { prompt, completions } = example;
    const sequences = completions.map((completion) => ({ prompt, completion: [...completion] }));
    const seen = [
      { sequences, better: 0 },
      { sequences, better: undefined },
    ];
    const before = await readDrafts(model, adapter!, seen);
    expect(before).to.deep.equal({
      logRatios: [
        [0, 0],
        [0, 0],
      ],
      compared: 0,
      agreed: 0,
    });
    for await (const event of trainer.train()) {
      if (event.type === 'writing') trainer.picks.give(batch(0));
      if (event.type === 'step' && event.step === 8) break;
    }
    const after = await readDrafts(model, adapter!, seen);
    expect([after.compared, after.agreed]).to.deep.equal([1, 1]);
    const [[better, worse]] = after.logRatios as [[number, number]];
    expect(better).to.be.above(worse);
    const other = await readDrafts(model, adapter!, [{ sequences, better: 1 }]);
    expect([other.compared, other.agreed]).to.deep.equal([1, 0]);
    trainer.dispose();
  });

  it('rejects a checkpoint without picks', () => {
    const source = new PickSource({ batchSize: 2, passes: 1, planned: { prompt: 1, draft: 1 } });
    expect(() => source.restore({ until: 1, examples: [{ prompt: [], completions: [] }] })).to.throw(
      InputError,
      'has no picks of this run',
    );
  });
});
