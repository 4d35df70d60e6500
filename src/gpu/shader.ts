/**
 * The value of a `.wgsl` import: one shader file with its `#include`s expanded. The bundler creates it
 * (`shaders/include.mjs`); all other code only reads it. Contains no GPU object, so it may be imported anywhere.
 */

/** The origin of a line of expanded WGSL. */
export interface ShaderLine {
  /** Path below `shaders/`, such as `lib/reduce.wgsl`. */
  file: string;
  /** Counted from 1. */
  line: number;
}

export interface Shader {
  /** Path below `shaders/`, such as `layers/rms-norm.wgsl`: the first part of every kernel's label. */
  path: string;
  /** WGSL with includes expanded, each file once. */
  code: string;
  /** `lines[i]` is the origin of line `i + 1` of `code`. */
  lines: ShaderLine[];
}
