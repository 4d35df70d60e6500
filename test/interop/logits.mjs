/**
 * Writes the logits of every token of given sequences, for `interop.py`. Reads jobs from a JSON file and writes float32 rows
 * (tokens, V), one file per job. Hidden states come from the model; the product with the head is computed here in float64,
 * so that it is rounded only once.
 */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { packSequences } from 'webalign/data';
import { Tape } from 'webalign/gpu';
import { CausalLM, DeviceBatch, readAdapter } from 'webalign/models';
import { folderFiles, openSource, requestGpu } from 'webalign/node';

/**
 * @typedef {object} Job
 * @property {string} model
 * @property {{ path: string, factor?: number }[]} [adapters]
 * @property {Record<string, string>} [named] adapters by name
 * @property {string[]} [order] the names to switch to, one after the other
 * @property {number[][]} sequences
 * @property {string} out
 */

/** @type {Job[]} */
const jobs = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
const gpu = await requestGpu();
for (const { model: folder, adapters = [], named = {}, order = [], sequences, out } of jobs) {
  const model = await CausalLM.load(gpu, await openSource(folder), { dtype: 'float32' });
  for (const { path, factor = 1 } of adapters) {
    model.attach(await readAdapter(folderFiles(path))).factor = factor;
  }
  for (const [name, path] of Object.entries(named))
    model.loadAdapter(await readAdapter(folderFiles(path)), name);
  writeFileSync(out, '');
  for (const name of order.length > 0 ? order : [[]]) {
    model.setAdapter(name);
    appendFileSync(out, await logitsOf(model, sequences));
  }
  model.dispose();
}
gpu.dispose();

/** @param {import('webalign').CausalLM} model @param {number[][]} sequences */
async function logitsOf(model, sequences) {
  // The state of a completion's last token is never computed, so each sequence gets one more token.
  const packed = packSequences(
    sequences.map(([first, ...rest]) => ({ prompt: [first ?? 0], completion: [...rest, 0] })),
  );
  const batch = new DeviceBatch(gpu, packed);
  const tape = Tape.forInference(gpu);
  const hidden = new Float32Array(await gpu.read(model.hidden(tape, batch)));
  const head = new Float32Array(await gpu.read(model.head));
  tape.dispose();
  batch.dispose();
  const logits = product(hidden, head, model.config.hiddenSize);
  const cap = model.config.logitSoftCap ?? Infinity;
  const capped = (/** @type {number} */ logit) => (cap === Infinity ? logit : cap * Math.tanh(logit / cap));
  return new Uint8Array(logits.map((logit) => capped(logit * model.logitScale)).buffer);
}

/** (N, d) by (V, d) to (N, V). @param {Float32Array} hidden @param {Float32Array} head @param {number} d */
function product(hidden, head, d) {
  const [rows, columns] = [hidden.length / d, head.length / d];
  return Float32Array.from({ length: rows * columns }, (_, at) => {
    const [n, v] = [Math.floor(at / columns) * d, (at % columns) * d];
    let sum = 0;
    for (let i = 0; i < d; i++)
      sum += /** @type {number} */ (hidden[n + i]) * /** @type {number} */ (head[v + i]);
    return sum;
  });
}
