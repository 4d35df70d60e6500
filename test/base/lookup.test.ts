/**
 * Names that every object has. No lookup by a name from outside may find them: they are refused with the same message as
 * other unknown names, or they are not found.
 */
import { expect } from 'chai';
import { isOwn, own } from '../../src/base/lookup.ts';
import { parseCsv } from '../../src/data/csv.ts';
import { LABELLED } from '../../src/data/labelled-dataset.ts';
import { parseConfigText } from '../../src/io/config.ts';
import { memoryFiles } from '../../src/io/files.ts';
import { ggufConfig } from '../../src/io/gguf/config.ts';
import { GgufMetadata } from '../../src/io/gguf/metadata.ts';
import { ggufTokenizer } from '../../src/io/gguf/tokenizer.ts';
import { LORA } from '../../src/io/lora-settings.ts';
import { readAdapter, writeAdapter } from '../../src/io/peft.ts';
import { isBlocks } from '../../src/io/quantised.ts';
import { parseSafetensors } from '../../src/io/safetensors.ts';
import { isSingleFile } from '../../src/io/single-file.ts';
import { divergenceNamed } from '../../src/losses/divergences.ts';
import { FAMILIES } from '../../src/losses/families.ts';
import { lossOf } from '../../src/losses/family.ts';
import { lossOptions } from '../../src/losses/options.ts';
import { lossShader } from '../../src/losses/shader.ts';
import { DIALECTS } from '../../src/model/architectures.ts';
import { checkDtype } from '../../src/model/precision.ts';
import { ratedWords } from '../../src/rollout/sentiment.ts';
import { estimateKl, type KlEstimator } from '../../src/theory/estimators.ts';
import { resolveConfig, resolveLoraConfig, TRAINERS } from '../../src/train/config.ts';
import { lossOfCase } from '../../src/train/loss-cases/loss-case.ts';
import { trlArguments } from '../../src/train/settings/trl-arguments.ts';
import { tinyLlama } from '../reference/fixtures.ts';

const INHERITED = ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__'];

const CONFIG = JSON.parse(new TextDecoder().decode(tinyLlama.files.get('config.json'))) as object;
const configWith = (more: object) =>
  parseConfigText(JSON.stringify({ ...CONFIG, ...more }), 'config.json', DIALECTS);
/** An object with an own property of that name, `__proto__` included. */
const entry = (name: string, value: unknown) => Object.fromEntries([[name, value]]);
const metadata = (entries: Record<string, string>) =>
  new Map(Object.entries(entries).map(([key, value]) => [key, { type: 'string', value }] as const));

/** Lookups that throw for a name that they do not have. */
const REFUSE: Record<string, (name: string) => unknown> = {
  'model_type of config.json': (name) => configWith({ model_type: name }),
  'hidden_act of config.json': (name) => configWith({ hidden_act: name }),
  'rope_type of config.json': (name) =>
    configWith({ rope_parameters: null, rope_scaling: { rope_type: name, factor: 2 } }),
  'rope_parameters of config.json': (name) =>
    configWith({ rope_parameters: { rope_type: name, rope_theta: 1e4 } }),
  'architecture of GGUF': (name) =>
    ggufConfig(
      { metadata: metadata({ 'general.architecture': name }), tensors: new Map() } as never,
      'x.gguf',
    ),
  'tokenizer of GGUF': (name) =>
    ggufTokenizer(new GgufMetadata(metadata({ 'tokenizer.ggml.model': name }) as never, 'x.gguf')),
  'dtype of a tensor': (name) => parseSafetensors(safetensors(name), 'x.safetensors'),
  dtype: (name) => checkDtype(name),
  'driver of an objective': (name) => lossShader('x.wgsl', `#include "${name}"\n`),
  'option of an objective': (name) =>
    lossOptions({ name: 'x', options: { beta: { default: 1 } } }, entry(name, 1) as never),
  'objective of a family': (name) => lossOf(FAMILIES.dpo, { lossType: name }),
  'divergence of a loss': (name) => lossOf(FAMILIES.dpo, { lossType: 'sigmoid', fDivergence: name }),
  'objective of a case': (name) => lossOfCase({ objective: name }, 'case', []),
  'option of a case': (name) => lossOfCase({ objective: 'dpo', options: entry(name, 1) }, 'case', []),
  'estimator of KL': (name) => estimateKl([0], [0], name as KlEstimator),
  'setting of a run': (name) => resolveConfig(TRAINERS.dpo, entry(name, 1)),
  'setting of LoRA': (name) => resolveLoraConfig(entry(name, 1)),
  'schedule of a run': (name) => resolveConfig(TRAINERS.sft, { lrSchedulerType: name }),
  'activations of a run': (name) => resolveConfig(TRAINERS.dpo, { savedActivations: name }),
  'divergence of a run': (name) => resolveConfig(TRAINERS.dpo, { fDivergence: name }),
  'setting for TRL': (name) => trlArguments(entry(name, 1)),
};

