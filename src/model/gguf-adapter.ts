/**
 * A LoRA adapter in llama.cpp's format (`llama-cli --lora adapter.gguf`), for a GGUF base model converted from the same
 * Hugging Face folder, quantized or not. Uses the architecture's names and row order; numbers stay float32.
 */
import { toFloat32Bytes } from '../io/float.ts';
import { type GgufTensor, type GgufValue, writeGguf } from '../io/gguf/writer.ts';
import { type Adapter, checkAdapterFits, type LoraWeights, loraScale } from '../io/peft.ts';
import { GGUF_NAMES, inLayer, LINEARS } from './architecture.ts';
import type { ModelDescription } from './description.ts';
import { rowInHalves } from './gguf-layout.ts';
import { refuseHeads } from './merged-reward.ts';
import { linearsOf } from './weight-shapes.ts';

/**
 * The bytes of the file: `<name>.lora_a`, (r, in), and `<name>.lora_b`, (out, r), of each layer, which llama.cpp scales by
 * `adapter.lora.alpha` / r. Throws `InputError` for an adapter of another model.
 */
export function ggufAdapter(
  { config, architecture }: ModelDescription,
  adapter: Adapter,
  name = 'adapter',
): Uint8Array<ArrayBuffer> {
  refuseHeads([{ adapter, factor: 1, name }], 'GGUF');
  checkAdapterFits(adapter, linearsOf(architecture, config), name);
  const { gguf, linears } = architecture;
  const { r, loraAlpha, useRslora } = adapter.config;
  // llama.cpp divides by a layer's rank, rsLoRA by its root.
  const alpha = useRslora ? loraAlpha * Math.sqrt(r) : loraAlpha;
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', { type: 'string', value: gguf.architecture }],
    ['general.type', { type: 'string', value: 'adapter' }],
    ['general.file_type', { type: 'uint32', value: 0 }],
    ['adapter.type', { type: 'string', value: 'lora' }],
    ['adapter.lora.alpha', { type: 'float32', value: alpha }],
  ]);
  const tensors = new Map<string, GgufTensor>();
  for (let i = 0; i < config.numHiddenLayers; i++) {
    for (const layer of LINEARS) {
      const module = linears[layer];
      const pair = module && adapter.weights.get(inLayer(module, i));
      if (!pair) continue;
      const stem = `${inLayer(GGUF_NAMES.linears[layer], i)}.weight`;
      const ordered = gguf.interleaved.includes(layer) ? interleaved(pair, config.headDim) : pair.b;
      // 1 except for a layer with its own rank or alpha, whose scale the file cannot represent.
      const factor = (loraScale(adapter.config, pair) * pair.r) / alpha;
      const b = Math.abs(factor - 1) < 1e-12 ? ordered : ordered.map((value) => factor * value);
      tensors.set(`${stem}.lora_a`, { shape: [pair.r, pair.in], dtype: 'F32', data: toFloat32Bytes(pair.a) });
      tensors.set(`${stem}.lora_b`, { shape: [pair.out, pair.r], dtype: 'F32', data: toFloat32Bytes(b) });
    }
  }
  return writeGguf(metadata, tensors);
}

/** B (out, r) with the rows of each head as interleaved pairs. */
function interleaved({ b, r, out }: LoraWeights, headDim: number): Float32Array {
  const rows = new Float32Array(b.length);
  for (let row = 0; row < out; row++) {
    const from = rowInHalves(row, headDim);
    rows.set(b.subarray(from * r, (from + 1) * r), row * r);
  }
  return rows;
}
