/** `webalign sacpo`: stages from a file, what it writes, how it resumes, what it refuses; and a run on real data. */
import { readdir, readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { ADAPTER_WEIGHTS } from '../../src/io/peft.ts';
import { sharedFile } from '../support/files.ts';
import { lines, pairs, Workshop } from './workshop.ts';

const SETTINGS = {
  maxSteps: 2,
  perDeviceTrainBatchSize: 4,
  learningRate: 1e-2,
  r: 16,
  evalSplit: 2,
  seed: 3,
};
/** A conversation written as plain text, for a base model. */
const TEMPLATE =
  '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}';
const SECOND = 1000;

describe('cli: sacpo', function () {
  this.timeout(240 * SECOND);
  let workshop: Workshop;
  let reward: object;
  let safety: object;
  before(async () => {
    workshop = await Workshop.open();
    const data = workshop.path('pairs.jsonl');
    reward = { name: 'reward', data, ...SETTINGS };
    safety = { name: 'safety', method: 'kto', data, lambda: 2, ...SETTINGS };
  });
  after(() => workshop.close());

  const run = async (stages: unknown, out: string, ...more: string[]) => {
    const file = await workshop.write(
      `${out}.json`,
      typeof stages === 'string' ? stages : JSON.stringify(stages),
    );
    const args = ['--model', workshop.path('model'), '--stages', file, '--out', workshop.path(out)];
    return workshop.run(['sacpo', ...args, ...more]);
  };
  const weights = (folder: string) => readFile(workshop.path(`${folder}/${ADAPTER_WEIGHTS}`));
  const config = async (folder: string) =>
    JSON.parse(await readFile(workshop.path(`${folder}/adapter_config.json`), 'utf8'));

  it('trains two stages, the first unchanged by the second, and writes one combined adapter', async () => {
    const alone = await run([reward], 'alone');
    expect(alone.code, alone.stderr).to.equal(0);
    const { code, json, stderr } = await run({ stages: [reward, safety] }, 'both', '--q', '0.5');
    expect(code, stderr).to.equal(0);
    expect(stderr).to.include('Stage 2, safety: kto with β/λ 0.05');
    expect(json).to.include({ q: 0.5, out: workshop.path('both') });
    const [first, second] = json.stages as Record<string, unknown>[];
    expect(first).to.include({ name: 'reward', method: 'dpo', beta: 0.1, steps: 2, pairs: 10 });
    expect(second).to.include({ name: 'safety', method: 'kto', beta: 0.05, steps: 2, completions: 22 });

    expect(await weights('both/1-reward')).to.deep.equal(await weights('alone/1-reward'));
    expect(await weights('both/2-safety')).to.not.deep.equal(await weights('both/1-reward'));
    expect(await config('both')).to.include({ r: 32, lora_alpha: 32 });

    // The same by hand, from the stages.
    const stages = ['1-reward', '2-safety'].flatMap((name) => ['--adapter', workshop.path(`both/${name}`)]);
    const exported = await workshop.run(['export', ...stages, '--q', '0.5', '--out', workshop.path('half')]);
    expect(exported.code, exported.stderr).to.equal(0);
    expect(exported.json).to.include({ format: 'peft', q: 0.5 });
    expect(await config('half')).to.include({ r: 32, lora_alpha: 32 });
    expect(await weights('half')).to.deep.equal(await weights('both'));
  });

  it('is equivalent in generate and logprobs, stage by stage or combined', async () => {
    const model = ['--model', workshop.path('model')];
    const stages = ['1-reward', '2-safety'].flatMap((name) => ['--adapter', workshop.path(`both/${name}`)]);
    const input = await workshop.write('ids.jsonl', lines([{ text: 'the sky is blue' }]));
    const score = async (...adapters: string[]) => {
      const { json } = await workshop.run(['logprobs', ...model, '--input', input, ...adapters]);
      return (json.results as { logprobs: number[] }[])[0].logprobs;
    };
    const whole = await score('--adapter', workshop.path('both'));
    // The same sums in another order.
    for (const [i, value] of (await score(...stages, '--q', '0.5')).entries())
      expect(value).to.be.closeTo(whole[i], 2e-5);
    const first = await score('--adapter', workshop.path('both/1-reward'));
    expect(await score(...stages, '--q', '0')).to.deep.equal(first);
    expect(first).to.not.deep.equal(whole);

    const write = async (...adapters: string[]) =>
      (await workshop.run(['generate', ...model, '--prompt', 'the sky', '--max-tokens', '8', ...adapters]))
        .json.results;
    expect(await write(...stages, '--q', '0')).to.deep.equal(
      await write('--adapter', workshop.path('both/1-reward')),
    );
  });

  it('exports its stages to TRL, each with the adapters below it', async () => {
    const out = workshop.path('trl');
    const export_ = (...more: string[]) =>
      workshop.run(['export', '--format', 'trl', '--adapter', workshop.path('both'), '--out', out, ...more]);
    const { code, json, stderr } = await export_();
    expect(code, stderr).to.equal(0);
    expect(stderr).to.include(`cd ${out} && sh train.sh`);
    const files = json.files as string[];
    expect(files).to.include.members(['train.sh', '1-reward/train.py', '2-safety/start/adapter_config.json']);
    expect(files.filter((file) => file.includes('below/'))).to.deep.equal([
      '2-safety/below/1-reward/adapter_model.safetensors',
      '2-safety/below/1-reward/adapter_config.json',
    ]);
    expect(await weights('trl/2-safety/below/1-reward')).to.deep.equal(await weights('both/1-reward'));
    expect(await weights('trl/2-safety/trained')).to.deep.equal(await weights('both/2-safety'));
    const text = (name: string) => readFile(`${out}/${name}`, 'utf8');
    expect(JSON.parse(await text('2-safety/settings.json')).args).to.include({ beta: 0.05, seed: 3 });
    expect(await text('2-safety/train.py')).to.include('import KTOConfig, KTOTrainer');
    expect(await text('train.sh')).to.include(
      'accelerate launch 2-safety/train.py --below 1-reward/out "$@"',
    );

    const ids = await export_('--token-ids', '--overwrite');
    expect(ids.error.message).to.include("only TRL's DPO").and.include('kto').and.include('Leave out');
    const half = await workshop.write('half/run.json', JSON.stringify({ stages: ['../both'] }));
    const odd = await workshop.run(['export', '--format', 'trl', '--adapter', `${half}/..`, '--out', out]);
    expect(odd.error.message).to.include('run.json').and.include('is not a valid run record');
  });

  it('does not overwrite a finished run, and resumes on request', async () => {
    const refused = await run({ stages: [reward, safety] }, 'both');
    expect(refused.code).to.equal(1);
    expect(refused.error.message)
      .to.include('both/adapter_config.json')
      .and.include('--resume')
      .and.include('--overwrite');
    const before = await weights('both');
    const resumed = await run({ stages: [reward, safety] }, 'both', '--q', '0.5', '--resume');
    expect(resumed.code, resumed.stderr).to.equal(0);
    expect(resumed.stderr.match(/Continuing after step 2/g)).to.have.length(2);
    expect(await weights('both')).to.deep.equal(before);
    const other = await run({ stages: [reward, { ...safety, lambda: 3 }] }, 'both', '--resume');
    expect(other.error.message)
      .to.include('stage "safety", checkpoint')
      .and.match(/beta was .* and is /);
  });

  describe('refuses', () => {
    const bad = (name: string, stages: () => unknown, ...parts: string[]) =>
      it(name, async () => {
        const { code, error } = await run(stages(), 'out');
        expect(code).to.equal(1);
        expect(error.name).to.equal('InputError');
        for (const part of ['.', ...parts]) expect(error.message).to.include(part);
        expect(await readdir(workshop.folder)).not.to.include('out');
      });

    bad('a file that is no JSON', () => '{"stages": [}', 'out.json, line 1, column 13');
    bad('an object without stages', () => ({ steps: [] }), 'out.json: contains no stages', 'Give {"stages"');
    bad('no stages', () => [], 'contains no stages');
    bad('a stage that is none', () => [reward, 'safety'], 'out.json, stage 2: is a string', 'Give an object');
    bad(
      'an unknown method',
      () => [{ ...reward, method: 'nash' }],
      'stage 1: "method" is "nash". Use dpo, kto',
    );
    for (const method of ['sft', 'cpo', 'orpo'])
      bad(
        `${method}, which has no reference`,
        () => [reward, { ...safety, method }],
        'no reference',
        'Use dpo',
      );
    bad('an unknown setting', () => [{ ...reward, bata: 1 }], 'stage 1: unknown settings: "bata"', 'beta');
    bad("another method's setting", () => [{ ...reward, desirableWeight: 2 }], '"desirableWeight"');
    bad('a setting of another kind', () => [{ ...reward, beta: 'low' }], '"beta": is "low"', 'Give a number');
    bad('a lambda that is none', () => [{ ...reward, lambda: 0 }], '"lambda" is 0', 'above 0');
    bad('a name that is no folder', () => [{ ...reward, name: '../x' }], '"name" is "../x"', 'letters');
    bad('a stage without data', () => [{ name: 'reward' }], 'stage 1: has no "data"');
    bad('data that is not there', () => [{ ...reward, data: 'none.jsonl' }], 'none.jsonl', 'file not found');

    it('errors of a later stage before the first is trained', async () => {
      const rows = pairs(6).map(({ prompt, chosen }) => ({ prompt, completion: chosen, label: true }));
      const data = await workshop.write('good.jsonl', lines(rows));
      const { error, stderr } = await run([reward, { ...safety, data }], 'out');
      expect(error.message).to.include('stage "safety", training data: all 4 completions are desirable');
      expect(stderr).to.not.include('Training');
      const long = await workshop.write(
        'long.jsonl',
        lines([...pairs(3), { ...pairs(1)[0], prompt: 'a'.repeat(90) }]),
      );
      const cut = await run(
        [reward, { ...safety, method: 'dpo', data: long, evalSplit: 0.5, maxLength: 12 }],
        'out',
      );
      expect(cut.error.message).to.include('stage "safety", ').and.include('long.jsonl, line 4');
      expect(await readdir(workshop.folder)).not.to.include('out');
    });

    it('a q outside 0 to 1, and one without an adapter', async () => {
      const adapter = ['--adapter', workshop.path('both')];
      const model = ['--model', workshop.path('model')];
      const out = ['--out', workshop.path('out')];
      for (const q of ['-0.5', '1.5']) {
        for (const found of [
          await run([reward], 'out', `--q=${q}`),
          await workshop.run(['export', ...adapter, ...out, `--q=${q}`]),
          await workshop.run(['generate', ...model, ...adapter, '--prompt', 'a', `--q=${q}`]),
        ]) {
          expect(found.code).to.equal(1);
          expect(found.error.message).to.include(`q: is ${q}`).and.include('from 0');
        }
      }
      const none = await workshop.run(['generate', ...model, '--prompt', 'a', '--q', '0.5']);
      expect(none.error.message).to.include('no adapter to scale').and.include('--adapter');
    });

    it('invalid adapters for export, and an existing folder', async () => {
      const adapter = ['--adapter', workshop.path('both')];
      const missing = await workshop.run([
        'export',
        ...adapter,
        '--adapter',
        'none',
        '--out',
        workshop.path('out'),
      ]);
      expect(missing.error.message).to.include('none').and.include('adapter_config.json');
      const taken = await workshop.run(['export', ...adapter, '--out', workshop.path('half')]);
      expect(taken.error.message).to.include('--overwrite').and.not.include('--resume');
    });
  });

  it('two stages on rows of helpful-pairs.jsonl and pku-saferlhf-safer.jsonl', async function () {
    const files: Record<string, Uint8Array | undefined> = {};
    for (const name of ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'])
      files[name] = await sharedFile(`models/stories260K/${name}`);
    const stages: object[] = [];
    for (const name of ['helpful-pairs', 'pku-saferlhf-safer']) {
      const text = await sharedFile(`data/${name}.jsonl`);
      if (!text) this.skip();
      // The rows as they are, if their prompt is short: the model has 512 positions and tokens of one or two letters.
      const rows = new TextDecoder().decode(text).trim().split('\n');
      const short = rows.filter((row) => JSON.stringify(JSON.parse(row).prompt).length < 120).slice(0, 6);
      expect(short).to.have.length(6);
      const data = await workshop.write(`${name}.jsonl`, lines(short));
      stages.push({ data, ...SETTINGS, maxLength: 256 });
    }
    const file = await workshop.write('real.json', JSON.stringify(stages));
    const real = (model: string) =>
      workshop.run(['sacpo', '--model', model, '--stages', file, '--out', workshop.path('real')]);

    // The first file contains conversations, which need a chat template.
    const refused = await real(await workshop.model('stories', files));
    expect(refused.error.message).to.include('stage "stage-1", ').and.include('helpful-pairs.jsonl, line');
    expect(refused.error.message).to.include('no chat template').and.include('chat_template.jinja');
    await workshop.write('stories/chat_template.jinja', TEMPLATE);
    const { code, json, stderr } = await real(workshop.path('stories'));
    expect(code, stderr).to.equal(0);
    for (const { steps, loss } of json.stages as { steps: number; loss: { first: number; last: number } }[]) {
      expect(steps).to.equal(2);
      // At its first step every stage is its own reference.
      expect(loss.first).to.be.closeTo(Math.LN2, 1e-5);
      expect(loss.last).to.be.above(0);
    }
  });
});
