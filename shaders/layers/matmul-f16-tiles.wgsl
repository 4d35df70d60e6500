// The matrix products of matmul-workgroup.wgsl with half precision in workgroup memory: half the memory and traffic there.
// Each factor is rounded to 11 bits, sums stay in float32: the error of an element is at most 2⁻¹⁰ · Σ |a| |b|, and values
// beyond ±65504 or below 2⁻²⁴ are lost.

enable f16;

alias Staged = f16;

#include "lib/staged-product.wgsl"
