/**
 * Every lookup in a plain object by a name that is not known at compile time: it uses a function of `src/base/lookup.ts`,
 * which finds own properties only, or it is listed here with the reason.
 */
import { expect } from 'chai';
import type { BinaryExpression, ElementAccessExpression, Node } from 'typescript/unstable/ast';
import { SyntaxKind } from 'typescript/unstable/ast';
import { TypeFlags } from 'typescript/unstable/sync';
import { filesBelow } from './sources.ts';
import { nodesOf, TypedSources, textOfNode } from './typed.ts';

const WRITTEN = 'is written: a new object, by names of ours';

/** Lookups that are allowed without it. */
const ALLOWED: Record<string, Record<string, string>> = {
  'src/gpu/pipelines.ts': { 'overrides[name]': WRITTEN, 'replaced[name]': WRITTEN },
  'src/gpu/tuner.ts': { 'choices[name]': 'counts: names of variants' },
  'src/io/weights.ts': { 'contents[name]': WRITTEN },
  'src/io/gguf/tokenizer.ts': { 'found[name]': WRITTEN },
  'src/losses/units.ts': { 'means[name]': WRITTEN },
  'src/train/metrics.ts': {
    'means[name]': WRITTEN,
    'part[name]': 'a name of one of the parts, which all have the same',
  },
  'src/rollout/rewards.ts': { 'metrics[metric]': WRITTEN },
  'src/node/yield-cpu.ts': {
    '(globals as Record<string, { prototype: Record<string, Wait> }>)[name]':
      "names of Dawn's classes, of ours",
  },
  'src/node/chromium.ts': { 'process.env[name]': 'names of ours; the environment is no plain object' },
  'src/cli/report/html.ts': { 'ENTITIES[character]': 'one of the five characters that the pattern finds' },
  'src/cli/trl-export.ts': { 'files[`${name}.jsonl`]': WRITTEN, 'files[`${name}.ids.jsonl`]': WRITTEN },
  'src/model/merged-model.ts': { 'files[path]': WRITTEN },
  'demos/studio/everything.ts': {
    'files[`${folder}/${stepFolder(step)}/${name}`]': WRITTEN,
    'files[`${folder}/run.json`]': WRITTEN,
    'files[`${folder}/${name}`]': WRITTEN,
  },
  'src/testing/narrowed.ts': {
    'defaults[name as string]':
      'behind a test for its own entries; a page gets this file as text, without imports',
    'defaults[name]': 'behind a test for its own entries; a page gets this file as text, without imports',
  },
  'src/testing/run-shader.ts': { 'buffers[each.name]': 'names of own entries: others are refused before' },
  'src/testing/test-gpu.ts': {
    '(adapter.limits as unknown as Record<string, unknown>)[name]': 'a name that the limits list',
    'requiredLimits[name]': WRITTEN,
  },
  'src/testing/watch.ts': { 'kinds[error.constructor.name]': "names of WebGPU's classes" },
  'demos/align/telling.ts': { 'metrics[prefix + name]': 'names of ours' },
  'demos/optimum/camera.ts': { 'KEYS[event.key]': 'names of keys on a keyboard' },
};

/** The key and the object of `object[key]` and of `key in object`. */
function lookup(node: Node): { key: Node; object: Node } | undefined {
  if (node.kind === SyntaxKind.ElementAccessExpression) {
    const { argumentExpression, expression } = node as ElementAccessExpression;
    return { key: argumentExpression, object: expression };
  }
  if (node.kind !== SyntaxKind.BinaryExpression) return undefined;
  const { left, right, operatorToken } = node as BinaryExpression;
  return operatorToken.kind === SyntaxKind.InKeyword ? { key: left, object: right } : undefined;
}

/** Types of keys that may be any text, thus neither literals nor numbers. */
const OPEN = TypeFlags.String | TypeFlags.TemplateLiteral | TypeFlags.Any | TypeFlags.Unknown;

describe('lookups in plain objects', () => {
  let sources: TypedSources;
  before(() => {
    sources = new TypedSources();
  });
  after(() => sources.close());

  it('by external names only see own entries', () => {
    const found = ['src', 'demos']
      .flatMap((folder) => filesBelow(folder, '.ts'))
      .filter((path) => !path.endsWith('.d.ts'))
      .flatMap((path) => {
        const file = sources.file(path);
        const nodes = nodesOf(file).filter(lookup);
        const types = sources.checker.getTypeAtLocation(nodes.map((node) => lookup(node)!.key));
        const open = nodes.filter((_, i) => {
          const type = types[i];
          const parts = type?.isUnionType() ? (type.getTypes() ?? []) : [type];
          return parts.some((part) => part && (part.flags & OPEN) !== 0);
        });
        return open.map((node) => ({ path, text: textOfNode(node, file) }));
      });
    const unexplained = found.filter(({ path, text }) => ALLOWED[path]?.[text] === undefined);
    expect(unexplained.map(({ path, text }) => `${path}: ${text}`)).to.deep.equal([]);
    // A reason for something that no longer exists must go.
    const left = Object.entries(ALLOWED).flatMap(([path, texts]) =>
      Object.keys(texts).filter((text) => !found.some((each) => each.path === path && each.text === text)),
    );
    expect(left).to.deep.equal([]);
  });
});
