/** The worker of a page that measures large data: it trains, and the page only waits, as in an app. */
import { Gpu } from '../../src/gpu/device.ts';
import { largeData } from './large-data.ts';

/** What the page sends. */
export interface DataRequest {
  pairs: number;
  variants: readonly string[];
}

/** What it gets back. */
export type DataAnswer = { numbers: Record<string, number> } | { problem: string };

self.onmessage = async ({ data: { pairs, variants } }: MessageEvent<DataRequest>) => {
  try {
    const gpu = await Gpu.request(navigator.gpu, { variants });
    const numbers = await largeData(gpu, pairs);
    gpu.dispose();
    answer({ numbers });
  } catch (error) {
    answer({ problem: String(error) });
  }
};

function answer(message: DataAnswer): void {
  self.postMessage(message);
}
