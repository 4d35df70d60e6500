/** What the studio hands out of a run, held against the library and the command line; and everything as one file, out and in. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { unzipSync } from 'fflate';
import { memoryFiles } from 'webalign/files';
import { ggufModel, mergedModelFiles, readAdapter } from 'webalign/models';
import { folderFiles } from 'webalign/node';
import { StudioPage } from './studio-page.ts';

const MODEL = 'demos/align/model';
const PAIRS = 30;

interface Chart {
  title: string;
  series: { label: string; values: (number | null)[] }[];
}

const textOf = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

describe('exports of the studio', function () {
  this.timeout(300_000);

  let studio: StudioPage;
  let folder: string;
  let adapter: Record<string, Uint8Array>;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'webalign-exports-'));
    studio = await StudioPage.open();
    await studio.importPairs(PAIRS);
    await studio.tab('Train');
    await studio.fill({ r: '2', learningRate: '0.01', numTrainEpochs: '0.6', evalSteps: '2' });
    await studio.demo.press('Train');
    await studio.demo.status('Done');
    adapter = await studio.adapter();
  });
  after(async () => {
    await studio?.demo.close();
    await rm(folder, { recursive: true, force: true });
  });

  const bytesOf = async (label: string) => {
    const download = await studio.export(label);
    return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
  };
  const part = async () => [
    { adapter: await readAdapter(memoryFiles(adapter)), factor: 1, name: 'the adapter' },
  ];

  it('writes the whole model as GGUF, the library’s bytes', async () => {
    const { name, bytes } = await bytesOf('Whole model for llama.cpp and Ollama');
    expect(name).to.equal('webalign-model.gguf');
    const wanted = await ggufModel(await folderFiles(MODEL), await part());
    expect(Buffer.compare(bytes, wanted)).to.equal(0);
  });

  it('writes a Modelfile with the settings of the drafts', async () => {
    const { name, bytes } = await bytesOf('Modelfile for Ollama');
    expect(name).to.equal('Modelfile');
    expect(textOf(bytes)).to.equal(
      'FROM ./webalign-model.gguf\nPARAMETER temperature 1\nPARAMETER top_p 1\nPARAMETER num_predict 40\n',
    );
  });

  it('writes the whole model as safetensors, the library’s files', async () => {
    const { name, bytes } = await bytesOf('Whole model for transformers');
    expect(name).to.equal('webalign-model.zip');
    const found = unzipSync(bytes);
    const wanted = await mergedModelFiles(await folderFiles(MODEL), await part());
    expect(Object.keys(found).sort()).to.deep.equal(
      Object.keys(wanted)
        .map((path) => `webalign-model/${path}`)
        .sort(),
    );
    for (const [path, content] of Object.entries(wanted))
      expect(Buffer.compare(found[`webalign-model/${path}`], content), path).to.equal(0);
  });

  let charts: Chart[];
  it('writes a report that shows everything without a network', async () => {
    const { name, bytes } = await bytesOf('Report of the run');
    expect(name).to.equal('report.html');
    const html = textOf(bytes);
    expect(html)
      .to.match(/<title>Training report: DPO .*<\/title>/)
      .and.not.match(/src=|href="http/);
    charts = JSON.parse(/\(uPlot, (\[.*\])\);<\/script>/s.exec(html)?.[1] ?? '[]') as Chart[];
    const path = join(folder, name);
    await writeFile(path, bytes);
    const page = await studio.demo.context.newPage();
    const errors: string[] = [];
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    await page.goto(`file://${path}`);
    await page.locator('canvas').first().waitFor();
    expect(errors).to.deep.equal([]);
    await page.close();
  });

  it('exports an adapter that gives the same log-probabilities on the command line', async () => {
    const { bytes } = await bytesOf('Run for TRL');
    const files = unzipSync(bytes);
    const rows = textOf(files['webalign-trl/eval.ids.jsonl'])
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { prompt_ids: number[]; chosen_ids: number[] });
    const input = join(folder, 'held-out.jsonl');
    const sequences = rows.map(({ prompt_ids, chosen_ids }) => ({ ids: [...prompt_ids, ...chosen_ids] }));
    await writeFile(input, sequences.map((row) => JSON.stringify(row)).join('\n'));
    for (const [path, content] of Object.entries(adapter)) await writeFile(join(folder, path), content);
    const args = ['logprobs', '--model', MODEL, '--dtype', 'float32', '--adapter', folder, '--input', input];
    const { stdout } = await promisify(execFile)(process.execPath, ['dist/cli.js', ...args, '--json'], {
      maxBuffer: 2 ** 26,
    });
    const { results } = JSON.parse(stdout) as { results: { logprobs: number[] }[] };
    const sums = results.map(({ logprobs }, i) =>
      logprobs.slice(-rows[i].chosen_ids.length).reduce((a, b) => a + b, 0),
    );
    const mean = sums.reduce((a, b) => a + b, 0) / sums.length;
    const chart = charts.find(({ title }) => title === 'logps/chosen');
    const shown = chart?.series.find(({ label }) => label === 'held out')?.values.at(-1);
    // Sums of some forty float32 numbers, made of packed rows here and of single ones there.
    expect(shown).to.be.closeTo(mean, 2e-4 * Math.abs(mean));
  });

  it('exports a run that TRL continues', async () => {
    const { name, bytes } = await bytesOf('Run for TRL');
    expect(name).to.equal('webalign-trl.zip');
    const files = unzipSync(bytes);
    const read = (path: string) => textOf(files[`webalign-trl/${path}`]);
    expect(read('train.py')).to.include('class GoingOn(DPOTrainer):');
    const plan = JSON.parse(read('plan.json')) as { step: number; batches: number[][] };
    // It has ended: a second round with a schedule and an optimizer of its own.
    expect(plan.step).to.equal(0);
    expect(plan.batches.length).to.equal(JSON.parse(read('settings.json')).args.max_steps);
    expect(files['webalign-trl/trained/adapter_model.safetensors']).to.deep.equal(
      new Uint8Array(adapter['adapter_model.safetensors']),
    );
  });

  it('imports everything from one file, and overwrites nothing', async () => {
    await studio.tab('Keep');
    const [download] = await Promise.all([
      studio.page.waitForEvent('download'),
      studio.demo.button('Export everything').click(),
    ]);
    const buffer = await readFile(await download.path());
    const file = { name: 'webalign-studio.zip', mimeType: 'application/zip', buffer };
    const input = studio.page.getByLabel('File of everything');
    const said = studio.page.locator('#everything-said');
    await input.setInputFiles(file);
    await said.filter({ hasText: `0 judgments added. ${PAIRS} were there already. 0 runs added.` }).waitFor();
    await studio.tab('Train');
    await studio.page.getByRole('button', { name: /^Delete: DPO/ }).click();
    await studio.page.locator('#past').waitFor({ state: 'hidden' });
    await studio.tab('Keep');
    await input.setInputFiles(file);
    await said.filter({ hasText: '1 run added.' }).waitFor();
    await studio.tab('Train');
    const [again] = await Promise.all([
      studio.page.waitForEvent('download'),
      studio.page.getByRole('button', { name: /^Export adapter: DPO/ }).click(),
    ]);
    const weights = unzipSync(await readFile(await again.path()))[
      'webalign-adapter/adapter_model.safetensors'
    ];
    expect(weights).to.deep.equal(new Uint8Array(adapter['adapter_model.safetensors']));
    await studio.tab('Keep');
    await input.setInputFiles({ ...file, buffer: Buffer.from('no zip') });
    await studio.page.locator('#everything-error').filter({ hasText: 'is not a zip' }).waitFor();
  });

  it('undoes picks after a reload', async () => {
    await studio.tab('Collect');
    await studio.pick('1');
    await studio.expectCount(`${PAIRS + 1} preferences`);
    await studio.page.reload();
    await studio.expectCount(`${PAIRS + 1} preferences`);
    await studio.drafts();
    await studio.page.keyboard.press('Control+z');
    await studio.expectCount(`${PAIRS} preferences`);
  });

  it('logs no errors', () => {
    expect(studio.demo.errors).to.deep.equal([]);
  });
});
