/** Bad input on the command line: a sentence that says what is wrong and where, an exit code, and no partial output. */
import { readdir } from 'node:fs/promises';
import { expect } from 'chai';
import { toFloat32Bytes } from '../../src/io/float.ts';
import { parseSafetensors, type TensorToWrite, writeSafetensors } from '../../src/io/safetensors.ts';
import { tinyLlama } from '../reference/fixtures.ts';
import { lines, type Outcome, pairs, Workshop } from './workshop.ts';

const WEIGHTS = tinyLlama.files.get('model.safetensors')!;
const CONFIG = JSON.parse(new TextDecoder().decode(tinyLlama.files.get('config.json')));

describe('cli: bad input', () => {
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
  });
  after(() => workshop.close());

  /** The command fails with exit code 1 and a message that contains each of `parts`, and leaves no output folder. */
  async function expectRefusal(args: readonly string[], ...parts: (string | RegExp)[]): Promise<void> {
    const found = await workshop.run(args);
    refused(found, 1, parts);
    expect(await readdir(workshop.folder), 'what is left').not.to.include('out');
  }

  function refused(
    { code, stdout, stderr, error }: Outcome,
    expected: number,
    parts: readonly (string | RegExp)[],
  ): void {
    expect(code, stderr).to.equal(expected);
    expect(stdout.trimEnd().split('\n'), 'stdout').to.have.length(1);
    const { name, message } = error;
    expect(name).to.match(/Error$/);
    expect(stderr)
      .to.include(message)
      .and.not.match(/\n\s+at /);
    for (const part of parts) {
      if (typeof part === 'string') expect(message).to.include(part);
      else expect(message).to.match(part);
    }
  }

  describe('data', () => {
    const rows = pairs(6).map((row) => JSON.stringify(row));
    // What the file contains, and what the message must say about it.
    const CASES: Record<string, [string, ...(string | RegExp)[]]> = {
      'not JSON': [
        lines([rows[0], '{"prompt": "the sky", "chosen": }', rows[1]]),
        /pairs-\d+\.jsonl, line 2, column 33/,
      ],
      'not an object': [lines([rows[0], '42']), 'line 2', 'a number'],
      'no rows': ['\n\n', 'no rows'],
      'a row without its columns': [
        lines([rows[0], { prompt: 'a', chosen: 'b', text: 'c' }]),
        'line 2',
        '"rejected"',
        '"text"',
      ],
      'an empty completion': [
        lines([rows[0], rows[1], { prompt: 'a', chosen: '', rejected: 'b' }]),
        'line 3',
        '"chosen" is empty',
      ],
      'a completion that is not text': [
        lines([{ prompt: 'a', chosen: 1, rejected: 'b' }]),
        'line 1',
        '"chosen" must be text or messages, got a number',
      ],
    };
    let number = 0;
    for (const [name, [contents, ...parts]] of Object.entries(CASES)) {
      it(name, async () => {
        const path = await workshop.write(`pairs-${number++}.jsonl`, contents);
        await expectRefusal(workshop.dpo({ '--data': path }), ...parts);
      });
    }

    it('a missing file', () =>
      expectRefusal(workshop.dpo({ '--data': 'nowhere.jsonl' }), 'nowhere.jsonl', 'file not found'));

    it('a file that is not text', async () => {
      const path = await workshop.write('binary.jsonl', Uint8Array.of(0xff, 0xfe, 0x00));
      await expectRefusal(workshop.dpo({ '--data': path }), 'binary.jsonl', 'UTF-8');
    });

    it('a prompt longer than --max-length, by its line', async () => {
      const long = { prompt: 'the sky '.repeat(10), chosen: 'a', rejected: 'b' };
      const path = await workshop.write('long.jsonl', lines([...rows, long]));
      await expectRefusal(
        workshop.dpo({ '--data': path, '--max-length': '16' }),
        'long.jsonl, line 7',
        'within --max-length 16. Raise --max-length',
      );
    });

    it('more held out than there is', () =>
      expectRefusal(workshop.dpo({ '--eval-split': '12' }), 'evaluation split', '12 of 12'));
  });

  describe('model', () => {
    const CASES: Record<string, [Record<string, string | Uint8Array | undefined>, ...(string | RegExp)[]]> = {
      'of another architecture': [
        { 'config.json': JSON.stringify({ ...CONFIG, model_type: 'mamba' }) },
        '"mamba"',
        'llama',
      ],
      'whose configuration is not JSON': [
        { 'config.json': '{\n  "model_type": llama }' },
        /config\.json, line 2/,
      ],
      'without weights': [{ 'model.safetensors': undefined }, 'model.safetensors'],
      'without a tokenizer': [{ 'tokenizer.json': undefined }, 'tokenizer.json'],
      'with a truncated file': [
        { 'model.safetensors': WEIGHTS.slice(0, WEIGHTS.length - 100) },
        'model.safetensors',
        /outside|end at/,
      ],
      'cut inside its header': [{ 'model.safetensors': WEIGHTS.slice(0, 40) }, 'header claims'],
      'with an endless header': [
        { 'model.safetensors': Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 127, 123) },
        'header claims 9223372036854775807',
      ],
      'with offsets outside the file': [
        { 'model.safetensors': hostile((entry) => ({ ...entry, data_offsets: [0, 2 ** 40] })) },
        /outside|overlap/,
      ],
      'with a shape that overflows': [
        { 'model.safetensors': hostile((entry) => ({ ...entry, shape: [2 ** 40, 2 ** 40] })) },
        'overflows',
      ],
      'with a weight missing and one of another shape': [
        {
          'model.safetensors': changedWeights((tensors) => {
            tensors.delete('model.norm.weight');
            tensors.set('lm_head.weight', {
              dtype: 'F32',
              shape: [3, 4],
              data: toFloat32Bytes(new Float32Array(12)),
            });
          }),
        },
        'model.norm.weight is missing',
        'lm_head.weight is (3, 4)',
      ],
      'smaller than its tokenizer': [
        { 'config.json': JSON.stringify({ ...CONFIG, vocab_size: 50 }) },
        /vocab|embeddings|\(50, 32\)/,
      ],
    };
    let number = 0;
    for (const [name, [files, ...parts]] of Object.entries(CASES)) {
      it(name, async () => {
        const model = await workshop.model(`model-${number++}`, files);
        await expectRefusal(workshop.dpo({ '--model': model }), ...parts);
      });
    }

    it('that does not fit its tokenizer', async () => {
      const rows = (name: string) =>
        parseSafetensors(WEIGHTS, 'tiny')
          .tensors.get(name)
          ?.data.slice(0, 50 * 32 * 4) as Uint8Array;
      const weights = changedWeights((tensors) => {
        for (const name of ['model.embed_tokens.weight', 'lm_head.weight']) {
          tensors.set(name, { dtype: 'F32', shape: [50, 32], data: rows(name) });
        }
      });
      const model = await workshop.model('small', {
        'config.json': JSON.stringify({ ...CONFIG, vocab_size: 50 }),
        'model.safetensors': weights,
      });
      await expectRefusal(
        workshop.dpo({ '--model': model }),
        'pairs.jsonl, line 1',
        'token 67',
        'embeddings for 50',
      );
      const generate = ['generate', '--model', model, '--prompt', 'the sky', '--max-tokens', '2'];
      await expectRefusal(generate, 'prompt 1', 'embeddings for 50');
    });
  });

  describe('settings', () => {
    it('unknown target modules, all of them, with the valid ones', () =>
      expectRefusal(
        workshop.dpo({ '--target-modules': 'q_proj,qkv_proj,c_attn' }),
        '"qkv_proj", "c_attn"',
        'q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj',
        'all-linear',
      ));

    for (const [flag, value, part] of [
      ['--beta', '0', '--beta is 0. Give a number above 0'],
      ['--batch-size', '1.5', '--batch-size is 1.5. Give a whole number from 1'],
      ['--lora-r', '0', '--lora-r is 0'],
      ['--loss-type', 'ppo', 'sigmoid'],
      ['--lr-scheduler-type', 'step', 'linear, cosine, constant'],
    ] as const) {
      it(`${flag} ${value}`, () => expectRefusal(workshop.dpo({ [flag]: value }), part));
    }

    it('an invalid number, an unknown flag and a missing one, as usage errors', async () => {
      refused(await workshop.run(workshop.dpo({ '--beta': 'low' })), 2, ['--beta', 'a number']);
      refused(await workshop.run(workshop.dpo({ '--betta': '1' })), 2, ["unknown option '--betta'"]);
      refused(await workshop.run(['dpo', '--model', 'm']), 2, ['--data, --out']);
      refused(await workshop.run(['generate', '--model', 'm']), 2, ['--prompt']);
      refused(await workshop.run(['dance']), 2, ["unknown command 'dance'"]);
      const model = workshop.path('model');
      refused(await workshop.run(workshop.dpo({ '--full': '', '--out': model })), 2, ['--out']);
    });

    it('weights above the cap: their size, cap and what to do, before they are read', () =>
      expectRefusal(workshop.dpo({ '--memory-cap': '64KiB' }), '64.0 KiB', 'memory cap', 'smaller dtype'));

    it('an allocation above the cap: planned size, cap and what to do, before training', () =>
      expectRefusal(workshop.dpo({ '--memory-cap': '500KiB' }), '500.0 KiB', 'memory cap', 'batch size'));
  });

  describe('adapter', () => {
    it('of the wrong shape, with every module', async () => {
      await workshop.write(
        'adapter/adapter_config.json',
        JSON.stringify({ peft_type: 'LORA', r: 2, lora_alpha: 4, target_modules: ['q_proj', 'out'] }),
      );
      const zeros = (rows: number, cols: number): TensorToWrite => ({
        dtype: 'F32',
        shape: [rows, cols],
        data: new Uint8Array(rows * cols * 4),
      });
      const name = (module: string, half: string) => `base_model.model.${module}.lora_${half}.weight`;
      const weights = writeSafetensors(
        new Map([
          [name('model.layers.0.self_attn.q_proj', 'A'), zeros(2, 16)],
          [name('model.layers.0.self_attn.q_proj', 'B'), zeros(32, 2)],
          [name('model.layers.0.out', 'A'), zeros(2, 32)],
          [name('model.layers.0.out', 'B'), zeros(32, 2)],
        ]),
      );
      await workshop.write('adapter/adapter_model.safetensors', weights);
      const args = [
        'generate',
        '--model',
        workshop.path('model'),
        '--adapter',
        workshop.path('adapter'),
        '--prompt',
        'the sky',
      ];
      await expectRefusal(args, 'model.layers.0.out is not in the model', 'q_proj is (32, 16)');
    });

    it('that is missing', () =>
      expectRefusal(
        [
          'logprobs',
          '--model',
          workshop.path('model'),
          '--adapter',
          workshop.path('none'),
          '--input',
          workshop.path('pairs.jsonl'),
        ],
        'none/adapter_config.json',
      ));
  });

  describe('texts to score', () => {
    for (const [name, row, ...parts] of [
      ['neither text nor ids', { words: 'a' }, 'line 2', '"text"', '"words"'],
      ['ids that the model does not have', { ids: [1, 97] }, 'line 2', '97', '96'],
      ['no tokens', { ids: [] }, 'line 2', 'no tokens'],
      ['more tokens than positions', { ids: Array(80).fill(5) }, 'line 2', '80 tokens', '64'],
    ] as const) {
      it(name, async () => {
        const path = await workshop.write('texts.jsonl', lines([{ ids: [1, 2] }, row]));
        await expectRefusal(['logprobs', '--model', workshop.path('model'), '--input', path], ...parts);
      });
    }
  });

  it('no adapter, in a child process', async function () {
    if (process.platform !== 'linux' || process.env.WEBALIGN_ADAPTER === 'native') this.skip();
    // A Vulkan loader that finds no driver simulates a machine without a GPU.
    const env = {
      WEBALIGN_ADAPTER: 'native',
      VK_ICD_FILENAMES: '/nonexistent.json',
      VK_DRIVER_FILES: '/nonexistent.json',
    };
    refused(await workshop.spawn(['doctor', '--json'], { env }), 1, [
      'No GPU adapter found',
      'WEBALIGN_ADAPTER',
    ]);
  });
});

/** The fixture's weights with a changed header entry of the first tensor. */
function hostile(change: (entry: object) => object): Uint8Array {
  const length = Number(new DataView(WEIGHTS.buffer, WEIGHTS.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(WEIGHTS.subarray(8, 8 + length)));
  const name = 'model.embed_tokens.weight';
  header[name] = change(header[name]);
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + WEIGHTS.length - 8 - length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(WEIGHTS.subarray(8 + length), 8 + text.length);
  return bytes;
}

function changedWeights(change: (tensors: Map<string, TensorToWrite>) => void): Uint8Array {
  const tensors = new Map<string, TensorToWrite>(parseSafetensors(WEIGHTS, 'tiny').tensors);
  change(tensors);
  return writeSafetensors(tensors);
}
