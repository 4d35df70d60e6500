/**
 * The inputs that the fuzzer begins with: small valid folders of every format, most of them written by our own writers, and
 * words of each format.
 */
import { encodeCheckpoint } from '../../src/io/checkpoint.ts';
import { parseExactJson } from '../../src/io/exact-json.ts';
import { NUMBER_TYPES, type NumberType } from '../../src/io/gguf/writer.ts';
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS } from '../../src/io/peft.ts';
import { type TensorToWrite, writeSafetensors } from '../../src/io/safetensors.ts';
import {
  GENERATION_CONFIG,
  MODEL_CONFIG,
  MODEL_GGUF,
  MODEL_INDEX,
  MODEL_WEIGHTS,
} from '../../src/io/weights.ts';
import tables from '../fixtures/tables.json' with { type: 'json' };
import llama from '../fixtures/tiny-llama/config.json' with { type: 'json' };
import trl from '../fixtures/trl-pairs.json' with { type: 'json' };
import { FIXTURES } from '../model/fixtures.ts';
import { BYTE_TOKENIZER, ggufNumbers, PIECE_TOKENIZER, TINY_LLAMA, tinyGguf } from '../support/gguf.ts';
import { base64Bytes, type Folder, jsonBytes, textBytes, textOf } from './folder.ts';
import seeds from './seeds.json' with { type: 'json' };

const { gemma3, llama3, qwen2 } = FIXTURES;

/** Bytes for each element of the types that seeds have. */
export const ELEMENT_BYTES = { BOOL: 1, U8: 1, I8: 1, F16: 2, BF16: 2, F32: 4, I64: 8 } as const;

function tensor(dtype: keyof typeof ELEMENT_BYTES, ...shape: number[]): TensorToWrite {
  const length = shape.reduce((product, size) => product * size, ELEMENT_BYTES[dtype]);
  return { dtype, shape, data: Uint8Array.from({ length }, (_, i) => i * 37) };
}

const file = (tensors: Record<string, TensorToWrite>, metadata?: Record<string, string>) =>
  writeSafetensors(new Map(Object.entries(tensors)), metadata);

const first = { 'a.weight': tensor('F32', 2, 3), b: tensor('F16', 3), empty: tensor('U8', 0, 5) };
const second = { 'model.norm.weight': tensor('BF16', 4), scalar: tensor('I64'), c: tensor('BOOL', 7) };

export const safetensors: Folder[] = [
  { [MODEL_WEIGHTS]: file(first, { format: 'pt', 'a "b"': 'é' }) },
  { [MODEL_WEIGHTS]: file(second) },
];

const weight_map = { 'a.weight': 'one.safetensors', b: 'one.safetensors', c: 'two.safetensors' };
export const shards: Folder[] = [
  {
    [MODEL_INDEX]: jsonBytes({ metadata: { total_size: 1 }, weight_map }),
    'one.safetensors': file(first),
    'two.safetensors': file(second),
  },
];

export const configs: Folder[] = [
  llama,
  ...Object.values(FIXTURES).map((fixture) => fixture.config),
  { ...llama3.config, quantization_config: null },
  { ...qwen2.config, rope_scaling: { type: 'linear', factor: 2 }, rope_theta: 1e4 },
].map((config) => ({ [MODEL_CONFIG]: jsonBytes(config) }));
const sampling = { do_sample: true, temperature: 0.6, top_p: 0.9, transformers_version: '5.24.0' };
for (const eos_token_id of [2, [2, 7]]) {
  const generation = { bos_token_id: 1, eos_token_id, pad_token_id: 0, ...sampling };
  configs.push({ [MODEL_CONFIG]: jsonBytes(llama), [GENERATION_CONFIG]: jsonBytes(generation) });
}

