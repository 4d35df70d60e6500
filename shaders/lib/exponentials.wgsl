// e^x, e^x − 1 and log(1 + u), for arguments where WGSL's own functions are too inaccurate: large exponents, and values near 0.

// log(1 + u) for u in [−1/2, 1] as 2 artanh(u / (2 + u)), by its series: WGSL's log is imprecise near 1.
fn log1p_unit(u: f32) -> f32 {
  let s = u / (2.0 + u);
  let t = s * s;
  let tail = t * (1.0 / 9.0 + t * (1.0 / 11.0 + t * (1.0 / 13.0 + t * (1.0 / 15.0))));
  return 2.0 * s * (1.0 + t * (1.0 / 3.0 + t * (1.0 / 5.0 + t * (1.0 / 7.0 + tail))));
}

// e^x to a few ULP, where WGSL's own error may be 3 + 2 |x| ULP. Clamped at e^88; below e^−87 it is 0.
fn precise_exp(x: f32) -> f32 {
  let parts = exp_parts(x);
  return select(parts.x + parts.x * parts.y, 0.0, x < -87.0);
}

// e^x − 1, accurate near 0.
fn expm1(x: f32) -> f32 {
  let parts = exp_parts(x);
  return (parts.x - 1.0) + parts.x * parts.y;
}

// (2ⁿ, e^q − 1) with x = n ln 2 + q and |q| ≤ ln 2 / 2; ln 2 in two parts, so that q is exact (Cody and Waite 1980).
fn exp_parts(x: f32) -> vec2f {
  let within = clamp(x, -87.0, 88.0);
  let n = round(within * 1.44269504);
  let q = fma(n, 2.12194440e-4, fma(n, -0.693359375, within));
  let tail = q * (1.0 / 24.0 + q * (1.0 / 120.0 + q * (1.0 / 720.0 + q * (1.0 / 5040.0))));
  return vec2f(ldexp(1.0, i32(n)), q + q * q * (0.5 + q * (1.0 / 6.0 + tail)));
}
