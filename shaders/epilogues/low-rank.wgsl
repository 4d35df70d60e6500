// Adds the LoRA term.

#include "lib/low-rank.wgsl"
#include "lib/no-addend.wgsl"
