/**
 * Finds the loops in WGSL, computes the iterations of a kernel from bounds of its loops, and rewrites a shader so that its loops
 * end after a number of iterations, as Mesa's llvmpipe does. Supports `for` and `while`; our shaders use nothing else.
 */

/** Code between braces: its loops and branches, and the functions called outside of these. */
interface Block {
  loops: Loop[];
  branches: Branch[];
  calls: string[];
}

/** The block of an `if`. */
interface Branch extends Block {
  condition: string;
}

interface Loop extends Block {
  /** The text between the parentheses, with single spaces. */
  header: string;
  /** Position of the condition, and of the body's opening brace, in the code without comments. */
  goesOn: [number, number];
  body: number;
}

/** The functions of a shader by name, and its code with comments blanked. */
export interface LoopsOfCode {
  code: string;
  functions: ReadonlyMap<string, Block>;
}

export function loopsOf(text: string): LoopsOfCode {
  const code = text.replace(/\/\/[^\n]*/g, (comment) => ' '.repeat(comment.length));
  const starts = [...code.matchAll(/\bfn\s+(\w+)\s*\(/g)];
  const names = new Set(starts.map((match) => match[1]));
  const functions = new Map(
    starts.map((match): [string, Block] => {
      const open = code.indexOf('{', closing(code, match.index + match[0].length - 1, '(', ')'));
      return [match[1], blockOf(code, open, names)];
    }),
  );
  return { code, functions };
}

const KEYWORDS = ['for', 'while', 'if'];

function blockOf(code: string, open: number, names: ReadonlySet<string>): Block {
  const end = closing(code, open, '{', '}');
  const block: Block = { loops: [], branches: [], calls: [] };
  const word = /\b(\w+)\s*\(/g;
  word.lastIndex = open;
  for (let match = word.exec(code); match && match.index < end; match = word.exec(code)) {
    const name = match[1];
    if (!KEYWORDS.includes(name)) {
      if (names.has(name)) block.calls.push(name);
      continue;
    }
    const paren = match.index + match[0].length - 1;
    const close = closing(code, paren, '(', ')');
    const header = code
      .slice(paren + 1, close)
      .replace(/\s+/g, ' ')
      .trim();
    const body = code.indexOf('{', close);
    const inside = blockOf(code, body, names);
    if (name === 'if') block.branches.push({ ...inside, condition: header });
    else {
      const [first, second] = [code.indexOf(';', paren), code.lastIndexOf(';', close)];
      const goesOn: [number, number] = name === 'while' ? [paren + 1, close] : [first + 1, second];
      block.loops.push({ ...inside, header, goesOn, body });
    }
    word.lastIndex = closing(code, body, '{', '}');
  }
  return block;
}

/** Position of the bracket that closes the one at `open`. */
function closing(code: string, open: number, opener: string, closer: string): number {
  let depth = 0;
  for (let i = open; i < code.length; i++) {
    if (code[i] === opener) depth++;
    else if (code[i] === closer && --depth === 0) return i;
  }
  throw new Error(`no ${closer} closes what opens at ${open}`);
}

/** The headers of all loops of a shader. */
export function headersOf(text: string): string[] {
  const ofBlock = (block: Block): string[] =>
    loopsIn(block).flatMap((loop) => [loop.header, ...ofBlock(loop)]);
  return [...loopsOf(text).functions.values()].flatMap(ofBlock);
}

/**
 * Upper bound of the iterations of an entry, all loops together. `rounds(header)` bounds a loop; leaving it counts as one more
 * iteration, and a loop of zero rounds is skipped. All branches count, because a device may execute both sides with some
 * threads masked, except those with `holds(condition)` false.
 */
export function iterationsOf(
  { functions }: LoopsOfCode,
  entry: string,
  rounds: (header: string) => number,
  holds: (condition: string) => boolean,
): number {
  const known = new Map<string, number>();
  const ofFunction = (name: string): number => {
    const found = known.get(name) ?? ofBlock(functions.get(name)!);
    known.set(name, found);
    return found;
  };
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
  const ofBlock = ({ loops, branches, calls }: Block): number =>
    sum(calls.map(ofFunction)) +
    sum(branches.filter(({ condition }) => holds(condition)).map(ofBlock)) +
    sum(
      loops.map((loop) => {
        const times = rounds(loop.header);
        return times > 0 ? times + 1 + times * ofBlock(loop) : 0;
      }),
    );
  return ofFunction(entry);
}

/**
 * The code with loops that end after `most` iterations of all loops together; leaving a loop counts as one. Loops that contain
 * a barrier count but do not end, because their control flow must be uniform.
 */
export function endingLoops(text: string, most: number): string {
  const { code, functions } = loopsOf(text);
  const hasBarrier = (block: Block, own: string): boolean =>
    /\b\w*Barrier\(/.test(own) || allCalls(block).some((name) => barrierIn(functions, code, name));
  const edits: { at: number; text: string }[] = [];
  const visit = (block: Block) => {
    for (const loop of loopsIn(block)) {
      const own = code.slice(loop.body, closing(code, loop.body, '{', '}'));
      if (hasBarrier(loop, own)) edits.push({ at: loop.body + 1, text: ' loops_made++; ' });
      else {
        edits.push({ at: loop.goesOn[0], text: ' loops_go_on() && (' });
        edits.push({ at: loop.goesOn[1], text: ')' });
      }
      visit(loop);
    }
  };
  for (const block of functions.values()) visit(block);
  edits.sort((a, b) => b.at - a.at);
  const edited = edits.reduce((all, { at, text: more }) => all.slice(0, at) + more + all.slice(at), code);
  return `${edited}
var<private> loops_made: u32;
fn loops_go_on() -> bool {
  loops_made++;
  return loops_made <= ${most}u;
}
`;
}

/** The loops of a block and of its branches, without nested loops. */
function loopsIn({ loops, branches }: Block): Loop[] {
  return [...loops, ...branches.flatMap(loopsIn)];
}

function allCalls({ calls, loops, branches }: Block): string[] {
  return [...calls, ...[...loops, ...branches].flatMap(allCalls)];
}

function barrierIn(functions: ReadonlyMap<string, Block>, code: string, name: string): boolean {
  const start = code.search(new RegExp(`\\bfn\\s+${name}\\s*\\(`));
  const open = code.indexOf('{', start);
  if (/\b\w*Barrier\(/.test(code.slice(open, closing(code, open, '{', '}')))) return true;
  return allCalls(functions.get(name)!).some((callee) => barrierIn(functions, code, callee));
}
