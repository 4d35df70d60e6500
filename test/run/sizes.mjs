/**
 * The download size of pages: bundles three pages from the package's own entries, prints their gzipped sizes beside their
 * limits, and exits with 1 if one is above. `--files 30` lists the largest files of each bundle.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import * as esbuild from 'esbuild';
import { build } from '../../esbuild.config.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const { values } = parseArgs({ options: { files: { type: 'string', default: '0' } } });

/**
 * Sizes in kB (1000 bytes): the limit that no change may exceed, and the goal. The difference is for kernels that only some
 * devices use, and architectures that only some models have. Chat templates are loaded with the tokenizer's files.
 */
const PAGES = [
  {
    name: 'trains DPO from token ids',
    code: "import { CausalLM, DPOTrainer, requestGpu } from 'webalign'; keep({ CausalLM, DPOTrainer, requestGpu });",
    limit: 102.5,
    goal: 95,
  },
  {
    name: 'trains DPO from texts and conversations',
    code: "import { CausalLM, DPOTrainer, requestGpu, Tokenizer } from 'webalign'; keep({ CausalLM, DPOTrainer, requestGpu, Tokenizer });",
    limit: 126.5,
    goal: 125,
  },
  {
    name: 'takes the softmax of its own logits',
    code: "import { requestGpu } from 'webalign/gpu'; import { softmax } from 'webalign/logits'; keep({ requestGpu, softmax });",
    limit: 15,
    goal: 15,
  },
];

/** @typedef {esbuild.Metafile['outputs']} Outputs */

/** The chunks that are loaded with `first`: everything reached by static imports. @param {Outputs} outputs @param {string[]} first */
function loadedWith(outputs, first) {
  const found = new Set(first);
  for (const path of found) {
    for (const { kind, path: next } of outputs[path]?.imports ?? [])
      if (kind === 'import-statement') found.add(next);
  }
  return [...found];
}

/** @param {(typeof PAGES)[number]} page */
async function measure({ name, code, limit, goal }) {
  const { metafile, outputFiles } = await esbuild.build({
    absWorkingDir: root,
    bundle: true,
    format: 'esm',
    minify: true,
    splitting: true,
    write: false,
    metafile: true,
    outdir: 'dist/pack',
    logLevel: 'warning',
    // As installed: not by the paths that TypeScript uses here.
    tsconfigRaw: '{}',
    stdin: { contents: `${code}\nfunction keep(used) { globalThis.used = used; }`, resolveDir: root },
  });
  const { outputs } = metafile;
  const first = Object.keys(outputs).filter((path) => outputs[path]?.entryPoint === '<stdin>');
  const loaded = loadedWith(outputs, first);
  const sizes = loaded.map((path) => {
    const file = outputFiles.find((each) => each.path.endsWith(path));
    if (!file) throw new Error(`${path} is not among the files of the bundle`);
    return gzipSync(file.contents, { level: 9 }).length;
  });
  const size = sizes.reduce((sum, each) => sum + each, 0) / 1000;
  console.log(`sizes: a page that ${name}: ${size.toFixed(1)} kB gzipped, limit ${limit}, goal ${goal}`);
  const inputs = loaded.flatMap((path) => Object.entries(outputs[path]?.inputs ?? {}));
  const largest = inputs.toSorted(([, a], [, b]) => b.bytesInOutput - a.bytesInOutput);
  for (const [path, { bytesInOutput }] of largest.slice(0, Number(values.files)))
    console.log(`  ${String(bytesInOutput).padStart(6)} ${path}`);
  return size <= limit;
}

await build(['library']);
let isFine = true;
for (const page of PAGES) isFine = (await measure(page)) && isFine;
process.exit(isFine ? 0 : 1);
