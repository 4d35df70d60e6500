/** Several data files in one run: what is trained on and held out, what the record says, and that a run resumes exactly. */
import { readFile, symlink } from 'node:fs/promises';
import { expect } from 'chai';
import { DPO } from '../../src/cli/methods.ts';
import { dataSettingsOf, dataText, readData, recordedData } from '../../src/cli/training-data.ts';
import type { PreferenceRow } from '../../src/data/preference-dataset.ts';
import { expectRefused } from '../io/refused.ts';
import { lines, pairs, Workshop } from './workshop.ts';

const SHARES = { dataWeights: [1, 1], evalSplit: 0.1, seed: 42 };

describe('cli: several files of data', () => {
  let workshop: Workshop;
  let [a, b, c] = ['', '', ''];
  before(async () => {
    workshop = await Workshop.open();
    a = await workshop.write('a.jsonl', lines(pairs(20)));
    b = await workshop.write('b.jsonl', lines(pairs(10)));
    c = await workshop.write('c.jsonl', lines(pairs(4)));
  });
  after(() => workshop.close());

  async function read(data: string[], settings: Partial<Parameters<typeof readData>[1]>) {
    const notices: string[] = [];
    const given = { evalSplit: 0, seed: 42, ...settings, data };
    const { train, evaluation } = await readData(DPO, given, (line) => notices.push(line));
    const places = (rows: unknown[]) => (rows as PreferenceRow[]).map(({ where }) => String(where));
    return { train: places(train), evaluation: places(evaluation), notices };
  }

  it('uses all rows without weights, and names file and line of each', async () => {
    const { train, evaluation, notices } = await read([b, c], {});
    const expected = [b, c].flatMap((file, i) =>
      Array.from({ length: [10, 4][i] }, (_, line) => `${file}, line ${line + 1}`),
    );
    expect(train).to.deep.equal(expected);
    expect(evaluation).to.deep.equal([]);
    expect(notices).to.deep.equal([`Training rows by file: ${b} 10 of 10; ${c} 4 of 4.`]);
    expect((await read([b], {})).notices).to.deep.equal([]);
  });

  it('holds out rows of each file before mixing, trains on none of them, and reports the counts', async () => {
    for (const stoppingStrategy of ['first_exhausted', 'all_exhausted']) {
      const { train, evaluation, notices } = await read([a, b], { ...SHARES, stoppingStrategy });
      expect(evaluation.filter((place) => place.startsWith(a))).to.have.length(2);
      expect(evaluation.filter((place) => place.startsWith(b))).to.have.length(1);
      for (const place of evaluation) expect(train).to.not.include(place);
      const first = stoppingStrategy === 'first_exhausted';
      expect(train).to.have.length(first ? 18 : 36);
      expect(notices).to.deep.equal([
        `Training rows by file (${stoppingStrategy}): ` +
          (first
            ? `${a} 9 of 18, 9 dropped, 2 held out; ${b} 9 of 9, 1 held out.`
            : `${a} 18 of 18, 2 held out; ${b} 18 from 9, 9 repeated, 1 held out.`),
      ]);
    }
  });

  it('splits a number of held-out rows by file size, and takes none of a file with weight 0', async () => {
    const heldOf = async (data: string[], evalSplit: number, dataWeights?: number[]) => {
      const { evaluation } = await read(data, { evalSplit, dataWeights });
      return data.map((file) => evaluation.filter((place) => place.startsWith(file)).length);
    };
    expect(await heldOf([a, b, c], 5)).to.deep.equal([3, 1, 1]);
    expect(await heldOf([a, b, c], 31)).to.deep.equal([19, 9, 3]);
    expect(await heldOf([a, b], 3, [0, 1])).to.deep.equal([0, 3]);
    await expectRefused(() => heldOf([a, b, c], 32), '32 of 34 rows in 3 files cannot be held out');
    await expectRefused(() => heldOf([a, b], 1.5), 'evaluation split: 1.5');
    await expectRefused(() => heldOf([a, b], -0.1), 'evaluation split: -0.1');
  });

  it('trains on and holds out the same rows whatever the order of the files', async () => {
    const one = await read([a, b], { ...SHARES, dataWeights: [0.3, 0.7] });
    const other = await read([b, a], { ...SHARES, dataWeights: [0.7, 0.3] });
    expect(one.train.toSorted()).to.deep.equal(other.train.toSorted());
    expect(one.evaluation.toSorted()).to.deep.equal(other.evaluation.toSorted());
  });

  it('reads the same rows again from what it records', async () => {
    const settings = { ...SHARES, data: [a, b], stoppingStrategy: 'all_exhausted' };
    const record = recordedData(settings);
    expect(record).to.deep.include({ data: [a, b], dataWeights: [1, 1], evalData: null });
    const { data, ...rest } = dataSettingsOf(JSON.parse(JSON.stringify(record)));
    expect(await read(data, { seed: 42, ...rest })).to.deep.equal(await read([a, b], settings));
    expect(dataText(record)).to.equal(`${a} (weight 1), ${b} (weight 1); all_exhausted`);
    expect(dataText({ ...recordedData({ data: [a, b], evalSplit: 0 }) })).to.equal(`${a}, ${b}`);
    expect(recordedData({ data: [a], evalSplit: 0 })).to.deep.equal({
      data: a,
      evalData: null,
      evalSplit: 0,
    });
  });

  it('rejects a file given twice under any name, and checks weights before reading', async () => {
    await symlink(a, workshop.path('link.jsonl'));
    await expectRefused(() => read([a, b, a], {}), `${a}: is given twice`, 'weights set its share');
    await expectRefused(() => read([a, workshop.path('link.jsonl')], {}), `is the same file as ${a}`);
    await expectRefused(() => read([a, 'none.jsonl'], { dataWeights: [1] }), '1 weight for 2 data sets');
    await expectRefused(() => read([a, 'none.jsonl'], {}), 'none.jsonl: file not found');
    const more = ['--data', b, '--data-weights', '1,0,2'];
    const { code, error } = await workshop.run([...workshop.dpo({ '--data': a }), ...more]);
    expect(code).to.equal(1);
    expect(error.message).to.include('got 3 weights for 2 data sets');
    const bad = await workshop.write('bad.jsonl', lines([pairs(1)[0], { prompt: 'x' }]));
    await expectRefused(() => read([a, bad], {}), `${bad}, line 2`);
  });

  it('takes lists of files from a configuration file, from stages, and in commands that rate', async () => {
    const settings = { data: [a, b], dataWeights: [1, 1, 1] };
    const config = await workshop.write('config.json', JSON.stringify(settings));
    const model = ['--model', workshop.path('model')];
    const { error } = await workshop.run(['kto', ...model, '--config', config, '--out', workshop.path('x')]);
    expect(error.message).to.include('got 3 weights for 2 data sets');
    const stages = await workshop.write('stages.json', JSON.stringify([{ name: 'one', ...settings }]));
    const sacpo = await workshop.run(['sacpo', ...model, '--stages', stages, '--out', workshop.path('x')]);
    expect(sacpo.error.message).to.include('got 3 weights for 2 data sets');
    const rated = await workshop.run(['score', ...model, '--data', a, '--data', b, '--data', a]);
    expect(rated.error.message).to.include(`${a}: is given twice`);
  });

  it('resumes exactly, rejects other weights, and records, plans and exports the mixture', async () => {
    const args = (out: string, steps: string, weights = '0.7,0.3') => [
      ...workshop.dpo({ '--data': a, '--out': workshop.path(out), '--max-steps': steps }),
      ...['--data', b, '--data-weights', weights, '--lr-scheduler-type', 'constant'],
    ];
    const adapter = (out: string) => readFile(workshop.path(`${out}/adapter_model.safetensors`));
    const whole = await workshop.run(args('whole', '3'));
    expect(whole.code, whole.stderr).to.equal(0);
    expect(whole.stderr).to.include(`${a} 18 of 18, 2 held out; ${b} 8 of 9, 1 dropped, 1 held out`);
    expect(whole.json.pairs).to.equal(26);
    const half = await workshop.run(args('half', '1'));
    expect(half.code, half.stderr).to.equal(0);
    const other = await workshop.run([...args('half', '3', '0.3,0.7'), '--resume']);
    expect(other.error.message).to.include('belongs to a run with another training data');
    const resumed = await workshop.run([...args('half', '3'), '--resume']);
    expect(resumed.code, resumed.stderr).to.equal(0);
    expect(await adapter('half')).to.deep.equal(await adapter('whole'));

    const record = JSON.parse(await readFile(workshop.path('half/run.json'), 'utf8'));
    expect(record).to.deep.include({
      data: [a, b],
      dataWeights: [0.7, 0.3],
      stoppingStrategy: 'first_exhausted',
    });
    const settings = args('half', '3')
      .slice(1)
      .filter((arg, i, all) => arg !== '--out' && all[i - 1] !== '--out');
    const planned = await workshop.run(['plan', ...settings]);
    expect(planned.code, planned.stderr).to.equal(0);
    const [, figure] = /(about .* of GPU memory)/.exec(whole.stderr) ?? [];
    expect(planned.stderr.toLowerCase()).to.include(String(figure).toLowerCase());
    expect(planned.stderr).to.include(`${a} 18 of 18`);

    const exported = await workshop.run([
      ...['export', '--format', 'trl', '--adapter', workshop.path('half'), '--out', workshop.path('trl')],
    ]);
    expect(exported.code, exported.stderr).to.equal(0);
    const rows = (await readFile(workshop.path('trl/train.jsonl'), 'utf8')).trimEnd().split('\n');
    expect(rows).to.have.length(26);
  });
});
