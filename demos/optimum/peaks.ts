/**
 * Reverse and forward KL compared: one bell curve fitted to a target with two peaks, with either direction. Every bell of a
 * fine grid is compared with the target by the theory kernels; the two best are drawn.
 */
import { type Gpu, Tensor } from 'webalign/gpu';
import { byId, make, setText } from '../shared/dom.ts';
import { figure } from './figures.ts';
import { logSoftmax } from './paths.ts';
import { bothDirections } from './theory.ts';

/** Positions on the axis, −6 to 6. */
const PLACES = Array.from({ length: 121 }, (_, i) => i / 10 - 6);
const MEANS = Array.from({ length: 97 }, (_, i) => i / 20 - 2.4).map((x) => 2 * x);
const WIDTHS = Array.from({ length: 33 }, (_, i) => 0.4 * 1.075 ** i);
const PEAK_WIDTH = 0.7;
const SIZE = { width: 640, height: 250, top: 14, bottom: 30 };

/** Every bell of the grid, as logits over the positions. */
const BELLS = MEANS.flatMap((mean) => WIDTHS.map((width) => ({ mean, width })));

interface Fit {
  mean: number;
  width: number;
  /** KL(bell ‖ target) and KL(target ‖ bell). */
  reverse: number;
  forward: number;
}

export interface Target {
  /** Distance between the two peaks. */
  distance: number;
  /** Weight of the left peak, in 0 to 1. */
  share: number;
}

/** log of the target's probabilities. */
export function targetLogits({ distance, share }: Target): number[] {
  const bell = (x: number, mean: number) => Math.exp(-((x - mean) ** 2) / (2 * PEAK_WIDTH ** 2));
  return logSoftmax(
    PLACES.map((x) => Math.log(share * bell(x, -distance / 2) + (1 - share) * bell(x, distance / 2) + 1e-12)),
  );
}

export class Peaks {
  private readonly bells: Tensor;
  private readonly svg: SVGSVGElement;

  constructor(private readonly gpu: Gpu) {
    const data = BELLS.flatMap((bell) => bellLogits(bell));
    this.bells = Tensor.from(gpu, Float32Array.from(data), [BELLS.length, PLACES.length], 'bells');
    this.svg = byId('peaks', HTMLElement).appendChild(
      shape('svg', { viewBox: `0 0 ${SIZE.width} ${SIZE.height}` }),
    );
  }

  async show(target: Target): Promise<void> {
    const logits = targetLogits(target);
    const { reverse, forward } = await bothDirections(this.gpu, this.bells, logits);
    const best = (values: Float32Array): Fit => {
      const at = values.reduce((least, value, i) => (value < values[least] ? i : least), 0);
      return { ...BELLS[at], reverse: reverse[at], forward: forward[at] };
    };
    const fits = { reverse: best(reverse), forward: best(forward) };
    this.draw(logits, fits);
    for (const [name, fit] of Object.entries(fits)) {
      const row = byId(`fit-${name}`, HTMLTableRowElement);
      const cells = [fit.mean, fit.width, fit.reverse, fit.forward];
      row.replaceChildren(
        row.cells[0],
        ...cells.map((value, i) => make('td', '', figure(value, i < 2 ? 2 : 4))),
      );
    }
    const { reverse: near, forward: wide } = fits;
    const isOnPeak = near.width < 0.75 * wide.width;
    setText(
      byId('peaks-told', HTMLElement),
      isOnPeak
        ? `Reverse KL settles on the ${near.mean < 0 ? 'left' : 'right'} peak and ignores the other: it is charged only where it puts weight itself. Forward KL spreads over both and the gap between: it is charged wherever the target has weight.`
        : 'The peaks are so close, or so unequal, that both directions choose almost the same bell.',
    );
  }

  private draw(target: readonly number[], fits: Record<'reverse' | 'forward', Fit>): void {
    const bells = Object.entries(fits).map(
      ([name, fit]) => [name, logSoftmax(bellLogits(fit)).map(Math.exp)] as const,
    );
    const p = target.map(Math.exp);
    const highest = Math.max(...p, ...bells.flatMap(([, bell]) => bell));
    const ground = SIZE.height - SIZE.bottom;
    const x = (i: number) => (i / (PLACES.length - 1)) * SIZE.width;
    const y = (value: number) => ground - (value / highest) * (ground - SIZE.top);
    const line = (values: readonly number[]) =>
      `M${values.map((v, i) => `${x(i).toFixed(1)} ${y(v).toFixed(1)}`).join('L')}`;
    const ticks = [-4, -2, 0, 2, 4].map((tick) => {
      const label = shape('text', {
        x: String(x(10 * (tick + 6))),
        y: String(SIZE.height - 10),
        class: 'tick',
      });
      label.textContent = String(tick).replace('-', '−');
      return label;
    });
    this.svg.replaceChildren(
      shape('path', { d: `${line(p)}L${SIZE.width} ${ground}L0 ${ground}Z`, class: 'target' }),
      shape('path', { d: `M0 ${ground}H${SIZE.width}`, class: 'ground' }),
      ...bells.map(([name, bell]) => shape('path', { d: line(bell), class: `bell ${name}` })),
      ...ticks,
    );
    const say = (name: string, { mean, width }: Fit) =>
      `${name} KL: mean ${mean.toFixed(2)}, width ${width.toFixed(2)}`;
    byId('peaks', HTMLElement).setAttribute(
      'aria-label',
      `A target of two peaks and one bell fitted by each direction. ${say('Reverse', fits.reverse)}. ${say('Forward', fits.forward)}.`,
    );
  }
}

function bellLogits({ mean, width }: { mean: number; width: number }): number[] {
  return PLACES.map((x) => -((x - mean) ** 2) / (2 * width ** 2));
}

function shape<K extends keyof SVGElementTagNameMap>(
  name: K,
  attributes: Record<string, string>,
): SVGElementTagNameMap[K] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
