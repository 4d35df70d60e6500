/**
 * Commands in the documentation exist on the command line, with their flags.
 */
import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { runProgram } from '../../src/cli/program.ts';
import { STUDIES } from '../../src/studies/commands.ts';
import { filesBelow, textOf } from '../architecture/sources.ts';

const FENCED = /^```\n(.*?)^```/gms;
const COMMAND = /(?:npx webalign|npm run webalign --) +([a-z].*)/;
/** A flag, where a shell would see one. */
const FLAG = /(?<= )--[a-z][\w-]*/g;

/** A command on its own line: the rest of the line, without a comment. */
function commandsIn(page: string): string[] {
  const blocks = [...textOf(page).matchAll(FENCED)].map(([, block]) => block);
  const lines = blocks.flatMap((block) => block.replaceAll(/\\\n\s*/g, '').split('\n'));
  return lines.flatMap((line) => COMMAND.exec(line.replace(/\s#.*$/, ''))?.[1] ?? []);
}

const helps = new Map<string, Promise<string>>();

/** What `--help` of the command prints; `plan` has the options of the method that it names. */
function helpOf(command: string): Promise<string> {
  const [name = ''] = command.split(' ');
  const method = / --method (\S+)/.exec(command)?.[1];
  const args = [name, ...(method ? ['--method', method] : []), '--help'];
  const known = helps.get(args.join(' ')) ?? printed(args);
  helps.set(args.join(' '), known);
  return known;
}

async function printed(args: readonly string[]): Promise<string> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  let text = '';
  stdout.on('data', (part) => {
    text += part;
  });
  const { signal } = new AbortController();
  const code = await runProgram(args, {
    signal,
    version: '0',
    studies: STUDIES,
    streams: { stdout, stderr },
  });
  if (code !== 0) throw new Error(`webalign ${args.join(' ')} ends with ${code}: ${stderr.read()}`);
  return text;
}

describe('commands of the documentation', () => {
  for (const page of ['README.md', ...filesBelow('docs', '.md')]) {
    const commands = commandsIn(page);
    if (commands.length === 0) continue;
    it(`${page}: ${commands.length}`, async () => {
      for (const command of commands) {
        const flags = new Set((await helpOf(command)).match(/--[a-z][\w-]*/g));
        const unknown = (command.match(FLAG) ?? []).filter((flag) => !flags.has(flag));
        expect(unknown, command).to.deep.equal([]);
      }
    });
  }
});
