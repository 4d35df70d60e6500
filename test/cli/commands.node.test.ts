/** The other commands: what they print, and that their numbers are those of PyTorch. */
import { EventEmitter } from 'node:events';
import { expect } from 'chai';
import { withGpu } from '../../src/cli/open.ts';
import { Terminal } from '../../src/cli/terminal.ts';
import { DeviceLostError } from '../../src/gpu/errors.ts';
import { parseSafetensors, type TensorToWrite, writeSafetensors } from '../../src/io/safetensors.ts';
import trl from '../fixtures/trl-pairs.json' with { type: 'json' };
import { relativeL2 } from '../reference/compare.ts';
import { tinyLlama, tinyLlamaAdapter } from '../reference/fixtures.ts';
import { readFixture } from '../support/files.ts';
import { lines, Workshop } from './workshop.ts';

interface Scores {
  results: { ids: number[]; logprobs: number[] }[];
}
interface Written {
  results: { prompt: string; text: string; ids: number[]; finished: string; endId?: number }[];
}

describe('cli: commands', () => {
  let workshop: Workshop;
  let model: string;
  before(async () => {
    workshop = await Workshop.open();
    model = workshop.path('model');
    for (const name of ['adapter_config.json', 'adapter_model.safetensors']) {
      await workshop.write(`adapter/${name}`, await readFixture(`tiny-llama/adapter/${name}`));
    }
  });
  after(() => workshop.close());

  it('every command has help with an example', async () => {
    const { code, stderr } = await workshop.run(['--help']);
    expect(code).to.equal(0);
    const names = [...stderr.matchAll(/^ {2}(\w+) \[options\]/gm)].map(([, name]) => name);
    expect(names).to.include.members(['doctor', 'dpo', 'generate', 'logprobs', 'align', 'preferences']);
    for (const name of names) {
      const help = (await workshop.run([name, '--help'])).stderr;
      expect(help).to.include(`$ webalign ${name}`).and.include('--json').and.include('--memory-cap');
    }
  });

  it('doctor: all kernels are correct', async () => {
    const { code, json } = await workshop.run(['doctor']);
    expect(code).to.equal(0);
    expect(json).to.have.all.keys('adapter', 'limits', 'tests', 'ok');
    expect((json.tests as { passed: boolean }[]).every(({ passed }) => passed)).to.equal(true);
  });

  it("logprobs: equal to PyTorch's, with and without an adapter", async () => {
    const { sequences, base, lora } = tinyLlama.reference;
    const input = await workshop.write('ids.jsonl', lines(sequences.map((ids) => ({ ids }))));
    const args = ['logprobs', '--model', model, '--input', input];
    const plain = (await workshop.run(args)).json as unknown as Scores;
    expect(plain.results.map(({ ids }) => ids)).to.deep.equal(sequences);
    expect(plain.results.map(({ logprobs }) => logprobs.length)).to.deep.equal(
      sequences.map((ids) => ids.length - 1),
    );
    expect(
      relativeL2(
        plain.results.flatMap(({ logprobs }) => logprobs),
        base.logprobs.flat(),
      ),
    ).to.be.below(1e-5);

    const adapted = (await workshop.run([...args, '--adapter', workshop.path('adapter')]))
      .json as unknown as Scores;
    expect(tinyLlamaAdapter.adapters.size).to.be.above(0);
    expect(
      relativeL2(
        adapted.results.flatMap(({ logprobs }) => logprobs),
        lora.logprobs.flat(),
      ),
    ).to.be.below(1e-5);
  });

  it('logprobs: text, and a single token, which has no score', async () => {
    const input = await workshop.write('texts.jsonl', lines([{ text: 'the sky is blue' }, { ids: [5] }]));
    const { results } = (await workshop.run(['logprobs', '--model', model, '--input', input]))
      .json as unknown as Scores;
    expect(results[0]?.ids.slice(0, 3)).to.deep.equal([1, 67, 72]);
    expect(results[0]?.logprobs.every((value) => value < 0)).to.equal(true);
    expect(results[1]).to.deep.equal({ ids: [5], logprobs: [] });
  });

  it('generate: the same for the same seed, several continuations of several prompts', async () => {
    const args = [
      'generate',
      '--model',
      model,
      '--prompt',
      'the sky',
      '--prompt',
      'a',
      '--n',
      '2',
      '--max-tokens',
      '6',
    ];
    const write = async (seed: string) =>
      ((await workshop.run([...args, '--seed', seed])).json as unknown as Written).results;
    const first = await write('1');
    expect(first.map(({ prompt }) => prompt)).to.deep.equal(['the sky', 'the sky', 'a', 'a']);
    for (const { ids, finished } of first)
      expect(ids.length).to.satisfy((n: number) => n === 6 || finished === 'eos');
    expect(await write('1')).to.deep.equal(first);
    expect(await write('2')).to.not.deep.equal(first);
  });

  it('generate: reports which token of generation_config.json ended a text', async () => {
    const args = ['--prompt', 'the sky', '--max-tokens', '8'];
    const write = async (folder: string, drawing: readonly string[] = ['--temperature', '0']) =>
      ((await workshop.run(['generate', '--model', folder, ...args, ...drawing])).json as unknown as Written)
        .results[0];
    const whole = await write(model);
    expect(whole).to.have.all.keys('prompt', 'text', 'ids', 'finished');
    const end = whole?.ids[3];
    const at = whole?.ids.indexOf(end);
    const folder = await workshop.model('ends', {
      'generation_config.json': JSON.stringify({ eos_token_id: [end, 96], top_k: 5 }),
    });
    const ended = await write(folder);
    expect(ended).to.deep.include({ ids: whole?.ids.slice(0, at), finished: 'eos', endId: end });
    // A penalty that lets no token occur twice, and a threshold that only the likeliest token reaches.
    const penalty = await write(model, ['--temperature', '0', '--repetition-penalty', '1000']);
    expect(new Set(penalty?.ids).size).to.equal(penalty?.ids.length);
    expect(await write(model, ['--temperature', '1', '--min-p', '1'])).to.deep.equal(whole);
    const { code, error } = await workshop.run(['generate', '--model', model, ...args, '--min-p', '2']);
    expect(code).to.equal(1);
    expect(error.message).to.include('minP').and.include('a number from 0 to 1');
  });

  it('generate: an empty prompt continues from BOS, if the tokenizer adds it', async () => {
    const written = async (folder: string) =>
      workshop.run([
        'generate',
        '--model',
        folder,
        '--prompt',
        '',
        '--max-tokens',
        '4',
        '--temperature',
        '0',
      ]);
    const { code, json } = await written(model);
    expect(code).to.equal(0);
    const [{ prompt, ids, text }] = (json as unknown as Written).results as [Written['results'][0]];
    expect(prompt).to.equal('');
    expect(ids).to.not.deep.equal([]);
    expect(text).to.not.equal('');
    const without = { 'tokenizer.json': JSON.stringify({ ...trl.tokenizer, post_processor: null }) };
    const refused = await written(await workshop.model('without-bos', without));
    expect(refused.code).to.equal(1);
    expect(refused.error.message).to.include('prompt 1').and.include('BOS');
  });

  it('logprobs: values that are not finite are an error', async () => {
    const { tensors } = parseSafetensors(tinyLlama.files.get('model.safetensors')!, 'tiny');
    const norm = tensors.get('model.norm.weight')!;
    const data = new Uint8Array(norm.data.length).fill(0xff);
    const weights = new Map<string, TensorToWrite>(tensors).set('model.norm.weight', { ...norm, data });
    const broken = await workshop.model('broken', { 'model.safetensors': writeSafetensors(weights) });
    const input = await workshop.write('one.jsonl', lines([{ ids: [1, 5] }]));
    const { code, error } = await workshop.run(['logprobs', '--model', broken, '--input', input]);
    expect(code).to.equal(1);
    expect(error.message).to.include('sequence 1').and.include('NaN').and.include('weights');
  });

  it('stops on request', async () => {
    const stop = AbortSignal.abort(new Error('enough'));
    const { code, stderr } = await workshop.run(
      ['generate', '--model', model, '--prompt', 'a', '--max-tokens', '4'],
      stop,
    );
    expect(code).to.equal(1);
    expect(stderr).to.include('enough');
  });

  it('as a child: stdout is one JSON object, and the process ends by itself', async () => {
    const input = await workshop.write('one.jsonl', lines([{ ids: [1, 5] }]));
    const args = ['logprobs', '--model', model, '--input', input, '--json'];
    const { code, stdout, json, stderr } = await workshop.spawn(args);
    expect(code, stderr).to.equal(0);
    expect(stdout.trimEnd().split('\n')).to.have.length(1);
    expect(json).to.have.property('results').with.length(1);
  });

  it('uses a new device if one is lost, and repeats the work', async () => {
    const told: string[] = [];
    const stream = Object.assign(new EventEmitter(), { write: (line: string) => told.push(line) > 0 });
    const streams = { stdout: stream, stderr: stream } as unknown as ConstructorParameters<
      typeof Terminal
    >[1];
    let runs = 0;
    const value = await withGpu(new Terminal(false, streams), {}, async (gpu) => {
      const view = gpu.upload(Float32Array.of(1, 2), 'numbers');
      if (++runs === 1) gpu.device.destroy();
      return new Float32Array(await gpu.read(view))[1];
    });
    expect({ value, runs }).to.deep.equal({ value: 2, runs: 2 });
    expect(told.filter((line) => line.includes('lost'))).to.have.length(1);

    const always = withGpu(new Terminal(false, streams), {}, async () => {
      throw new DeviceLostError('The GPU device was lost (test). Resume.');
    });
    expect(await always.catch((error: unknown) => error)).to.be.instanceOf(DeviceLostError);
  });
});