const module = (name: string) => `base_model.model.model.layers.0.${name}`;
const adapterConfig = { ...gemma3.adapterConfig, r: 2, target_modules: ['q_proj', 'up_proj'] };
export const adapters: Folder[] = [
  {
    [ADAPTER_CONFIG]: jsonBytes(adapterConfig),
    [ADAPTER_WEIGHTS]: file({
      [module('self_attn.q_proj.lora_A.weight')]: tensor('F32', 2, 4),
      [module('self_attn.q_proj.lora_B.weight')]: tensor('F32', 6, 2),
      [module('mlp.up_proj.lora_A.weight')]: tensor('BF16', 2, 4),
      [module('mlp.up_proj.lora_B.weight')]: tensor('F16', 8, 2),
    }),
  },
  {
    [ADAPTER_CONFIG]: jsonBytes({
      ...adapterConfig,
      target_modules: ['q_proj'],
      task_type: 'SEQ_CLS',
      modules_to_save: ['classifier', 'score'],
    }),
    [ADAPTER_WEIGHTS]: file({
      [module('self_attn.q_proj.lora_A.weight')]: tensor('F32', 2, 4),
      [module('self_attn.q_proj.lora_B.weight')]: tensor('F32', 6, 2),
      'base_model.model.score.weight': tensor('F32', 1, 4),
    }),
  },
];

export const json: Folder[] = [
  { 'x.json': jsonBytes(adapterConfig) },
  { 'x.json': textBytes('\ufeff [1, -2.5e3, "\\u00e9", null, {"": [[]]}]\n') },
];

const state = {
  step: 3,
  tokens: 12,
  numTokens: 14,
  log: [{ type: 'step', step: 1, epoch: 0.5, metrics: { loss: 0.5 } }],
};

export async function checkpoints(): Promise<Folder[]> {
  const tensors = new Map([
    ['values/a', Float32Array.of(1, 2)],
    ['b', new Float32Array(5)],
  ]);
  return [{ checkpoint: await encodeCheckpoint({ configHash: '0f', state, tensors }) }];
}

export const ggufs: Folder[] = [
  { [MODEL_GGUF]: tinyGguf(BYTE_TOKENIZER) },
  { [MODEL_GGUF]: tinyGguf(PIECE_TOKENIZER) },
];

/** The same as JSON, to be changed in meaningful ways: metadata, and other tensors. */
export const ggufParts: Folder[] = [BYTE_TOKENIZER, PIECE_TOKENIZER].map((tokenizer) => {
  const metadata = Object.entries({ ...TINY_LLAMA, 'general.type': 'model', ...tokenizer });
  const plain = metadata.map(([key, value]) =>
    typeof value === 'object' && 'of' in value
      ? [key, { of: value.of, value: Array.from(value.value) }]
      : [key, value],
  );
  return {
    'parts.json': jsonBytes({ metadata: Object.fromEntries(plain), shapes: { 'output.weight': [8, 8] } }),
  };
});

/** The file of {@link ggufParts}; undefined if no file can hold these values. */
export function ggufOf(parts: Uint8Array): Uint8Array<ArrayBuffer> {
  try {
    const { metadata, shapes } = JSON.parse(textOf(parts) ?? '');
    const values = Object.entries(metadata).map(([key, value]) => {
      const numbers = value as { of: NumberType; value: number[] };
      return [key, numbers.of in NUMBER_TYPES ? ggufNumbers(numbers.of, numbers.value) : (value as string)];
    });
    const sizes = Object.values<number[]>(shapes).map((shape) => shape.reduce((a, b) => a * b, 1));
    // The file would be too large to create.
    if (sizes.some((size) => size > 2 ** 16)) return new Uint8Array();
    return tinyGguf(Object.fromEntries(values), shapes);
  } catch {
    return new Uint8Array();
  }
}

export const runStates: Folder[] = [{ 'state.json': jsonBytes(state) }];

