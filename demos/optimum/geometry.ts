/**
 * The simplex over three answers as a landscape: positions of policies on the ground, a grid of policies, and the surface
 * of heights over it. y is up; the corners are on the unit circle.
 */

export type Point = readonly [number, number, number];

/** The positions (x, z) of the policies that always give one answer. */
export const CORNERS: readonly (readonly [number, number])[] = [0, 1, 2].map((i) => {
  const angle = (2 * Math.PI * i) / 3 + Math.PI / 2;
  return [Math.cos(angle), Math.sin(angle)];
});

/** Number of subdivisions of an edge. */
const EDGE = 72;
/** Height of the highest point. */
const HEIGHT = 0.8;

/** Probabilities (M, 3) of the policies on the grid, including corners and edges. */
export const GRID: readonly Point[] = Array.from({ length: EDGE + 1 }, (_, i) =>
  Array.from({ length: EDGE + 1 - i }, (_, j): Point => [(EDGE - i - j) / EDGE, j / EDGE, i / EDGE]),
).flat();

/** The grid's log-probabilities (M, 3), −∞ on the edges. */
export const GRID_LOG_POLICIES = Float32Array.from(GRID.flat(), Math.log);

/** Corners of the triangles (T, 3). */
export const TRIANGLES: Uint32Array<ArrayBuffer> = (() => {
  const start = (i: number) => i * (EDGE + 1) - (i * (i - 1)) / 2;
  const all: number[] = [];
  for (let i = 0; i < EDGE; i++) {
    for (let j = 0; j < EDGE - i; j++) {
      const [a, b, c] = [start(i) + j, start(i) + j + 1, start(i + 1) + j];
      all.push(a, b, c);
      if (j < EDGE - i - 1) all.push(b, c + 1, c);
    }
  }
  return new Uint32Array(all);
})();

/** Indices of the grid along its three edges, closed. */
export const RIM: readonly number[] = (() => {
  const index = new Map(GRID.map((p, i) => [p.map((each) => Math.round(each * EDGE)).join(), i]));
  const steps = Array.from({ length: EDGE }, (_, k) => k);
  const along = (point: (k: number) => number[]) => steps.map((k) => index.get(point(k).join())!);
  const rim = [
    ...along((k) => [EDGE - k, k, 0]),
    ...along((k) => [0, EDGE - k, k]),
    ...along((k) => [k, 0, EDGE - k]),
  ];
  return [...rim, rim[0]];
})();

/** Index of a corner in the grid. */
export function corner(i: number): number {
  return RIM[i * EDGE];
}

/** Converts J to heights: the lowest value of the grid is at the ground. */
export class Relief {
  constructor(
    readonly low: number,
    readonly high: number,
  ) {}

  height(value: number): number {
    return (HEIGHT * (value - this.low)) / (this.high - this.low || 1);
  }

  /** The position of a policy with a value of J. */
  place(probabilities: ArrayLike<number>, value: number): Point {
    const [x, z] = ground(probabilities);
    return [x, this.height(value), z];
  }
}

export function ground(probabilities: ArrayLike<number>): [number, number] {
  let [x, z] = [0, 0];
  CORNERS.forEach(([cx, cz], i) => {
    x += probabilities[i] * cx;
    z += probabilities[i] * cz;
  });
  return [x, z];
}

/** Floats of a vertex: position, normal, J. */
export const VERTEX = 7;

/** Vertices (M, 7) of the surface over the grid. */
export function surface(values: Float32Array, relief: Relief): Float32Array<ArrayBuffer> {
  const vertices = new Float32Array(GRID.length * VERTEX);
  GRID.forEach((p, i) => {
    vertices.set(relief.place(p, values[i]), i * VERTEX);
    vertices[i * VERTEX + 6] = values[i];
  });
  // Normals: the sum of those of the adjacent triangles, weighted by area.
  const coordinate = (vertex: number, k: number) => vertices[vertex * VERTEX + k];
  for (let t = 0; t < TRIANGLES.length; t += 3) {
    const [a, b, c] = [TRIANGLES[t], TRIANGLES[t + 1], TRIANGLES[t + 2]] as [number, number, number];
    const edge = (to: number): Point => [
      coordinate(to, 0) - coordinate(a, 0),
      coordinate(to, 1) - coordinate(a, 1),
      coordinate(to, 2) - coordinate(a, 2),
    ];
    const [u, v] = [edge(b), edge(c)];
    const normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]] as const;
    for (const vertex of [a, b, c]) {
      for (let k = 0; k < 3; k++) {
        const at = vertex * VERTEX + 3 + k;
        vertices[at] = vertices[at] + normal[k];
      }
    }
  }
  return vertices;
}

/** A round step (1, 2 or 5 times a power of ten) that divides a range into about `count` levels. */
export function roundStep(range: number, count: number): number {
  const rough = range / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
}
