/** What is parsed from WGSL: bindings by entry point, parameters, constants; and that comments are not parsed as code. */
import { expect } from 'chai';
import { workgroupThreads } from '../../src/gpu/pipelines.ts';
import { reflect } from '../../src/gpu/reflect.ts';
import { shaderOf } from '../support/shader.ts';

const shader = shaderOf(`
// @group(0) @binding(9) var<storage, read> ghost: array<f32>;
struct Params {
  rows: u32, // of x: f32
  shift: i32,
  eps: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(0)
@binding(5) var<storage,read_write>  z : array<f32>;
const WORKGROUP: u32 = 64;
const ROWS = 2;
alias Element = vec2f;
override FAST: bool = true;
@id(3) override LIMIT: u32;
fn helper(i: u32) -> f32 { if (i > 0u) { return deeper(i); } return 0.0; }
fn deeper(i: u32) -> f32 { return x[i] + params.eps; }
/* fn commented(i: u32) { z[i] = 1.0; } */
@compute @workgroup_size(WORKGROUP, ROWS)
fn through_functions(@builtin(global_invocation_id) id: vec3u) { y[id.x] = vec4f(helper(id.x)); }
@workgroup_size(8) @compute
fn alone() { z[0] = 1.0; }
`);

describe('reflect', () => {
  const reflection = reflect(shader);

  it('lists the bindings that an entry uses, through functions too', () => {
    const names = (entry: string) => reflection.entries.get(entry)?.bindings.map(({ name }) => name);
    expect(names('through_functions')).to.deep.equal(['params', 'x', 'y']);
    expect(names('alone')).to.deep.equal(['z']);
    expect([...reflection.entries.keys()]).to.deep.equal(['through_functions', 'alone']);
  });

  it('finds number and access of a binding', () => {
    expect(reflection.entries.get('through_functions')?.bindings).to.deep.equal([
      { name: 'params', binding: 0, access: 'uniform' },
      { name: 'x', binding: 1, access: 'read' },
      { name: 'y', binding: 2, access: 'read_write' },
    ]);
    expect(reflection.entries.get('alone')?.bindings[0].binding).to.equal(5);
  });

  it('lays out the parameters', () => {
    expect(reflection.params).to.deep.equal([
      { name: 'rows', type: 'u32', offset: 0 },
      { name: 'shift', type: 'i32', offset: 4 },
      { name: 'eps', type: 'f32', offset: 8 },
    ]);
  });

  it('flattens a struct within the parameters, aligned to 16 bytes', () => {
    const nested = shaderOf(`
struct Inner { low: f32, high: u32 }
struct Params { rows: u32, @align(16) inner: Inner, @align(16) last: f32 }`);
    expect(reflect(nested).params.map(({ name, offset }) => [name, offset])).to.deep.equal([
      ['rows', 0],
      ['low', 16],
      ['high', 20],
      ['last', 32],
    ]);
  });

  it('lists the constants that a caller may replace', () => {
    expect([...reflection.overrides]).to.include('FAST');
    expect(reflection.constants.get('WORKGROUP')).to.equal('64');
    expect(reflection.constants.get('Element')).to.equal('vec2f');
  });

  it('multiplies the workgroup dimensions, constants replaced', () => {
    expect(workgroupThreads(shader, 'through_functions', {})).to.equal(128);
    expect(workgroupThreads(shader, 'through_functions', { WORKGROUP: 4 })).to.equal(8);
    expect(workgroupThreads(shader, 'alone', {})).to.equal(8);
  });

  it('rejects parameters that are not scalars', () => {
    const vectors = shaderOf('struct Params { size: vec2u }', 'layers/odd.wgsl');
    expect(() => reflect(vectors)).to.throw(
      'layers/odd.wgsl: Params.size is vec2u; only u32, i32, f32 and structs of them are allowed',
    );
  });
});
