/**
 * The page: sliders in, optimum, paths and landscape out. The theory module computes every number; changes during a
 * computation are queued, and only the latest is computed.
 */
import { type Gpu, NoAdapterError, requestGpu } from 'webalign';
import { showAdapter, showNoAdapter } from '../shared/adapter.ts';
import { byId, onPress, setText } from '../shared/dom.ts';
import { type Answer, answer, METHODS } from './answer.ts';
import { Camera, project } from './camera.ts';
import { rounded } from './figures.ts';
import { CORNERS, corner, type Point, RIM, roundStep, surface, VERTEX } from './geometry.ts';
import type { Method } from './paths.ts';
import { Peaks } from './peaks.ts';
import { colourOf, type Disc, Scene, type Stroke } from './scene.ts';
import { screenFor } from './screen.ts';
import { fillTables } from './tables.ts';
import type { Setting } from './theory.ts';

const NAMES = ['A', 'B', 'C'] as const;
const REFERENCE = [0.5, 0.3, 0.2].map(Math.log);

/** Dash and gap lengths of each path, in units of the scene; 0 is a solid line. */
const DASHES: Readonly<Record<Method, number>> = { ascent: 0, dpo: 0.11, ipo: 0.055, forward: 0.022 };

const canvas = byId('landscape', HTMLCanvasElement);
const controls = byId('controls', HTMLFormElement);
let shown: Answer | undefined;
let scene: Scene | undefined;

const input = (name: string) => controls.elements.namedItem(name) as HTMLInputElement;

/** Draws in the next frame. */
const schedule = latest(async () => {
  if (!shown || !scene || canvas.width === 0) return;
  canvas.ariaBusy = 'true';
  await new Promise(requestAnimationFrame);
  const matrix = camera.matrix(canvas.width / canvas.height);
  const labels: [string, Point][] = [
    ['label-reference', shown.reference.place],
    ['label-optimal', shown.best.place],
    // Beside the surface.
    ...posts(shown).map(([, [x, y, z]], i): [string, Point] => [
      `label-${NAMES[i]}`,
      [1.09 * x, y, 1.09 * z],
    ]),
  ];
  for (const [id, point] of labels) {
    const [left, top] = project(matrix, point);
    byId(id, HTMLElement).style.translate = `${left * canvas.clientWidth}px ${top * canvas.clientHeight}px`;
  }
  const reveal = input('reveal').valueAsNumber;
  await scene.draw(matrix, reveal, canvas.width / canvas.clientWidth);
  canvas.ariaBusy = 'false';
});
const camera = new Camera(schedule);

function setting(): Setting {
  // The slider of β has a logarithmic scale.
  const beta = Number((10 ** input('beta').valueAsNumber).toPrecision(3));
  return { reference: REFERENCE, rewards: NAMES.map((name) => input(`r${name}`).valueAsNumber), beta };
}

async function compute(gpu: Gpu): Promise<void> {
  controls.ariaBusy = 'true';
  shown = await answer(gpu, setting());
  fillTables(shown);
  paint();
  controls.ariaBusy = 'false';
}

/** Lines from the ground to the surface, at each corner. */
function posts({ relief, values }: Answer): [Point, Point][] {
  return CORNERS.map(([x, z], i) => [
    [x, 0, z],
    [x, relief.height(values[corner(i)]), z],
  ]);
}

/** Passes shapes and colors to the scene. */
function paint(): void {
  if (!scene || !shown) return;
  const { relief, values, paths, reference, best } = shown;
  const [ink, muted] = [colourOf('--ink'), colourOf('--muted')];
  const chosen = METHODS.filter((method) => input(method).checked);
  const vertices = surface(values, relief);
  const rim = RIM.map(
    (at): Point => [vertices[VERTEX * at], vertices[VERTEX * at + 1], vertices[VERTEX * at + 2]],
  );
  const corners = posts(shown);
  const strokes: Stroke[] = [
    { points: [...corners, corners[0]].map(([floor]) => floor), colour: muted, width: 1, opacity: 0.5 },
    ...corners.map((post) => ({ points: post, colour: muted, width: 1, opacity: 0.5 })),
    { points: rim, colour: ink, width: 1.25, opacity: 0.45 },
    ...chosen.map((method) => ({
      points: paths[method].map(({ place }) => place),
      colour: colourOf(`--${method}`),
      width: 3.25,
      halo: 1.5,
      dash: DASHES[method],
      isPath: true,
    })),
  ];
  const reveal = input('reveal').valueAsNumber;
  const discs: Disc[] = [
    ...chosen.map((method) => ({
      at: paths[method][Math.round(reveal * (paths[method].length - 1))].place,
      colour: colourOf(`--${method}`),
      radius: 5,
    })),
    ...[reference, best].map(({ place }) => ({ at: place, colour: ink, radius: 6 })),
  ];
  const contour = roundStep(relief.high - relief.low, 20);
  const look = {
    low: colourOf('--surface-low'),
    middle: colourOf('--surface-middle'),
    high: colourOf('--surface-high'),
    halo: colourOf('--card'),
  };
  scene.show({ vertices, strokes, discs, look, range: [relief.low, relief.high], contour });
  setText(byId('scale-low', HTMLElement), rounded(relief.low, 2));
  setText(byId('scale-high', HTMLElement), rounded(relief.high, 2));
  setText(byId('scale-step', HTMLElement), `a line every ${contour}`);
  canvas.setAttribute('aria-label', describe(shown));
  schedule();
}

