/**
 * The documentation's page on speed: tables and plots of the stored results, one part for each environment that was
 * measured. The same results give the same bytes.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { readFileIfAny } from '../../../src/node/folder.ts';
import type { Book } from '../book.ts';
import { verdicts } from '../claims.ts';
import { threeDigits } from '../report.ts';
import { growthPlot, peersPlot } from './plots.ts';
import {
  GROWTH_GROUPS,
  growthCurves,
  growthLines,
  ownTable,
  processorTable,
  rowOf,
  sharedJobs,
  sharedTable,
} from './tables.ts';

const WORLDS = { node: 'In Node', chromium: 'In Chromium' } as const;
type World = keyof typeof WORLDS;

/** Writes the page beside the folder of stored results; returns the written files. */
export async function speedPage(folder: string): Promise<string[]> {
  const written: string[] = [];
  const write = async (path: string, text: string) => {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    written.push(path);
  };
  const parts: string[] = [];
  for (const world of Object.keys(WORLDS) as World[]) {
    const bytes = await readFileIfAny(join(folder, `${world}.json`));
    if (!bytes) continue;
    const book = JSON.parse(new TextDecoder().decode(bytes)) as Book;
    const name = (plot: string) => `${basename(folder)}/${world}-${plot}.svg`;
    const [rows, curves] = [sharedJobs(book).map(rowOf), growthCurves(book)];
    const titles = {
      peers: `Times of the peers, ${world}`,
      growth: `How the time of a step grows, ${world}`,
    };
    if (rows.length > 0) await write(join(dirname(folder), name('peers')), peersPlot(rows, titles.peers));
    if (curves.length > 0)
      await write(join(dirname(folder), name('growth')), growthPlot(curves, titles.growth));
    parts.push(
      worldPart(book, world, {
        peers: rows.length > 0 ? `![${titles.peers}](${name('peers')})` : '',
        growth:
          curves.length > 0
            ? `![${titles.growth}](${name('growth')})\n\n${growthLines(curves)
                .map((each) => `- ${each}`)
                .join('\n')}`
            : '',
      }),
    );
  }
  if (parts.length > 0) await write(`${folder}.md`, `${INTRODUCTION}\n${parts.join('\n')}\n${ENDING}`);
  return written;
}

function worldPart(book: Book, world: World, plots: { peers: string; growth: string }): string {
  const { adapter, peak, peers, where, date, leftOut, notes = [] } = book;
  const name = [adapter.vendor, adapter.architecture, adapter.description].filter(Boolean).join(' ');
  const beside = Object.entries(peers).map((peer) => peer.join(' '));
  const left = Object.entries(leftOut).map(([id, reason]) => `- ${id}: ${reason}`);
  const judged = verdicts(book).map(({ claim, found, holds }) => {
    const word = holds === undefined ? 'Not measured' : holds ? 'Met' : 'Not met';
    return `- **${word}.** ${claim}${holds === undefined ? '' : `: ${found}`}.`;
  });
  return `## ${WORLDS[world]}

${name}${adapter.software ? ', on the CPU' : ''}; ${where}; ${date}${beside.length > 0 ? `; compared with ${beside.join(' and ')}` : ''}. Measured peak:
${threeDigits(peak.gflops)} GFLOP/s and ${threeDigits(peak.gbytes)} GB/s.

${notes.map((note) => `${note}\n\n`).join('')}${judged.join('\n')}

### Compared with others

${plots.peers}

${sharedTable(book)}

${processorPart(book)}### How a step grows

${plots.growth}

${ownTable(book, GROWTH_GROUPS)}

### Kernels

${ownTable(book, ['squares', 'products', 'attention', 'rms-norm', 'head', 'log-sum-exp', 'KL'])}

### Models, activations, prompts, groups, generation, rollouts

${ownTable(book, ['step', 'activations', 'prompts', 'groups', 'generation', 'writing', 'rollouts'])}
${left.length > 0 ? `\nLeft out:\n\n${left.join('\n')}\n` : ''}`;
}

/** What a person without a GPU can choose from. */
function processorPart(book: Book): string {
  const drawn = processorTable(book);
  if (!drawn) return '';
  return `### Beside libraries on the processor

On the same cores, without WebGPU: eager, float32. They ran after webalign, not in turn with it.

${drawn}

`;
}

const INTRODUCTION = `# How fast it is

All numbers here are measured by \`npm run bench\`, on one adapter, together with two other libraries in the same process
([how to run it](../test/bench/README.md)). On a software adapter the times are those of a CPU: they are useful for comparisons, but say
nothing about a GPU.

**How it was measured.** Contestants take turns, A B C A B C, so that other work on the machine affects all of them alike; a time is a
median, its spread half of the distance between the quartiles. Results are compared with each other before anything is timed.
Each contestant is awaited in its own way, and one number is read back. Bytes are those of all buffers that a library's device holds at
once, counted by the same wrapper around every device. In *DPO and gradient* webalign overwrites the policy's logits with the gradient
(\`inPlace\`); they are written again before every start, outside the measured time, while peers keep their inputs, as their libraries do.
*Faster peer* is the time of the faster one divided by ours. Shares of the peak are relative to two kernels that only multiply and add, or
only copy.
`;

