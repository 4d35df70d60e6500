/**
 * The weights in a model's files, checked against the requirements of its architecture before anything is uploaded. All
 * problems are reported in one error.
 */
import { InputError, listed } from '../io/errors.ts';
import type { Files } from '../io/files.ts';
import { contentHash } from '../io/hash.ts';
import type { TensorSource } from '../io/safetensors.ts';
import { openWeights } from '../io/weights.ts';
import type { ModelDescription } from './description.ts';
import { fromFiles } from './stored-layout.ts';
import { weightShapes } from './weight-shapes.ts';

/** The weights in a model's files. */
export interface ModelWeights {
  /** In computation order. */
  shapes: ReadonlyMap<string, readonly number[]>;
  /** With the decoder's names and layout. */
  stored: ReadonlyMap<string, TensorSource>;
  /** Matrices of products and embeddings, in any format; everything else is read as f32. */
  matrices: ReadonlySet<string>;
}

/**
 * The complete weights of a model with correct shapes. Throws {@link InputError} with all problems. `check` sees the weights
 * while only the headers of their files have been read.
 */
export async function openModelWeights(
  files: Files,
  description: ModelDescription,
  check?: (weights: ModelWeights) => void,
): Promise<ModelWeights> {
  const { config, architecture, headless = false } = description;
  const shapes = weightShapes(architecture, config);
  const stored = fromFiles(description, await openWeights(files), shapes);
  const { head, embedding } = architecture;
  const isTied = config.tieWordEmbeddings && !headless;
  const [above, under] = [`${head}.weight`, `${embedding}.weight`];
  const alone = isTied && !stored.has(under) ? stored.get(above) : undefined;
  // `save_model` of safetensors keeps one name of shared tensors, the first; transformers ties in both directions.
  if (alone && stored.delete(above)) stored.set(under, alone);
  const findings: string[] = [];
  for (const [name, shape] of shapes) {
    const found = stored.get(name)?.shape;
    if (!found) findings.push(`${name} is missing`);
    else if (found.join() !== shape.join()) {
      findings.push(
        `${name} is (${found.join(', ')}), but (${shape.join(', ')}) according to the configuration`,
      );
    }
  }
  if (findings.length > 0) {
    const wayOut =
      findings.join() === `${above} is missing`
        ? 'Set "tie_word_embeddings": true in config.json if the head is the embedding'
        : 'Use the config.json that belongs to these weights';
    throw new InputError(files.name, listed(findings, 8, '; '), wayOut);
  }
  const isMatrix = ([name, shape]: [string, number[]]) =>
    shape.length === 2 && name !== `${architecture.positions}.weight`;
  const matrices = new Set([...shapes].filter(isMatrix).map(([name]) => name));
  const weights: ModelWeights = { shapes, stored, matrices };
  check?.(weights);
  const own = isTied ? stored.get(above) : undefined;
  // Some files contain the embedding under both names.
  if (own && !(await same(own, stored.get(under)!))) {
    const what = 'is a separate head, but the configuration ties the head to the embedding';
    throw new InputError(own.where, what, 'Set "tie_word_embeddings": false in config.json');
  }
  return weights;
}

/** Whether two tensors have the same bytes. */
async function same(a: TensorSource, b: TensorSource): Promise<boolean> {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return false;
  return (await contentHash(await a.read())) === (await contentHash(await b.read()));
}
