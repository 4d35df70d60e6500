/** The passes that generation can run by, in the order in which they are preferred. */
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

/** The pass of a model with its adapters as they are on now; the caller disposes it. */
export function decodingPass(model: Decoder, gpu: Gpu = model.gpu): DecodingPass {
  const variant = PASSES.find(({ serves }) => serves(model)) as PassVariant;
  return variant.make(model, gpu);
}