/** Lookups that return undefined for it. */
const FIND_NOTHING: Record<string, (name: string) => unknown> = {
  own: (name) => own({ a: 1 }, name),
  isOwn: (name) => (isOwn({ a: 1 }, name) ? name : undefined),
  'file of a folder': async (name) => ((await memoryFiles({}).exists(name)) ? name : undefined),
  'file that is a model': (name) => (isSingleFile(`model.${name}`) ? name : undefined),
  'blocks of a dtype': (name) => (isBlocks(name as never) ? name : undefined),
  divergence: divergenceNamed,
  'rating of a word': (name) => ratedWords(name)[0],
};

describe('lookups by names of inherited properties', () => {
  for (const [what, find] of Object.entries(REFUSE)) {
    it(`reject a ${what}`, async () => {
      for (const name of INHERITED) {
        const error = await Promise.resolve()
          .then(() => find(name))
          .then(
            () => undefined,
            (reason: unknown) => reason,
          );
        expect(error, name).to.be.instanceOf(Error);
        // A refusal with a message, not a crash.
        expect(error, name).to.not.be.instanceOf(TypeError);
        expect((error as Error).message, name).to.match(
          /Known|[Ss]upported|Give|write #include|its options|Export|offered/,
        );
      }
    });
  }

  for (const [what, find] of Object.entries(FIND_NOTHING)) {
    it(`find no ${what}`, async () => {
      for (const name of INHERITED) expect(await find(name), name).to.equal(undefined);
    });
  }

  it('keep a CSV label unchanged', () => {
    for (const name of INHERITED) {
      const { rows } = parseCsv(`prompt,completion,label\na,b,${name}\n`, 'x.csv', [','], LABELLED);
      const [row] = rows;
      expect(row?.value.label).to.equal(name);
    }
  });

  it("keep a layer's own rank for any name", async () => {
    const config = { r: 2, loraAlpha: 4, targetModules: INHERITED, useRslora: false };
    const of = (r: number) => ({ a: new Float32Array(2 * r), b: new Float32Array(2 * r), r, in: 2, out: 2 });
    const weights = new Map(INHERITED.map((name, i) => [name, of(i + 1)]));
    const files = writeAdapter({ config, baseModel: '', weights });
    const again = await readAdapter(memoryFiles({ ...files }));
    for (const [i, name] of INHERITED.entries()) expect(again.weights.get(name)?.r, name).to.equal(i + 1);
    expect(Object.keys(LORA)).to.not.include.members(INHERITED);
  });
});

/** A file of one tensor whose dtype is `name`. */
function safetensors(name: string): Uint8Array<ArrayBuffer> {
  const header = new TextEncoder().encode(
    JSON.stringify({ w: { dtype: name, shape: [0], data_offsets: [0, 0] } }),
  );
  const file = new Uint8Array(8 + header.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, 8);
  return file;
}