function describe({ setting: { beta }, optimum, best }: Answer): string {
  const shares = best.probabilities.map((p, i) => `${NAMES[i]} ${(100 * p).toFixed(0)} %`).join(', ');
  return `J over all policies on three answers as a surface, β ${beta}. Its highest point, π*, gives ${shares} and reaches ${rounded(optimum.optimum, 3)}. Arrow keys turn, plus and minus zoom, Home resets. The tables hold the same numbers.`;
}

/** Runs one computation at a time, and of the waiting ones only the last. */
function latest(run: () => Promise<void>): () => void {
  let isBusy = false;
  let isStale = false;
  return async () => {
    isStale = true;
    if (isBusy) return;
    isBusy = true;
    try {
      while (isStale) {
        isStale = false;
        await run();
      }
    } catch (error) {
      complain(error instanceof Error ? error.message : String(error));
    } finally {
      isBusy = false;
    }
  };
}

function complain(text: string): void {
  setText(byId('missing-text', HTMLElement), text);
  byId('missing', HTMLElement).hidden = false;
}

function tellSliders(): void {
  const { beta, rewards } = setting();
  setText(byId('out-beta', HTMLElement), String(beta));
  NAMES.forEach((name, i) => {
    setText(byId(`out-r${name}`, HTMLElement), rounded(rewards[i], 1));
  });
  input('beta').setAttribute('aria-valuetext', `beta ${beta}`);
  setText(byId('out-distance', HTMLElement), input('distance').value);
  setText(byId('out-share', HTMLElement), `${Math.round(100 * input('share').valueAsNumber)} %`);
}

function resize(): void {
  const scale = Math.min(2, devicePixelRatio);
  canvas.width = Math.round(canvas.clientWidth * scale);
  canvas.height = Math.round(canvas.clientHeight * scale);
  schedule();
}

let playing = 0;

/** Animates the paths from π_ref, in four seconds. */
function play(): void {
  cancelAnimationFrame(playing);
  const start = performance.now();
  const reveal = input('reveal');
  const next = (now: number) => {
    reveal.valueAsNumber = Math.min(1, (now - start) / 4000);
    paint();
    if (reveal.valueAsNumber < 1) playing = requestAnimationFrame(next);
  };
  playing = requestAnimationFrame(next);
}

async function open(): Promise<void> {
  tellSliders();
  let gpu: Gpu;
  try {
    gpu = await requestGpu();
  } catch (error) {
    if (!(error instanceof NoAdapterError)) throw error;
    showNoAdapter();
    return complain(error.message);
  }
  showAdapter(gpu.adapter);
  gpu.device.addEventListener('uncapturederror', ({ error }) => complain(error.message));
  scene = new Scene(gpu.device, screenFor(gpu.device, canvas, gpu.adapter.software));
  const peaks = new Peaks(gpu);
  const recompute = latest(() => compute(gpu));
  const showPeaks = latest(() =>
    peaks.show({ distance: input('distance').valueAsNumber, share: input('share').valueAsNumber }),
  );
  controls.addEventListener('input', ({ target }) => {
    tellSliders();
    const { name, type } = target as HTMLInputElement;
    if (name === 'distance' || name === 'share') showPeaks();
    else if (type === 'checkbox' || name === 'reveal') paint();
    else recompute();
  });
  camera.listen(canvas);
  onPress(byId('nearer', HTMLButtonElement), () => camera.zoom(1 / 1.25));
  onPress(byId('farther', HTMLButtonElement), () => camera.zoom(1.25));
  onPress(byId('upright', HTMLButtonElement), () => camera.reset());
  onPress(byId('play', HTMLButtonElement), play);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paint);
  new ResizeObserver(resize).observe(canvas);
  resize();
  recompute();
  showPeaks();
}

await open();
