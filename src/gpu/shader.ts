/**
 * What a `.wgsl` import gives: one shader file with its `#include`s expanded. The bundler makes these
 * (`shaders/include.mjs`); everything else only reads them. Holds no GPU object, so it may be imported anywhere.
 */

/** Where a line of expanded WGSL was written. */
export interface ShaderLine {
  /** Path below `shaders/`, `lib/reduce.wgsl`. */
  file: string;
  /** Counted from 1. */
  line: number;
}

export interface Shader {
  /** Path below `shaders/`, `layers/rms-norm.wgsl`: the first half of every kernel's label. */
  path: string;
  /** WGSL with includes expanded, each file once. */
  code: string;
  /** `lines[i]` is the origin of line `i + 1` of `code`. */
  lines: ShaderLine[];
}
