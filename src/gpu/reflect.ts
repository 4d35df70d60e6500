/**
 * Parses the information for a call from a WGSL file: bindings, the scalars of the `Params` uniform, overrides, entry
 * points, and the bindings that each entry uses. Layouts are only defined in the shader; this file never adds to them.
 */
import type { Shader } from './shader.ts';

export type Scalar = 'u32' | 'i32' | 'f32';

export interface Binding {
  name: string;
  binding: number;
  access: 'uniform' | 'read' | 'read_write';
}

export interface Field {
  name: string;
  type: Scalar;
  /** Byte offset in the uniform struct. */
  offset: number;
}

export interface EntryPoint {
  name: string;
  /** As in the source: numbers, or names of constants. */
  workgroupSize: string[];
  /** Bindings that the entry uses, directly or through functions. */
  bindings: Binding[];
}

export interface Reflection {
  params: Field[];
  overrides: Set<string>;
  /** Module constants and aliases that a caller may replace, with their values in the source. */
  constants: Map<string, string>;
  entries: Map<string, EntryPoint>;
}

/** Alignment in bytes of a struct within a uniform struct; WGSL requires `@align(16)`. */
const STRUCT_ALIGNMENT = 16;

const cache = new WeakMap<Shader, Reflection>();

/** Reflects a shader once. */
export function reflect(shader: Shader): Reflection {
  const known = cache.get(shader);
  if (known) return known;
  const code = stripComments(shader.code);
  const bindings = readBindings(code);
  const functions = readFunctions(code);
  const entries = new Map<string, EntryPoint>();
  for (const fn of functions.values()) {
    if (!fn.workgroupSize) continue;
    const words = reachableWords(fn.name, functions);
    entries.set(fn.name, {
      name: fn.name,
      workgroupSize: fn.workgroupSize,
      bindings: bindings.filter((b) => words.has(b.name)),
    });
  }
  const reflection: Reflection = {
    params: readParams(code, shader.path),
    overrides: new Set([...code.matchAll(/^\s*override\s+(\w+)/gm)].map((m) => m[1])),
    constants: new Map(
      [...code.matchAll(/^(?:const|alias)\s+(\w+)[^=;]*=\s*([^;]+);/gm)].map((m) => [m[1], m[2]]),
    ),
    entries,
  };
  cache.set(shader, reflection);
  return reflection;
}

function stripComments(code: string): string {
  return code.replace(/\/\/[^\n]*/g, '').replace(/\/\*[\s\S]*?\*\//g, (text) => text.replace(/[^\n]/g, ' '));
}

function readBindings(code: string): Binding[] {
  const pattern = /@group\(0\)\s*@binding\((\d+)\)\s*var<([^>]+)>\s*(\w+)\s*:/g;
  return [...code.matchAll(pattern)].map((match) => {
    const space = match[2].replace(/\s/g, '');
    const access = space === 'uniform' ? 'uniform' : space === 'storage,read_write' ? 'read_write' : 'read';
    return { name: match[3], binding: Number(match[1]), access };
  });
}

/** The scalars of `Params` in their layout; a member that is a struct contributes its own scalars. */
function readParams(code: string, path: string): Field[] {
  const fields = (struct: string, start: number): Field[] | undefined => {
    const body = new RegExp(`struct\\s+${struct}\\s*\\{([^}]*)\\}`).exec(code)?.[1];
    if (body === undefined) return undefined;
    let next = start;
    return [...body.matchAll(/(\w+)\s*:\s*(\w+)/g)].flatMap((match) => {
      const [, name, type] = match as unknown as [string, string, string];
      if (isScalar(type)) {
        next += 4;
        return [{ name, type, offset: next - 4 }];
      }
      const inner = fields(type, roundUp(next, STRUCT_ALIGNMENT));
      if (!inner?.length) {
        throw new Error(
          `${path}: ${struct}.${name} is ${type}; only u32, i32, f32 and structs of them are allowed`,
        );
      }
      next = roundUp(inner.at(-1)!.offset + 4, STRUCT_ALIGNMENT);
      return inner;
    });
  };
  return fields('Params', 0) ?? [];
}

function isScalar(type: string): type is Scalar {
  return type === 'u32' || type === 'i32' || type === 'f32';
}

function roundUp(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}

interface WgslFunction {
  name: string;
  workgroupSize?: string[];
  words: Set<string>;
}

function readFunctions(code: string): Map<string, WgslFunction> {
  const functions = new Map<string, WgslFunction>();
  const pattern = /((?:@\w+(?:\([^)]*\))?\s*)*)fn\s+(\w+)\s*\(/g;
  for (const match of code.matchAll(pattern)) {
    const open = code.indexOf('{', match.index + match[0].length);
    const body = code.slice(open, closingBrace(code, open));
    const size = /@workgroup_size\(([^)]*)\)/.exec(match[1])?.[1];
    functions.set(match[2], {
      name: match[2],
      ...(size === undefined
        ? {}
        : {
            workgroupSize: size
              .split(',')
              .map((text) => text.trim())
              .filter(Boolean),
          }),
      // A word after a dot is a member, not a module name.
      words: new Set(body.match(/(?<![.\w])[A-Za-z_]\w*/g) ?? []),
    });
  }
  return functions;
}

function closingBrace(code: string, open: number): number {
  let depth = 0;
  for (let i = open; i < code.length; i++) {
    if (code[i] === '{') depth++;
    else if (code[i] === '}' && --depth === 0) return i + 1;
  }
  return code.length;
}

function reachableWords(entry: string, functions: Map<string, WgslFunction>): Set<string> {
  const words = new Set<string>();
  const seen = new Set<string>();
  const visit = (name: string) => {
    if (seen.has(name)) return;
    seen.add(name);
    for (const word of functions.get(name)?.words ?? []) {
      words.add(word);
      visit(word);
    }
  };
  visit(entry);
  return words;
}
