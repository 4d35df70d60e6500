/**
 * The bench in Node: runs the suite here or in Chromium, prints each result as soon as it is known, stores all results by
 * adapter, and says at the end which of the promised figures are met.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { GpuValidationError } from '../../src/gpu/errors.ts';
import { readFileIfAny } from '../../src/node/folder.ts';
import { gpuPage, launchChromium } from '../../src/testing.ts';
import { type Book, noted } from './book.ts';
import { CASES } from './cases/all.ts';
import { verdicts } from './claims.ts';
import { sharedGpu } from './node-gpu.ts';
import { loadPeers } from './peers.ts';
import { milliseconds, resultLines, verdictLine } from './report.ts';
import { speedPage } from './speed/page.ts';
import { type BenchEvent, type ProcessorTime, refusal, runSuite, type SuiteOptions } from './suite.ts';
import { installWatch } from './watch.ts';

export interface CommandOptions extends SuiteOptions {
  where: 'node' | 'chromium';
  variants: readonly string[];
  /** Names of the peers that are installed and wanted. */
  peers: readonly string[];
  json: boolean;
  /** Folder of stored results. */
  out: string;
  /** An interpreter with PyTorch and TRL, which then run the same jobs on the processor; in Node alone. */
  python?: string | undefined;
}

/** Runs, stores and prints; returns the exit code. What cannot run here is reported in a sentence. */
export async function runBench(options: CommandOptions): Promise<number> {
  try {
    return await run(options);
  } catch (error) {
    const reason = refusal(error);
    if (reason === undefined) throw error;
    console.error(reason);
    return 1;
  }
}

async function run(options: CommandOptions): Promise<number> {
  const { where, out, json, variants } = options;
  // Results of forced variants are stored apart from those of the default ones.
  const path = join(out, `${[where, ...variants].join('-')}.json`);
  const print = (line: string) => console.log(line);
  const kept = await readFileIfAny(path);
  let book: Book | undefined = kept && JSON.parse(new TextDecoder().decode(kept));
  const runtime = `${{ node: `Node ${process.version}`, chromium: 'Chromium' }[where]} on ${machineNow()}`;
  for await (const event of where === 'node' ? inNode(options) : inChromium(options)) {
    book = noted(book, event, runtime, new Date().toISOString().slice(0, 10));
    if (json) print(JSON.stringify(event));
    else for (const line of linesOf(event, book)) print(line);
    if (!book || event.type === 'start') continue;
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, `${JSON.stringify(book, null, 1)}\n`);
  }
  if (!book) return 1;
  if (json) print(JSON.stringify({ type: 'verdicts', verdicts: verdicts(book) }));
  else for (const verdict of verdicts(book)) print(verdictLine(verdict));
  return 0;
}

/** Processors, and how many programs wanted one before this run began: if more than there are, measured times are longer. */
function machineNow(): string {
  const [load = 0] = loadavg();
  const busy = load > 0.5 ? `, load average ${load.toFixed(1)} before the run` : '';
  return `${availableParallelism()} processors${busy}`;
}

/** Writes the page of the documentation from the results in a folder; returns the exit code. */
export async function drawPage(folder: string): Promise<number> {
  const files = await speedPage(folder);
  for (const file of files) console.log(`drawn          ${file}`);
  if (files.length === 0)
    console.log(`Nothing is kept in ${folder}: npm run bench -- --out ${folder} measures.`);
  return files.length > 0 ? 0 : 1;
}

function linesOf(event: BenchEvent, book: Book | undefined): string[] {
  if (event.type === 'result') return book ? resultLines(event.result, book.peak) : [];
  if (event.type === 'left out') return [`${event.id.padEnd(38)} left out: ${event.reason}`];
  if (event.type === 'fact') {
    const told = Object.entries(event.values).map(([name, value]) => `${name}: ${value.toFixed(0)}`);
    return [`${event.id.padEnd(38)} ${told.join(', ')}`];
  }
  if (event.type === 'start') return [];
  if (event.type === 'processor')
    return [`${event.id.padEnd(38)} ${milliseconds(event.milliseconds)} on the processor, ${event.by}`];
  const { adapter, peak, peers } = event;
  const name = [adapter.vendor, adapter.architecture, adapter.description].filter(Boolean).join(' ');
  return [
    `${name}: ${peak.gflops.toFixed(1)} GFLOP/s, ${peak.gbytes.toFixed(1)} GB/s at most`,
    ...(peers.length > 0 ? [`beside ${peers.map((peer) => `${peer.name} ${peer.version}`).join(', ')}`] : []),
  ];
}

/** The jobs that PyTorch and TRL know, after ours: each library has the processor for itself. */
async function* onProcessor({ python, only }: CommandOptions): AsyncGenerator<BenchEvent> {
  if (python === undefined) return;
  const script = ['test/bench/trl_peer.py', ...only.flatMap((part) => ['--only', part])];
  const child = spawn(python, script, { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout }))
    if (line.startsWith('{"id"')) yield { type: 'processor', ...(JSON.parse(line) as ProcessorTime) };
  const [code] = await closed;
  if (code !== 0) throw new Error(`${python} ${script.join(' ')} failed; its message is above`);
}

async function* inNode(options: CommandOptions): AsyncGenerator<BenchEvent> {
  const { gpu, notice, offer } = await sharedGpu();
  if (notice && !options.json) console.log(notice);
  installWatch();
  const urlOf = (name: string) => pathToFileURL(`dist/bench/peers/${name}.js`).href;
  yield* runSuite(gpu, CASES, await loadPeers(options.peers, urlOf, offer), options);
  yield* onProcessor(options);
}

async function* inChromium({ only, quick, variants, peers }: CommandOptions): AsyncGenerator<BenchEvent> {
  const browser = await launchChromium({ onNotice: (line) => console.log(line) });
  try {
    const serve = { '/': 'dist/bench/chromium', '/peers/': 'dist/bench/peers' };
    const page = await gpuPage(browser, { serve });
    page.on('pageerror', (error) => console.log(`page: ${error}`));
    page.on('crash', () => console.log('The page crashed.'));
    const events: BenchEvent[] = [];
    let wake = () => {};
    await page.exposeFunction('emitBenchEvent', (event: BenchEvent) => {
      events.push(event);
      wake();
    });
    await page.addScriptTag({ url: '/browser.js', type: 'module' });
    let ended = false;
    const run = page
      .evaluate((options) => benchInPage(options), {
        only: [...only],
        quick,
        variants: [...variants],
        peers: [...peers],
      })
      .finally(() => {
        ended = true;
        wake();
      });
    // Awaited below, after the events that came before.
    run.catch(() => {});
    while (!ended || events.length > 0) {
      const next = events.shift();
      if (next) yield next;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
    const reason = await run;
    if (reason !== undefined) throw new GpuValidationError(reason);
  } finally {
    await browser.close();
  }
}