export const HUB = 'https://hub.example';
const commit = 'c0ffee'.padEnd(40, '0');
/** The hub's answers about a repository, page by page, and one of its files. */
export const hubs: Folder[] = [
  {
    'revision.json': jsonBytes({ sha: commit }),
    'tree.json': jsonBytes([
      { type: 'file', path: 'README.md', size: 3, oid: 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391' },
      { type: 'directory', path: 'sub', oid: 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391', size: 0 },
    ]),
    link: textBytes(`<${HUB}/api/models/hostile/tiny/tree/${commit}?cursor=2>; rel="next"`),
    'more.json': jsonBytes([
      { type: 'file', path: 'config.json', size: 2, oid: '9e26dfeeb6e641a33dae4961196235bdb965b21b' },
      {
        type: 'file',
        path: 'big',
        size: 9,
        oid: 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391',
        lfs: { oid: '0'.repeat(64), size: 9 },
      },
    ]),
    'config.json': textBytes('{}'),
  },
];

/** The hub's answer to a request. */
export function hubAnswer(folder: Folder, url: string): Response {
  const [, name = 'config.json'] = /(revision|tree)/.exec(url) ?? [];
  const file = url.includes('cursor') ? 'more.json' : url.includes('/api/') ? `${name}.json` : 'config.json';
  const link = textOf(folder.link ?? new Uint8Array()) ?? '';
  const bytes = folder[file] ?? new Uint8Array();
  const headers = new Headers({ 'content-length': String(bytes.length) });
  // The second page is the last, unless the link says otherwise.
  const leads = file === 'tree.json' || (file === 'more.json' && link.includes('again'));
  if (leads && /^[\x21-\x7e][\x20-\x7e]*$/.test(link)) headers.set('link', link);
  return new Response(bytes, { headers });
}

/** A valid tokenizer, for inputs that are not about tokenizers. */
export const tokenizer: Folder = {
  'tokenizer.json': jsonBytes(trl.tokenizer),
  'tokenizer_config.json': jsonBytes(trl.tokenizerConfig),
};
const special = { bos_token: { content: '<s>' }, additional_special_tokens: ['<|user|>'] };
export const tokenizers: Folder[] = [
  tokenizer,
  { ...tokenizer, 'special_tokens_map.json': jsonBytes(special) },
  ...Object.values(seeds.tokenizers).map((json) => ({ ...tokenizer, 'tokenizer.json': jsonBytes(json) })),
  ...seeds.unfolding.steps.map((steps) => ({
    ...tokenizer,
    'tokenizer.json': jsonBytes({ ...trl.tokenizer, ...steps }),
  })),
];
export const templates: Folder[] = [...seeds.templates, ...seeds.unfolding.templates].map((template) => ({
  'chat_template.jinja': textBytes(template),
}));

export const messages = [
  { role: 'system', content: 'the sky' },
  { role: 'user', content: 'hi é 😀' },
  { role: 'assistant', content: ' a\n' },
];
const answer = { role: 'assistant', content: 'no', tool: [1] };
export const rows: Folder[] = [
  [
    { prompt: 'the', chosen: ' sky', rejected: ' sea' },
    { chosen: 'a b c', rejected: 'a b d' },
    { chosen: messages, rejected: [...messages.slice(0, 2), answer] },
  ],
  [
    { prompt: 'a', completion: ' b', label: true },
    { prompt: 'a', completion: ' c', label: 0 },
  ],
  [{ text: 'the sky' }, { messages }],
  [{ prompt: 'the', completion: ' sky' }, { completion: ' sea' }],
].flatMap((list) => [
  { 'rows.jsonl': textBytes(`${list.map((row) => JSON.stringify(row)).join('\n\r\n')}\n`) },
  { 'rows.jsonl': jsonBytes(list) },
]);

type Rows = readonly Readonly<Record<string, unknown>>[];
const parquet = Object.values(tables.parquet).map(({ file, rows }) => ({
  file,
  rows: parseExactJson(rows, 'tables.json') as Rows,
}));
const csv = Object.entries<{ text: string; rows: Rows }>(tables.csv);
export const parquets: Folder[] = [...parquet.map(({ file }) => file), ...seeds.unfolding.parquets].map(
  (file) => ({ 'rows.parquet': base64Bytes(file) }),
);
export const csvs: Folder[] = csv.map(([name, { text }]) => ({
  [name.replace(/^\w+/, 'rows')]: textBytes(text),
}));
const tableRows = [...parquet, ...csv.map(([, table]) => table)].flatMap(({ rows }) => rows);
/** Of all tables. */
export const COLUMNS = [...new Set(tableRows.flatMap((row) => Object.keys(row)))];

/** Words separated by two spaces, since some contain one. */
const words = (text: string) => text.trim().split(/ {2,}|\n\s*/);

export const WORDS = {
  shards: words('one.safetensors  two.safetensors  ../one.safetensors  weight_map  __metadata__  empty'),
  configs: words(`
    llama  mistral  qwen2  qwen3  gemma3_text  gpt2  full_attention  sliding_attention  llama3  linear  yarn  default
    layer_types  rope_scaling  rope_parameters  rope_theta  sliding_window  use_sliding_window  silu  gelu_new  head_dim
    rope_local_base_freq  sliding_window_pattern  max_window_layers  partial_rotary_factor  n_positions  n_embd  n_layer
    eos_token_id  granite  smollm3  attention_multiplier  logits_scaling  no_rope_layers  no_rope_layer_interval
    gemma2  final_logit_softcapping  olmo2  phi3  longrope  short_factor  long_factor  attention_factor  original_max_position_embeddings`),
  adapters: words(
    'all-linear  q_proj  LORA  gaussian  none  base_model.model.  .lora_A.weight  .lora_B.weight  up_proj',
  ),
  ggufs: words(`
    general.architecture  llama  qwen2  qwen3  gemma3  gpt2  general.type  adapter  general.alignment  tokenizer.ggml.pre  gpt-2
    llama.rope.scaling.type  llama.rope.scaling.factor  yarn  linear  llama.attention.sliding_window  tokenizer.ggml.scores
    rope_freqs.weight  output.weight  llama-bpe  qwen2  tekken  default  smaug-bpe  tokenizer.chat_template  blk.0.attn_q.weight
    granite  smollm3  olmo2  phi3  rope_factors_short.weight  llama.attention.scale  llama.logit_scale  llama.attention.key_length  llama.rope.dimension_count  tokenizer.ggml.add_bos_token  tokenizer.ggml.add_space_prefix`),
  hubs: words(
    'sha  oid  lfs  size  path  type  file  directory  config.json  ../x  again  http://[  //evil.example/  rel="next"',
  ),
  checkpoints: words(
    'format  version  configHash  state  sha256  webalign-checkpoint  __metadata__  values/',
  ),
  tokenizers: words(`
    BPE  WordPiece  Unigram  WordLevel  Sequence  ByteLevel  Split  Metaspace  Digits  Punctuation  Whitespace  Fuse  CTC
    WhitespaceSplit  Replace  NFKC  NFD  Strip  StripAccents  Precompiled  TemplateProcessing  RobertaProcessing  BPEDecoder
    BertProcessing  ByteFallback  first  never  MergedWithPrevious  Contiguous  Removed  (?i:a)  bos_token  eos_token  [UNK]`),
  templates: words(`
    {% for m in messages %}  {% endfor %}  {% if x %}  {% else %}  {% endif %}  {{ messages }}  {%- set x = 1 -%}  {#  #}
    range(9)  | tojson  | map(attribute="role")  | join  | length  .split()  [::-1]  in  is defined  if x else y  not
    {% macro f(x) %}  {% endmacro %}  {{ f(1) }}  {% call f() %}  {% endcall %}  {% break %}  {% continue %}  **  ~  %
    namespace(a=1)  loop.index  strftime_now("%d")  | indent(2)  | replace("a", "b")  constructor  __proto__  | items`),
  rows: words('prompt  chosen  rejected  completion  label  text  messages  role  content  where'),
};
