import { expect } from 'chai';
import { Random } from '../../src/data/random.ts';
import { toFloat16Bytes, toFloat32 } from '../../src/io/float.ts';
import { float32ToHalf, halfToFloat32 } from '../../src/io/half.ts';
import { expectRefused } from './refused.ts';

describe('io/float', () => {
  it('reads tensors at unaligned offsets', () => {
    const values = Float32Array.from({ length: 9 }, () => new Random(1).normal());
    const bytes = new Uint8Array(values.buffer);
    for (const shift of [0, 1, 2, 3, 5]) {
      const file = new Uint8Array(bytes.length + shift);
      file.set(bytes, shift);
      expect(toFloat32({ dtype: 'F32', data: file.subarray(shift), where: '' })).to.deep.equal(values);
    }
    const half = toFloat16Bytes(values);
    const file = new Uint8Array(half.length + 1);
    file.set(half, 1);
    expect(toFloat32({ dtype: 'F16', data: file.subarray(1), where: '' })).to.deep.equal(
      halfToFloat32(float32ToHalf(values)),
    );
  });

  it('refuses other types by name', () =>
    expectRefused(
      () => toFloat32({ dtype: 'I64', data: new Uint8Array(8), where: 'm.safetensors, tensor "x"' }),
      'm.safetensors, tensor "x"',
      'I64',
    ));
});
