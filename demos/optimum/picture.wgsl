// Draws the landscape of J: a lit surface with contour lines, strokes of constant screen width, and discs that face the
// camera. Only for the page's canvas; computes no theory.

struct Scene {
  view: mat4x4f,
  low: vec4f, // colors of the surface from its lowest to its highest level
  middle: vec4f,
  high: vec4f,
  halo: vec4f, // behind strokes and discs
  viewport: vec2f, // pixels
  range: vec2f, // of J
  contour: f32, // between two lines, in J
  reveal: f32, // how much of the paths is drawn, 0 to 1
  scale: f32, // pixels of the device per pixel of the page
}

@group(0) @binding(0) var<uniform> scene: Scene;

struct Surface {
  @builtin(position) position: vec4f,
  @location(0) normal: vec3f,
  @location(1) value: f32,
}

@vertex
fn surface_vertex(@location(0) position: vec3f, @location(1) normal: vec3f, @location(2) value: f32) -> Surface {
  return Surface(scene.view * vec4f(position, 1.0), normal, value);
}

@fragment
fn surface_fragment(in: Surface) -> @location(0) vec4f {
  let share = clamp((in.value - scene.range.x) / (scene.range.y - scene.range.x), 0.0, 1.0);
  var colour = mix(scene.low.rgb, scene.middle.rgb, smoothstep(0.0, 0.6, share));
  colour = mix(colour, scene.high.rgb, smoothstep(0.5, 1.0, share));
  let normal = normalize(in.normal) * sign(in.normal.y);
  let light = dot(normal, normalize(vec3f(0.45, 0.8, 0.35)));
  colour *= 0.82 + 0.22 * light;
  // Contours, one pixel wide; they fade if they would merge.
  let level = in.value / scene.contour;
  let width = fwidth(level) * scene.scale;
  let line = abs(fract(level - 0.5) - 0.5);
  let strength = (1.0 - smoothstep(0.35 * width, 0.95 * width, line)) * (1.0 - smoothstep(0.25, 0.6, width));
  return vec4f(mix(colour, scene.halo.rgb, 0.5 * strength), 1.0);
}

struct Stroke {
  @builtin(position) position: vec4f,
  @location(0) colour: vec4f,
  @location(1) pixel: vec2f,
  @location(2) @interpolate(flat) ends: vec4f, // both, in pixels
  @location(3) @interpolate(flat) radius: f32,
  @location(4) @interpolate(flat) along: vec4f, // length before, length, dash, share of the path
}

struct StrokeIn {
  @location(0) a: vec3f,
  @location(1) b: vec3f,
  @location(2) colour: vec4f,
  @location(3) style: vec4f, // half width and halo in pixels of the page, dash in units of the scene (0: none), share
  @location(4) along: vec2f, // length of the path before a, length of this piece
}

const CORNERS = array(vec2f(-1, -1), vec2f(1, -1), vec2f(-1, 1), vec2f(1, 1));

fn to_pixels(clip: vec4f) -> vec2f {
  return (clip.xy / clip.w * vec2f(0.5, -0.5) + 0.5) * scene.viewport;
}

fn stroke(in: StrokeIn, corner: u32, radius: f32, colour: vec4f, bias: f32) -> Stroke {
  let clip = array(scene.view * vec4f(in.a, 1.0), scene.view * vec4f(in.b, 1.0));
  let a = to_pixels(clip[0]);
  let b = to_pixels(clip[1]);
  let offset = b - a;
  let forward = select(vec2f(1.0, 0.0), offset / length(offset), length(offset) > 1e-4);
  let side = vec2f(-forward.y, forward.x);
  let place = CORNERS[corner];
  let reach = radius * scene.scale + 1.0;
  let end = select(a, b, place.x > 0.0);
  let pixel = end + (forward * place.x + side * place.y) * reach;
  let base = select(clip[0], clip[1], place.x > 0.0);
  let ndc = (pixel / scene.viewport - 0.5) * vec2f(2.0, -2.0);
  let position = vec4f(ndc * base.w, base.z - bias * base.w, base.w);
  let along = vec4f(in.along, in.style.z, in.style.w);
  return Stroke(position, colour, pixel, vec4f(a, b), radius * scene.scale, along);
}

@vertex
fn stroke_vertex(in: StrokeIn, @builtin(vertex_index) corner: u32) -> Stroke {
  return stroke(in, corner, in.style.x, in.colour, 0.0022);
}

@vertex
fn halo_vertex(in: StrokeIn, @builtin(vertex_index) corner: u32) -> Stroke {
  return stroke(in, corner, in.style.x + in.style.y, vec4f(scene.halo.rgb, select(0.0, 0.85, in.style.y > 0.0)), 0.002);
}

@fragment
fn stroke_fragment(in: Stroke) -> @location(0) vec4f {
  let offset = in.ends.zw - in.ends.xy;
  let t = clamp(dot(in.pixel - in.ends.xy, offset) / max(dot(offset, offset), 1e-6), 0.0, 1.0);
  let away = distance(in.pixel, in.ends.xy + t * offset);
  let dash = in.along.z;
  let reached = in.along.x + t * in.along.y;
  let is_gap = dash > 0.0 && fract(reached / dash) > 0.58;
  if (is_gap || in.along.w > scene.reveal) {
    discard;
  }
  return vec4f(in.colour.rgb, in.colour.a * (1.0 - smoothstep(in.radius - 0.6, in.radius + 0.6, away)));
}

struct Disc {
  @builtin(position) position: vec4f,
  @location(0) colour: vec4f,
  @location(1) place: vec2f, // in pixels from the center
  @location(2) @interpolate(flat) radius: f32,
}

@vertex
fn disc_vertex(
  @location(0) centre: vec3f,
  @location(1) colour: vec4f,
  @location(2) radius: f32,
  @builtin(vertex_index) corner: u32,
) -> Disc {
  let clip = scene.view * vec4f(centre, 1.0);
  let reach = (radius + 2.0) * scene.scale + 1.0;
  let place = CORNERS[corner] * reach;
  let ndc = place / scene.viewport * vec2f(2.0, -2.0);
  let position = vec4f(clip.xy + ndc * clip.w, clip.z - 0.006 * clip.w, clip.w);
  return Disc(position, colour, place, radius * scene.scale);
}

@fragment
fn disc_fragment(in: Disc) -> @location(0) vec4f {
  let away = length(in.place);
  let rim = in.radius + 2.0 * scene.scale;
  let inside = 1.0 - smoothstep(in.radius - 0.6, in.radius + 0.6, away);
  return vec4f(mix(scene.halo.rgb, in.colour.rgb, inside), 1.0 - smoothstep(rim - 0.6, rim + 0.6, away));
}
