/**
 * Which code an input reached, by V8's own counters: bytes of the bundle that ran. Guides the fuzzer, and shows at the end
 * which lines of the readers no input has reached.
 */
import { readFileSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector';
import { fileURLToPath } from 'node:url';

/** The code of a source file, line by line, as the bundler wrote it. */
export interface FileCoverage {
  file: string;
  lines: { text: string; reached: boolean }[];
}

export class Coverage {
  private readonly session = new Session();
  private readonly source: string;
  private readonly seen: Uint8Array;
  private readonly now: Uint8Array;

  /** `url`: the bundle, which must not be loaded yet. */
  constructor(private readonly url: string) {
    this.source = readFileSync(fileURLToPath(url), 'utf8');
    this.seen = new Uint8Array(this.source.length);
    this.now = new Uint8Array(this.source.length);
    this.session.connect();
    this.post('Profiler.enable');
    // With counts: without them, V8 reports each function only once.
    this.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Whether anything ran since the last call that had never run before; it is remembered by default. */
  take({ remember = true } = {}): boolean {
    const { result } = this.post('Profiler.takePreciseCoverage') as Profiler.TakePreciseCoverageReturnType;
    const script = result.find(({ url }) => url === this.url);
    if (!script) return false;
    // Outer before inner: a function's own counts override those of the code around it.
    const functions = script.functions
      .map(({ ranges }) => ranges)
      .sort(([a], [b]) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
    // The script itself runs once and covers the whole source.
    if (functions[0]?.[0].count === 0) functions.shift();
    const ranges = functions.flat();
    const first = ranges.reduce((least, { startOffset }) => Math.min(least, startOffset), this.now.length);
    const end = ranges.reduce((most, { endOffset }) => Math.max(most, endOffset), 0);
    this.now.fill(0, first, end);
    for (const { startOffset, endOffset, count } of ranges)
      this.now.fill(count > 0 ? 1 : 0, startOffset, endOffset);
    let news = false;
    for (let at = first; at < end; at++) {
      if (this.now[at] <= this.seen[at]) continue;
      news = true;
      if (!remember) break;
      this.seen[at] = 1;
    }
    return news;
  }

  /** Lines of the files whose paths contain one of `parts`. The bundler writes a file's path above each part of it. */
  files(parts: readonly string[]): FileCoverage[] {
    const files = new Map<string, FileCoverage>();
    let file: FileCoverage | undefined;
    let at = 0;
    for (const line of this.source.split('\n')) {
      const path = /^\/\/ (\S+\.(?:ts|mjs|js|json|wgsl|safetensors))$/.exec(line)?.[1];
      if (path !== undefined) {
        const counts = parts.some((part) => path.includes(part));
        file = counts ? (files.get(path) ?? { file: path, lines: [] }) : undefined;
        if (file) files.set(path, file);
      } else if (file && /\w/.test(line) && !/^\s*(?:\/\/|\/\*|\*)/.test(line)) {
        const first = at + line.search(/\S/);
        const reached = this.seen.subarray(first, at + line.length).includes(1);
        file.lines.push({ text: line.trim(), reached });
      }
      at += line.length + 1;
    }
    return [...files.values()];
  }

  /** The inspector of the same thread answers before `post` returns. */
  private post(method: string, parameters: object = {}): unknown {
    let answer: unknown;
    this.session.post(method, parameters, (error, result) => {
      if (error) throw error;
      answer = result;
    });
    return answer;
  }
}
