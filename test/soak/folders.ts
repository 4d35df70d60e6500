/** Two processes that want one folder at the same time: one gets it, the other learns which one has it, and nothing is lost. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { anyOf, type Part } from './part.ts';

/** The earlier state of the folder: missing, empty, or left by a process that was killed. */
const BEFORE = ['absent', 'empty', 'killed'] as const;
const FILES = ['checkpoint.safetensors', 'reference-key.safetensors', 'result'];

export const folders: Part = {
  name: 'folders',
  what: 'two processes for one folder: one writes, the other ends and names the first',
  tries: { whole: 50, slice: 2 },
  async begin({ random, folder }) {
    let [tries, named] = [0, 0];
    return {
      async attempt() {
        const path = join(folder, `try-${tries++}`);
        const failures: string[] = [];
        const before = anyOf(BEFORE, random);
        if (before === 'empty') await mkdir(path, { recursive: true });
        if (before === 'killed') await leaveKilled(path);
        const both = [user(path, random.uniform() * 30), user(path, random.uniform() * 30)];
        const ends = await Promise.all(both.map(({ end }) => end));
        const winners = ends.filter(({ code }) => code === 0);
        // A process that comes after the other has ended may write, too.
        if (winners.length === 0)
          failures.push(`both were refused: ${ends.map(({ said }) => said).join(' | ')}`);
        for (const { code, said } of ends) {
          if (code === 0) continue;
          const other = both.find(({ child }) => said.includes(`is in use by process ${child.pid} on `));
          if (code === 1 && other) named++;
          else failures.push(`a process ended with ${code}: ${said}`);
        }
        const found = (await readdir(path)).sort();
        if (found.join() !== FILES.join()) failures.push(`the folder holds ${found.join(', ')}`);
        const writers = await Promise.all(
          FILES.map(async (name) => writerOf(await readFile(join(path, name)))),
        );
        if (new Set(writers).size !== 1) failures.push(`files of several writers: ${writers.join(', ')}`);
        const pids = winners.map(({ pid }) => pid);
        if (!pids.includes(writers[0]))
          failures.push(`the files are of ${writers[0]}, not of ${pids.join(', ')}`);
        await rm(path, { recursive: true });
        return { tries: 1, failures: failures.map((failure) => `${before}: ${failure}`) };
      },
      figures: () => ({ 'named the first': named }),
    };
  },
};

/** A process that locks the folder, writes into it as a run does, and ends. */
function user(
  path: string,
  delay: number,
): { child: ChildProcess; end: Promise<{ code: number | null; pid: number; said: string }> } {
  const code = `import { fileCheckpointStore, lockFolder, nodeReferenceCache, writeFileAtomic } from ${library};
    const folder = ${JSON.stringify(path)};
    const me = new Float32Array(2000).fill(process.pid);
    const bytes = new Uint8Array(me.buffer);
    await new Promise((go) => setTimeout(go, ${delay}));
    try {
      const lock = await lockFolder(folder);
      for (let i = 0; i < 10; i++) {
        await fileCheckpointStore(folder + '/checkpoint.safetensors').write(bytes);
        await nodeReferenceCache(folder).put('key', me);
        await new Promise((go) => setTimeout(go, 20));
      }
      await writeFileAtomic(folder + '/result', bytes);
      await lock.release();
    } catch (error) {
      console.log(error.message);
      process.exitCode = 1;
    }`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code]);
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      said += text;
    });
  const end = once(child, 'close').then(([code]) => ({
    code: code as number | null,
    pid: child.pid ?? 0,
    said,
  }));
  return { child, end };
}
const library = JSON.stringify(pathToFileURL('dist/node.js').href);

/** The folder as a killed process leaves it. */
async function leaveKilled(path: string): Promise<void> {
  const { child, end } = user(path, 0);
  const isWriting = async () =>
    (await readdir(path).catch(() => [] as string[])).includes('checkpoint.safetensors');
  while (!(await isWriting())) await new Promise((go) => setTimeout(go, 5));
  child.kill('SIGKILL');
  await end;
}

/** The number that a process has written everywhere in a file; its last four bytes do not belong to a header. */
function writerOf(bytes: Buffer): number {
  return bytes.readFloatLE(bytes.byteLength - 4);
}