const ENDING = `## Generation

A step of generation computes little and starts many kernels. For models of up to 64 MiB of linear weights in float32, a second copy of
the weights is on the device during generation, with adapters and the gains of norms folded in. Then a layer takes five kernels: queries,
keys and values in one, which also rotates them and writes them to the cache; attention; its output projection with the residual; gate and up
in one; down. With the embedding, the last norm, the head and the sampler, that makes 24 dispatches per token for four layers with an
adapter, for any number of rows; before, there were 121. Models with norms of queries and keys, layer norms or larger weights run their
layers one operation at a time.

Measured on a software adapter, on the busy processors of a machine without a GPU: the previous version and this one take turns in one
process and generate the same tokens; the shape of the embedded model with an adapter of rank 8, prompts of 8 tokens and 32 new ones,
medians of 5 or 7.

| rows | tokens/s before | tokens/s now | times as fast | by processor time |
|---:|---:|---:|---:|---:|
| 1 | 107 | 259 | 2.4× | 2.4× |
| 16 | 719 | 1353 | 1.9× | 1.8× |
| 64 | 586 | 1078 | 1.8× | 1.7× |

When a sequence ends, its row goes to the next one that waits. The device decides that itself, in one more kernel per step while sequences
wait, so that a row is not idle until the host has read its tokens. A prompt gets its place in the cache while earlier sequences are still
written, and is computed once for all of its completions. The rest are the last steps, when no sequence waits. Counted with the embedded
model on a software adapter: 64 prompts with 8 sentences each, which end at a full stop, 6,733 tokens in all, the same for any number of rows.

| rows | steps of a row per token: before | now | dispatches: before | now | submits: before | now |
|---:|---:|---:|---:|---:|---:|---:|
| 16 | 1.35 | 1.03 | 25,988 | 12,280 | 1,383 | 570 |
| 64 | 1.35 | 1.05 | 8,780 | 4,218 | 464 | 194 |
| 256 | 1.36 | 1.17 | 2,342 | 1,524 | 123 | 79 |
| 512 | 1.36 | 1.36 | 1,189 | 1,189 | 62 | 62 |

With 512 rows every sequence has one from the start, and nothing has changed: a row that has ended is dropped when the host has read its last
token, some steps later.

Besides fewer dispatches, it helped to keep sums in registers that each have a name. At (64, 256, 128) one core reached 2.4 GFLOP/s
with 16 × 16 sums in a struct behind a pointer, and 4.1 with 8 × 8 in named vectors, with the squares of the norm summed beside them.

## What was tried and dropped

On a software adapter, measured while the kernels were written and not by the command:

- **Tiles in workgroup memory.** Every barrier becomes a switch of coroutines: a product of 256³ reached 0.7 GFLOP/s with tiles of 64 × 64 in
  workgroup memory, and 3.0 with 8 × 8 results in registers and no barrier. GPUs use other tiles.
- **Small tiles.** At (896, 96, 96) one core reached 1.1, 1.6 and 2.5 GFLOP/s with 4 × 4, 8 × 8 and 16 × 16 results per thread: there, every
  load is gathered lane by lane, which takes as long as about twenty multiplications.
- **One thread per row, or 64.** A row of 1,024 logits took 3.5 times as long with one thread as with four, which are a vector of the
  processor, and 4 times as long with 64, whose barriers cost more than they gain.
- **One token per thread in attention.** Four tokens that share their loads are 3 to 4 times less work there.
- **Scores computed by every thread of a head.** Four threads that exchange their parts are 3.5 times less work forward and backward for
  heads of 64, 20 times for 128, 2 times for 32; for 16, where one thread holds a head, they gain nothing.
- **One key at a time in those four.** Each sum is then read and written for every multiplication, at 4.5 ns for four lanes rather than
  1.5 for four keys at once; an index that is a loop variable costs 11. Four keys are no faster than two, and take half as long again to compile.
- **Half as many tokens per thread.** Loads are then shared by 8 tokens rather than 16, which takes a third more time to run and a third less
  to compile.
- **An adapter in the kernel of its product**, below rank 32: at rank 8 it saves 3% of a step, but such kernels take twice as long to
  compile; at rank 64 it saves a quarter. With one loop for both pairs of factors, and a branch in it, products took 1.4 times as long.
- **The adapter's A in the kernel of its product, shared by a workgroup after a barrier**, in a step of generation: one barrier doubled
  the time of such a product, 2.0 ms instead of 1.0 at (64, 256, 128). Folded into the weights, it costs nothing per token.
- **Nested loops around many sums.** The compiler carries every sum through both: with a loop over prefix and segment around the loop over
  keys, attention took 1.7 times as long to compile in Node, 1.2 times in Chromium. A single loop over both runs as fast.
- **Arrays that are declared first and filled later.** They are first set to zero, number by number, which is a fifth of the time to compile a
  product of 16 × 16 results per thread. Arrays that are created with their contents are not.
- **Skipping blocks of negligible tokens in products**: at 2⁻¹² 5 to 7% of a real model's blocks would remain, but it is even less work to find
  the remaining tokens, 60 to 82 of 49,152, and to add only their rows ([what it saves](precision.md#skip-negligible-tokens)).
- **The activation of a layer in the kernel of its product**: the backward pass reads the input of the activation, so no pass is saved.
- **Checking for results in every turn of the event loop**, as Dawn does in Node: it uses a core that the adapter needs. Sleeping for a
  millisecond per turn nearly doubled the speed on two cores; it is also done during compilation, where the checks take a third of the CPU time.
- **Clamping of indices** in Node: a quarter of a run's time. Kernels stay within their bounds themselves, and are tested with clamping in
  Chromium.
`;
