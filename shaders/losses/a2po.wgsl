// A*-PO (Brantley et al. 2025, equation 3): the implicit reward of a whole completion, β log π/π_ref, is regressed on its
// optimal advantage A = r − V*. With K1 = Σ (log π − log π_ref), loss = (β K1 − A)², and every token gets the derivative
// 2β (β K1 − A).

#include "lib/tokenwise.wgsl"

@group(0) @binding(8) var<storage, read> advantage: array<f32>; // (records): r − V*

struct Options {
  beta: f32,
}

fn summand(token: Token, options: Options) -> vec4f {
  return vec4f(token.logp - token.reference, 0.0, 0.0, 0.0);
}

fn loss(token: Token, options: Options) -> TokenResult {
  let implicit = options.beta * token.sums.x;
  let wanted = advantage[token.sequence];
  let residual = implicit - wanted;
  notes = vec4f(implicit, wanted, token.sums.x, 0.0);
  return TokenResult(residual * residual / token.tokens, 2.0 * options.beta * residual);
}
