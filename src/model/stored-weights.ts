/**
 * The weights that a model's files hold, checked against what its architecture needs before anything is uploaded. All findings
 * come in one error.
 */
import { InputError, listed } from '../io/errors.ts';
import type { Files } from '../io/files.ts';
import { contentHash } from '../io/hash.ts';
import type { TensorSource } from '../io/safetensors.ts';
import { openWeights } from '../io/weights.ts';
import type { ModelDescription } from './description.ts';
import { fromFiles } from './stored-layout.ts';
import { weightShapes } from './weight-shapes.ts';

/** What a model's files hold of its weights. */
export interface ModelWeights {
  /** In the order of the computation. */
  shapes: ReadonlyMap<string, readonly number[]>;
  /** With the names and the layout that the decoder reads. */
  stored: ReadonlyMap<string, TensorSource>;
  /** Those that products and embeddings read, in any format; all else is read in f32. */
  matrices: ReadonlySet<string>;
}

/** The weights of a model, all there and in the right shapes. Throws {@link InputError} with all that is wrong. */
export async function openModelWeights(files: Files, description: ModelDescription): Promise<ModelWeights> {
  const { config, architecture, headless = false } = description;
  const shapes = weightShapes(architecture, config);
  const stored = fromFiles(description, await openWeights(files), shapes);
  const { head, embedding } = architecture;
  const findings: string[] = [];
  for (const [name, shape] of shapes) {
    const found = stored.get(name)?.shape;
    if (!found) findings.push(`${name} is missing`);
    else if (found.join() !== shape.join()) {
      findings.push(`${name} is (${found.join(', ')}), the configuration says (${shape.join(', ')})`);
    }
  }
  if (findings.length > 0) {
    const wayOut =
      findings.join() === `${head}.weight is missing`
        ? 'Set "tie_word_embeddings": true in config.json if the head is the embedding'
        : 'Use the config.json that belongs to these weights';
    throw new InputError(files.name, listed(findings, 8, '; '), wayOut);
  }
  const own = config.tieWordEmbeddings && !headless ? stored.get(`${head}.weight`) : undefined;
  // Some files hold the embedding under both names.
  if (own && !(await same(own, stored.get(`${embedding}.weight`) as TensorSource))) {
    const what = 'is a head of its own, and the configuration ties the head to the embedding';
    throw new InputError(own.where, what, 'Set "tie_word_embeddings": false in config.json');
  }
  const isMatrix = ([name, shape]: [string, number[]]) =>
    shape.length === 2 && name !== `${architecture.positions}.weight`;
  return { shapes, stored, matrices: new Set([...shapes].filter(isMatrix).map(([name]) => name)) };
}

/** Whether two tensors hold the same bytes. */
async function same(a: TensorSource, b: TensorSource): Promise<boolean> {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return false;
  return (await contentHash(await a.read())) === (await contentHash(await b.read()));
}
