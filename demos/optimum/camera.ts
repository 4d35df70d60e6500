/**
 * A camera on an orbit around the simplex: its position, its distance, and the projection of points. Moved by pointer and
 * keys; draws nothing.
 */
import { mat4, vec3, vec4 } from 'wgpu-matrix';
import type { Point } from './geometry.ts';

const START = { azimuth: 0.2, elevation: 0.74, distance: 3.7 };
const TARGET: Point = [0, 0.17, 0];
const FIELD = (34 * Math.PI) / 180;
const ELEVATION = [0.05, 1.55] as const;
const DISTANCE = [1.8, 7] as const;
/** Rotation per key press, in radians, and per pixel of a pointer. */
const TURN = 0.12;
const TURN_PER_PIXEL = 0.008;
const ZOOM = 1.15;

/** Keys and their actions, as described on the page. */
const KEYS: Readonly<Record<string, (camera: Camera) => void>> = {
  ArrowLeft: (camera) => camera.turn(-TURN, 0),
  ArrowRight: (camera) => camera.turn(TURN, 0),
  ArrowUp: (camera) => camera.turn(0, TURN),
  ArrowDown: (camera) => camera.turn(0, -TURN),
  '+': (camera) => camera.zoom(1 / ZOOM),
  '=': (camera) => camera.zoom(1 / ZOOM),
  '-': (camera) => camera.zoom(ZOOM),
  Home: (camera) => camera.reset(),
};

export class Camera {
  private at = { ...START };

  /** `moved` is called when the view changes. */
  constructor(private readonly moved: () => void) {}

  turn(azimuth: number, elevation: number): void {
    this.at.azimuth += azimuth;
    this.at.elevation = clamp(this.at.elevation + elevation, ELEVATION);
    this.moved();
  }

  /** Multiplies the distance. */
  zoom(factor: number): void {
    this.at.distance = clamp(this.at.distance * factor, DISTANCE);
    this.moved();
  }

  reset(): void {
    this.at = { ...START };
    this.moved();
  }

  /** From the scene to clip space, for the given aspect ratio. */
  matrix(aspect: number): Float32Array {
    const { azimuth, elevation, distance } = this.at;
    // A tall picture shows the same width.
    const far = distance * Math.max(1, 1.25 / aspect);
    const flat = far * Math.cos(elevation);
    const eye = vec3.create(flat * Math.sin(azimuth), far * Math.sin(elevation), flat * Math.cos(azimuth));
    const view = mat4.lookAt(vec3.add(eye, TARGET as unknown as number[]), [...TARGET], [0, 1, 0]);
    return mat4.multiply(mat4.perspective(FIELD, aspect, 0.1, 30), view);
  }

  /** Handles pointer and keys on an element: drag to rotate, wheel or pinch with Control to zoom. */
  listen(element: HTMLElement): void {
    element.addEventListener('pointerdown', (event) => {
      element.setPointerCapture(event.pointerId);
    });
    element.addEventListener('pointermove', (event) => {
      if (!element.hasPointerCapture(event.pointerId)) return;
      this.turn(-event.movementX * TURN_PER_PIXEL, event.movementY * TURN_PER_PIXEL);
    });
    // A wheel event scrolls the page unless the picture has focus.
    const zoom = (event: WheelEvent) => {
      if (!event.ctrlKey && document.activeElement !== element) return;
      event.preventDefault();
      this.zoom(Math.exp(event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)));
    };
    element.addEventListener('wheel', zoom, { passive: false });
    element.addEventListener('keydown', (event) => {
      const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : KEYS[event.key];
      if (!act) return;
      event.preventDefault();
      act(this);
    });
  }
}

/** The projection of a point, in fractions of width and height from the top left. */
export function project(matrix: Float32Array, point: Point): [number, number] {
  const [x, y, , w] = vec4.transformMat4([...point, 1], matrix) as unknown as [
    number,
    number,
    number,
    number,
  ];
  return [0.5 + x / w / 2, 0.5 - y / w / 2];
}

function clamp(value: number, [low, high]: readonly [number, number]): number {
  return Math.min(high, Math.max(low, value));
}
