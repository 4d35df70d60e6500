/** Shaders written inside a test: one file called `test.wgsl`, as the bundler would return it. */
import type { Shader } from '../../src/gpu/shader.ts';

/** The 2-D numbering that every kernel uses; includes in shaders of tests are not expanded. */
const DISPATCH = `fn linear_group(group: vec3u, groups: vec3u) -> u32 { return group.x + group.y * groups.x; }`;

export function shaderOf(code: string, path = 'test.wgsl'): Shader {
  const text = `${DISPATCH}\n${code}`;
  const lines = text
    .split('\n')
    .map((_, i) => (i === 0 ? { file: 'lib/dispatch.wgsl', line: 6 } : { file: path, line: i }));
  return { path, code: text, lines };
}

/** y[i] = a · i + b for every workgroup i below count. */
export const affine = shaderOf(`
struct Params { count: u32, a: f32, b: i32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
const WORKGROUP: u32 = 1;
override OFFSET: f32 = 0.0;
@compute @workgroup_size(WORKGROUP)
fn fill(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = linear_group(group, groups);
  if (i < params.count) {
    y[i] = params.a * f32(i) + f32(params.b) + OFFSET;
  }
}`);
