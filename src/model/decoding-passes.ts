/** The implementations of a decoding pass, in order of preference. */
import type { Gpu } from '../gpu/device.ts';
import type { Decoder } from './decoder.ts';
import type { DecodingPass } from './decoding-pass.ts';
import { FoldedPass } from './folded-pass.ts';
import { LayeredPass } from './layered-pass.ts';

interface PassVariant {
  serves(model: Decoder): boolean;
  make(model: Decoder, gpu: Gpu): DecodingPass;
}

const PASSES: readonly PassVariant[] = [
  { serves: FoldedPass.serves, make: (model, gpu) => new FoldedPass(model, gpu) },
  { serves: () => true, make: (model) => new LayeredPass(model) },
];

/** The decoding pass of a model with its current adapters; the caller disposes it. */
export function decodingPass(model: Decoder, gpu: Gpu = model.gpu): DecodingPass {
  const variant = PASSES.find(({ serves }) => serves(model))!;
  return variant.make(model, gpu);
}
