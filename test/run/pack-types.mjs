/**
 * Projects that import the package's types, compiled by TypeScript 5.4 to 7: with the DOM and every declaration checked; in a worker
 * and without either, where TypeScript 5 does not check declarations, because `@webgpu/types` needs the DOM.
 */
import { join } from 'node:path';
import { installFor, project, root, step, write } from './pack-project.mjs';

const LIBRARIES = {
  dom: ['es2022', 'dom', 'dom.iterable'],
  worker: ['es2022', 'webworker'],
  plain: ['es2022'],
};

/** @typedef {{ version: string, checks: (keyof typeof LIBRARIES)[], alias?: string }} Compiler */

/** One of these runs per day; the project's own compiler runs every day. @type {Compiler[]} */
const COMPILERS = [
  { version: '5.4', checks: ['dom'] },
  { version: '5.9', checks: ['dom'] },
  { version: '6', checks: ['dom', 'worker', 'plain'] },
];

/** Uses what a page uses, and members of WebGPU's own types if they are available. */
const CONSUMER = `
import { CausalLM, DPOTrainer, Tokenizer, readPreferenceRows, requestGpu, writeAdapter } from 'webalign';
IMPORTS

export async function train(source: string): Promise<number> {
  const gpu = await requestGpu({ powerPreference: 'low-power' });
  const model = await CausalLM.load(gpu, source);
  const trainDataset = readPreferenceRows('', 'pairs.jsonl');
  const processingClass: Tokenizer | undefined = undefined;
  const args = { learningRate: 1e-4, lossType: 'sigmoid' };
  const trainer = new DPOTrainer({ model, trainDataset, processingClass, args, peftConfig: { r: 8 } });
  const metrics: number[] = [];
  for await (const event of trainer.train()) if (event.type === 'step') metrics.push(event.metrics.loss ?? 0);
  const files = writeAdapter(await trainer.adapter!.toAdapter());
  const bytes: Uint8Array = files['adapter_model.safetensors'];
  return bytes.length + metrics.length + NAMES.length;
}
`;

const WITH_DEVICE = `
import { Gpu, GPUBufferUsage } from 'webalign/gpu';
export const buffer = (gpu: Gpu) =>
  gpu.device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
`;

/**
 * @param {Compiler & { tsc: string }} compiler
 * @param {string[]} entries that a page may import, such as `webalign/models`
 */
function compile({ version, checks, tsc }, entries) {
  const imports = entries.map((entry, i) => `import * as entry${i} from '${entry}';`).join('\n');
  const names = `[${entries.map((_, i) => `entry${i}`).join(', ')}]`;
  for (const [name, lib] of Object.entries(LIBRARIES)) {
    const isChecked = checks.includes(/** @type {keyof typeof LIBRARIES} */ (name));
    const text = CONSUMER.replace('IMPORTS', imports).replace('NAMES', names);
    const compilerOptions = {
      ...{ strict: true, noEmit: true, module: 'nodenext', target: 'es2022', lib, types: [] },
      skipLibCheck: !isChecked,
    };
    write({
      'types/page.ts': name === 'plain' ? text : `${text}${WITH_DEVICE}`,
      'types/tsconfig.json': JSON.stringify({ compilerOptions, files: ['page.ts'] }),
    });
    const how = isChecked ? '' : ', skipLibCheck';
    step(`types hold (TypeScript ${version}, ${name}${how})`, process.execPath, [tsc, '-p', 'types']);
  }
}

/** @param {string[]} entries @param {(place: number, of: number) => boolean} isItsTurn */
export function checkTypes(entries, isItsTurn) {
  const own = join(root, 'node_modules/typescript/bin/tsc');
  compile({ version: '7', checks: ['dom', 'worker', 'plain'], tsc: own }, entries);
  for (const [place, compiler] of COMPILERS.entries()) {
    const name = `TypeScript ${compiler.version}`;
    if (!isItsTurn(place, COMPILERS.length)) {
      console.log(`package: skipped ${name}: it runs on another day; --all runs it now`);
      continue;
    }
    const folder = `typescript-${compiler.version}`;
    if (!installFor(name, [`${folder}@npm:typescript@${compiler.version}`])) continue;
    compile({ ...compiler, tsc: join(project, 'node_modules', folder, 'bin/tsc') }, entries);
  }
}
